"""A later product that tells what changed since an earlier one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyogrio
import pytest
import shapely
from edits import add, drop, row_of, write_product
from found import at, found, nothing_found

from mage.learning.mapping.findings import Observed
from mage.learning.mapping.matching import match_lines, match_outlines
from mage.learning.mapping.monitoring import CHANGES, differences, with_differences
from mage.learning.mapping.product.check import check_layers
from mage.learning.mapping.product.payload import payload
from mage.learning.mapping.product.report import write_report
from mage.learning.mapping.product.sheet import draw_sheet
from mage.learning.mapping.product.turns import turns
from mage.learning.mapping.product.write import write_layers
from mage.learning.mapping.summary import summary
from mage.scenes.errors import DatasetError


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return found(tmp_path_factory.mktemp("place"))


def since(tmp_path, findings, edit):
    """What changed, if the earlier product was as edited."""
    return differences(write_product(tmp_path / "before.gpkg", findings, edit=edit), findings)


def test_nothing_changed_since_itself(tmp_path, place):
    changed = since(tmp_path, place, None)
    assert changed.before == "EMSR123_AOI02_GRA_PRODUCT"
    assert set(changed.change) == {"unchanged"}
    assert changed.previous.tolist() == place.buildings.verdict.tolist()
    assert len(changed.gone) == len(changed.opened) == len(changed.closed) == 0
    assert all(part.area < 1e-6 for change in changed.extents for _, part in change.parts)
    assert all(amount < 1e-9 for item, amount, _ in changed.rows(place) if item != "Buildings unchanged")


def test_every_building_tells_what_became_of_it(tmp_path, place):
    now = {"way/101": "No visible damage", "way/103": "Destroyed", "way/105": "Possibly damaged"}
    now |= {"way/108": "Damaged", "way/112": "Not Analysed"}
    assert {name: place.buildings.verdict[row_of({"id": place.buildings.identity}, name)] for name in now} == now
    then = {
        "way/101": ("Damaged", "less damaged"),
        "way/102": ("Possibly damaged", "better known"),
        "way/103": ("Damaged", "worse"),
        "way/104": ("No visible damage", "newly damaged"),
        "way/105": ("No visible damage", "less known"),
        "way/106": ("Not Analysed", "better known"),
        "way/107": ("Destroyed", "unchanged"),
        "way/108": ("No visible damage", "newly damaged"),
        "way/110": ("Not Analysed", "better known"),
        "way/112": ("Destroyed", "less known"),
    }

    def edit(tables):
        built = tables["builtUpA"]
        for name, (verdict, _) in then.items():
            built["damage_gra"][row_of(built, name)] = verdict
        drop(built, "way/109")
        add(built, at(shapely.box(27, 40, 33, 46)), id="way/99", damage_gra="Damaged")

    changed = since(tmp_path, place, edit)
    told = dict(zip(place.buildings.identity.tolist(), changed.change.tolist(), strict=True))
    assert {name: told[name] for name in then} == {name: change for name, (_, change) in then.items()}
    assert told["way/109"] == "new"
    assert set(told.values()) <= set(CHANGES)
    assert (changed.gone_identity.tolist(), changed.gone_verdict.tolist()) == (["way/99"], ["Damaged"])


def test_buildings_with_other_ids_are_known_by_their_outlines(tmp_path, place):
    """As a model numbers what it sees anew on every image."""

    def edit(tables):
        built = tables["builtUpA"]
        built["id"] = [f"b{k}" for k in range(12, 0, -1)]
        built["geometry"] = [shapely.transform(shape, lambda xy: xy + 0.8) for shape in built["geometry"]]

    assert set(since(tmp_path, place, edit).change) == {"unchanged"}


def test_extents_grow_and_shrink_where_both_products_could_see(tmp_path, place):
    def edit(tables):
        event = tables["observedEventA"]
        event["geometry"][0] = at(shapely.box(20, 0, 50, 12))
        tables["imageFootprintA"]["geometry"] = [at(shapely.box(0, 0, 60, 48))]

    flood, burn, _ = since(tmp_path, place, edit).extents
    assert flood.what == "flood"
    assert flood.grown.area == pytest.approx(10 * 12), "beyond 60 m the earlier image showed nothing"
    assert flood.shrunk.area == pytest.approx(9 * 12)
    assert burn.grown.area == burn.shrunk.area == 0


def test_roads_are_opened_and_closed(tmp_path, place):
    def edit(tables):
        road = tables["transportationL"]
        road["p_block_car"][0], road["p_block_car"][1] = 0.8, 0.1
        road["p_block_car"][4] = 0.9
        for name in road:
            road[name].reverse()
        road["id"] = [""] * len(road["id"])

    changed = since(tmp_path, place, edit)
    assert changed.opened.tolist() == [0]
    assert changed.closed.tolist() == [1], "of the last nothing is known now"
    rows = {item: (amount, unit) for item, amount, unit in changed.rows(place)}
    assert rows["Roads opened"] == (pytest.approx(0.04), "km")


def test_a_product_of_ours_is_updated_and_tells_it_in_all_its_layers(tmp_path, place):
    """Two products through the files themselves: the second under the name of an update, with its differences."""
    (tmp_path / "first").mkdir()
    verdict = place.buildings.verdict.copy()
    verdict[0], verdict[2] = "Damaged", "Damaged"
    no_flood = Observed((replace(place.observed.extents[0], outline=np.array([], object), value=np.zeros(0),
                                 words=np.array([], str)), *place.observed.extents[1:]))  # fmt: skip
    earlier = replace(place, buildings=replace(place.buildings, verdict=verdict), observed=no_flood)
    write_layers(earlier, tmp_path / "first")
    (tmp_path / "first" / "edited.gpkg").write_bytes(b"an analyst's copy beside it does not matter")
    later = with_differences(
        replace(place, event=replace(place.event, monitoring=1)), differences(tmp_path / "first", place)
    )
    (tmp_path / "second").mkdir()
    package = write_layers(later, tmp_path / "second")[0]
    assert check_layers(package) == []
    names = [name for name, _ in pyogrio.list_layers(package)]
    prefix = "EMSR123_AOI02_GRA_MONIT01"
    assert {f"{prefix}_{name}_r1_v1" for name in ("changesA", "changesL", "differences")} <= set(names)
    built = columns(package, f"{prefix}_builtUpA_r1_v1")
    assert built["previous"][:3].tolist() == ["Damaged", "No visible damage", "Damaged"]
    assert built["change"][:3].tolist() == ["less damaged", "unchanged", "worse"]
    told = columns(package, f"{prefix}_changesA_r1_v1")
    assert sorted(told["change"]) == ["grown", "less damaged", "worse"]
    table = columns(package, f"{prefix}_differences_r1_v1")
    assert dict(zip(table["item"], table["amount"], strict=True))["Buildings worse"] == 1
    assert summary(later).row("Since EMSR123_AOI02_GRA_PRODUCT", "Flood grown").affected > 0
    assert (tmp_path / "second" / f"{prefix}_differences_r1_v1.csv").is_file()


def test_the_sheet_and_the_report_show_what_is_worse_and_what_is_better(tmp_path, place):
    def edit(tables):
        grades = tables["builtUpA"]["damage_gra"]
        grades[0], grades[2] = "Damaged", "No visible damage"
        tables["transportationL"]["p_block_car"][1] = 0.1

    later = with_differences(place, since(tmp_path, place, edit))
    worse, better = turns(later)
    assert (worse.word, worse.buildings.tolist(), len(worse.lines)) == ("Worse", [2], 1)
    assert (better.word, better.buildings.tolist(), len(better.lines)) == ("Better", [0], 0)
    assert worse.outlines[0].equals(place.buildings.outline[2])
    told = [text.get_text() for axes in draw_sheet(later).axes for text in axes.texts]
    assert any("Worse since" in words for words in told)
    page = write_report(later, tmp_path).read_text()
    assert "What changed since EMSR123_AOI02_GRA_PRODUCT" in page
    assert "No visible damage → Destroyed" in page
    shown = payload(later, {"post": place.grid})["changes"]
    assert [len(turn["rings"]) for turn in shown] == [len(worse.outlines), len(better.outlines)]
    assert [len(turn["lines"]) for turn in shown] == [1, 0]


def test_what_is_the_same_as_before_shows_no_change(tmp_path, place):
    later = with_differences(place, since(tmp_path, place, lambda tables: None))
    assert turns(later) == ()
    assert turns(place) == ()
    assert "Nothing became worse or better." in write_report(later, tmp_path).read_text()


def columns(package, layer):
    meta, _, _, fields = pyogrio.raw.read(package, layer=layer)
    return dict(zip(meta["fields"], fields, strict=True))


def test_an_empty_place_can_be_updated_and_can_update(tmp_path, place):
    empty = nothing_found(tmp_path)
    was_empty = differences(write_product(tmp_path / "empty.gpkg", empty), place)
    assert set(was_empty.change) == {"new"}
    is_empty = differences(write_product(tmp_path / "full.gpkg", place), empty)
    assert len(is_empty.change) == 0
    assert len(is_empty.gone) == 12


def test_no_earlier_product_is_one_clear_error(tmp_path, place):
    with pytest.raises(DatasetError, match=r"no earlier product.*one GeoPackage.*found none"):
        differences(tmp_path / "nowhere", place)
    for name in ("a.gpkg", "b.gpkg"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DatasetError, match=r"found a\.gpkg, b\.gpkg"):
        differences(tmp_path, place)
    with pytest.raises(DatasetError, match="not a vector file"):
        differences(tmp_path / "a.gpkg", place)


def test_no_building_is_matched_twice():
    """Two outlines over one: the better overlap has it, the other is new."""
    here = np.array([shapely.box(0, 0, 10, 10), shapely.box(2, 0, 12, 10)])
    there = np.array([shapely.box(3, 0, 13, 10)])
    assert match_outlines(["", ""], here, ["z"], there).tolist() == [-1, 0]
    assert match_outlines(["z", ""], here, ["z"], there).tolist() == [0, -1], "an id that lies there comes first"
    assert match_outlines([], here[:0], ["z"], there).tolist() == []


def test_of_streets_side_by_side_the_id_tells_which():
    edges = np.array([shapely.LineString([(0, y), (50, y)]) for y in (0.0, 0.5)])
    assert match_lines(["1", "", "7"], edges[[0, 0, 1]], edges).tolist() == [1, 0, 1]
    assert match_lines([""], shapely.transform(edges[:1], lambda xy: xy + 30), edges).tolist() == [-1]
