"""``mage release`` and ``mage reproduce``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from tqdm import tqdm

from mage.scenes.errors import MageError, MissingExtraError

if TYPE_CHECKING:
    from mage.generator.reproduce import Reproduction


def release(
    dataset: Annotated[str, typer.Argument(help="The folder of a finished dataset, or a URL: s3://bucket/prefix.")],
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


def reproduce(
    dataset: Annotated[str, typer.Argument(help="The folder of a release or dataset.")],
    tile: Annotated[str, typer.Option(metavar="KEY", help="The sample's key, as in samples.parquet and splits/.")],
    city_file: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="Where a file of the recipe is now; NEW may be a folder to search."),
    ] = None,
    allow_plugins: Annotated[
        bool, typer.Option("--allow-plugins", help="Run hazards that the recipe names: code, so trust it first.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Render a sample again and compare it with the one that is there.

    The exit code is 1 if it differs by more than processors and devices differ.
    """
    from mage.scenes.dataset.store import open_folder

    try:
        from mage.generator.reproduce import reproduce as render_again
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "bpy", "generator") from None

    places = {old: Path(new) for old, new in _pairs(city_file, "--city-file", "OLD=NEW").items()}
    with tqdm(total=2, desc="building the city", unit="step", leave=False, disable=None) as bar:

        def _hear(event: dict[str, Any]) -> None:
            if event["event"] in ("ready", "sample"):
                bar.set_description("rendering")
                bar.update()

        found = render_again(open_folder(dataset), tile, files=places, allow_plugins=allow_plugins, hear=_hear)
    if as_json:
        facts = {"ok": found.ok, "exact": found.exact, "verdict": found.verdict, **asdict(found)}
        typer.echo(json.dumps(facts, indent=1, ensure_ascii=False))
    else:
        typer.echo("\n".join(_report(found)))
    if not found.ok:
        raise typer.Exit(1)


def _report(found: Reproduction) -> Iterator[str]:
    yield f"{found.key}: {'reproduced' if found.ok else 'NOT reproduced'}: {found.verdict}"
    for label in found.labels:
        share = f"{100 * label.share:.4f} %"
        yield f"  {label.member}: {label.pixels:,} pixels differ ({share}), by {label.largest} at most"
    for field in found.record:
        yield f"  record: {field} differs"
    if not found.images:
        yield "  images are equal to the byte"
    for image in found.images:
        psnr = "not comparable" if image.psnr is None else f"PSNR {image.psnr:.1f} dB"
        yield f"  {image.member}: {psnr}, {image.pixels:,} pixels differ, by {image.largest} at most"
    for name, (old, new) in found.versions.items():
        yield f"  {name}: made with {old or 'none'}, now {new or 'none'}"
