"""``mage info``, ``mage verify`` and ``mage browse``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Annotated, Any

import typer

from mage.scenes.errors import MageError, MissingExtraError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def register(app: typer.Typer) -> None:
    """Add the commands about cities and datasets."""
    app.command()(info)
    app.command()(verify)
    app.command()(browse)


def info(
    target: Annotated[str, typer.Argument(help="The folder or URL of a dataset, or a city file.")],
    bounds: Annotated[
        str | None,
        typer.Option(
            metavar="W,S,E,N", help="Part of a city to read: degrees; or metres on its map (not OpenStreetMap)."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a dataset or a city file holds.

    Cities are read from CityGML, CityJSON and OpenStreetMap, archives of them included.
    """
    path = Path(target)
    if "://" not in target and not path.exists():
        raise MageError("no such file or folder", file=target, expected="a dataset's folder or a city file")
    if path.is_dir() and not any((path / name).exists() for name in ("dataset.json", "plan.json", "shards")):
        raise MageError("no dataset.json in this folder", file=target, expected="a dataset, or the path of a city file")
    facts = _describe_city(path, parse_bounds(bounds)) if path.is_file() else _describe_dataset(target)
    if as_json:
        typer.echo(json.dumps(facts, indent=1, ensure_ascii=False))
    else:
        typer.echo("\n".join(table(facts)))


def verify(
    dataset: Annotated[str, typer.Argument(help="The folder or URL of a dataset or release.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="Open no shard: sizes, side files, index and manifest agree.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; none takes all processors if there is enough to do.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a dataset or release from checksums to labels.

    Every checksum, count and label invariant is recomputed, of a release those of its documents too; the exit code is
    1 if anything is wrong.
    """
    from mage.scenes.dataset.released import is_release
    from mage.scenes.dataset.unlabelled import is_unlabelled
    from mage.scenes.dataset.verify import verify_dataset
    from mage.scenes.dataset.verify_release import verify_release
    from mage.scenes.dataset.verify_unlabelled import verify_unlabelled

    if is_unlabelled(dataset):
        found = verify_unlabelled(dataset, quick=quick, progress=True)
    else:
        found = verify_dataset(dataset, quick=quick, workers=workers, progress=True)
    if is_release(dataset):
        found = replace(found, problems=(*verify_release(dataset, quick=quick, progress=True), *found.problems))
    facts = {"ok": found.ok, "samples": found.samples, "buildings": found.buildings, "shards": found.shards}
    if as_json:
        typer.echo(json.dumps({**facts, "problems": found.problems}, indent=1, ensure_ascii=False))
    elif found.ok:
        parts = [_plural(facts[name], name) for name in ("samples", "buildings", "shards")]
        typer.echo(f"OK: {', '.join(parts)}")
    for problem in found.problems:
        typer.echo(f"problem: {' '.join(problem.split())}", err=True)
    if not found.ok:
        typer.echo(f"{dataset}: {_plural(len(found.problems), 'problems')}", err=True)
        raise typer.Exit(1)


def browse(
    dataset: Annotated[str, typer.Argument(help="The folder of a dataset or a release.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open a browser, only print the address.")] = False,
) -> None:
    """Look at a dataset in the browser: filter samples, compare before and after, see every layer.

    The page is served to this machine alone, reads only, and needs no network. Ctrl-C ends it.
    """
    from mage.scenes.dataset.browse.server import BrowseServer
    from mage.scenes.dataset.store import open_folder

    with BrowseServer(open_folder(dataset), port) as server:
        typer.echo(server.url)
        typer.echo(f"{server.site.catalogue.manifest.name}: Ctrl-C ends the page", err=True)
        if not no_open:
            Thread(target=_open_page, args=(server.url,), daemon=True).start()  # a browser may take seconds to start
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def _open_page(url: str) -> None:
    """Open a browser that has a window of its own; one in the terminal would take it over."""
    import webbrowser

    with suppress(webbrowser.Error):
        browser = webbrowser.get()
        if type(browser) is not webbrowser.GenericBrowser:
            browser.open(url)


def table(facts: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Lines of ``name  value``, aligned; what belongs to a name is indented under it."""
    width = max((len(name) for name, value in facts.items() if not _nested(value)), default=0)
    for name, value in facts.items():
        if _nested(value):
            yield f"{indent}{name}"
            parts = value if isinstance(value, dict) else {f"{k + 1}": child for k, child in enumerate(value)}
            yield from table(parts, indent + "  ")
        else:
            yield f"{indent}{name:<{width}}  {_shown(value)}"


def _nested(value: Any) -> bool:
    return bool(value) and (isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict)))


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple | dict):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10_000:
        return f"{value:,}"
    return "none" if value is None else str(value)


def parse_bounds(text: str | None) -> tuple[float, float, float, float] | None:
    """``W,S,E,N`` of the command line as numbers.

    Raises:
        MageError: not four numbers.
    """
    if text is None:
        return None
    try:
        west, south, east, north = (float(word) for word in text.split(","))
    except ValueError:
        raise MageError("bad bounds", expected="four numbers: west,south,east,north", found=text) from None
    return west, south, east, north


def _plural(count: int, name: str) -> str:
    return f"{count} {name.removesuffix('s') if count == 1 else name}"


def _describe_dataset(target: str) -> dict[str, Any]:
    from mage.scenes.dataset.describe import describe_dataset
    from mage.scenes.dataset.unlabelled import describe_unlabelled, is_unlabelled

    return describe_unlabelled(target) if is_unlabelled(target) else describe_dataset(target)


def _describe_city(target: Path, bounds: tuple[float, float, float, float] | None) -> dict[str, Any]:
    try:
        from mage.scenes.sources import read_city
        from mage.scenes.sources.describe import describe_city
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "shapely", "cities") from None
    return describe_city(read_city(target, bounds))
