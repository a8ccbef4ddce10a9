"""What a sample's record says of its tile, its dates, its buildings and its streets."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.generator.atmosphere import Sky
from mage.generator.place import Place
from mage.generator.rings import map_ring, parts_of, pixel_ring, polygons_of
from mage.generator.sight import Sight
from mage.generator.viewed import viewed
from mage.generator.views import View
from mage.scenes.dataset.invariants import roofs_seen
from mage.scenes.dataset.schema import BuildingRecord, DateRecord, GridRecord, RoadRecord
from mage.scenes.grid import Grid
from mage.scenes.impact import Impact, Shock
from mage.scenes.strike import Burn, Collapse


def seen_from(view: View) -> dict[str, Any]:
    """What a date's record says of its view."""
    return {
        "off_nadir_angle": round(float(np.degrees(view.off_nadir)), 3),
        "target_azimuth": round(float(np.degrees(view.azimuth)), 3),
        "shift_px": view.shift,
    }


def under(taken: DateRecord, sky: Sky) -> DateRecord:
    """The record of a date with the sky that it was taken under."""
    return taken.model_copy(update={"cloud_cover": round(sky.cover, 6), "haze": round(sky.haze, 4)})


def grid_record(grid: Grid, place: Place) -> GridRecord:
    """Where a tile lies on the map."""
    on_map = grid.moved(*place.city.origin, place.city.crs)
    return GridRecord(
        rows=on_map.rows,
        columns=on_map.columns,
        west=round(on_map.west, 3),
        north=round(on_map.north, 3),
        gsd=on_map.gsd,
        crs=on_map.crs,
    )


def building_record(
    place: Place, impact: Impact, grid: Grid, sights: tuple[Sight, Sight], index: int, number: int
) -> BuildingRecord:
    """The record of building ``index`` of the city, which the sample calls ``number``."""
    building = place.city.buildings[index]
    pixels, on_map = polygons_of(place.outlines[index], grid, place)
    return BuildingRecord(
        id=number,
        source_id=building.id,
        polygons_px=pixels,
        polygons_map=on_map,
        height=round(building.height, 3),
        occupancy=building.occupancy,
        causes=list(impact.causes[index]),
        **_harm(impact.shock, index),
        depth_max=round(float(impact.intensity[index]), 3),
        depth_at_image=round(float(impact.at_image[index]), 3),
        velocity=None if impact.velocity is None else round(float(impact.velocity[index]), 3),
        wet_share=round(float(impact.wet_share[index]), 4),
        p_grade=[round(float(p), 6) for p in impact.p_grade[index]],
        ems98=int(impact.ems98[index]),
        visible=int(impact.visible[index]),
        jds=int(impact.jds[index]),
        loss=round(float(impact.loss[index]), 4),
        pre_view=viewed(building, sights[0], grid),
        post_view=viewed(building, sights[1], grid),
        inferred=list(building.inferred),
    )


def with_sight(records: list[BuildingRecord], labels: dict[str, NDArray[Any]]) -> list[BuildingRecord]:
    """Records of buildings with the share of each roof that is seen at both dates."""
    seen = {f"roof_seen_{date}": roofs_seen(labels, date) for date in ("pre", "post")}
    shares = [{name: round(of[r.id], 4) for name, of in seen.items() if r.id in of} for r in records]
    return [r.model_copy(update=s) for r, s in zip(records, shares, strict=True)]


def _harm(shock: Shock | None, index: int) -> dict[str, Any]:
    """What a building's record says of shaking, wind and fire."""
    if shock is None:
        return {"collapse": "none", "burn": "none", "roof_lost": 0.0, "buried": 0.0, "intensities": {}}
    strike = shock.strike
    felt = {name: float(values[index]) for name, values in shock.intensities.items()}
    return {
        "collapse": Collapse(int(strike.collapse[index])).name.lower(),
        "burn": Burn(int(strike.burn[index])).name.lower(),
        "roof_lost": round(float(shock.aftermath.roof_lost[index]), 4),
        "buried": round(float(shock.aftermath.buried[index]), 4),
        "intensities": {name: round(value, 4) if np.isfinite(value) else None for name, value in felt.items()},
    }


def road_record(place: Place, impact: Impact, grid: Grid, index: int, number: int) -> RoadRecord:
    """The record of road edge ``index`` of the city, which the sample calls ``number``."""
    edge = place.city.roads.edges[index]
    lines = parts_of(shapely.intersection(edge.line, shapely.box(*grid.bounds)), "LineString")
    return RoadRecord(
        id=number,
        edge=index,
        lines_px=[pixel_ring(line, grid) for line in lines],
        lines_map=[map_ring(line, place) for line in lines],
        width=round(edge.width, 3),
        kind=edge.kind,
        depth_max=round(float(impact.road_depth[index]), 3),
        depth_at_image=round(float(impact.road_at_image[index]), 3),
        debris=0.0 if impact.shock is None else round(float(impact.shock.debris[index]), 3),
        free_width=round(edge.width if impact.shock is None else float(impact.shock.free[index]), 3),
        car=bool(impact.car[index]),
        truck=bool(impact.truck[index]),
        reason=impact.reasons[index],
        inferred=edge.inferred,
    )


def pixel_counts(raster: NDArray[Any]) -> dict[str, int]:
    """Pixels per value, value as text."""
    counts = np.bincount(raster.ravel())
    return {str(value): int(counts[value]) for value in np.flatnonzero(counts).tolist()}


def tidy(value: float | int | str | None) -> float | int | str | None:
    """A parameter of a hazard, to four decimals."""
    return round(float(value), 4) if isinstance(value, float) else value
