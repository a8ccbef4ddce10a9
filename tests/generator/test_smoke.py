"""Smoke over what burns: where it drifts, what it hides, and that no label knows of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from scenes_in_closed_form import box_building, box_city, flat_terrain
from test_disasters import job_of

from mage.generator.build import build_place
from mage.generator.place import prepare_place
from mage.generator.sample import draw_sample
from mage.generator.sky import Light, clear_light, sun_position
from mage.generator.smoke import COLOUR, HIDDEN, Smoke, smoke_over, smoky
from mage.scenes.dataset.invariants import label_problems
from mage.scenes.dataset.schema import Sample
from mage.scenes.grid import Grid
from mage.scenes.hazards.fire import fire
from mage.scenes.strike import Burn, Strike, untouched
from mage.scenes.style import load_style

GRID = Grid.around(0.0, 0.0, 160, 1.0)
HOUSE = box_building("a", -6, -6, 6, 6, 2.0, 8.0)
PLACE = prepare_place(box_city((HOUSE,), flat_terrain(2.0)), load_style("suburb"), np.random.default_rng(0))
LIGHT: Light = clear_light(sun_position(date(2023, 6, 14), 11.0, 50.0), 0.1)
EAST, NORTH = 0.0, np.pi / 2


def burning(heading: float = EAST, speed: float = 6.0, state: Burn = Burn.BURNING) -> Strike:
    strike = untouched(PLACE.city, "fire", {"wind_speed": speed, "wind_from": heading + np.pi})
    return replace(strike, burn=np.array([state], np.uint8))


def smoke_of(strike: Strike, density: float = 1.0, grid: Grid = GRID) -> Smoke | None:
    return smoke_over(np.random.default_rng(3), PLACE, grid, strike, density, LIGHT)


def depth_of(strike: Strike, **more: object) -> np.ndarray:
    smoke = smoke_of(strike, **more)  # type: ignore[arg-type]
    assert smoke is not None
    return smoke.depth


def half(heading: float) -> np.ndarray:
    x, y = np.meshgrid(*GRID.centres())
    return x * np.cos(heading) + y * np.sin(heading) > 15


@pytest.mark.parametrize("heading", [EAST, NORTH, EAST + np.pi])
def test_smoke_drifts_down_wind_and_widens(heading: float) -> None:
    depth = depth_of(burning(heading))
    down, up = half(heading), half(heading + np.pi)
    assert depth[down].mean() > 3 * depth[up].mean()
    x, y = np.meshgrid(*GRID.centres())
    along, aside = x * np.cos(heading) + y * np.sin(heading), y * np.cos(heading) - x * np.sin(heading)

    def width(low: float, high: float) -> float:
        strip = (along > low) & (along < high) & (np.abs(aside) < 60)
        across = np.floor(aside[strip] / 3).astype(int) + 20
        profile = np.bincount(across, depth[strip]) / np.bincount(across)
        return float((profile > 0.2 * profile.max()).sum() * 3)

    assert width(50, 75) > width(5, 20) + 3


def test_a_stronger_wind_thins_smoke_out() -> None:
    weak, strong = (depth_of(burning(EAST, speed))[half(EAST)].mean() for speed in (4.0, 12.0))
    assert 0.2 < strong / weak < 0.5  # a third, but for what has drifted over from elsewhere


def test_what_does_not_burn_now_makes_no_smoke_and_none_can_be_asked_for() -> None:
    assert smoke_of(burning(state=Burn.BURNT)) is None
    assert smoke_of(burning(state=Burn.NONE)) is None
    assert smoke_of(burning(), 0.0) is None


def test_flames_are_on_burning_roofs_and_under_no_other() -> None:
    smoke = smoke_of(burning())
    assert smoke is not None
    x, y = np.meshgrid(*GRID.centres())
    roof = (np.abs(x) < 8) & (np.abs(y) < 8)
    assert smoke.flames[roof].max() > 0.2
    assert (smoke.flames[~roof] == 0).all()


def test_neighbouring_tiles_agree_on_their_smoke() -> None:
    wide = depth_of(burning(NORTH))
    part = depth_of(burning(NORTH), grid=Grid(60, 60, GRID.west + 50, GRID.north - 20, 1.0))
    seen = wide[20:80, 50:110]
    assert np.corrcoef(part.ravel(), seen.ravel())[0, 1] > 0.999
    assert np.abs(part - seen).max() < 0.05 * seen.max()


def test_thick_smoke_hides_all_and_none_hides_nothing() -> None:
    ground = np.full((*GRID.shape, 3), 0.1, np.float32)
    none, full = np.zeros(GRID.shape, np.float32), np.full(GRID.shape, 20.0, np.float32)
    np.testing.assert_allclose(smoky(ground, Smoke(none, none, none), LIGHT), ground, rtol=1e-6)
    np.testing.assert_allclose(smoky(ground, Smoke(full, full, none), LIGHT)[5, 5], COLOUR[:3], rtol=1e-3)
    assert (Smoke(none, none, none).hidden, Smoke(full, full, none).hidden) == (0.0, 1.0)


def test_smoke_shades_the_ground_that_it_does_not_cover() -> None:
    ground = np.full((*GRID.shape, 3), 0.1, np.float32)
    none, full = np.zeros(GRID.shape, np.float32), np.full(GRID.shape, 3.0, np.float32)
    shaded = smoky(ground, Smoke(none, full, none), LIGHT) / ground
    assert (shaded < 0.6).all()
    assert (shaded > 0.1).all()


def test_the_front_of_a_fire_in_the_fields_glows_where_it_has_just_come() -> None:
    city = build_place(job_of({"kind": "fire"}, **{"city.style": "village"})).city
    times = (*np.arange(10.0, 100.0, 5.0), 2000.0)
    fires = [fire(city, [(0, 0)], 6.0, 0.0, minutes, np.random.default_rng(2)) for minutes in times]
    assert max(strike.front.max() for strike in fires[:-1]) > 0.5
    assert all(((strike.front > 0) <= (strike.severity > 0)).all() for strike in fires)
    later = fires[-1]
    assert later.front.max() < 1e-3


def test_no_label_but_the_hidden_share_knows_of_the_smoke() -> None:
    hazard = {"kind": "fire", "minutes": [60, 60], "ignitions": 6}
    thick, clear = (job_of({**hazard, "smoke": [share, share]}) for share in (1.0, 0.0))
    drafts = [draw_sample(replace(thick, recipe=job.recipe), 0, build_place(thick), None) for job in (thick, clear)]
    assert drafts[0].smoke is not None
    assert drafts[1].smoke is None
    assert all((drafts[0].labels[name] == drafts[1].labels[name]).all() for name in drafts[0].labels)
    assert drafts[0].record.smoke == round(float((drafts[0].smoke.depth >= HIDDEN).mean()), 4)
    assert drafts[1].record == drafts[0].record.model_copy(update={"smoke": 0.0})
    assert (drafts[0].labels["post_burn"] == 50).any()


def test_the_share_of_each_roof_that_is_seen_is_in_the_record_and_checked() -> None:
    quake = {"kind": "earthquake", "magnitude": [8, 8], "distance": [0, 1], "depth": [6, 6]}
    job = job_of(quake, **{"city.style": "village"})
    draft = draw_sample(job, 1, build_place(job), None)
    labels, some = draft.labels, draft.record.buildings
    assert {b.roof_seen_pre is None for b in some} <= {b.new for b in some} | {False}
    for b in some[:6]:
        own = labels["post_building"] == b.id
        if own.any():
            assert b.roof_seen_post == pytest.approx((labels["post_class"][own] == 1).mean(), abs=1e-3)
    assert any(b.roof_seen_post is not None and b.roof_seen_post < 1 for b in some)
    images = dict.fromkeys(("pre", "post"), np.zeros((64, 64, 3), np.uint8))
    assert label_problems(Sample(draft.record, images, labels)) == []
    lied = [b.model_copy(update={"roof_seen_pre": 0.123}) for b in some]
    wrong = label_problems(Sample(draft.record.model_copy(update={"buildings": lied}), images, labels))
    assert any("roof_seen_pre" in problem for problem in wrong)
