"""Finding samples: what a filter means, in which order they come, and how quick that is."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_dataset import HASH, fake_recipe, fake_sample, write_fake_dataset
from hypothesis import given
from hypothesis import strategies as st

from mage.scenes.dataset.browse.cache import Bounded
from mage.scenes.dataset.browse.catalogue import FACETS, SORTS, AbsentError, Catalogue, Query, QueryError, parse_query
from mage.scenes.dataset.index import finish_dataset
from mage.scenes.dataset.rows import COLUMNS
from mage.scenes.dataset.store import LocalStore, write_shard
from mage.scenes.errors import DatasetError


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Six samples: four of one city, for training, two of another, for validation."""
    root = tmp_path_factory.mktemp("browse") / "mixed"
    store = LocalStore(root)
    train = [fake_sample(i, 64) for i in range(4)]
    val = [fake_sample(i, 64, seed=3, split="val", city="harbour") for i in range(2)]
    shards = [write_shard(store, f"{n}-000000.tar", s, HASH) for n, s in (("train", train), ("val", val))]
    finish_dataset(root, fake_recipe(6, 64), shards, {}, [])
    return Catalogue(root)


def with_index(root, change):
    """Rewrite a dataset's index by ``change`` of its table, and have the manifest vouch for it."""
    table = change(pq.read_table(root / "samples.parquet", memory_map=False))
    pq.write_table(table, root / "samples.parquet")
    manifest = json.loads((root / "dataset.json").read_text())
    manifest["index_sha256"] = hashlib.sha256((root / "samples.parquet").read_bytes()).hexdigest()
    (root / "dataset.json").write_text(json.dumps(manifest))
    return root


def keys(catalogue, **query):
    return [row["key"] for row in catalogue.page(Query(**query))]


def test_without_a_filter_all_samples_come_in_the_order_of_the_dataset(mixed):
    assert keys(mixed) == mixed.table["key"].to_pylist()
    assert len(keys(mixed)) == 6


@pytest.mark.parametrize("name", FACETS)
def test_a_filter_keeps_the_samples_that_have_its_value(mixed, name):
    for value in set(mixed.table[name].to_pylist()):
        expected = [row["key"] for row in mixed.table.to_pylist() if row[name] == value]
        assert keys(mixed, **{name: value}) == expected
    assert keys(mixed, **{name: "nowhere"}) == []


@pytest.mark.parametrize("grade", range(4))
def test_a_grade_keeps_samples_with_a_building_of_that_grade_or_worse(mixed, grade):
    rows = mixed.table.to_pylist()
    expected = [row["key"] for row in rows if sum(row[f"jds_{g}"] for g in range(grade, 4))]
    assert keys(mixed, grade=grade) == expected
    assert mixed.facets(Query())["grade"][grade] == len(expected)


def test_text_is_searched_in_key_city_and_event_whatever_its_case(mixed):
    assert keys(mixed, text="HARBOUR") == ["harbour-flood-000000", "harbour-flood-000001"]
    assert keys(mixed, text="-000003") == ["testville-flood-000003"]
    assert keys(mixed, text="harbour-flood-3") == keys(mixed, city="harbour")  # the event
    assert keys(mixed, text="%_.*") == []


def test_filters_join(mixed):
    assert keys(mixed, city="testville", text="000001") == ["testville-flood-000001"]
    assert keys(mixed, city="testville", split="val") == []


@pytest.mark.parametrize("name", SORTS)
def test_an_order_sorts_all_that_is_found_before_it_is_cut_into_pages(mixed, name):
    column, direction, _ = SORTS[name]
    whole = [row[column] for row in mixed.page(Query(sort=name))]
    assert whole == sorted(whole, reverse=direction == "descending")
    parts = [key for offset in range(0, 6, 2) for key in keys(mixed, sort=name, offset=offset, limit=2)]
    assert parts == keys(mixed, sort=name)


def test_facets_count_what_each_value_would_find_while_the_other_filters_stay(mixed):
    facets = mixed.facets(Query(city="harbour", grade=0))
    assert facets["city"] == {"values": [("harbour", 2), ("testville", 4)], "more": 0}
    assert facets["split"]["values"] == [("val", 2)]
    for value, number in facets["event"]["values"]:
        assert number == len(keys(mixed, city="harbour", grade=0, event=value))


def test_of_many_values_those_with_most_samples_are_listed(mixed, monkeypatch):
    monkeypatch.setattr("mage.scenes.dataset.browse.catalogue.LISTED", 1)
    assert mixed.facets(Query())["city"] == {"values": [("testville", 4)], "more": 1}


def test_a_row_is_found_by_its_key_and_a_key_that_is_none_is_told(mixed):
    for number, key in enumerate(mixed.table["key"].to_pylist()):
        assert mixed.row(key) == number
    with pytest.raises(AbsentError, match="no such sample"):
        mixed.row("nowhere-flood-000000")


