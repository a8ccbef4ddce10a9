"""A small dataset of several splits, and what its publisher says of it: for tests of releases."""

from __future__ import annotations

from fake_dataset import HASH, SOURCES, VERSIONS, fake_recipe, fake_sample

from mage.generator.release.publication import Publication
from mage.scenes.campaign import Campaign, Event
from mage.scenes.dataset.index import finish_dataset
from mage.scenes.dataset.store import open_store, write_shard

SPLITS = (("train", "northtown"), ("test-city", "southville"))


def write_campaign(root, count=2, size=64, sources=SOURCES):
    """A dataset of two events in two cities, one a split, whose tiles lie in the same places."""
    recipe = fake_recipe(count, size)
    events, shards = [], []
    for split, city in SPLITS:
        samples = (fake_sample(i, size, 0, split, city) for i in range(count))
        shards.append(write_shard(open_store(root), f"{split}-000000.tar", samples, HASH))
        events.append(Event(recipe, HASH, split, f"{city}-flood-0"))
    campaign = Campaign("fake", 0, tuple(events), {"name": "fake", "events": 2})
    return finish_dataset(root, campaign, shards, VERSIONS, sources)


def publication(**changes):
    """A publisher's words."""
    words = {"name": "fake-floods", "version": "1.2.0", "licence": "CC-BY-4.0", "date": "2026-02-03"}
    words |= {"title": "Fake floods", "authors": ("Doe, Jo", "Example Institute")}
    return Publication(**(words | changes))
