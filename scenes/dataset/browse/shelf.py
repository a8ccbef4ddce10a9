"""Samples read one raster at a time: shards stay open and rasters decoded up to a bound, for any number of threads."""

from __future__ import annotations

from functools import partial
from threading import BoundedSemaphore
from typing import Any

from numpy.typing import NDArray

from mage.scenes.dataset.browse.cache import Bounded
from mage.scenes.dataset.browse.catalogue import Catalogue
from mage.scenes.dataset.codec import decode_raster, decode_record
from mage.scenes.dataset.schema import SampleRecord
from mage.scenes.dataset.store import SHARDS
from mage.scenes.dataset.tar import TarIndex

OPEN_SHARDS = 32
RECORDS = 64
RASTERS = 256 << 20  # bytes
AT_ONCE = 4  # rasters decoded at the same time, so that many requests cannot ask for much memory


class Shelf:
    """The samples of a catalogue's dataset."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._tars: Bounded[TarIndex] = Bounded(OPEN_SHARDS, lambda _: 1)
        self._records: Bounded[SampleRecord] = Bounded(RECORDS, lambda _: 1)
        self._rasters: Bounded[NDArray[Any]] = Bounded(RASTERS, lambda raster: raster.nbytes)
        self._busy = BoundedSemaphore(AT_ONCE)

    def record(self, key: str) -> SampleRecord:
        """A sample's record; DatasetError if it cannot be read."""
        return self._records.get(key, lambda: decode_record(self.data(key, "json"), file=f"{key}.json"))

    def raster(self, key: str, member: str) -> NDArray[Any]:
        """One raster of a sample, not to be written to; DatasetError if it cannot be read."""
        return self._rasters.get((key, member), lambda: self._decode(key, member))

    def data(self, key: str, field: str) -> bytes:
        """The bytes of one member of a sample's shard as they are."""
        table = self.catalogue.table
        name = table["shard"][self.catalogue.row(key)].as_py()
        # one that is dropped is not closed, since another thread may be reading it: it closes when nobody holds it
        tar = self._tars.get(name, lambda: TarIndex(self.catalogue.root / SHARDS / name))
        return tar.read(key, field)

    def _decode(self, key: str, member: str) -> NDArray[Any]:
        with self._busy:
            raster = decode_raster(partial(self.data, key), self.record(key), member, file=key)
        raster.flags.writeable = False
        return raster

    def pair(self, key: str, name: str) -> list[NDArray[Any]]:
        """A raster of both dates."""
        return [self.raster(key, f"{date}_{name}") for date in ("pre", "post")]
