"""Croissant 1.1: what the files are and what a row of the index means, with the responsible-AI and geo vocabularies.

The RAI vocabulary is that of Croissant RAI 1.0, the geo one that of GeoCroissant 1.0 (MLCommons).
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.types

from mage.generator.release.licences import LICENCES
from mage.generator.release.survey import Survey
from mage.generator.release.words import Words
from mage.scenes.dataset.index import TABLE
from mage.scenes.dataset.released import README, ReleaseRecord
from mage.scenes.dataset.rows import COLUMNS
from mage.scenes.dataset.schema import DatasetRecord
from mage.scenes.dataset.store import SHARDS
from mage.scenes.grades import JDS_NAMES

CROISSANT_1_1 = "http://mlcommons.org/croissant/1.1"
CONFORMS_TO = [CROISSANT_1_1, "http://mlcommons.org/croissant/RAI/1.0", "http://mlcommons.org/croissant/geo/1.0"]
# fmt: off
_TERMS = (
    "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty",
    "fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField",
    "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator", "source",
    "subField", "transform",
)
# fmt: on
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{term: f"cr:{term}" for term in _TERMS},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "geocr": "http://mlcommons.org/croissant/geo/",
    "name": {"@container": "@language"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}
MEANINGS = {
    "key": "name of the sample; its members in the shard are KEY.FIELD",
    "shard": "the tar that holds the sample",
    "split": "train, or held out",
    "city": "where the scene is",
    "event": "which disaster; samples of one event share it",
    "hazard": "kinds of disaster, in order",
    "gsd": "metres per pixel",
    "size": "pixels along a side",
    "west": "map coordinate of the tile's west edge, m",
    "north": "map coordinate of the tile's north edge, m",
    "crs": "coordinate reference system of the map; none in an invented place",
    "buildings": "number of buildings that the tile shows",
    "roads": "number of road edges that the tile shows",
    "tents": "number of tents that the image after shows",
    "flooded_share": "share of pixels whose top surface after the disaster is flood water",
    "seed": "of the recipe",
    "recipe_hash": "over all that decides what is rendered",
    **{
        f"{date}_date": f"local solar time of the image {when}" for date, when in (("pre", "before"), ("post", "after"))
    },
    **{
        f"{date}_sun_{angle}": f"sun's {angle}, degrees"
        for date in ("pre", "post")
        for angle in ("elevation", "azimuth")
    },
    **{f"jds_{grade}": f"number of buildings with {name}" for grade, name in enumerate(JDS_NAMES)},
}


def croissant(record: ReleaseRecord, manifest: DatasetRecord, survey: Survey, words: Words) -> dict[str, Any]:
    """The JSON-LD document."""
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": record.name,
        "alternateName": record.title,
        "description": record.description,
        "version": record.version,
        "datePublished": record.date,
        "license": LICENCES[record.licence].url,
        "url": f"https://doi.org/{record.doi}" if record.doi else README,
        "citeAs": words.bibtex,
        "creator": [_party(author) for author in record.authors],
        "keywords": ["disaster", "damage assessment", "remote sensing", "synthetic", *sorted(survey.all.hazards)],
        "isAccessibleForFree": True,
        **_coverage(survey),
        **_geo(manifest, survey, words),
        **_responsible(survey, words),
        "distribution": [
            _index(manifest),
            *(_shard(shard.name, shard.bytes, shard.sha256) for shard in manifest.shards),
        ],
        "recordSet": [_splits(record), _damage(), _samples()],
    }


def _party(author: str) -> dict[str, str]:
    return {"@type": "sc:Person" if "," in author else "sc:Organization", "name": author}


def _coverage(survey: Survey) -> dict[str, Any]:
    days = sorted(day for dates in survey.dates for day in dates)
    cover: dict[str, Any] = {"temporalCoverage": f"{days[0]}/{days[-1]}"}
    if survey.extent is not None:
        west, south, east, north = survey.extent
        box = {"@type": "GeoShape", "box": f"{south} {west} {north} {east}"}
        cover["spatialCoverage"] = {"@type": "Place", "geo": box}
    return cover


def _geo(manifest: DatasetRecord, survey: Survey, words: Words) -> dict[str, Any]:
    resolution = {"@type": "QuantitativeValue", "value": min(survey.gsd), "unitText": "m"}
    names = [name.lower() for name in manifest.bands]
    bands = {"@type": "geocr:BandConfiguration", "geocr:totalBands": len(names), "geocr:bandNameList": names}
    return {
        **({"geocr:coordinateReferenceSystem": next(iter(survey.crs))} if len(survey.crs) == 1 else {}),
        "geocr:spatialResolution": resolution,
        "geocr:bandConfiguration": bands,
        **({"geocr:spectralBandMetadata": spectral} if (spectral := _spectral(manifest)) else {}),
        "geocr:samplingStrategy": words.sampling,
        "geocr:spatialBias": words.spatial_bias,
    }


def _spectral(manifest: DatasetRecord) -> list[dict[str, Any]]:
    """Bands of further sensors."""
    return [
        {
            "@type": "geocr:SpectralBand",
            "name": f"{sensor.name} {band.name}",
            "geocr:centerWavelength": {"@type": "QuantitativeValue", "value": band.centre, "unitText": "nm"},
            "geocr:bandwidth": {"@type": "QuantitativeValue", "value": band.width, "unitText": "nm"},
        }
        for sensor in manifest.sensors
        for band in sensor.bands
    ]


def _responsible(survey: Survey, words: Words) -> dict[str, Any]:
    return {
        "rai:dataCollection": words.made,
        "rai:dataCollectionType": ["Simulations"],
        "rai:dataImputationProtocol": words.inferred,
        "rai:dataAnnotationProtocol": [words.labelled],
        "rai:annotationsPerItem": f"one a pixel; {survey.all.buildings} buildings in {survey.all.samples} samples",
        "rai:machineAnnotationTools": [words.tools],
        "rai:dataBiases": words.biases,
        "rai:dataLimitations": words.limits,
        "rai:dataUseCases": words.uses,
        "rai:dataSocialImpact": words.impact,
        "rai:personalSensitiveInformation": [words.privacy],
        "rai:dataReleaseMaintenancePlan": words.maintenance,
    }


def _index(manifest: DatasetRecord) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": "index",
        "name": TABLE,
        "description": "A row a sample.",
        "contentUrl": TABLE,
        "encodingFormat": "application/x-parquet",
        "sha256": manifest.index_sha256,
    }


def _shard(name: str, size: int, sha256: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": "Samples as a WebDataset: KEY.pre.png, KEY.post.png, label rasters, KEY.json.",
        "contentUrl": f"{SHARDS}/{name}",
        "contentSize": f"{size} B",
        "encodingFormat": "application/x-tar",
        "sha256": sha256,
    }


def _samples() -> dict[str, Any]:
    """The index as records."""
    fields = []
    for name, kind in COLUMNS.items():
        described = {"description": MEANINGS[name]} if name in MEANINGS else {}
        source: dict[str, Any] = {"fileObject": {"@id": "index"}, "extract": {"column": name}}
        field: dict[str, Any] = {"@type": "cr:Field", "@id": f"samples/{name}", "name": name, **described}
        field |= {"dataType": _data_type(kind), "source": source}
        if name == "split":
            field["references"] = {"field": {"@id": "splits/name"}}
        fields.append(field)
    return {
        "@type": "cr:RecordSet",
        "@id": "samples",
        "name": "samples",
        "description": "Where, when and what each sample is, and the tar that holds it.",
        "key": {"@id": "samples/key"},
        "field": fields,
    }


def _data_type(kind: pa.DataType) -> str:
    if pyarrow.types.is_integer(kind):
        return "sc:Integer"
    if pyarrow.types.is_boolean(kind):
        return "sc:Boolean"
    return "sc:Float" if pyarrow.types.is_floating(kind) else "sc:Text"


def _splits(record: ReleaseRecord) -> dict[str, Any]:
    names = {"name": "sc:Text", "samples": "sc:Integer", "buildings": "sc:Integer"}
    rows = [{"name": name, "samples": s.samples, "buildings": s.buildings} for name, s in record.splits.items()]
    return _inline("splits", "Splits, with the numbers of their samples and buildings.", names, rows, ["cr:Split"])


def _damage() -> dict[str, Any]:
    names = {"value": "sc:Integer", "name": "sc:Text"}
    rows = [{"value": k, "name": name} for k, name in enumerate(("background", *JDS_NAMES))]
    return _inline("damage", "Values of KEY.post_damage.png.", names, rows, ["sc:Enumeration"])


def _inline(
    name: str, description: str, columns: dict[str, str], rows: list[dict[str, Any]], kinds: list[str]
) -> dict[str, Any]:
    """A record set whose records stand in the document; its first column is the key."""
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": description,
        "dataType": kinds,
        "key": {"@id": f"{name}/{next(iter(columns))}"},
        "field": [
            {"@type": "cr:Field", "@id": f"{name}/{column}", "name": column, "dataType": kind}
            for column, kind in columns.items()
        ],
        "data": [{f"{name}/{column}": value for column, value in row.items()} for row in rows],
    }
