"""Verification finds every way in which a dataset can be other than it says, and names file and reason."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from fake_dataset import HASH, SOURCES, VERSIONS, count_pixels, fake_recipe, fake_sample, with_tents, write_fake_dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mage.scenes.dataset.fields import LandClass
from mage.scenes.dataset.index import MANIFEST, RECIPE, TABLE, finish_dataset, open_dataset
from mage.scenes.dataset.invariants import label_problems
from mage.scenes.dataset.store import LocalStore, OlderError, done_shards, file_sha256, shard_is_done, write_shard
from mage.scenes.dataset.tar import TarIndex, write_tar
from mage.scenes.dataset.verify import verify_dataset
from mage.scenes.errors import DatasetError

SIZE = 48
TAR, SIDE = "shards/train-000001.tar", "shards/train-000001.json"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    root = tmp_path_factory.mktemp("verify") / "dataset"
    write_fake_dataset(root, count=4, size=SIZE)
    return root


@pytest.fixture
def root(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "dataset")


def problems(root):
    return verify_dataset(root).problems


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def members_of(path):
    with TarIndex(path) as tar:
        return [(f"{key}.{field}", tar.read(key, field)) for key in tar.keys for field in tar.members(key)]


def restated(root):
    """Have side file and manifest state the tar's present bytes: only its content can give it away."""
    path = root / TAR

    def state(shard):
        shard["bytes"], shard["sha256"] = path.stat().st_size, file_sha256(path)

    edit(root / SIDE, state)
    edit(root / MANIFEST, lambda m: state(m["shards"][1]))


def test_a_good_dataset_has_no_problem(pristine):
    found = verify_dataset(pristine)
    assert found.ok
    assert found.problems == ()
    assert (found.samples, found.shards) == (4, 2)
    assert found.buildings == sum(len(fake_sample(i, SIZE).record.buildings) for i in range(4))


