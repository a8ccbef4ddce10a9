"""Plans: equal to the byte, whole again from their file, and refused when anything in it was changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.generator.outline import headline, outline
from mage.generator.plan import make_plan, open_plan
from mage.generator.plan_file import read_plan, write_plan
from mage.scenes.errors import CityError, DatasetError, MageError, RecipeError
from mage.scenes.mixture import parse_mixture
from mage.scenes.recipe import Recipe, read_recipe

STYLE = "name: mine\nstreets: {}\n"


def mixture(**more: Any) -> Any:
    content = {
        "name": "two",
        "count": 30,
        "events": 6,
        "recipe": {"output": {"size": 64, "shard_size": 4, "gsd": {"uniform": [0.5, 1]}}},
        "cities": {"a": {"copies": 3}, "b": {"city": {"style": "village"}}},
        "hazards": {"flood": {}, "fire": {"hazard": {"kind": "fire", "wind": {"uniform": [5, 10]}}}},
        "splits": {"train": 0.8, "test-city": {"share": 0.2, "cities": ["b"]}},
    }
    return parse_mixture(content | more, "two.yaml")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_plan(make_plan(mixture()), tmp_path / "plan.json")
    return tmp_path / "plan.json"


def test_two_plans_are_equal_to_the_byte_and_another_seed_is_another_plan(path: Path, tmp_path: Path) -> None:
    for name, seed in (("again.json", 0), ("other.json", 1)):
        write_plan(make_plan(mixture(seed=seed)), tmp_path / name)
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
    assert (tmp_path / "other.json").read_bytes() != path.read_bytes()


@pytest.mark.parametrize("target", [mixture(), read_recipe("flood"), read_recipe("earthquake-fire", {"count": 40})])
def test_a_plan_read_from_its_file_is_the_plan(target: Any, tmp_path: Path) -> None:
    plan = make_plan(target)
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan == open_plan(str(tmp_path / "plan.json"))


def test_a_recipe_alone_is_planned_as_ever() -> None:
    plan = make_plan(read_recipe("flood", {"count": 40}))
    assert [(j.name, j.first, j.count, j.split, j.event) for j in plan.jobs] == [
        ("train-000000.tar", 0, 16, "train", None),
        ("train-000001.tar", 16, 16, "train", None),
        ("train-000002.tar", 32, 8, "train", None),
    ]
    recipe = plan.jobs[0].recipe
    assert plan.recipe_hash == plan.jobs[0].recipe_hash == recipe.hash({})
    assert recipe.hash({}) == "52557a5a1a092274"  # another would orphan the datasets that carry it


def test_every_job_carries_all_that_it_is_rendered_from() -> None:
    plan = make_plan(mixture())
    assert sum(job.count for job in plan.jobs) == 30
    assert len({job.name for job in plan.jobs}) == len(plan.jobs)
    for job in plan.jobs:
        assert job.name.startswith(job.split)
        assert job.event is not None
        assert job.event.startswith(f"{job.recipe.city.name}-")
    assert len({job.recipe_hash for job in plan.jobs}) == len(plan.campaign.events) == 6


def test_jobs_of_one_city_share_its_place_and_no_other() -> None:
    jobs = make_plan(mixture()).jobs
    places = {job.place: str(job.recipe.city.name) for job in jobs}
    assert len(places) == len(set(places.values())) == len({job.recipe.city.name for job in jobs})
    order = [job.place for job in jobs]
    assert [p for k, p in enumerate(order) if k == 0 or order[k - 1] != p] == list(dict.fromkeys(order))
    alone, other = (make_plan(read_recipe("flood", {"seed": seed})).jobs[0].place for seed in (0, 1))
    assert alone != other


def rewritten(path: Path, change: Any, *, sealed: bool = True) -> Path:
    content = json.loads(path.read_text())
    change(content)
    if sealed:
        del content["sha256"]
        told = json.dumps(content, sort_keys=True, separators=(",", ":"))
        content["sha256"] = hashlib.sha256(told.encode()).hexdigest()
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p.update(format="mage-plan/2"), "update it"),
        (lambda p: p.update(format="x"), "not a plan"),
        (lambda p: p.update(more=1), "not a plan: more"),
        (lambda p: p.update(events=[]), "not a plan: events"),
        (lambda p: p["events"][0].update(split="../x"), "not a plan: events.0.split"),
        (lambda p: p["events"][0].update(name="../../x"), "not a plan: events.0.name"),
        (lambda p: p["events"][0].update(name=None), "events without a name of their own"),
        (lambda p: p["events"][0].update(name=p["events"][1]["name"]), "events without a name of their own"),
        (lambda p: p["events"][0]["recipe"].update(seed=-1), "seed"),
        (lambda p: p["events"][0]["recipe"].update(colour=1), "colour: no such key"),
        (lambda p: p["events"][0]["recipe"]["output"].update(gsd=0.9), "its recipe gives another hash"),
        (lambda p: p["shared"].update(sensors=["x"]), "no such sensor"),
        (lambda p: p["shared"].update(light=7), "light"),
        (lambda p: p["events"][0]["recipe"]["output"].update(size=32), "output.size: is the same in all of a dataset"),
        (lambda p: p.update(mixture=None), "events without a name of their own"),
        (lambda p: p.update(mixture=deep(50)), "nested more than 32 deep"),
        (lambda p: p["digests"].update(x="0"), "not a plan: digests"),
    ],
)
def test_a_plan_that_lies_is_refused(path: Path, change: Any, words: str) -> None:
    with pytest.raises(MageError, match=r"^[^\n]+$") as error:
        read_plan(rewritten(path, change))
    assert words in str(error.value)


def deep(levels: int) -> dict[str, Any]:
    return {"x": deep(levels - 1)} if levels else {}


def test_a_plan_that_was_changed_is_refused(path: Path) -> None:
    with pytest.raises(RecipeError, match="was changed since it was written"):
        read_plan(rewritten(path, lambda p: p.update(seed=3), sealed=False))


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode), st.just(b"[" * 100_000)))
def test_any_bytes_are_a_plan_or_one_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "plan.json"
    path.write_bytes(data)
    with pytest.raises((RecipeError, DatasetError), match=r"^[^\n]+$"):
        read_plan(path)


def test_a_key_that_stands_twice_is_refused(path: Path) -> None:
    path.write_text('{"format": "mage-plan/1", "format": "mage-plan/1"}')
    with pytest.raises(RecipeError, match="a key stands twice"):
        read_plan(path)


def test_a_file_that_has_changed_since_is_named(tmp_path: Path) -> None:
    style = tmp_path / "mine.yaml"
    style.write_text(STYLE)
    recipe = Recipe.model_validate({"name": "x", "city": {"style": str(style)}})
    write_plan(make_plan(recipe), tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json").recipe == recipe
    style.write_text(STYLE + "# more\n")
    with pytest.raises(RecipeError, match=r"mine\.yaml has changed since the plan was made"):
        read_plan(tmp_path / "plan.json")
    style.unlink()
    with pytest.raises(CityError, match="no such file"):
        read_plan(tmp_path / "plan.json")


def test_no_plan_lets_code_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_hazard.py").write_text("def sink(rng, city, parameters): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    recipe = Recipe.model_validate({"name": "x", "hazard": {"kind": "plugin", "function": "own_hazard:sink"}})
    write_plan(make_plan(recipe, allow_plugins=True), tmp_path / "plan.json")
    with pytest.raises(MageError, match="--allow-plugins"):
        read_plan(tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json", allow_plugins=True).allow_plugins


def test_a_frozen_plan_takes_no_overrides(path: Path) -> None:
    with pytest.raises(RecipeError, match="a plan is frozen"):
        open_plan(str(path), {"count": 3})


def test_more_shards_than_names_are_refused_before_they_are_made() -> None:
    with pytest.raises(RecipeError, match=r"raise output\.shard_size; expected at most 1,000,000; found 10,000,000"):
        make_plan(read_recipe("flood", {"count": 10_000_000, "output.shard_size": 1}))
    assert len(make_plan(read_recipe("flood", {"count": 10_000_000, "output.shard_size": 1000})).jobs) == 10_000


def test_the_outline_of_a_plan_whose_mixture_is_no_mixture_is_shown_all_the_same(path: Path) -> None:
    plan = read_plan(rewritten(path, lambda p: p.update(mixture={"splits": 7})))
    assert len(list(outline(plan))) > 5


def test_the_outline_adds_up() -> None:
    plan = make_plan(mixture())
    lines = list(outline(plan))
    assert lines[0] == headline(plan)
    rows = {line[:30].strip(): line[30:].split() for line in lines[1:] if line.strip()}
    assert rows["pairs"] == ["24", "6", "30"]
    assert rows["events"] == ["5", "1", "6"]
    flood, fire = (list(map(int, rows[f"hazard {kind}"])) for kind in ("flood", "fire"))
    assert [a + b for a, b in zip(flood, fire, strict=True)] == [24, 6, 30]
    assert rows["style village"] == ["0", "6", "6"]
    assert sum(int(cells[-1]) for name, cells in rows.items() if name.startswith("city ")) == 30
