"""What a sample's record says of benign change."""

from __future__ import annotations

import numpy as np
import shapely

from mage.generator.place import Place
from mage.generator.rings import polygons_of
from mage.generator.sight import Sight
from mage.generator.viewed import viewed
from mage.scenes.change import POST, Change
from mage.scenes.city import Building
from mage.scenes.dataset.schema import BuildingRecord, ChangeRecord
from mage.scenes.grid import Grid
from mage.scenes.impact import Impact

DATES = ("pre", "post")


def change_records(change: Change, grid: Grid, place: Place) -> list[ChangeRecord]:
    """Everything that changed within a tile; what lies outside of it is left out."""
    every = [(p.kind, p.date, p.outline) for p in change.patches]
    every += [(t.kind, t.date, t.plan) for t in change.things]
    every += [("shed", POST, shed.footprint) for shed in change.sheds]
    records = []
    for kind, date, outline in every:
        pixels, on_map = polygons_of(outline, grid, place)
        if pixels:
            records.append(ChangeRecord(kind=kind, seen=DATES[date], polygons_px=pixels, polygons_map=on_map))
    return records


def shed_record(place: Place, impact: Impact, grid: Grid, sight: Sight, shed: Building, number: int) -> BuildingRecord:
    """The record of a new building: undamaged, where the hazard was as strong as at the nearest other one; ``sight`` is
    that of the image after, which alone shows it.
    """
    pixels, on_map = polygons_of(shed.footprint, grid, place)
    intensities = {} if impact.shock is None else impact.shock.intensities
    nearest = int(np.argmin(shapely.distance(place.outlines, shed.footprint)))
    felt = {name: float(values[nearest]) for name, values in intensities.items()}
    return BuildingRecord(
        id=number,
        source_id=shed.id,
        polygons_px=pixels,
        polygons_map=on_map,
        height=round(shed.height, 3),
        occupancy=shed.occupancy,
        causes=[],
        collapse="none",
        burn="none",
        roof_lost=0.0,
        intensities={name: round(value, 4) if np.isfinite(value) else None for name, value in felt.items()},
        depth_max=0.0,
        depth_at_image=0.0,
        wet_share=0.0,
        p_grade=[1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        ems98=0,
        visible=0,
        jds=0,
        loss=0.0,
        new=True,
        post_view=viewed(shed, sight, grid),
        inferred=list(shed.inferred),
    )
