"""Datasets of several events: what the manifest says of each, and that every lie about one is found."""

from __future__ import annotations

import json

import pytest
from fake_dataset import HASH, SOURCES, VERSIONS, fake_recipe, fake_sample, with_event, write_fake_campaign

from mage.scenes.campaign import whole
from mage.scenes.dataset.describe import describe_dataset
from mage.scenes.dataset.index import MANIFEST, RECIPE, finish_dataset, open_dataset, read_index
from mage.scenes.dataset.store import LocalStore, write_shard
from mage.scenes.dataset.verify import verify_dataset
from mage.scenes.errors import DatasetError
from mage.scenes.recipe import Recipe

NAMES = ["testville-flood-0", "testville-flood-1", "othertown-flood-0"]


@pytest.fixture
def root(tmp_path):
    write_fake_campaign(tmp_path / "dataset", size=48)
    return tmp_path / "dataset"


def edit(root, change):
    manifest = json.loads((root / MANIFEST).read_text())
    change(manifest)
    (root / MANIFEST).write_text(json.dumps(manifest))


def test_a_dataset_of_several_events_is_whole_and_says_what_each_is(root):
    assert verify_dataset(root).problems == ()
    record = open_dataset(root)
    assert [e.name for e in record.events] == NAMES
    assert [(e.split, e.city, e.samples, e.seed, e.gsd) for e in record.events] == [
        ("train", "testville", 2, 0, 0.5),
        ("train", "testville", 2, 1, 0.5),
        ("test-city", "othertown", 2, 0, 1.0),
    ]
    assert [s.event for s in record.shards] == [NAMES[2], *NAMES[:2]]
    assert record.gsd is None
    assert (record.seed, record.size) == (7, 48)
    recipes = [Recipe.model_validate(whole(record.recipe, e.recipe)) for e in record.events]
    assert [r.output.gsd for r in recipes] == [0.5, 0.5, 1.0]
    assert "gsd" not in record.recipe["output"]
    table = read_index(root)
    assert table["event"].to_pylist() == [name for name in [NAMES[2], *NAMES[:2]] for _ in range(2)]
    assert table["gsd"].to_pylist() == [1.0] * 2 + [0.5] * 4


def test_a_recipe_alone_is_one_event_and_its_manifest_holds_it_whole(tmp_path):
    shard = write_shard(LocalStore(tmp_path), "train-000000.tar", [fake_sample(0, 48)], HASH)
    record = finish_dataset(tmp_path, fake_recipe(1, 48), [shard], VERSIONS, SOURCES)
    assert record.recipe == fake_recipe(1, 48).model_dump(mode="json")
    assert [(e.name, e.recipe) for e in record.events] == [("testville-flood-0", {})]
    assert (record.recipe_hash, record.gsd, record.mixture) == (HASH, 0.5, None)


def test_info_says_how_many_samples_each_split_has(root):
    facts = describe_dataset(root)
    assert facts["splits"] == {"train": 4, "test-city": 2}
    assert (facts["events"], facts["cities"], facts["gsd"]) == (3, 2, [0.5, 1.0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m["events"][0].update(split="val"), "split is wrong; expected val; found train"),
        (lambda m: m["events"][0].update(city="x"), "city is wrong"),
        (lambda m: m["events"][0].update(hazard="fire"), "hazard is wrong"),
        (lambda m: m["events"][0].update(seed=5), "seed is wrong"),
        (lambda m: m["events"][0].update(samples=5), "samples by event is wrong"),
        (lambda m: m["events"][0].update(gsd=0.25), "grid is wrong"),
        (lambda m: m["events"][0].update(recipe_hash="f" * 16), "recipe_hash is wrong"),
        (lambda m: m["events"][0]["recipe"].update(colour="red"), "event testville-flood-0: recipe: colour"),
        (lambda m: m["events"][2]["recipe"]["output"].update(gsd=0.7), "hazard, samples, seed, size or gsd"),
        (lambda m: m["events"].pop(), "is of an event that dataset.json does not list"),
        (lambda m: m["events"].append(m["events"][0]), "an event's name stands twice"),
        (lambda m: m["events"].reverse(), "recipe_hash is wrong"),
        (lambda m: m.update(gsd=0.5), "gsd is wrong; found 0.5"),
        (lambda m: m.update(recipe_hash="f" * 16), "recipe_hash is wrong"),
        (lambda m: m["mixture"].update(count=7), f"{RECIPE}: is another recipe"),
        (lambda m: m["shards"][0].update(event=NAMES[0]), "says something else than dataset.json"),
        (lambda m: m["events"][0].update(split="Train"), "damaged: events.0.split"),
        (lambda m: m.update(events=[]), "damaged: events"),
        (lambda m: m["events"][0].update(recipe=nested(40)), "nested more than 32 deep"),
    ],
)
def test_a_lie_about_an_event_is_found(root, change, words):
    edit(root, change)
    problems = verify_dataset(root).problems
    assert any(words in problem for problem in problems), problems


def nested(levels):
    return {"x": nested(levels - 1)} if levels else {}


def test_a_shard_is_of_one_event(tmp_path):
    samples = [fake_sample(0, 48), with_event(fake_sample(1, 48), "other")]
    with pytest.raises(DatasetError, match="samples of two events in a shard"):
        write_shard(LocalStore(tmp_path), "train-000000.tar", samples, HASH)
    assert not list((tmp_path / "shards").glob("*.tar"))


def test_samples_of_one_event_that_contradict_each_other_make_no_dataset(tmp_path):
    store = LocalStore(tmp_path)
    shards = [
        write_shard(store, f"{split}-000000.tar", [fake_sample(k, 48, split=split)], HASH)
        for k, split in enumerate(("train", "val"))
    ]
    with pytest.raises(DatasetError, match="says something else of its event"):
        finish_dataset(tmp_path, fake_recipe(2, 48), shards, VERSIONS, SOURCES)
    assert not (tmp_path / MANIFEST).exists()
