"""Metadata for those who cite and those who archive: ``CITATION.cff``, DataCite, Zenodo."""

from __future__ import annotations

from typing import Any

from mage.generator.release.licences import LICENCES, SourceTerms
from mage.generator.release.markdown import to_yaml
from mage.generator.release.survey import Survey
from mage.scenes.dataset.released import ReleaseRecord
from mage.scenes.dataset.schema import DatasetRecord

UNKNOWN = ":unav"  # DataCite's standard value for what is not known yet: the archive fills it in
KEYWORDS = ("disaster", "damage assessment", "remote sensing", "synthetic data")


def citation_cff(record: ReleaseRecord) -> str:
    """``CITATION.cff``, Citation File Format 1.2.0."""
    facts: dict[str, Any] = {
        "cff-version": "1.2.0",
        "type": "dataset",
        "message": "If you use this dataset, please cite it as below.",
        "title": record.title,
        "version": record.version,
        "date-released": record.date,
        "license": record.licence,
        "authors": [_cff_author(author) for author in record.authors],
        "abstract": record.description,
        "keywords": list(KEYWORDS),
    }
    return to_yaml(facts | ({"doi": record.doi} if record.doi else {}))


def _cff_author(author: str) -> dict[str, str]:
    family, comma, given = author.partition(",")
    return {"family-names": family.strip(), "given-names": given.strip()} if comma else {"name": author}


def datacite(
    record: ReleaseRecord, manifest: DatasetRecord, survey: Survey, sources: list[SourceTerms]
) -> dict[str, Any]:
    """DataCite metadata, schema 4.5, as its JSON interface takes it; without a DOI until there is one."""
    licence = LICENCES[record.licence]
    size = sum(shard.bytes for shard in manifest.shards)
    descriptions = [(record.description, "Abstract")]
    descriptions += [(f"Made from {s.name}: {s.attribution}", "Other") for s in sources if not s.drawn]
    found: dict[str, Any] = {
        "creators": [_party(author) for author in record.authors],
        "titles": [{"title": record.title}],
        "publisher": {"name": UNKNOWN},
        "publicationYear": record.date[:4],
        "types": {"resourceTypeGeneral": "Dataset", "resourceType": "Simulated images with labels"},
        "version": record.version,
        "language": "en",
        "dates": [{"date": record.date, "dateType": "Issued"}],
        "subjects": [{"subject": word} for word in (*KEYWORDS, *sorted(survey.all.hazards))],
        "formats": ["application/x-tar", "image/png", "application/vnd.apache.parquet"],
        "sizes": [f"{survey.all.samples} pairs of images", f"{size} bytes in {len(manifest.shards)} shards"],
        "rightsList": [
            {
                "rights": licence.name,
                "rightsUri": licence.url,
                "rightsIdentifier": licence.id,
                "rightsIdentifierScheme": "SPDX",
                "schemeUri": "https://spdx.org/licenses/",
            }
        ],
        "descriptions": [{"description": text, "descriptionType": kind} for text, kind in descriptions],
        "schemaVersion": "http://datacite.org/schema/kernel-4",
    }
    if survey.extent is not None:
        west, south, east, north = survey.extent
        box = {"westBoundLongitude": west, "eastBoundLongitude": east}
        found["geoLocations"] = [{"geoLocationBox": box | {"southBoundLatitude": south, "northBoundLatitude": north}}]
    return found | ({"doi": record.doi} if record.doi else {})


def _party(author: str) -> dict[str, str]:
    family, comma, given = author.partition(",")
    if not comma:
        return {"name": author, "nameType": "Organizational"}
    names = {"givenName": given.strip(), "familyName": family.strip()}
    return {"name": author, "nameType": "Personal", **names}


def zenodo(record: ReleaseRecord) -> dict[str, Any]:
    """``.zenodo.json``: fields of a deposit of Zenodo's."""
    return {
        "upload_type": "dataset",
        "title": record.title,
        "version": record.version,
        "publication_date": record.date,
        "description": record.description,
        "creators": [{"name": author} for author in record.authors],
        "license": record.licence.lower(),
        "access_right": "open",
        "keywords": list(KEYWORDS),
        "language": "eng",
    }
