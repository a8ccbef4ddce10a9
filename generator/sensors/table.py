"""The table of sensors and of radiometry (``assets/sensors.yaml``), and sensors from a user's own file."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from mage.generator.spectra import VISIBLE, centres
from mage.scenes.dataset.fields import SENSOR_NAME
from mage.scenes.dataset.schema import SensorBandRecord, SensorRecord
from mage.scenes.errors import RecipeError
from mage.scenes.parts import ascending
from mage.scenes.recipe import MIXTURE, Recipe
from mage.scenes.yamlio import parse_yaml, read_yaml, reason_of

DEFAULT = "satellite-rgb"  # the images that every dataset has
FEWEST = 4  # pixels along a side that a band must have on a tile
TABLE = "sensors.yaml"

_NAME = rf"^{SENSOR_NAME}$"
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Metres = Annotated[float, Field(gt=0, le=100)]
_Mtf = Annotated[float, Field(gt=0, lt=0.64)]  # a square detector alone has 2 / pi
_Range = Annotated[tuple[float, float], AfterValidator(ascending)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Band(_Part):
    """A band: centre and width in nm; what it does not state of GSD (m), MTF and SNR is its sensor's."""

    centre: float = Field(ge=400, le=2300)
    width: float = Field(gt=0, le=1000)
    gsd: _Metres | None = None
    mtf: _Mtf | None = None
    snr: _Positive | None = None

    @property
    def reach(self) -> tuple[float, float]:
        """Shortest and longest wavelength, µm."""
        return (self.centre - self.width / 2) / 1000, (self.centre + self.width / 2) / 1000


class Sensor(_Part):
    """A sensor and what it delivers; see the head of ``assets/sensors.yaml``."""

    name: str = Field(pattern=_NAME, max_length=30)
    source: str = Field(min_length=1)
    gsd: _Metres | None = Field(None, description="metres; none takes the recipe's")
    product: Literal["reflectance", "display"] = "reflectance"
    bits: int = Field(8, ge=1, le=16)
    mtf: _Mtf = 0.2
    snr: _Positive = 100.0
    reference: float = Field(0.25, gt=0, le=1, description="reflectance that the SNR is stated at")
    saturation: float = Field(1.2, gt=0, le=6)
    scale: float = Field(10_000.0, gt=0, le=65_535)
    pan: Band | None = None
    radiometry: str | None = None
    jpeg: int | None = Field(None, ge=10, le=100)
    bands: dict[Annotated[str, Field(pattern=_NAME, max_length=20)], Band] = Field(min_length=1, max_length=20)

    @model_validator(mode="after")
    def _whole(self) -> Sensor:
        if self.product == "display":
            if self.radiometry not in kinds():
                raise ValueError(f"a display product needs a radiometry: {', '.join(kinds())}")
            if not {"red", "green", "blue"} <= set(self.bands) or self.pan:
                raise ValueError("a display product has bands red, green and blue, and no pan band")
        elif self.radiometry or self.jpeg:
            raise ValueError("radiometry and jpeg are of display products")
        elif self.gsd is None:
            raise ValueError("needs a gsd")
        coarse = [name for name, band in self.bands.items() if band.gsd is not None and band.gsd < (self.gsd or 0)]
        if coarse:
            raise ValueError(f"the band {coarse[0]} is finer than its sensor")
        return self

    def delivered(self, band: str) -> float:
        """GSD of a band's image, metres: what is sharpened has the sensor's."""
        own = self.bands[band].gsd
        assert self.gsd is not None
        return self.gsd if own is None or self.pan is not None else own

    @property
    def record(self) -> SensorRecord:
        """What a dataset says of it."""
        linear = self.product == "reflectance"
        bands = [
            SensorBandRecord(
                name=name,
                centre=band.centre,
                width=band.width,
                gsd=self.delivered(name),
                bits=16 if linear else 8,
                scale=self.scale if linear else None,
            )
            for name, band in self.bands.items()
        ]
        return SensorRecord(name=self.name, source=self.source, depth=self.bits, bands=bands)

    @property
    def beyond_visible(self) -> bool:
        """Whether any band sees what an RGB rendering does not."""
        longest = float(centres()[:VISIBLE].max())
        bands = [*self.bands.values(), *([self.pan] if self.pan else [])]
        return any(band.reach[1] > longest + 0.04 for band in bands)


