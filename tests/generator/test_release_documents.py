"""Documents of a release before the validators that others will hold them to; all offline."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pystac
import pytest
import yaml
from fake_dataset import write_sensed_dataset
from fake_release import publication, write_campaign
from pystac.validation import STACValidator, validate_dict
from pystac.validation.stac_validator import JsonSchemaSTACValidator

from mage.generator.release.publish import release
from mage.scenes.dataset.index import open_dataset, read_index

SCHEMAS = Path(__file__).parents[1] / "data" / "schemas"


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    write_campaign(folder / "dataset")
    release(folder / "dataset", folder / "out", publication(doi="10.5281/zenodo.1234567"))
    return folder / "out"


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory):
    """A release of a dataset whose samples lie nowhere on the Earth."""
    from fake_dataset import HASH, SOURCES, VERSIONS, fake_recipe, fake_sample

    from mage.scenes.dataset.index import finish_dataset
    from mage.scenes.dataset.schema import Sample
    from mage.scenes.dataset.store import LocalStore, write_shard

    folder = tmp_path_factory.mktemp("nowhere")
    sample = fake_sample(0)
    grid = sample.record.grid.model_copy(update={"crs": None})
    sample = Sample(sample.record.model_copy(update={"grid": grid}), sample.images, sample.labels)
    shard = write_shard(LocalStore(folder / "dataset"), "train-000000.tar", [sample], HASH)
    finish_dataset(folder / "dataset", fake_recipe(1), [shard], VERSIONS, SOURCES)
    release(folder / "dataset", folder / "out", publication())
    return folder / "out"


@pytest.fixture(scope="module")
def validator():
    """A validator that knows the extensions' schemas, and so asks no network for them."""
    found = JsonSchemaSTACValidator()
    for path in (SCHEMAS / "stac").glob("*.json"):
        schema = read(path)
        found.schema_cache[schema["$id"].rstrip("#")] = schema
    return found


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def items_of(root):
    yield from (read(path) for path in sorted((root / "stac/shards").glob("*.json")))
    for path in sorted((root / "stac/samples").glob("*.json")):
        yield from read(path)["features"]


def croissant_of(root):
    mlcroissant = pytest.importorskip("mlcroissant")
    return mlcroissant.Dataset(jsonld=str(root / "croissant.json"))


@pytest.mark.filterwarnings("ignore")  # of the libraries that mlcroissant calls
def test_mlcroissant_finds_nothing_to_complain_of(out, nowhere):
    for root in (out, nowhere):
        issues = croissant_of(root).metadata.ctx.issues
        assert not issues.errors
        assert not issues.warnings


@pytest.mark.filterwarnings("ignore")
def test_mlcroissant_reads_the_index_as_records(out):
    records = list(croissant_of(out).records("samples"))
    table = read_index(out)
    assert [r["samples/key"].decode() for r in records] == table["key"].to_pylist()
    assert [r["samples/buildings"] for r in records] == table["buildings"].to_pylist()


@pytest.mark.filterwarnings("ignore")
def test_mlcroissant_reads_the_splits_and_the_grades(out):
    dataset = croissant_of(out)
    splits = {r["splits/name"]: r["splits/samples"] for r in dataset.records("splits")}
    assert splits == {"test-city": 2, "train": 2}
    assert len(list(dataset.records("damage"))) == 5


def test_croissant_holds_what_the_rai_and_geo_vocabularies_ask(out):
    stated = read(out / "croissant.json")
    assert stated["conformsTo"][0].endswith("/1.1")
    for name in ("dataCollection", "dataBiases", "dataLimitations", "dataUseCases", "personalSensitiveInformation"):
        assert stated[f"rai:{name}"], name
    assert stated["geocr:coordinateReferenceSystem"] == "EPSG:28992"
    assert stated["geocr:spatialResolution"] == {"@type": "QuantitativeValue", "value": 0.5, "unitText": "m"}
    south, west, north, east = map(float, stated["spatialCoverage"]["geo"]["box"].split())
    assert 47 < south < north < 49  # false origin of the Dutch grid
    assert 3 < west < east < 4


def test_croissant_names_the_checksum_of_every_shard(out):
    files = {f["@id"]: f.get("sha256") for f in read(out / "croissant.json")["distribution"]}
    assert all(files[shard.name] == shard.sha256 for shard in open_dataset(out).shards)


def test_stac_is_valid_down_to_every_sample(out, nowhere, validator):
    for root in (out, nowhere):
        assert validate_dict(read(root / "stac/collection.json"), validator=validator)
        found = [validate_dict(item, validator=validator) for item in items_of(root)]
        assert all("projection" in " ".join(uris) for uris in found[len(list((root / "stac/shards").iterdir())) :])


