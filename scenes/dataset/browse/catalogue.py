"""Which samples: the index of a dataset, filtered, sorted and counted over its Arrow table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mage.scenes.dataset.browse.cache import Bounded
from mage.scenes.dataset.index import TABLE, open_dataset, read_index
from mage.scenes.dataset.rows import COLUMNS
from mage.scenes.errors import DatasetError, MageError
from mage.scenes.grades import JDS_NAMES

FACETS = ("city", "hazard", "event", "split")
SEARCHED = ("key", "city", "event")
LISTED = 500  # values of a facet that a page is told of
LARGEST_PAGE = 200
LONGEST = 200  # characters of a value in a query
# how samples can be ordered: the column, its order, and the words for it
SORTS: dict[str, tuple[str, str, str]] = {
    "damaged": ("damaged", "descending", "Most damaged buildings"),
    "destroyed": ("jds_3", "descending", "Most destroyed buildings"),
    "buildings": ("buildings", "descending", "Most buildings"),
    "flooded": ("flooded_share", "descending", "Most flooded"),
    "tents": ("tents", "descending", "Most tents"),
    "earliest": ("post_date", "ascending", "Earliest image after"),
    "latest": ("post_date", "descending", "Latest image after"),
    "sun": ("post_sun_elevation", "ascending", "Lowest sun after"),
    "key": ("key", "ascending", "Key"),
}
Mask = NDArray[np.bool_]


class QueryError(MageError):
    """A question that the page would not ask."""


class AbsentError(MageError):
    """The dataset has no such thing."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which samples, in which order, and which page of them. Empty text and None filter nothing; ``grade`` asks for a
    building of at least that Joint Damage Scale grade; ``text`` for those letters in the key, city or event; ``sort``
    is one of ``SORTS``, or empty for the order of the dataset.
    """

    city: str = ""
    hazard: str = ""
    event: str = ""
    split: str = ""
    text: str = ""
    grade: int | None = None
    sort: str = ""
    offset: int = 0
    limit: int = 60

    @property
    def whole(self) -> Query:
        """The same without its page."""
        return replace(self, offset=0, limit=0)


def parse_query(text: str) -> Query:
    """The query in the part of an address after ``?``.

    Raises:
        QueryError: an unknown or repeated name, or a value that cannot be.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=16)
    except ValueError:
        raise QueryError("not a query", found=repr(text[:LONGEST])) from None
    given = dict(pairs)
    odd = sorted(set(given) - set(Query.__dataclass_fields__))
    if odd or len(given) < len(pairs):
        expected = ", ".join(Query.__dataclass_fields__)
        raise QueryError("unknown or repeated names in the query", expected=expected, found=", ".join(odd)[:LONGEST])
    if any(len(value) > LONGEST for value in given.values()):
        raise QueryError("a value in the query is too long", expected=f"at most {LONGEST} characters")
    if given.get("sort", "") not in ("", *SORTS):
        raise QueryError("no such order", expected=", ".join(SORTS), found=repr(given["sort"]))
    words: dict[str, Any] = {name: given[name] for name in (*FACETS, "text", "sort") if name in given}
    bounds = {"grade": len(JDS_NAMES) - 1, "offset": 10**9, "limit": LARGEST_PAGE}
    numbers: dict[str, Any] = {
        name: _number(name, given[name], largest) for name, largest in bounds.items() if given.get(name)
    }
    return Query(**words, **numbers)


