"""How lived in a kind of place is: what stands in gardens, on roofs, between parcels and on the water."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_Share = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[float, Field(ge=0, le=1000)]


class Details(BaseModel):
    """Details of a style.

    Attributes:
        pools: share of gardens with a swimming pool.
        fences, walls, hedges: shares of parcel borders with each; they add up to at most 1.
        solar: share of roofs with solar panels.
        tanks: water tanks per flat roof.
        heaters: solar water heaters per flat roof.
        dishes: satellite dishes per building.
        pitches: sports fields per square kilometre.
        boats: moored boats per hectare of water that is no pool.
        metal: share of pitched roofs that are corrugated sheet metal; the others are tiled or shingled.
        beds: share of houses with flower beds along a wall.
        lots: share of large buildings (800 m² and more) without one that get a car park.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pools: _Share = 0.0
    fences: _Share = 0.0
    walls: _Share = 0.0
    hedges: _Share = 0.0
    solar: _Share = 0.0
    tanks: _Count = 0.0
    heaters: _Count = 0.0
    dishes: _Count = 0.0
    pitches: _Count = 0.0
    boats: _Count = 0.0
    metal: _Share = 0.0
    beds: _Share = 0.25
    lots: _Share = 0.4