def test_a_wrong_item_would_not_pass(out, validator):
    item = list(items_of(out))[-1]
    item["properties"]["view:sun_azimuth"] = 400
    with pytest.raises(pystac.errors.STACValidationError):
        validate_dict(item, validator=validator)
    assert isinstance(validator, STACValidator)


def test_pystac_walks_from_the_collection_to_the_shards(out):
    collection = pystac.Collection.from_file(str(out / "stac/collection.json"))
    items = list(collection.get_items())
    assert [item.id for item in items] == ["test-city-000000", "train-000000"]
    for item in items:
        for asset in item.assets.values():
            assert Path(asset.get_absolute_href()).is_file()
    for asset in collection.assets.values():
        assert Path(asset.get_absolute_href()).is_file()


def test_pystac_reads_the_samples_beside_a_shard_as_items(out):
    """One file a shard: a million files of their own would be more than catalogues and file systems bear."""
    (shard,) = (
        i for i in pystac.Collection.from_file(str(out / "stac/collection.json")).get_items() if "train" in i.id
    )
    samples = pystac.ItemCollection.from_file(shard.assets["samples"].get_absolute_href())
    assert [item.id for item in samples] == [f"northtown-flood-{k:06d}" for k in range(2)]
    assert {key for item in samples for key in item.assets} == {"pre", "post", "labels"}
    assert all(item.collection_id == "fake-floods" and item.geometry for item in samples)


def test_a_sample_s_item_lies_where_its_tile_does(out):
    tile = next(i for i in items_of(out) if i["id"] == "northtown-flood-000001")
    west, south, east, north = tile["bbox"]
    assert east - west == pytest.approx(32 / 75_000, rel=0.05)  # 32 m at 48 degrees north
    assert north - south == pytest.approx(32 / 111_200, rel=0.05)
    assert tile["properties"]["proj:bbox"] == [1000.0, 0.0, 1032.0, 32.0]
    assert tile["properties"]["proj:code"] == "EPSG:28992"
    assert tile["assets"]["pre"]["view:sun_elevation"] == 60.0
    assert tile["properties"]["view:sun_elevation"] == 55.0


def test_local_solar_time_becomes_utc_by_longitude(out):
    tile = next(i for i in items_of(out) if i["id"] == "northtown-flood-000001")
    hours = 11 - tile["bbox"][0] / 15
    assert tile["properties"]["datetime"][:16] == f"2023-07-02T{int(hours):02d}:{int(hours % 1 * 60):02d}"


def test_a_sample_that_lies_nowhere_has_no_geometry_and_the_extent_is_the_world(nowhere):
    assert all(item["geometry"] is None and "bbox" not in item for item in items_of(nowhere))
    assert read(nowhere / "stac/collection.json")["extent"]["spatial"]["bbox"] == [[-180.0, -90.0, 180.0, 90.0]]
    assert "spatialCoverage" not in read(nowhere / "croissant.json")
    assert "geoLocations" not in read(nowhere / "datacite.json")


def test_datacite_s_schema_is_kept(out, nowhere):
    schema = read(SCHEMAS / "datacite-4.5.json")
    for root in (out, nowhere):
        jsonschema.Draft201909Validator(schema).validate(read(root / "datacite.json"))
    assert read(out / "datacite.json")["doi"] == "10.5281/zenodo.1234567"


def test_the_schema_of_the_citation_file_format_is_kept(out, nowhere):
    schema = read(SCHEMAS / "cff-1.2.0.json")
    for root in (out, nowhere):
        jsonschema.Draft7Validator(schema).validate(yaml.safe_load((root / "CITATION.cff").read_text()))
    authors = yaml.safe_load((out / "CITATION.cff").read_text())["authors"]
    assert authors == [{"family-names": "Doe", "given-names": "Jo"}, {"name": "Example Institute"}]


def test_zenodo_gets_the_fields_that_a_deposit_needs(out):
    stated = read(out / ".zenodo.json")
    assert stated["upload_type"] == "dataset"
    assert stated["creators"] == [{"name": "Doe, Jo"}, {"name": "Example Institute"}]
    assert stated["license"] == "cc-by-4.0"
    assert {"title", "description", "publication_date", "version", "access_right"} <= set(stated)


def test_further_sensors_keep_all_documents_valid(tmp_path, validator):
    write_sensed_dataset(tmp_path / "dataset", count=1)
    release(tmp_path / "dataset", tmp_path / "out", publication())
    assert all(validate_dict(item, validator=validator) for item in items_of(tmp_path / "out"))
