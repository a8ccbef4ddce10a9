"""``mage export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    dataset: Annotated[str, typer.Argument(help="The folder of a dataset, or a URL: s3://bucket/prefix.")],
    out: Annotated[Path, typer.Argument(help="The folder to write: empty, or that of an unfinished export.")],
    form: Annotated[str, typer.Option("--format", help="xbd, bright, coco, cems, geotiff, huggingface or folder.")],
    split: Annotated[str | None, typer.Option(help="Samples of this split only.")] = None,
    keys: Annotated[str | None, typer.Option(metavar="KEY,KEY...", help="These samples only.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="No more samples than this.")] = None,
    labels: Annotated[
        str, typer.Option(help="exact, annotated (what annotators drew), or auto: annotated where they fit the format.")
    ] = "auto",
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Write a dataset in another format.

    The same command goes on after an interruption.
    """
    from mage.generator.export.run import export_dataset

    chosen = None if keys is None else [key.strip() for key in keys.split(",") if key.strip()]
    try:
        record = export_dataset(
            dataset, out, form, split=split, keys=chosen, limit=limit, labels=labels, workers=workers, progress=True
        )
    except KeyboardInterrupt:
        typer.echo(f"interrupted: the same command goes on from what is done in {out}", err=True)
        raise typer.Exit(130) from None
    counts = ", ".join(f"{count} of {split}" for split, count in record.counts.items())
    typer.echo(f"{out}: {record.samples} samples ({counts}) as {record.kind}, {record.labels} labels", err=True)
    for note in record.notes:
        typer.echo(f"note: {note}", err=True)
