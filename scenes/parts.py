"""The recipe's parts of hazards; here and not beside their verbs, so that a recipe is read where the libraries of
cities are missing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

Mode = Literal["physical", "random", "decorrelated"]
Mechanism = Literal["unspecified", "strike-slip", "normal", "reverse"]

MAGNITUDES, DEPTHS, SOILS = (5.0, 8.0), (0.0, 30.0), (180.0, 1300.0)  # moment, km and m/s that attenuation holds for
STRONGEST = 60.0  # m/s of wind that a fire is modelled in

_Share = Annotated[float, Field(ge=0, le=1)]


def ascending(pair: tuple[float, float]) -> tuple[float, float]:
    """The range, if its ends are in order; a validator of pydantic.

    Raises:
        ValueError: they are not.
    """
    if pair[0] > pair[1]:
        raise ValueError(f"the first of a range must not exceed the second, found {list(pair)}")
    return pair


def spread(value: Any) -> Any:
    """A number as the range that holds nothing else; a validator of pydantic."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return (value, value) if plain else value


_Shares = Annotated[tuple[_Share, _Share], BeforeValidator(spread), AfterValidator(ascending)]
_Stage = Annotated[float, Field(ge=0, le=30)]
_Stages = Annotated[tuple[_Stage, _Stage], BeforeValidator(spread), AfterValidator(ascending)]


_Load = Annotated[float, Field(ge=1, le=5000)]
_Loads = Annotated[tuple[_Load, _Load], AfterValidator(ascending)]
_Rain = Annotated[float, Field(gt=0, le=500)]
_Discharge = Annotated[float, Field(gt=0, le=20_000)]
_Head = Annotated[float, Field(gt=0, le=10)]
_Lasting = Annotated[float, Field(ge=5, le=600)]
_Metres = Annotated[float, Field(allow_inf_nan=False)]
_OF_MODEL = {
    "fill": {"share", "rise", "stage", "highest"},
    "hand": {"stage"},
    "shallow": {"rain", "inflow", "breach", "at", "minutes"},
    "raster": {"file", "holds"},
}


class FloodPart(BaseModel):
    """A flood: how the water comes, how high, or how far."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["flood"] = "flood"
    model: Literal["fill", "hand", "shallow", "raster"] = Field(
        "fill",
        description="a level that fills the ground, height above the nearest drainage, moving water, or a file",
    )
    share: _Shares = Field((0.15, 0.7), description="least share of a tile's open ground to flood, drawn per sample")
    rise: _Stages = Field((0.0, 0.6), description="metres that the water stands above that least level, drawn too")
    stage: _Stages | None = Field(
        None, description="metres above the water's normal level, drawn instead of `share` and `rise`"
    )
    highest: float = Field(4.0, gt=0, le=30, description="no stage exceeds this, metres")
    rain: Annotated[tuple[_Rain, _Rain], BeforeValidator(spread), AfterValidator(ascending)] | None = Field(
        None, description="mm/h for the model `shallow`"
    )
    inflow: Annotated[tuple[_Discharge, _Discharge], BeforeValidator(spread), AfterValidator(ascending)] | None = Field(
        None, description="m3/s that come down the river, for the model `shallow`"
    )
    breach: Annotated[tuple[_Head, _Head], BeforeValidator(spread), AfterValidator(ascending)] | None = Field(
        None, description="metres above the ground that water stands behind a broken bank, for the model `shallow`"
    )
    at: tuple[_Metres, _Metres] | None = Field(
        None,
        description="where inflow or breach is, metres on the city's map; none is where the largest permanent water "
        "comes in, and any shore",
    )
    minutes: Annotated[tuple[_Lasting, _Lasting], BeforeValidator(spread), AfterValidator(ascending)] = Field(
        (60, 120), description="from the first water to the image, for the model `shallow`"
    )
    file: str | None = Field(None, description="a GeoTIFF of depths or levels, for the model `raster`")
    holds: Literal["depth", "level"] = Field("depth", description="what that file's values are, metres")
    recession: _Shares = Field(
        (0.0, 0.0), description="share of its stage that the water has fallen by at the image; mud is left where it was"
    )
    sediment: _Loads = Field(
        (80.0, 1500.0),
        description="g/m3 of silt in the water, drawn over the logarithm: the more, the browner and the more opaque",
    )
    region: Literal["europe", "asia", "africa", "north_america", "south_america", "oceania"] = Field(
        "europe", description="depth-damage table for the economic loss"
    )

    @model_validator(mode="after")
    def _of_one_model(self) -> FloodPart:
        others = set().union(*_OF_MODEL.values()) - _OF_MODEL[self.model]
        wrong = sorted(self.model_fields_set & others)
        # a recipe that was written out whole states the defaults of other models too
        wrong = [name for name in wrong if getattr(self, name) != type(self).model_fields[name].default]
        if wrong:
            raise ValueError(f"the model `{self.model}` has no {', '.join(f'`{name}`' for name in wrong)}")
        if self.model == "hand" and self.stage is None:
            raise ValueError("the model `hand` needs a `stage`")
        if self.model == "raster" and self.file is None:
            raise ValueError("the model `raster` needs a `file`")
        if self.model == "shallow" and not (self.rain or self.inflow or self.breach):
            raise ValueError("the model `shallow` needs `rain`, `inflow` or a `breach`")
        if self.at is not None and not (self.inflow or self.breach):
            raise ValueError("`at` says where an `inflow` or a `breach` is, and there is neither")
        return self


class GradedPart(BaseModel):
    """How grades are drawn; see :func:`mage.scenes.hazards.fragility.prepared`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Mode = Field("physical", description="grades by physics, at random by `shares`, or without neighbours' say")
    shares: tuple[_Share, _Share, _Share, _Share, _Share, _Share] | None = Field(
        None, description="of grades 0 to 5, for the mode `random`"
    )

    @model_validator(mode="after")
    def _random_has_shares(self) -> GradedPart:
        if (self.mode == "random") != (self.shares is not None):
            raise ValueError("`shares` go with the mode `random`, and it with them")
        if self.shares is not None and not math.isclose(sum(self.shares), 1, abs_tol=1e-6):
            raise ValueError(f"shares must add up to 1, found {sum(self.shares):g}")
        return self


