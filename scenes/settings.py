"""What a recipe says beside its hazards: which city, when and from where images are taken, which tiles, how large."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from mage.scenes.parts import ascending, spread


class Part(BaseModel):
    """A part of a recipe: frozen, and without keys that mean nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _has_inside(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    if not (box[0] < box[2] and box[1] < box[3]):
        raise ValueError("needs west < east and south < north")
    return box


def _as_text(value: Any) -> Any:
    """YAML reads a date without quotes as a date; both ways of writing it are meant alike."""
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value


def _is_date(text: str) -> str:
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise ValueError("not a date as YYYY-MM-DD")


Share = Annotated[float, Field(ge=0, le=1)]
_Height = Annotated[float, Field(ge=100, le=15_000)]
_Hour = Annotated[float, Field(ge=0, le=24)]
_OffNadir = Annotated[float, Field(ge=0, le=45)]
_Pixels = Annotated[float, Field(ge=0, le=20)]
Shares = Annotated[tuple[Share, Share], BeforeValidator(spread), AfterValidator(ascending)]
Hours = Annotated[tuple[_Hour, _Hour], BeforeValidator(spread), AfterValidator(ascending)]
Bounds = Annotated[tuple[float, float, float, float], AfterValidator(_has_inside)]
Date = Annotated[str, BeforeValidator(_as_text), AfterValidator(_is_date)]


class CityPart(Part):
    """Which city: a file, or none for the procedural one."""

    file: str | None = Field(None, description="CityGML, CityJSON or OpenStreetMap; none builds a procedural city")
    bounds: Bounds | None = Field(
        None, description="west, south, east, north of the part to read: degrees, or metres on the city's map"
    )
    terrain: tuple[str, ...] = Field((), description="elevation models (GeoTIFF, .hgt) that the city stands on")
    surface: str | None = Field(None, description="surface model (GeoTIFF) that roofs are lifted to")
    drives: Literal["left", "right"] | None = Field(None, description="side of the road; none goes by the country")
    name: str | None = Field(
        None, pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60, description="none is the file's, or the style's"
    )
    seed: int | None = Field(
        None,
        ge=0,
        le=2**63 - 1,
        description="of all that is made up of the city; none gives each recipe a city of its own",
    )

    @model_validator(mode="after")
    def _of_a_file(self) -> CityPart:
        given = [name for name in ("bounds", "terrain", "surface") if getattr(self, name)]
        if given and self.file is None:
            raise ValueError(f"{' and '.join(given)} need a city file (--city)")
        return self

    style: str | None = Field(
        None, description="a style in assets/styles, or a file; none chooses by where the city is"
    )
    extent: float = Field(640.0, ge=100, le=5000, description="side of the procedural city in metres")


class LightPart(Part):
    """When the two images are taken."""

    pre: Date = Field("2023-06-14", description="date of the image before")
    post: Date = Field("2023-07-02", description="date of the image after")
    # imaging satellites in sun-synchronous orbits pass at about half past ten
    hours: Hours = Field((9.5, 11.5), description="local solar time, drawn per date")


class BetweenPart(Part):
    """What differs between the two dates though no disaster did it, beside their light and traffic."""

    hold: bool = Field(
        False,
        description="both dates alike: the light, view, vehicles, season and noise of the first, and no benign change",
    )
    changes: Shares = Field(
        (0.0, 0.7),
        description="benign change (mown grass, sheds, skips, building sites), drawn: 0 none, 1 a great deal",
    )
    season: Literal["dates", "held"] = Field("dates", description="each date's own, or the first's at both")


class ViewPart(Part):
    """From where the images are taken, and how well the two lie on each other."""

    off_nadir: Annotated[tuple[_OffNadir, _OffNadir], BeforeValidator(spread), AfterValidator(ascending)] = Field(
        (0.0, 0.0), description="degrees between the line of sight and the vertical, drawn per date as its azimuth is"
    )
    shift: Annotated[tuple[_Pixels, _Pixels], BeforeValidator(spread), AfterValidator(ascending)] = Field(
        (0.0, 0.0),
        description="pixels by which the image after is displaced, its labels with it, drawn in any direction",
    )


class OutputPart(Part):
    """Size and packing."""

    size: int = Field(512, ge=32, le=4096, description="pixels along a side")
    gsd: float = Field(0.5, ge=0.05, le=5.0, description="metres per pixel")
    shard_size: int = Field(16, ge=1, le=10000, description="samples in a shard")


class AtmospherePart(Part):
    """What lies between the ground and the sensor, drawn per date."""

    cloud: Shares = Field((0.0, 0.0), description="share of the tile under cloud that is half opaque or more")
    thin: Shares = Field((0.0, 0.0), description="mean opacity of a thin veil of cloud without a shadow")
    haze: Shares = Field((0.0, 0.0), description="share of light at 0.55 µm that haze scatters into view")
    height: Annotated[tuple[_Height, _Height], BeforeValidator(spread), AfterValidator(ascending)] = Field(
        (600.0, 2000.0), description="of the clouds' base above the ground, m: how far from them their shadows lie"
    )


class DamagedPart(Part):
    """A least share of samples with damage, for which tiles are chosen."""

    share: Share = Field(description="of the samples")
    grade: int = Field(1, ge=1, le=3, description="of the Joint Damage Scale, from which on a building is damaged")
    buildings: int = Field(1, ge=1, le=1000, description="so many of a tile's buildings are damaged at least")
    part: Share = Field(0.0, description="and this share of them")


class TilesPart(Part):
    """Which tiles are taken of a city."""

    within: Annotated[tuple[Share, Share, Share, Share], AfterValidator(_has_inside)] = Field(
        (0.0, 0.0, 1.0, 1.0),
        description="west, south, east, north of the part that tiles lie in, as shares of the city",
    )
    margin: float = Field(
        0.0, ge=0, le=10_000, description="metres that tiles keep from the edges of that part inside the city"
    )
    damaged: DamagedPart | None = Field(None, description="least share of samples with damage")
