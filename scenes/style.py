"""How a kind of place is built and how it looks: street, parcel, house and tree measures, and colour swatches."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from mage.scenes.details import Details
from mage.scenes.errors import RecipeError
from mage.scenes.layouts import Layout, Suburban
from mage.scenes.season import Climate
from mage.scenes.yamlio import parse_yaml, read_yaml, reason_of

GROUND = ("asphalt", "concrete", "paved", "grass", "bare")


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"the first of a range must not exceed the second, found {list(pair)}")
    return pair


Length = Annotated[float, Field(ge=0, le=10_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Span = Annotated[tuple[Length, Length], AfterValidator(_ascending)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Swatch(_Part):
    """A colour as it looks in imagery, 8-bit sRGB, and how often it is seen beside the others of its list."""

    srgb: tuple[
        Annotated[int, Field(ge=0, le=255)], Annotated[int, Field(ge=0, le=255)], Annotated[int, Field(ge=0, le=255)]
    ]
    weight: float = Field(1.0, gt=0)


Swatches = Annotated[tuple[Swatch, ...], Field(min_length=1)]


def _complete(ground: dict[str, tuple[Swatch, ...]]) -> dict[str, tuple[Swatch, ...]]:
    if sorted(ground) != sorted(GROUND):
        raise ValueError(f"needs swatches for exactly {', '.join(GROUND)}; has {', '.join(ground)}")
    return ground


class Look(_Part):
    """Colours. ``bare_above``: grass is worn to soil where noise of unit spread exceeds this; ``river``: deep water of
    rivers, none is silty.
    """

    roofs_flat: Swatches
    roofs_pitched: Swatches
    walls: Swatches
    crowns: Swatches
    ground: Annotated[dict[str, Swatches], AfterValidator(_complete)]
    bare_above: float = Field(gt=0)
    river: Swatch | None = None


class Streets(_Part):
    """Streets, metres.

    Attributes:
        width: range of carriageway widths; the first is an ordinary street's, the second a main street's.
        block: sides of a procedural block between street axes, short and long.
        bend: how far a procedural street may leave its straight line.
        smallest_block: built-up ground (m²) below which neighbouring buildings count as one block.
        sunk: how far the carriageway lies below the lots.
        straight: share of procedural strips of blocks whose cross streets run on from the strip before; where they
            do not there are T-junctions, and as many blocks are joined.
        forecourt: inferred paving (m) from the pavement to walls that stand so close to a street, 0 for none.
    """

    width: Span
    block: Span
    bend: Length
    smallest_block: float = Field(gt=0)
    sunk: float = Field(ge=0, le=0.5)
    straight: Share
    forecourt: Length


class Houses(_Part):
    """Houses, metres; roof shares are of procedural houses and add up to 1.

    Attributes:
        area: ground area (m²) that 10, 50 and 90 % of the houses stay below.
        setback: from the carriageway's edge to the front.
        side_yard: between a house and its parcel's side.
        storey_height, storeys: height of one, and weights of 1, 2, 3 … storeys.
        pitch: rise over run of pitched roofs.
        gabled, hipped, flat: shares of roofs.
        winged: share of houses with one or two wings (L, T and U plans).
        attached: share of frontages built as terraces.
        large: share of frontages taken by a large flat-roofed building with its parking.
        shed, drive, patio: share of houses with each.
        chimneys, skylights: expected number per pitched roof; plant per 100 m² of flat roof.
        parapet: share of flat roofs with a raised edge.
    """

    area: tuple[float, float, float]
    setback: Span
    side_yard: Span
    storey_height: Span
    storeys: tuple[float, ...] = Field(min_length=1)
    pitch: Annotated[tuple[float, float], AfterValidator(_ascending)]
    gabled: Share
    hipped: Share
    flat: Share
    winged: Share
    attached: Share
    large: Share
    shed: Share
    drive: Share
    patio: Share
    chimneys: float = Field(ge=0, le=10)
    skylights: float = Field(ge=0, le=10)
    plant: float = Field(ge=0, le=20)
    parapet: Share


class Planting(_Part):
    """Trees. Densities are the share of possible places that hold a tree, 0-1.

    Attributes:
        garden, street, open, woods: density in gardens and courtyards, along streets, in the open, by the river.
        interval: between street trees, metres.
        radius, height: crown radii and tree heights (m) that 10 and 90 % stay below.
        conifers: share of conifers.
    """

    garden: Share
    street: Share
    open: Share
    woods: Share
    interval: float = Field(gt=2)
    radius: Span
    height: Span
    conifers: Share


class Traffic(_Part):
    """Vehicles: parked per km of street (both kerbs), moving per km, share of drives that hold one, share of vans."""

    parked: float = Field(ge=0, le=300)
    moving: float = Field(ge=0, le=100)
    drives: Share
    vans: Share


class River(_Part):
    """The river that is made up where a city has none: width (m), water below its banks (m), and how far the ground
    of a procedural city rises per metre away from it.

    Attributes:
        share: of procedural cities that have a river.
        aside: how far from the middle of a procedural city it passes, as shares of the city's extent.
    """

    width: Span
    below: Span
    rise: float = Field(ge=0, le=0.1)
    share: Share = 1.0
    aside: Annotated[tuple[Share, Share], AfterValidator(_ascending)] = (0.2, 0.3)


class Style(_Part):
    """Everything that tells one kind of place from another; see ``assets/styles``.

    Attributes:
        latitude, longitude: degrees, of a procedural city.
        pavement: paved strip (m) on both sides of every carriageway, 0 for none.
        marked_from: carriageway width (m) from which a street has a marked centre line.
        courtyards: what a courtyard or garden is mostly covered with.
        paved_share: share of courtyards that are wholly paved.
        drives_left: whether traffic keeps to the left.
        climate: ``summer-dry`` where grass is green in winter and straw in summer, ``summer-humid`` where it is the
            other way; see :mod:`mage.scenes.season`.
        layout: how a procedural city is laid out; see :mod:`mage.scenes.layouts`.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    pavement: Length
    marked_from: Length
    courtyards: Literal["grass", "paved", "bare"]
    paved_share: Share
    drives_left: bool = False
    climate: Climate = "temperate"
    layout: Layout = Suburban()
    streets: Streets
    houses: Houses
    planting: Planting
    traffic: Traffic
    river: River
    look: Look
    details: Details = Details()