_Magnitude = Annotated[float, Field(ge=MAGNITUDES[0], le=MAGNITUDES[1])]
_Epicentral = Annotated[float, Field(ge=0, le=190)]
_Depth = Annotated[float, Field(ge=DEPTHS[0], le=DEPTHS[1])]
_Soil = Annotated[float, Field(ge=SOILS[0], le=SOILS[1])]


class EarthquakePart(GradedPart):
    """An earthquake of a recipe: ranges are drawn from, evenly."""

    kind: Literal["earthquake"] = "earthquake"
    magnitude: Annotated[tuple[_Magnitude, _Magnitude], BeforeValidator(spread), AfterValidator(ascending)] = Field(
        (6.3, 7.6), description="moment magnitude"
    )
    distance: Annotated[tuple[_Epicentral, _Epicentral], BeforeValidator(spread), AfterValidator(ascending)] = Field(
        (5.0, 30.0), description="from the city's middle to the epicentre, km"
    )
    depth: Annotated[tuple[_Depth, _Depth], BeforeValidator(spread), AfterValidator(ascending)] = Field(
        (6.0, 18.0), description="of the hypocentre, km"
    )
    vs30: Annotated[tuple[_Soil, _Soil], BeforeValidator(spread), AfterValidator(ascending)] = Field(
        (250.0, 500.0), description="velocity of shear waves in the uppermost 30 m of the city's ground, m/s"
    )
    mechanism: Mechanism = Field("unspecified", description="of the rupture")
    clustered: bool = Field(False, description="soils alike in clusters: residuals reach farther")
    shakemap: str | None = Field(
        None, description="ShakeMap grid.xml or GeoTIFF (g) that the city lies on, instead of all of the above"
    )


_Gust = Annotated[float, Field(ge=15, le=140)]
_Kilometres = Annotated[float, Field(ge=0, le=500)]
_Radius = Annotated[float, Field(ge=0.01, le=150)]
_Forward = Annotated[float, Field(ge=0, le=14)]


