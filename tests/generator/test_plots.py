"""Whose ground it is, and how that shows in the painting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
from scenes_in_closed_form import box_building, box_city, flat_terrain

from mage.generator.ground import paint_ground
from mage.generator.place import Place, prepare_place
from mage.generator.plots import REACH, plots_of
from mage.scenes.city import City, LandPatch, Trees, WaterBody
from mage.scenes.grid import Grid
from mage.scenes.sources.living.planting import plant_trees
from mage.scenes.style import load_style

GRID = Grid.around(0.0, 0.0, 160, 0.5)
STYLE = load_style("suburb")
HOUSES = (box_building("west", -20, -5, -12, 5, 2.0, 5.0), box_building("east", 12, -5, 20, 5, 2.0, 5.0))


def place_of(*land: LandPatch, trees: Trees | None = None, houses: tuple = HOUSES) -> Place:
    whole = LandPatch(shapely.box(-100, -100, 100, 100), "grass")
    city = replace(box_city(houses, flat_terrain(2.0), trees=trees), land=(whole, *land))
    return prepare_place(city, STYLE, np.random.default_rng(0))


def at(raster: np.ndarray, x: float, y: float) -> np.ndarray:
    column, row = GRID.to_pixel(np.array([x, y])).astype(int)
    return raster[row, column]


def test_two_tiles_agree_where_they_overlap() -> None:
    place = place_of(LandPatch(shapely.box(-30, 20, 10, 40), "agriculture"))
    one, other = plots_of(place, GRID), plots_of(place, Grid.around(20.0, -10.0, 160, 0.5))
    for name in ("tone", "choice", "wear", "litter"):
        a, b = getattr(one, name)[20:, 40:], getattr(other, name)[:140, :120]
        assert np.allclose(a, b, atol=0.02), name


def test_gardens_end_half_way_between_two_houses() -> None:
    choice = plots_of(place_of(), GRID).choice
    row = choice[GRID.rows // 2]
    x, _ = GRID.centres()
    west, east = row[(x > -10) & (x < -2)], row[(x > 2) & (x < 10)]
    assert np.ptp(west) < 1e-3
    assert np.ptp(east) < 1e-3
    assert abs(west[0] - east[0]) > 0.01


def test_a_field_is_one_plot_whoever_lives_beside_it() -> None:
    field = shapely.box(-9, -20, 9, 20)
    choice = plots_of(place_of(LandPatch(field, "agriculture")), GRID).choice
    x, y = GRID.centres()
    inner = np.ix_(np.abs(y) < 18, np.abs(x) < 7)
    assert np.ptp(choice[inner]) < 1e-3


def test_open_ground_is_nearly_one_lawn_with_borders_that_can_be_seen() -> None:
    choice = plots_of(place_of(houses=()), Grid.around(0.0, 0.0, 400, 1.0)).choice
    assert 0.02 < choice.std() < 0.2  # where every plot had one of its own it would be 0.29
    assert 0 <= choice.min() < choice.max() <= 1
    step = np.abs(np.diff(choice, axis=1))
    assert 0.003 < (step > 0.012).mean() < 0.08  # plots of some 50 m, each border blended over a metre or two
    assert step.max() < 0.3


def test_grass_is_most_worn_beside_walls() -> None:
    wear = plots_of(place_of(), GRID).wear
    assert at(wear, 11.0, 0.0) > at(wear, 4.0, 0.0) + 0.1
    assert 0 <= wear.min() <= wear.max() <= 1


def test_litter_lies_where_crowns_meet() -> None:
    x, y = np.meshgrid(np.arange(-38, -8, 4.0), np.arange(-38, 38, 4.0))
    wood = np.stack([x.ravel(), y.ravel()], axis=1)
    one = np.array([[30.0, 0.0]])
    xy = np.concatenate([wood, one])
    trees = Trees(xy, np.full(len(xy), 9.0), np.full(len(xy), 3.0), np.zeros(len(xy), np.uint8))
    litter = plots_of(place_of(trees=trees, houses=()), GRID).litter
    assert at(litter, -24.0, 0.0) > 0.9
    assert 0.1 < at(litter, 30.0, 0.0) < 0.6
    assert at(litter, 15.0, 30.0) == 0
    assert plots_of(place_of(), GRID).litter.max() == 0


def test_grass_thins_out_towards_paving() -> None:
    yard = LandPatch(shapely.box(-10, -30, 10, 30), "paved")
    painted = paint_ground(place_of(yard, houses=()), GRID)
    x, y = GRID.centres()
    green = painted[..., 1] / painted[..., 0]
    rows = np.abs(y) < 25
    near = green[rows][:, (np.abs(x) > 10.5) & (np.abs(x) < 11.5)].mean()
    far = green[rows][:, (np.abs(x) > 20) & (np.abs(x) < 30)].mean()
    assert near < far - 0.02


def test_gardens_are_painted_apart() -> None:
    """The lawns of twenty houses differ more than what chance makes of one."""
    houses = tuple(
        box_building(f"{i}-{j}", 16 * i - 4, 16 * j - 4, 16 * i + 4, 16 * j + 4, 2.0, 5.0)
        for i in range(-2, 3)
        for j in range(-2, 2)
    )
    painted = paint_ground(place_of(houses=houses), GRID).mean(axis=2)
    lawns = [at(painted, 16 * i + 6.5, 16 * j + dy) for i in range(-2, 2) for j in range(-2, 2) for dy in (-2, 0, 2)]
    spread = np.std(np.log(np.array(lawns).reshape(16, 3).mean(axis=1)))
    assert 0.08 < spread < 0.5


def harbour(kind: str) -> City:
    """Land in the south, water in the north, and a mole of 10 m into it."""
    water = shapely.box(-98, 0, 98, 98).difference(shapely.box(-5, 0, 5, 70))
    whole = LandPatch(shapely.box(-100, -100, 100, 100), "grass")
    return replace(box_city((), flat_terrain(2.0), water=(WaterBody(water, 1.0, kind),)), land=(whole,))


def test_no_tree_is_planted_on_a_pier() -> None:
    mole, shore = shapely.box(-5, 10, 5, 70), shapely.box(-98, -60, 98, 0)
    for kind in ("sea", "lake"):
        trees = shapely.points(plant_trees(np.random.default_rng(1), harbour(kind), STYLE).xy)
        assert not shapely.intersects(trees, mole).any()
        assert shapely.intersects(trees, shore).sum() > 20


def test_the_banks_of_rivers_are_wooded_and_quays_are_not() -> None:
    beside = shapely.box(-90, -12, -10, 0)
    count = {
        kind: shapely.intersects(shapely.points(plant_trees(np.random.default_rng(1), harbour(kind), STYLE).xy), beside)
        .sum()
        for kind in ("river", "canal")
    }  # fmt: skip
    assert count["river"] > 1.5 * count["canal"]


def test_plots_reach_as_far_as_gardens_do() -> None:
    far = Grid.around(20 + REACH + 3.0, 0.0, 4, 0.5)
    near = Grid.around(20 + REACH / 2 - 3.0, 0.0, 4, 0.5)
    alone = place_of(houses=())
    assert np.allclose(plots_of(place_of(), far).choice, plots_of(alone, far).choice)
    assert not np.allclose(plots_of(place_of(), near).choice, plots_of(alone, near).choice)
