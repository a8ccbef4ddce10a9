"""``mage pack``: a run becomes a model to hand on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mage.learning.options import DeviceName, need_torch, say
from mage.scenes.errors import ModelError


def pack(
    run: Annotated[Path, typer.Argument(help="A run: the folder that `mage train` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    title: Annotated[str, typer.Option(help="Of its card.")],
    licence: Annotated[str, typer.Option(help="Of its weights, such as Apache-2.0; images may ask for one.")],
    scores: Annotated[
        Path | None, typer.Option(help="What `mage evaluate --json` printed, or a report.json: figures for the card.")
    ] = None,
    notes: Annotated[Path | None, typer.Option(help="Markdown that ends the card.")] = None,
    gsd: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Finest and coarsest pixel it is good for, metres.  [default: those it was trained on]"),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Keep weights in float16, in half the bytes.")] = False,
    device: DeviceName = "auto",
) -> None:
    """Make a model to hand on of a run: weights, model card, and what `mage calibrate` found."""
    need_torch()
    from mage.learning.cards import LIMITS, card_of
    from mage.learning.runs import open_run
    from mage.learning.saved import density_of, load_model, save_model

    opened, model = open_run(run), load_model(run, device)
    figures, measured_on = ({}, "") if scores is None else read_scores(scores)
    told = "" if notes is None else _text(notes)
    card = card_of(
        opened, title=title, licence=licence, figures=figures, measured_on=measured_on, limits=LIMITS, notes=told
    )
    seen = [stream.gsd for stream in opened.trained_on().streams().values() if stream.gsd is not None]
    known = (min(low for low, _ in seen), max(high for _, high in seen)) if seen else None
    file = save_model(model, out, card, half=half, gsd=gsd or known, density=density_of(run, model))
    if model.temperatures is None:
        say("its probabilities are not calibrated: `mage calibrate`, which takes the model as well as the run")
    typer.echo(str(file.parent))


def read_scores(file: Path) -> tuple[dict[str, float], str]:
    """Headline figures of an evaluation in JSON, by what they are called in tables, and what they were measured on; of
    several runs those of the first.

    Raises:
        ModelError: it cannot be read, or holds no evaluation.
    """
    from mage.learning.scoring.figures import WORDS

    try:
        content: Any = json.loads(_text(file))
        content = content.get("runs", [content])[0]
        drawn = content["intervals"]
        found = {words: drawn[name]["value"] for name, words in WORDS.items() if name in drawn}
        split = f", split {content['split']}" if content["split"] else ""
        where = f"{content['samples']} samples of {Path(content['dataset']).name}{split}"
    except (ValueError, RecursionError, AttributeError, KeyError, IndexError, TypeError) as error:
        expected = "what `mage evaluate --json` prints"
        raise ModelError(f"not an evaluation ({type(error).__name__})", file=file, expected=expected) from error
    return {words: float(value) for words, value in found.items() if isinstance(value, int | float)}, where


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot be read ({error})", file=file, expected="a text file") from error