def bundled_styles() -> list[str]:
    """Names of the styles that come with MAGE."""
    return sorted(f.name.removesuffix(".yaml") for f in files("mage.assets").joinpath("styles").iterdir())


def load_style(name_or_path: str | Path) -> Style:
    """A bundled style by its name, or one from a YAML file.

    Raises:
        RecipeError: no such style (the message lists the bundled ones), bad YAML, or invalid keys or values; every
            mistake is listed with its path.
    """
    name = str(name_or_path)
    if name in bundled_styles():
        text = files("mage.assets").joinpath("styles", f"{name}.yaml").read_text(encoding="utf-8")
        content = parse_yaml(text, f"{name}.yaml")
    elif Path(name).suffix in (".yaml", ".yml"):
        content = read_yaml(Path(name))
    else:
        known = ", ".join(bundled_styles())
        raise RecipeError("no such style", file=name, expected=f"a .yaml file or one of: {known}")
    return _validated(content, name)


def _validated(content: Any, name: str) -> Style:
    if not isinstance(content, dict):
        raise RecipeError("not a style", file=name, expected="a mapping of keys", found=type(content).__name__)
    try:
        return Style.model_validate(content)
    except ValidationError as error:
        mistakes = "; ".join(f"{'.'.join(map(str, e['loc']))}: {reason_of(e)}" for e in error.errors(include_url=False))
        raise RecipeError(f"{error.error_count()} mistake(s): {mistakes}", file=name) from None