def test_no_folder_is_an_error_and_an_unfinished_dataset_a_problem(root, tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        verify_dataset(tmp_path / "nowhere")
    (root / MANIFEST).unlink()
    found = verify_dataset(root)
    assert not found.ok
    assert "no dataset.json" in found.problems[0]


# files


def test_a_shard_cut_at_a_member_boundary_is_found(root):
    with TarIndex(root / TAR) as tar:
        start, _ = tar.members(tar.keys[1])["post.png"]
    (root / TAR).write_bytes((root / TAR).read_bytes()[: start - 512])
    found = "\n".join(problems(root))
    assert f"{TAR}: size in bytes is wrong" in found
    assert f"{TAR}: sha256 is wrong" in found
    assert "has been cut" in found


def test_a_shard_cut_and_ended_again_and_restated_is_found(root):
    """Even one who repairs every checksum cannot hide a missing sample."""
    members = members_of(root / TAR)
    write_tar(root / TAR, members[: len(members) // 2])
    restated(root)
    found = "\n".join(problems(root))
    assert "1 missing" in found
    assert "labels_sha256" in found
    assert "sha256 is wrong" not in found.replace("labels_sha256 is wrong", "")


@pytest.mark.parametrize("place", [0.02, 0.3, 0.5, 0.7])
def test_a_flipped_byte_is_found(root, place):
    content = bytearray((root / TAR).read_bytes())
    content[int(place * len(content))] ^= 0x10
    (root / TAR).write_bytes(content)
    found = problems(root)
    assert any(p.startswith(f"{TAR}: sha256 is wrong") for p in found)
    assert all("000000.tar" not in p for p in found)


def test_a_flipped_byte_is_found_in_its_member_when_the_checksums_were_made_to_fit(root):
    with TarIndex(root / TAR) as tar:
        key = tar.keys[0]
        start, size = tar.members(key)["pre.png"]
    content = bytearray((root / TAR).read_bytes())
    content[start + size // 2] ^= 1
    (root / TAR).write_bytes(content)
    restated(root)
    (found,) = problems(root)
    assert f"{key}.pre.png: the PNG's checksum does not match" in found


def test_a_missing_shard_and_a_missing_side_file_are_found(root):
    (root / SIDE).unlink()
    assert problems(root) == (f"{SIDE}: no such file",)
    (root / TAR).unlink()
    assert f"{TAR}: the shard is missing" in problems(root)


def test_an_extra_shard_is_found(root):
    shutil.copy(root / TAR, root / "shards" / "train-000002.tar")
    assert problems(root) == ("shards/train-000002.tar: is not in dataset.json",)


def test_a_side_file_that_disagrees_is_found(root):
    edit(root / SIDE, lambda side: side.update(samples=1))
    assert problems(root) == (f"{SIDE}: says something else than dataset.json",)
    (root / SIDE).write_text("{}")
    assert "not the side file of a shard" in problems(root)[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda side: side["rows"][0].update(buildings=77), "its rows or pixels say something else than the samples"),
        (lambda side: side["pixels"]["post_class"].update({"8": 1}), "its rows or pixels say something else"),
        (lambda side: side["rows"][0].update(key="another"), "not the side file of a shard"),
        (lambda side: side["rows"][0].update(seed=2**63), "not the side file of a shard"),
        (lambda side: side["rows"].pop(), "not the side file of a shard"),
        (lambda side: [side.pop(name) for name in ("rows", "pixels")], "by an older MAGE: render into a new folder"),
    ],
)
def test_rows_in_a_side_file_that_are_not_the_samples_are_found(root, change, words):
    edit(root / SIDE, change)
    (problem,) = problems(root)
    assert problem.startswith(SIDE)
    assert words in problem
    assert verify_dataset(root, quick=True).problems


def test_shards_of_an_older_mage_are_neither_indexed_nor_rendered_again_unasked(root):
    shards = open_dataset(root).shards
    edit(root / SIDE, lambda side: [side.pop(name) for name in ("rows", "pixels")])
    asked = r"000001\.json: a side file by an older MAGE.*; expected rows and pixels of its samples; found none"
    with pytest.raises(OlderError, match=asked):
        finish_dataset(root, fake_recipe(4, SIZE), shards, VERSIONS, SOURCES)
    with pytest.raises(OlderError, match=asked):
        done_shards(LocalStore(root), {shard.name: HASH for shard in shards})
    with pytest.raises(OlderError, match=asked):
        shard_is_done(LocalStore(root), shards[1].name, HASH)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(samples=5), "samples is wrong; expected 4; found 5"),
        (lambda m: m["counts"].update(samples=5), "counts.samples is wrong"),
        (lambda m: m["counts"].update(buildings=1), "counts.buildings is wrong"),
        (lambda m: m["counts"].update(ghosts=1), "counts.ghosts is wrong"),
        (lambda m: m["counts"]["jds"].update(destroyed=99), "counts.jds is wrong"),
        (lambda m: m["counts"]["pixels"]["post_class"].update(flood=0), "counts.pixels is wrong"),
        (lambda m: m["shards"][1].update(samples=3), "number of samples is wrong"),
        (lambda m: m["shards"][1].update(labels_sha256="0" * 64), "labels_sha256 is wrong"),
        (lambda m: m["shards"].reverse(), "not in order"),
        (lambda m: m["classes"].update(flood=3), "classes is wrong"),
        (lambda m: m["fields"].pop("post_depth.png"), "fields is wrong"),
        (lambda m: m.update(size=32), "grid is wrong"),
        (lambda m: m.update(seed=1), "seed is wrong"),
        (lambda m: m.update(recipe_hash="f" * 16), "recipe_hash is wrong"),
        (lambda m: m["recipe"].update(count=9), "recipe.yaml: is another recipe"),
        (lambda m: m["recipe"].update(colour="red"), "recipe: colour"),
        (lambda m: m.update(index_sha256="0" * 64), "samples.parquet: sha256 is wrong"),
    ],
)
def test_a_manifest_that_says_something_wrong_is_found(root, change, words):
    edit(root / MANIFEST, change)
    assert any(words in p for p in problems(root)), problems(root)


