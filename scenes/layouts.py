"""How a procedural city is laid out: one class for each kind of layout, chosen by its ``kind``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"the first of a range must not exceed the second, found {list(pair)}")
    return pair


_Share = Annotated[float, Field(ge=0, le=1)]
_Number = Annotated[float, Field(ge=0, le=1_000)]
_Metres = Annotated[tuple[_Number, _Number], AfterValidator(_ascending)]
_Area = Annotated[float, Field(ge=10, le=200_000)]
_Areas = Annotated[tuple[_Area, _Area], AfterValidator(_ascending)]


class _Layout(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Suburban(_Layout):
    """Long bent streets with shorter ones between them, on both banks; houses along every street, one after another.

    Attributes:
        woods, parks, courts: shares of blocks without houses: a wood, a lawn, or lots of paving, cars, sport and lawn.
    """

    kind: Literal["suburban"] = "suburban"
    woods: _Share = 0.07
    parks: _Share = 0.07
    courts: _Share = 0.0


class Perimeter(_Layout):
    """Winding lanes; closed rows of houses round every block, party wall to party wall, about a courtyard.

    Attributes:
        frontage: width of a house at the street, metres.
        depth: of a row, from the street to the courtyard, metres.
        gaps: share of places in a row that stay unbuilt.
        backs: share of houses with a wing into the courtyard.
        squares: share of blocks that are paved squares.
        churches: per square kilometre.
        mansards: share of pitched roofs with two slopes.
    """

    kind: Literal["perimeter"]
    frontage: _Metres
    depth: _Metres
    gaps: _Share
    backs: _Share
    squares: _Share
    churches: Annotated[float, Field(ge=0, le=100)]
    mansards: _Share


class Downtown(_Layout):
    """Straight streets at right angles; whole lots under towers on podiums, slabs, shops, garages, or parked cars.

    Attributes:
        lot: area of a lot, m².
        parks, parking, garages, towers: shares of lots; what is left holds buildings of ``houses.storeys`` storeys.
        tower: storeys of a tower.
        podium: storeys of its podium.
    """

    kind: Literal["downtown"]
    lot: _Areas
    parks: _Share
    parking: _Share
    garages: _Share
    towers: _Share
    tower: _Metres
    podium: _Metres


class Apartments(_Layout):
    """An irregular grid of lots with one block of flats on each.

    Attributes:
        lot: area of a lot, m².
        gap: between a building and its lot's sides, metres.
        front: between a building and the pavement, metres.
        rims: share of flat roofs with a sloping tiled rim.
        vacant: share of lots without a building.
        orchards, gardens, fallow: shares of blocks of fruit trees, of low houses in gardens, and of building land.
    """

    kind: Literal["apartments"]
    lot: _Areas
    gap: _Metres
    front: _Metres
    rims: _Share
    vacant: _Share
    orchards: _Share = 0.0
    gardens: _Share = 0.0
    fallow: _Share = 0.0


class Lots(_Layout):
    """Winding streets, and a house on each lot.

    Attributes:
        lot: area of a lot, m².
        gap: between a house and its lot's sides, metres.
        cover: share of its lot that a house covers at most.
        rows: share of lots with two to six houses in a row instead of one.
        vacant: share of lots without a house; half of them are paved and hold cars.
        flats: share of lots with a larger flat-roofed building.
        halls, greens: shares of blocks with one large building (garage, store, flats round a court, tower) and of lawn.
    """

    kind: Literal["lots"]
    lot: _Areas
    gap: _Metres
    cover: _Share
    rows: _Share
    vacant: _Share
    flats: _Share
    halls: _Share = 0.0
    greens: _Share = 0.0


class Informal(_Layout):
    """A few tracks, winding paths between, and small houses at all angles on bare ground.

    Attributes:
        path: width of paths, metres.
        cover: share of a plot that its house is meant to cover.
        skew: how far houses are turned out of line, radians.
        yards: share of plots without a house.
        compounds: share of ground in walled grounds of schools, churches and the better off: half green, half bare.
        open: share of quarters that are open ground.
    """

    kind: Literal["informal"]
    path: _Metres
    cover: _Share
    skew: Annotated[float, Field(ge=0, le=1)]
    yards: _Share
    open: _Share
    compounds: _Share = 0.0


class Estate(_Layout):
    """Wide roads; large halls with yards, lorry parks and railway sidings.

    Attributes:
        lot: area of a lot, m².
        hall: ground area of a hall, m².
        sawtooth: share of pitched halls with a sawtooth roof.
        sheds: share of lots with smaller buildings beside the hall.
        offices: share of halls with an office block at the front.
        vacant: share of lots that are yards without a hall.
        siding: share of estates with a railway siding.
    """

    kind: Literal["estate"]
    lot: _Areas
    hall: _Areas
    sawtooth: _Share
    sheds: _Share
    offices: _Share
    vacant: _Share
    siding: _Share


class Village(_Layout):
    """A main street and a few lanes with houses and farmsteads; fields, meadows and orchards round them.

    Attributes:
        lot: frontage of a lot, metres.
        depth: of lots, metres.
        farms: share of lots with a farmstead: a house and barns round a yard.
        vacant: share of lots without a building.
        fields: area of a field, m².
        orchards, meadows, woods: shares of fields.
    """

    kind: Literal["village"]
    lot: _Metres
    depth: _Metres
    farms: _Share
    vacant: _Share
    fields: _Areas
    orchards: _Share
    meadows: _Share
    woods: _Share


Layout = Annotated[
    Suburban | Perimeter | Downtown | Apartments | Lots | Informal | Estate | Village, Field(discriminator="kind")
]