def test_an_index_that_names_a_file_outside_the_dataset_is_not_followed(tmp_path):
    write_fake_dataset(tmp_path, count=1, size=48)
    evil = pa.array(["../../../etc/passwd"])
    with_index(tmp_path, lambda t: t.set_column(t.column_names.index("shard"), "shard", evil))
    with pytest.raises(DatasetError, match="names a shard that is not"):
        Catalogue(tmp_path).row("testville-flood-000000")


def test_an_index_with_columns_of_other_types_is_refused(tmp_path):
    write_fake_dataset(tmp_path, count=1, size=48)
    words = pa.array([["a", "list"]])
    with_index(tmp_path, lambda t: t.set_column(t.column_names.index("jds_1"), "jds_1", words))
    with pytest.raises(DatasetError, match="columns of other types"):
        Catalogue(tmp_path)


def test_nulls_in_an_index_count_as_nothing(tmp_path):
    write_fake_dataset(tmp_path, count=2, size=48)

    def empty(table):
        for name in ("city", "jds_3"):
            nulls = pa.array([None, None], COLUMNS[name])
            table = table.set_column(table.column_names.index(name), name, nulls)
        return table

    catalogue = Catalogue(with_index(tmp_path, empty))
    assert catalogue.facets(Query())["city"]["values"] == [("", 2)]
    assert keys(catalogue, grade=3) == []


def test_an_unfinished_dataset_is_told_as_one(tmp_path):
    with pytest.raises(DatasetError, match="generation did not finish"):
        Catalogue(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "colour=red",
        "city=a&city=b",
        "grade=4",
        "grade=-1",
        "grade=1e3",
        "grade=\u0663",
        "limit=201",
        "offset=99999999999999999999",
        "sort=__class__",
        "city=" + "x" * 201,
        "&".join(f"a{k}=1" for k in range(40)),
        "city",
        "city=%ff",
    ],
)
def test_a_query_that_the_page_would_not_ask_is_refused(text):
    with pytest.raises(QueryError):
        parse_query(text)


@given(st.text(max_size=60))
def test_any_text_after_the_question_mark_is_a_query_or_one_clear_error(text):
    with suppress(QueryError):
        assert isinstance(parse_query(text), Query)


def test_a_query_reads_what_the_page_writes():
    assert parse_query("") == Query()
    expected = Query(city="São Tomé", grade=2, text="a&b", sort="damaged", offset=60, limit=60)
    assert parse_query("city=S%C3%A3o+Tom%C3%A9&grade=2&text=a%26b&sort=damaged&offset=60&limit=60") == expected


def test_a_hundred_thousand_samples_are_searched(tmp_path):
    write_fake_dataset(tmp_path, count=1, size=48)
    count = 100_000
    rng = np.random.default_rng(0)

    def grown(table):
        columns = {name: pa.array([table[name][0].as_py()] * count, kind) for name, kind in COLUMNS.items()}
        columns["key"] = pa.array([f"place-{k % 997}-flood-{k:06d}" for k in range(count)])
        columns["city"] = pa.array([f"place-{k % 997}" for k in range(count)])
        columns["event"] = pa.array([f"place-{k % 997}-flood-{k % 13}" for k in range(count)])
        columns["jds_3"] = pa.array(rng.integers(0, 3, count))
        return pa.table(columns)

    catalogue = Catalogue(with_index(tmp_path, grown))
    queries = [Query(city="place-5", sort="damaged"), Query(text="flood-00012", sort="key"), Query(grade=3, offset=900)]
    first, second, third = (catalogue.page(query) for query in queries)
    assert {row["city"] for row in first} == {"place-5"}
    assert [row["jds_3"] for row in first] == sorted((row["jds_3"] for row in first), reverse=True)
    assert [row["key"][-12:] for row in second] == [f"flood-00012{k}" for k in range(10)]
    assert len(first) == len(third) == Query().limit
    assert all(catalogue.facets(query)["city"] for query in queries)
    assert catalogue.row("place-299-flood-099999") == 99_999


def test_the_cache_keeps_to_its_bound_and_drops_what_was_not_asked_for_the_longest():
    made = []
    cache = Bounded(10, len)

    def value(key, size):
        return cache.get(key, lambda: made.append(key) or "x" * size)

    for key, size in (("a", 4), ("b", 4), ("a", 4), ("c", 4), ("a", 4), ("b", 4)):
        assert len(value(key, size)) == size
        assert cache.weight <= 10
    assert made == ["a", "b", "c", "b"]  # c pushed b out, since a was asked for again
    assert len(value("huge", 11)) == 11  # not kept, and nothing dropped for it
    assert cache.weight == 8


def test_what_fails_is_not_kept():
    cache = Bounded(10, len)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: str(1 // 0))
    assert cache.get("a", lambda: "x") == "x"