def _number(name: str, text: str, largest: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > largest:
        raise QueryError(f"bad {name}", expected=f"0 to {largest}", found=repr(text))
    return int(text)


class Catalogue:
    """The index of a dataset in memory.

    Raises:
        DatasetError: not a finished dataset, or an index that is not what the manifest says.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.manifest = open_dataset(self.root)
        self.table = _typed(read_index(self.root, self.manifest.index_sha256), self.root)
        self._shards = {shard.name for shard in self.manifest.shards}
        self._codes = {name: _encode(self.table[name]) for name in FACETS}
        grades = [np.asarray(self.table[f"jds_{grade}"]) for grade in range(len(JDS_NAMES))]
        self._worst = reduce(lambda worst, g: np.where(grades[g] > 0, g, worst), range(len(grades)), _none(self.table))
        self._orders: Bounded[NDArray[np.int64]] = Bounded(64 << 20, lambda order: order.nbytes)

    def page(self, query: Query) -> list[dict[str, Any]]:
        """The rows of the query's page."""
        order = self.order(query)[query.offset : query.offset + query.limit]
        return list(self.table.take(pa.array(order)).to_pylist())

    def order(self, query: Query) -> NDArray[np.int64]:
        """Numbers of the rows that the query finds, in its order."""
        return self._orders.get(query.whole, lambda: self._find(query))

    def row(self, key: str) -> int:
        """The number of a sample's row; AbsentError if there is none, DatasetError if its shard is not listed."""
        number = pc.index(self.table["key"], key).as_py()
        if number < 0:
            raise AbsentError("no such sample", found=repr(key))
        if self.table["shard"][number].as_py() not in self._shards:
            raise DatasetError("names a shard that is not the dataset's", file=self.root / TABLE, found=repr(key))
        return int(number)

    def facets(self, query: Query) -> dict[str, Any]:
        """For each filter the values that it can take while the others stay, each with its number of samples; of at
        most ``LISTED`` values those that have most, and how many ``more`` there are.
        """
        masks = self._masks(query)
        found = {name: self._facet(name, self._all_but(masks, name)) for name in FACETS}
        worst = self._worst[self._all_but(masks, "grade")]
        return found | {"grade": [int(np.count_nonzero(worst >= grade)) for grade in range(len(JDS_NAMES))]}

    def _find(self, query: Query) -> NDArray[np.int64]:
        rows = np.flatnonzero(self._all_but(self._masks(query), ""))
        if not query.sort:
            return rows
        column, direction, _ = SORTS[query.sort]
        ranked = pc.sort_indices(self.table[column].take(pa.array(rows)), sort_keys=[("", direction)])
        return np.asarray(rows[np.asarray(ranked)])

    def _masks(self, query: Query) -> dict[str, Mask]:
        """Which rows each filter of the query lets through; none for a filter that is not set."""
        masks = {name: self._equal(name, value) for name in FACETS if (value := getattr(query, name))}
        if query.grade is not None:
            masks["grade"] = self._worst >= query.grade
        if query.text:
            hits = [pc.match_substring(self.table[c], query.text, ignore_case=True) for c in SEARCHED]
            masks["text"] = np.any([np.asarray(hit) for hit in hits], axis=0)
        return masks

    def _equal(self, name: str, value: str) -> Mask:
        codes, values = self._codes[name]
        return np.asarray(codes == values[value]) if value in values else np.zeros(len(codes), bool)

    def _all_but(self, masks: Mapping[str, Mask], name: str) -> Mask:
        kept: Iterable[Mask] = (mask for other, mask in masks.items() if other != name)
        return reduce(np.logical_and, kept, np.ones(self.table.num_rows, bool))

    def _facet(self, name: str, mask: Mask) -> dict[str, Any]:
        codes, values = self._codes[name]
        counts = np.bincount(codes[mask], minlength=len(values))
        present = [(value, int(counts[code])) for value, code in values.items() if counts[code]]
        listed = sorted(sorted(present, key=lambda pair: -pair[1])[:LISTED])
        return {"values": listed, "more": len(present) - len(listed)}


def _typed(table: pa.Table, root: Path) -> pa.Table:
    """The index with its columns in one piece, as the types that they should be, nulls as nothing; with ``damaged``."""
    try:
        table = table.cast(pa.schema(list(COLUMNS.items()))).combine_chunks()
        whole = {name: _filled(table[name]) for name in COLUMNS}
        damaged = reduce(pc.add, (whole[f"jds_{grade}"] for grade in range(1, len(JDS_NAMES))))
    except pa.ArrowException as error:
        raise DatasetError(f"has columns of other types than an index: {error}", file=root / TABLE) from None
    return pa.table(whole | {"damaged": damaged})


def _filled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    numeric = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if not numeric and not pa.types.is_string(column.type):
        return column
    return pc.fill_null(column, 0 if numeric else "")


def _encode(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], dict[str, int]]:
    """A column as numbers, and the number of each value."""
    encoded = column.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    return np.asarray(encoded.indices), {value: code for code, value in enumerate(encoded.dictionary.to_pylist())}


def _none(table: pa.Table) -> NDArray[np.int64]:
    """The worst grade of no building: -1."""
    return np.full(table.num_rows, -1)
