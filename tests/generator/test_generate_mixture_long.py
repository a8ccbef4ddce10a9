"""A mixture rendered whole: from its plan, from its recipe, and again after its end was taken away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from command_line import labels_of, mage, samples_of

from mage.learning import ShardDataset
from mage.scenes.dataset.index import open_dataset

pytestmark = pytest.mark.long

MIXTURE = {
    "name": "two",
    "count": 5,
    "events": 3,
    "recipe": {
        "output": {"size": 64, "gsd": {"choice": [0.8, 1.0]}, "shard_size": 2},
        "render": {"spp": 1},
        "sensors": ["planetscope"],
    },
    "cities": {
        "north": {"city": {"style": "village", "extent": 200}},
        "south": {"city": {"style": "suburb", "extent": 160}},
    },
    "hazards": {"flood": {"hazard": {"kind": "flood"}}, "quake": {"hazard": {"kind": "earthquake", "magnitude": 7.2}}},
    "splits": {"train": 0.6, "test-city": {"share": 0.4, "cities": ["south"]}},
}


def test_a_mixture_is_rendered_in_one_run_and_its_plan_gives_the_same(tmp_path: Path) -> None:
    recipe, plan, root, again = (tmp_path / name for name in ("two.yaml", "plan.json", "direct", "planned"))
    recipe.write_text(yaml.safe_dump(MIXTURE))
    mage("plan", recipe, "--out", plan)
    mage("generate", recipe, "--out", root, "--workers", "2")
    mage("generate", plan, "--out", again, "--workers", "1")
    assert "OK: 5 samples" in mage("verify", root).stdout
    labels = labels_of(root)
    assert labels == labels_of(again)
    manifest = open_dataset(root)
    assert {(e.split, e.city) for e in manifest.events} == {("train", "north"), ("test-city", "south")}
    assert {s.record.split for s in samples_of(root)} == {"train", "test-city"}
    assert "3 events in 2 cities" in (root / "report.html").read_text()
    stated = json.loads(plan.read_text())
    assert {e["name"] for e in stated["events"]} == {e.name for e in manifest.events}

    gone = manifest.shards[0].name  # the run was interrupted, so to speak
    (root / "shards" / gone).unlink()
    assert "2 of 3 shards are there already" in mage("generate", recipe, "--out", root).stderr
    assert labels_of(root) == labels
    assert len(open_dataset(root).sources) == len(manifest.sources)

    for split, count in (("train", 3), ("test-city", 2)):
        dataset = ShardDataset(root, split=split, images=("planetscope",))
        assert len(dataset) == count
        assert all(dataset[k]["planetscope"].shape[-2:] == (64, 64) for k in range(count))