def test_an_index_that_says_something_wrong_is_found(root):
    table = pq.read_table(root / TABLE)
    column = table.column_names.index("buildings")
    wrong = table.set_column(column, table.schema.field(column), [[1, 2, 3, 4]])

    def state():
        edit(root / MANIFEST, lambda m: m.update(index_sha256=file_sha256(root / TABLE)))

    pq.write_table(wrong, root / TABLE)
    assert any(p.startswith("samples.parquet: sha256 is wrong") for p in problems(root))
    state()
    assert problems(root) == ("samples.parquet: the column buildings says something else than the samples",)
    pq.write_table(table.slice(0, 3), root / TABLE)
    state()
    assert any("number of rows is wrong; expected 4; found 3" in p for p in problems(root))
    pq.write_table(table.drop_columns(["seed"]), root / TABLE)
    state()
    assert any(p.startswith("samples.parquet: has other columns") for p in problems(root))
    (root / TABLE).write_bytes(b"PAR1")
    state()
    assert any(p.startswith("samples.parquet: cannot be read") for p in problems(root))
    (root / TABLE).unlink()
    assert "samples.parquet: no such file" in problems(root)


def test_a_recipe_that_is_gone_or_broken_is_found(root):
    (root / RECIPE).write_text("a: [")
    assert any(p.startswith("recipe.yaml: not valid YAML") for p in problems(root))
    (root / RECIPE).unlink()
    assert problems(root) == ("recipe.yaml: no such file",)


def test_a_member_that_is_gone_is_found(root):
    members = [(name, data) for name, data in members_of(root / TAR) if not name.endswith("000003.post_depth.png")]
    write_tar(root / TAR, members)
    restated(root)
    assert any("000003: members are missing: post_depth.png" in p for p in problems(root))


def test_members_in_another_order_are_found(root):
    members = members_of(root / TAR)
    half = len(members) // 2
    write_tar(root / TAR, [*reversed(members[:half]), *members[half:]])
    restated(root)
    assert any("members are not in order" in p for p in problems(root))


def test_a_record_that_is_none_is_found(root):
    write_tar(root / TAR, [(n, b"{}" if n.endswith("3.json") else data) for n, data in members_of(root / TAR)])
    restated(root)
    assert any("000003.json: not the record of a sample" in p for p in problems(root))


def test_a_sample_that_is_there_twice_is_found(tmp_path):
    root = tmp_path / "twice"
    store = LocalStore(root)
    shards = [write_shard(store, f"train-{k:06d}.tar", [fake_sample(0, SIZE)], HASH) for k in range(2)]
    finish_dataset(root, fake_recipe(2, SIZE, shard_size=1), shards, VERSIONS, SOURCES)
    assert problems(root) == ("shards: a sample's key stands in two shards",)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_byte_is_changed_it_is_found_or_means_nothing_and_never_a_traceback(root, data):
    name = data.draw(st.sampled_from([TAR, TABLE, SIDE, MANIFEST, RECIPE]))
    whole = (root / name).read_bytes()
    place, bits = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(1, 255))
    (root / name).write_bytes(whole[:place] + bytes([whole[place] ^ bits]) + whole[place + 1 :])
    try:
        found = problems(root)
    finally:
        (root / name).write_bytes(whole)
    if name in (TAR, TABLE):
        assert any(p.startswith(name) for p in found)


# labels: each mutation is published with right checksums and counts, so that only its rule can find it


def first(mask):
    return tuple(int(i) for i in np.argwhere(mask)[0])


def put(name, value, where):
    """Set the first pixel that ``where`` finds."""

    def change(labels):
        labels[name][first(where(labels))] = value

    return change


