"""``mage plan`` and its like on the command line, as a newcomer would type them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mage.generator.plan import make_plan
from mage.generator.plan_file import read_plan, write_plan
from mage.scenes.cli import app
from mage.scenes.errors import MageError
from mage.scenes.mixture import read_target


def told(*words: str | Path) -> list[str]:
    """Lines that a command writes; what it raises is raised here, as one sentence."""
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def failed(*words: str | Path) -> str:
    with pytest.raises(MageError) as error:
        told(*words)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_plan_of_the_bundled_benchmark_is_shown_and_written(tmp_path: Path) -> None:
    lines = told("plan", "mage-bench", "--count", "12", "--out", tmp_path / "p.json")
    assert lines[0] == "mage-bench: 12 pairs of 512 px at 0.3 to 0.5 m in 12 events"
    heads, pairs = lines[1].split(), lines[2].split()
    assert heads == ["train", "val", "test-city", "test-event", "test-hazard", "all"]
    assert all(int(cell) >= 1 for cell in pairs[1:])
    assert lines[-1] == f"plan: {tmp_path / 'p.json'}"
    assert "worldview-3-50cm, planetscope, sentinel-2; labels annotator; 12 shards" in lines[-2]
    assert read_plan(tmp_path / "p.json") == make_plan(read_target("mage-bench", {"count": 12}))


def test_options_go_over_a_recipe_and_a_mixture_alike(tmp_path: Path) -> None:
    out = tmp_path / "p.json"
    told("plan", "flood", "--count", "40", "--size", "96", "--set", "output.shard_size=10", "--out", out)
    plan = read_plan(out)
    assert (len(plan.jobs), plan.recipe.output.size, plan.campaign.mixture) == (4, 96, None)
    told(
        "plan", "mage-bench", "--count", "9", "--gsd", "0.4", "--seed", "3", "--set", "splits.val.share=5", "--out", out
    )
    events = read_plan(out).campaign.events
    assert {event.recipe.output.gsd for event in events} == {0.4}
    assert sum(event.split == "val" for event in events) > 3


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("plan", "nonsense"), "no such recipe"),
        (("plan", "missing.yaml"), "no such file"),
        (("plan", "missing.json"), "no such file"),
        (("plan", "flood", "--out", "plan.yaml"), "written as JSON"),
        (("plan", "mage-bench", "--set", "city.file=a.gml"), "city.file is not laid over events"),
        (("plan", "mage-bench", "--size", "64"), "a tile is too small for the pixels of sentinel-2"),
        (("plan", "mage-bench", "--set", "splits.train=x"), "splits.train"),
        (("generate", "missing.json"), "no such file"),
    ],
)
def test_what_cannot_be_is_one_sentence(words: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    assert reason in failed(*words)
    assert not list(tmp_path.iterdir())


def test_a_plan_takes_no_options_that_would_change_it(tmp_path: Path) -> None:
    write_plan(make_plan(read_target("flood")), tmp_path / "p.json")
    assert "a plan is frozen" in failed("generate", tmp_path / "p.json", "--count", "3")
    assert "a plan is frozen" in failed("plan", tmp_path / "p.json", "--size", "64", "--out", tmp_path / "q.json")


def test_a_plan_cannot_be_written_where_there_is_no_room_for_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "file" in failed("plan", "flood", "--out", tmp_path / "file" / "p.json")