class RadiometryKind(_Part):
    """Ranges of one kind of 8-bit product; see ``assets/sensors.yaml``."""

    source: str = Field(min_length=1)
    weight: _Positive
    black: tuple[float, float, float]
    lift: _Range
    gain: _Range
    tint: float = Field(ge=0, le=0.5)
    psf: _Range
    sharpen: _Range
    noise: _Range
    chroma: _Range
    correlation: _Range


@cache
def _content() -> Any:
    return parse_yaml(files("mage.assets").joinpath(TABLE).read_text(encoding="utf-8"), TABLE)


@cache
def kinds() -> dict[str, RadiometryKind]:
    """Kinds of radiometry by name."""
    return {name: RadiometryKind.model_validate(row) for name, row in _content()["radiometry"].items()}


def read_sensor(name_or_path: str) -> Sensor:
    """A sensor of ``assets/sensors.yaml`` by its name, or one from a YAML file that holds ``name`` and the same keys.

    Raises:
        RecipeError: no such sensor or file, or it does not say what a sensor must; every mistake is listed.
    """
    table = _content()["sensors"]
    if name_or_path in table:
        content, file = {"name": name_or_path, **table[name_or_path]}, TABLE
    elif Path(name_or_path).suffix in (".yaml", ".yml"):
        content, file = read_yaml(Path(name_or_path)), name_or_path
    else:
        raise RecipeError("no such sensor", file=name_or_path, expected=f"a .yaml file or one of: {', '.join(table)}")
    try:
        return Sensor.model_validate(content)
    except ValidationError as error:
        mistakes = [f"{'.'.join(map(str, e['loc'])) or 'sensor'}: {reason_of(e)}" for e in error.errors()]
        raise RecipeError(f"not a sensor: {'; '.join(mistakes)}", file=file) from None


def chosen_sensors(recipe: Recipe) -> tuple[Sensor, ...]:
    """The sensors that a recipe asks for beside the default image, in its order.

    Raises:
        RecipeError: one is not known, stands twice, is finer than the rendering, or has pixels so large that a tile
            holds too few of them; bands beyond the visible of EEVEE; or the recipe's radiometry is no kind.
    """
    known = (*kinds(), MIXTURE)
    if recipe.radiometry is not None and recipe.radiometry not in known:
        raise RecipeError("radiometry: no such kind", expected=f"one of {', '.join(known)}", found=recipe.radiometry)
    sensors = tuple(read_sensor(name) for name in recipe.sensors)
    names = [DEFAULT, *(sensor.name for sensor in sensors)]
    if len(set(names)) < len(names):
        twice = next(name for k, name in enumerate(names) if name in names[:k])
        raise RecipeError(f"sensors: {twice} stands twice, or is the image that every dataset has")
    for sensor in sensors:
        _fits(sensor, recipe)
    return sensors


def _fits(sensor: Sensor, recipe: Recipe) -> None:
    size, gsd = recipe.output.size, recipe.output.gsd
    if recipe.render.engine == "eevee" and sensor.beyond_visible:
        raise RecipeError(
            f"sensors: EEVEE gives no bands beyond the visible for {sensor.name}", expected="the engine cycles"
        )
    if sensor.gsd is None:
        raise RecipeError(f"sensors: {sensor.name} has no gsd of its own")
    if sensor.gsd < gsd - 1e-9:
        finer = f"an output.gsd of {sensor.gsd:g} m or less"
        raise RecipeError(f"sensors: {sensor.name} sees more than is rendered", expected=finer, found=f"{gsd:g} m")
    coarsest = max(sensor.delivered(band) for band in sensor.bands)
    if size * gsd < FEWEST * coarsest - 1e-9:
        raise RecipeError(
            f"sensors: a tile is too small for the pixels of {sensor.name}, {coarsest:g} m a side",
            expected=f"tiles of {FEWEST * coarsest:g} m or more (output.size times output.gsd)",
            found=f"{size * gsd:g} m",
        )