def grass(labels):
    kinds = (labels["pre_class"], labels["post_class"])
    bare = np.all([k == LandClass.GRASS for k in kinds], axis=0)
    return bare & (labels["post_depth"] == 0)


def house(labels):
    return labels["post_building"] > 0


def wet(labels):
    return labels["post_flood"] > 0


MUTATIONS = {
    "damage without building": (put("post_damage", 1, grass), "post_damage is not where post_building is"),
    "building without damage": (put("post_damage", 0, house), "post_damage is not where post_building is"),
    "ems98 without building": (put("post_ems98", 1, grass), "post_ems98 is not where post_building is"),
    "visible without building": (put("post_visible", 1, grass), "post_visible is not where post_building is"),
    "another damage": (put("post_damage", 4, lambda x: house(x) & (x["post_damage"] != 4)), "the record's jds + 1"),
    "another ems98": (put("post_ems98", 5, house), "the record's ems98 + 1"),
    "another visible": (put("post_visible", 5, house), "the record's visible + 1"),
    "damage out of range": (put("post_damage", 5, house), "post_damage holds 5, above its largest value 4"),
    "class out of range": (put("pre_class", max(LandClass) + 1, grass), f"pre_class holds {max(LandClass) + 1}"),
    "water out of range": (put("pre_water", 2, grass), "pre_water holds 2"),
    "unknown building": (put("pre_building", 900, grass), "pre_building holds numbers that the record does not: 900"),
    "unknown road": (put("post_road", 77, grass), "post_road holds numbers that the record does not: 77"),
    "a moved building": (put("pre_building", 0, house), "a flood moved buildings"),
    "flood without depth": (put("post_flood", 1, grass), "post_flood is not where post_depth is at least 1 cm"),
    "depth without flood": (put("post_depth", 1, grass), "post_flood is not where post_depth is at least 1 cm"),
    "flood on water": (put("post_water", 1, wet), "post_flood lies on permanent water"),
    "depth in a house": (put("post_depth", 9, house), "post_depth is above 0 under a building"),
    "blocked grass": (put("post_blocked", 1, grass), "post_blocked is not on a road"),
    "an open road blocked": (
        put("post_blocked", 1, lambda x: (x["post_road"] > 0) & (x["post_blocked"] == 0)),
        "post_blocked is not where the record's car is false",
    ),
    "roof without building": (put("pre_class", 1, grass), "pre_class says building where pre_building is 0"),
    "river without water": (put("post_class", 7, grass), "post_class says water where post_water is 0"),
    "flood class on dry land": (put("post_class", 8, grass), "post_class says flood where post_flood is 0"),
    "rubble without debris": (put("post_class", LandClass.RUBBLE, grass), "says rubble where post_debris is 0"),
    "rubble before": (put("pre_class", LandClass.RUBBLE, grass), "pre_class says rubble where pre_debris is 0"),
    "debris of a flood": (put("post_debris", 1, grass), "post_debris lies where there was but a flood"),
    "burnt by a flood": (put("post_burn", 40, grass), "post_burn is above 0 where there was no fire"),
    "burn out of range": (put("post_burn", 101, grass), "post_burn holds 101, above its largest value 100"),
    "a tent of no camp": (put("post_tent", 1, grass), "post_tent holds numbers that the record does not: 1"),
    "tent without its number": (put("post_class", LandClass.TENT, grass), "says tent where post_tent is 0"),
    "flood class before": (put("pre_class", 8, grass), "pre_class says flood where pre_flood is 0"),
}


TENTED = {
    "a tent in water": ("post_water", 1, "post_tent lies on post_water"),
    "a tent in mud": ("post_mud", 1, "post_tent lies on post_mud"),
    "a tent on a road": ("post_road", 1, "post_tent lies on post_road"),
    "a tent in debris": ("post_debris", 1, "post_tent lies on post_debris"),
    "a tent on burnt ground": ("post_burn", 50, "post_tent lies on post_burn"),
    "a tent on a house": ("post_building", 1, "post_tent lies on post_building"),
    "a tent that nobody sees": ("post_tent", 0, "the record holds tents that post_tent does not show: 2"),
}


