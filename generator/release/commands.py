"""``mage release`` and ``mage reproduce``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mage.scenes.errors import MageError, MissingExtraError


def release(
    dataset: Annotated[Path, typer.Argument(help="The folder of a finished dataset.")],
    out: Annotated[Path, typer.Argument(help="The release's folder, which must not exist yet.")],
    name: Annotated[str, typer.Option(help="One word, for folders and repositories: rotterdam-flood.")],
    version: Annotated[str, typer.Option(help="Semantic: 1.0.0.")],
    licence: Annotated[str, typer.Option("--licence", "--license", help="SPDX identifier: CC-BY-4.0, ODbL-1.0 ...")],
    title: Annotated[str, typer.Option(help="As people read it; none takes the name.")] = "",
    description: Annotated[str, typer.Option(help="A sentence or two; none says what was counted.")] = "",
    author: Annotated[
        list[str] | None, typer.Option(help="'Family, Given' of a person, or an organisation's name; repeatable.")
    ] = None,
    doi: Annotated[str | None, typer.Option(help="Reserved for this release: 10.5281/zenodo.1234567.")] = None,
    date: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="The one date stated; none takes today.")
    ] = None,
    baselines: Annotated[Path | None, typer.Option(help="A JSON file of your own results to show.")] = None,
    source_licence: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE=LICENCE", help="Of a source that states none: 'x.gml=CC-BY-4.0, © WHOSE'."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Recompute every checksum, count and label rule before.")
    ] = False,
) -> None:
    """Make a release of a dataset, with all that others need to trust it.

    Shards, index, splits, previews, licences, datasheet, card, Croissant, STAC, DataCite, Zenodo, CFF and checksums.
    """
    try:
        from mage.generator.release.publication import Publication
        from mage.generator.release.publish import release as publish
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "pystac", "release") from None

    publication = Publication(
        name=name,
        version=version,
        licence=licence,
        date=date or datetime.now(UTC).date().isoformat(),
        title=title,
        description=description,
        authors=tuple(author or ()),
        doi=doi,
    )
    record = publish(
        dataset,
        out,
        publication,
        results=baselines,
        stated=_pairs(source_licence, "--source-licence", "SOURCE=LICENCE"),
        full=full,
        say=lambda line: typer.echo(line, err=True),
        progress=True,
    )
    if not author:
        typer.echo(f"note: no --author was named, so the release cites {record.authors[0]!r}", err=True)
    samples = sum(split.samples for split in record.splits.values())
    typer.echo(f"{record.name} {record.version}: {samples:,} samples in {out}; check it by: mage verify {out}")


def _pairs(texts: list[str] | None, option: str, expected: str) -> dict[str, str]:
    """``NAME=VALUE`` of the command line."""
    pairs = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise MageError(f"cannot understand {option}", expected=expected, found=text)
        pairs[name.strip()] = value.strip()
    return pairs