class WindPart(GradedPart):
    """A storm of a recipe: ranges are drawn from, evenly. What is not given is that of the kind of storm."""

    kind: Literal["wind"] = "wind"
    storm: Literal["hurricane", "tornado"] = "hurricane"
    speed: Annotated[tuple[_Gust, _Gust], BeforeValidator(spread), AfterValidator(ascending)] | None = Field(
        None,
        description="m/s: of a hurricane the highest mean wind of a minute over land (18 to 28), of a tornado the "
        "highest gust (60 to 95)",
    )
    radius: Annotated[tuple[_Radius, _Radius], BeforeValidator(spread), AfterValidator(ascending)] | None = Field(
        None, description="of the highest winds, km: 20 to 45 of a hurricane, 0.05 to 0.2 of a tornado"
    )
    distance: Annotated[tuple[_Kilometres, _Kilometres], BeforeValidator(spread), AfterValidator(ascending)] | None = (
        Field(
            None,
            description="from the city's middle to the storm's, km: 15 to 50 of a hurricane, 0 to 0.2 of a tornado",
        )
    )
    forward: Annotated[tuple[_Forward, _Forward], BeforeValidator(spread), AfterValidator(ascending)] = Field(
        (8.0, 14.0), description="speed of a tornado along its track, m/s"
    )
    days_after: int = Field(5, ge=0, le=365, description="days from the storm to the image: tarpaulins come in time")


_Speed = Annotated[float, Field(ge=0, le=STRONGEST)]
_Minutes = Annotated[float, Field(ge=0, le=10_000)]
_Speeds = Annotated[tuple[_Speed, _Speed], BeforeValidator(spread), AfterValidator(ascending)]
_Spans = Annotated[tuple[_Minutes, _Minutes], BeforeValidator(spread), AfterValidator(ascending)]


class FirePart(BaseModel):
    """A fire: its wind, how long it has burnt, where it starts and how much there is to burn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["fire"] = "fire"
    wind: _Speeds = Field((4.0, 16.0), description="metres per second, drawn per event; its direction is drawn too")
    minutes: _Spans = Field((90.0, 360.0), description="from ignition to the image")
    ignitions: int = Field(3, ge=1, le=10_000, description="places where it starts")
    start: Literal["buildings", "upwind"] = Field(
        "buildings", description="in buildings, or along the upwind border as a wildfire that comes in"
    )
    resistant: _Shares = Field((0.05, 0.3), description="share of buildings of masonry or concrete")
    styles: Mapping[str, _Share] = Field(
        {}, description="share that is resistant among buildings of a style, by its name"
    )
    spared: _Shares = Field((0.02, 0.15), description="share of buildings that do not catch fire from others")
    cured: _Shares = Field((0.2, 0.6), description="share of grass and crops that is dry")
    crowns: _Shares = Field((0.1, 0.4), description="share of trees that pass fire on")
    brands: float = Field(0.5, ge=0, le=20, description="brands of a burning building that set fire, on average")
    smoke: _Shares = Field(
        (0.0, 1.0), description="how thick the smoke of what burns is in the image, drawn: 0 none, 1 as of houses"
    )


_Count = Annotated[int, Field(ge=1, le=20_000)]


class CampPart(BaseModel):
    """A camp: how many tents, and how they stand."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["camp"] = "camp"
    tents: Annotated[tuple[_Count, _Count], BeforeValidator(spread), AfterValidator(ascending)] = Field(
        (40, 250), description="how many, drawn per event; fewer where there is no room"
    )
    rows: float = Field(0.7, ge=0, le=1, description="share of camps in rows; the others stand in clusters")


BUILT_IN = ("flood", "earthquake", "wind", "fire", "camp")


class PluginPart(BaseModel):
    """A hazard of the user's own, see :func:`mage.scenes.hazards.plugin.sample_plugin`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["plugin"] = "plugin"
    function: str = Field(
        max_length=200,
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[a-z][a-z0-9_]*$",
        description="`package.module:function`; the hazard bears the function's name",
    )
    parameters: Mapping[str, JsonValue] = Field({}, description="what it is called with, as it stands")

    @property
    def name(self) -> str:
        """The function's name, which is the hazard's."""
        return self.function.partition(":")[2]

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> PluginPart:
        if self.name in BUILT_IN:
            raise ValueError(f"a function named `{self.name}` would be taken for the hazard that MAGE has")
        try:
            json.dumps(dict(self.parameters), allow_nan=False)
        except ValueError:
            raise ValueError("parameters must be finite numbers, text, lists and mappings") from None
        return self