@pytest.mark.parametrize("name", TENTED)
def test_a_tent_that_breaks_a_rule_is_found(name):
    member, value, words = TENTED[name]
    sample = with_tents(fake_sample(0, 64), "earthquake-camp")
    assert label_problems(sample) == []
    sample.labels[member][sample.labels["post_tent"] == 2] = value
    assert any(words in problem for problem in label_problems(sample))


def test_tents_belong_to_a_camp_which_alone_damages_nothing():
    good = with_tents(fake_sample(0, 64), "earthquake-camp")
    other = replace(good, record=good.record.model_copy(update={"hazard": "earthquake"}))
    assert any("post_tent is above 0 where there is no camp" in problem for problem in label_problems(other))
    alone = replace(good, record=good.record.model_copy(update={"hazard": "camp"}))
    assert any("a camp alone damages nothing" in problem for problem in label_problems(alone))


@pytest.mark.parametrize(("open_", "reason"), [(False, ""), (True, "debris")])
def test_a_road_is_closed_for_a_reason_and_open_without_one(open_, reason):
    sample = fake_sample(0, 64)
    road = sample.record.roads[0].model_copy(update={"car": open_, "truck": open_, "reason": reason})
    told = replace(sample, record=sample.record.model_copy(update={"roads": [road, *sample.record.roads[1:]]}))
    rule = f"road {road.id} is closed without a reason, or open with one"
    assert rule in label_problems(told)
    assert rule not in label_problems(sample)


@pytest.mark.parametrize(("visible", "buried", "wrong"), [(3, 0.0, True), (3, 0.2, False), (1, 0.0, False)])
def test_a_building_looks_worse_than_it_is_only_under_debris(visible, buried, wrong):
    sample = fake_sample(0, 64)
    seen = {"ems98": 1, "visible": visible, "buried": buried}
    house, *others = sample.record.buildings
    changed = sample.record.model_copy(update={"buildings": [house.model_copy(update=seen), *others]})
    rule = f"building {house.id} looks worse than it is, and no debris lies on it"
    assert (rule in label_problems(replace(sample, record=changed))) == wrong


def publish_mutant(root, change, recount=True):
    sample = fake_sample(0, 64)
    assert {1, 2, 3} <= {b.jds + 1 for b in sample.record.buildings}
    assert {r.car for r in sample.record.roads} == {True, False}
    change(sample.labels)
    if recount:
        sample.record.pixels.update({name: count_pixels(sample.labels[name]) for name in sample.record.pixels})
    shard = write_shard(LocalStore(root), "train-000000.tar", [sample], HASH)
    finish_dataset(root, fake_recipe(1, 64, shard_size=1), [shard], VERSIONS, SOURCES)


@pytest.mark.parametrize(("change", "words"), MUTATIONS.values(), ids=MUTATIONS.keys())
def test_a_label_that_breaks_a_rule_is_found(tmp_path, change, words):
    publish_mutant(tmp_path / "mutant", change)
    found = problems(tmp_path / "mutant")
    assert any(words in p and p.startswith("shards/train-000000.tar: testville-flood-000000") for p in found), found


def test_without_a_mutation_the_same_sample_is_good(tmp_path):
    publish_mutant(tmp_path / "good", lambda labels: None)
    assert problems(tmp_path / "good") == ()


def test_a_record_that_counts_other_pixels_is_found(tmp_path):
    publish_mutant(tmp_path / "m", put("post_class", int(LandClass.BARE), grass), recount=False)
    (found,) = problems(tmp_path / "m")
    assert "the record counts other pixels of post_class" in found
