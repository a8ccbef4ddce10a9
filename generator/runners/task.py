"""What a process does with a job, whichever runner it works for: keep a studio, render shards, say what happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mage.generator.photography import Studio
from mage.generator.plan import ShardJob
from mage.generator.runners.desk import event_of
from mage.generator.runners.share import Share
from mage.generator.shards import change_event, open_studio, render_shard
from mage.scenes.dataset.store import Store, TakenError
from mage.scenes.recipe import Recipe


class Task:
    """A process's studio and what it is to be opened with.

    Args:
        store: where shards go.
        threads: processors that may be used.
        share: of the GPUs.
        tell: called with the fields of every event.
    """

    def __init__(self, store: Store, threads: int, share: Share, tell: Callable[..., None]) -> None:
        self.store, self.threads, self.share, self.tell = store, threads, share, tell
        self._studio: Studio | None = None
        self._place = ""
        self._event: tuple[Any, ...] = ()

    def render(self, job: ShardJob) -> None:
        """Render a job's shard into the store, telling of the city, of every sample and of the shard."""
        studio = self.studio(job)

        def _heard(key: str, seconds: dict[str, float]) -> None:
            self.tell(event="sample", key=key, seconds={k: round(v, 3) for k, v in seconds.items()})

        try:
            record = render_shard(job, self.store, studio, _heard)
        except TakenError as error:
            self.tell(event="shard", record=error.record.model_dump(mode="json"), note=str(error))
        else:
            self.tell(event="shard", record=record.model_dump(mode="json"))

    def studio(self, job: ShardJob) -> Studio:
        """The studio for a job, built anew if its city is another than the last one's."""
        place = f"{job.place} on {job.recipe.render.device}"
        if self._studio is None or self._place != place:
            self._studio = None  # frees the memory first
            self._studio = open_studio(job, self.threads, self.share)
            self._tell_ready(self._studio)
        elif self._event != event_of(job):
            self._studio = change_event(self._studio, job)
        self._place, self._event = place, event_of(job)
        return self._studio

    def _tell_ready(self, studio: Studio) -> None:
        city = studio.place.city
        facts = {"buildings": len(city.buildings), "inferred": list(city.inferred)}
        device = {"device": str(studio.device), "kind": studio.device.kind, "gpus": studio.device.available}
        sources = [_source(source) for source in city.sources]
        self.tell(event="ready", rank=self.share.rank, **device, seconds=studio.seconds, sources=sources, city=facts)


def on_device(job: ShardJob, device: str) -> ShardJob:
    """The job, to be rendered on that device; its recipe's hash does not count the device."""
    render = job.recipe.render.model_copy(update={"device": device})
    content = job.recipe.model_copy(update={"render": render}).model_dump(mode="json")
    return replace(job, recipe=Recipe.model_validate(content))


def _source(source: Any) -> dict[str, Any]:
    return {"name": source.name, "format": source.format, "licence": source.licence, "sha256": source.sha256}
