"""``mage plan``, ``generate`` and ``preview`` and, from their own folders, ``export``, ``release``, ``reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mage.generator.export.commands import export
from mage.generator.release.commands import release, reproduce
from mage.scenes.errors import MageError, MissingExtraError

RecipeName = Annotated[
    str,
    typer.Argument(
        help="A bundled recipe (flood, earthquake, wind, fire, camp, mage-bench), a .yaml file, or a plan.json."
    ),
]
Count = Annotated[int | None, typer.Option(min=1, help="Number of pairs.")]
Size = Annotated[int | None, typer.Option(help="Pixels along a side.")]
Gsd = Annotated[float | None, typer.Option(help="Metres per pixel.")]
Seed = Annotated[int | None, typer.Option(help="Another seed gives other scenes.")]
CityFile = Annotated[Path | None, typer.Option("--city", help="A CityGML, CityJSON or OpenStreetMap file.")]
Bounds = Annotated[
    str | None, typer.Option(metavar="W,S,E,N", help="Part of the city: degrees; or metres on its map (not OSM).")
]
Terrain = Annotated[list[Path] | None, typer.Option(help="Elevation model (GeoTIFF, .hgt) under the city; repeatable.")]
Style = Annotated[str | None, typer.Option(help="A bundled style, or a .yaml file.")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of the recipe: output.shard_size=8.")
]
AllowPlugins = Annotated[
    bool,
    typer.Option("--allow-plugins", help="Run hazards of your own that the recipe names: code, so trust it first."),
]


def register(app: typer.Typer) -> None:
    """Add the generator's commands."""
    app.command()(plan)
    app.command()(generate)
    app.command()(preview)
    app.command()(export)
    app.command()(release)
    app.command()(reproduce)


def plan(
    recipe: RecipeName,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("plan.json"),
    count: Count = None,
    size: Size = None,
    gsd: Gsd = None,
    seed: Seed = None,
    allow_plugins: AllowPlugins = False,
    assignments: Assignments = None,
) -> None:
    """Write the frozen list of what a dataset will be made of.

    Shows how its samples share out over splits, cities, hazards and styles; `mage generate plan.json` runs it.
    """
    from mage.generator.outline import outline
    from mage.generator.plan import open_plan
    from mage.generator.plan_file import write_plan

    if out.suffix != ".json":
        raise MageError("a plan is written as JSON", file=out, expected="a name that ends in .json")
    options = {"count": count, "output.size": size, "output.gsd": gsd, "seed": seed}
    made = open_plan(recipe, _overrides(options, assignments), allow_plugins=allow_plugins)
    write_plan(made, out)
    typer.echo("\n".join(outline(made)))
    typer.echo(f"plan: {out}")


def generate(
    recipe: RecipeName,
    out: Annotated[str, typer.Option(help="Folder for the dataset, or a URL: s3://bucket/prefix.")] = "out/dataset",
    city: CityFile = None,
    bounds: Bounds = None,
    terrain: Terrain = None,
    style: Style = None,
    count: Count = None,
    size: Size = None,
    gsd: Gsd = None,
    seed: Seed = None,
    quality: Annotated[str | None, typer.Option(help="draft, standard or high.")] = None,
    spp: Annotated[int | None, typer.Option(help="Samples per pixel, in place of the quality's.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes, each with the city in memory; none takes what keeps the machine busy."),
    ] = None,
    engine: Annotated[str | None, typer.Option(help="cycles, or eevee.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, optix, hip, metal or oneapi.")] = None,
    gpus: Annotated[str | None, typer.Option(metavar="N,N...", help="GPUs to use, by number, or all.")] = None,
    runner: Annotated[
        str, typer.Option(help="local (processes on this machine), or ray (tasks on a cluster).")
    ] = "local",
    part: Annotated[
        str | None,
        typer.Option(metavar="K/N", help="Only that part of the shards; auto asks SLURM, Kubernetes or AWS Batch."),
    ] = None,
    patience: Annotated[
        float | None,
        typer.Option(min=1, help="Seconds without a word until a worker is killed; none goes by the samples so far."),
    ] = None,
    allow_plugins: AllowPlugins = False,
    assignments: Assignments = None,
) -> None:
    """Render a labelled dataset from a recipe, a mixture of many, or a plan.

    The same command goes on after an interruption.
    """
    options = {
        **_of_city(city, bounds, terrain, style),
        "count": count,
        "output.size": size,
        "output.gsd": gsd,
        "seed": seed,
        "render.quality": quality,
        "render.spp": spp,
        "render.engine": engine,
        "render.device": device,
    }
    run = _generator()
    how = _run(runner, part, workers, gpus, patience)
    from mage.generator.plan import open_plan

    chosen = open_plan(recipe, _overrides(options, assignments), allow_plugins=allow_plugins)
    _render(run, chosen, out, how)


def _render(run: Any, plan: Any, out: str, how: Any) -> None:
    """Render a plan as a user watches it."""
    from mage.generator.outline import headline

    typer.echo(f"{headline(plan)} -> {out}", err=True)
    try:
        record = run(plan, out, run=how, say=lambda line: typer.echo(line, err=True), progress=True)
    except KeyboardInterrupt:
        typer.echo(
            f"interrupted: the shards that are done stay in {out}; the same command goes on from there", err=True
        )
        raise typer.Exit(130) from None
    if record is None:
        part = "/".join(map(str, how.part))
        typer.echo(f"part {part} is done; other parts are not, and whoever finishes last writes the index", err=True)
        return
    counts = record.counts
    typer.echo(f"{counts['samples']} pairs, {counts['buildings']} buildings in {len(record.shards)} shard(s)", err=True)
    typer.echo(f"report: {out.rstrip('/')}/report.html")


def preview(
    target: Annotated[str, typer.Argument(help="A recipe, a city file, or a dataset folder.")],
    out: Annotated[Path, typer.Option(help="The picture to write.")] = Path("preview.png"),
    city: CityFile = None,
    bounds: Bounds = None,
    terrain: Terrain = None,
    style: Style = None,
    size: Annotated[int, typer.Option(min=32, max=2048, help="Pixels along a side.")] = 384,
    quality: Annotated[str | None, typer.Option(help="draft, standard or high.")] = None,
    spp: Annotated[int | None, typer.Option(min=1, help="Samples per pixel, in place of the quality's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed gives another scene.")] = None,
    allow_plugins: AllowPlugins = False,
    assignments: Assignments = None,
) -> None:
    """Show a recipe, dataset or city in one picture.

    Of a recipe or dataset: its first sample with all layers. Of a city file: the city from above.
    """
    from mage.generator.preview import preview_city, preview_dataset, preview_recipe
    from mage.scenes.mixture import bundled_mixtures
    from mage.scenes.recipe import bundled_recipes, read_recipe

    if out.suffix.lower() != ".png":
        raise MageError("a preview is written as PNG", file=out, expected="a name that ends in .png")
    options = {**_of_city(city, bounds, terrain, style), "output.size": size}
    options |= {"render.quality": quality, "render.spp": spp, "seed": seed}
    path = Path(target)
    if path.is_dir() or "://" in target:
        preview_dataset(target, out)
    elif target in (*bundled_recipes(), *bundled_mixtures()) or path.suffix in (".yaml", ".yml"):
        _generator()
        from mage.generator.plan import open_plan

        chosen = open_plan(target, {**_overrides(options, assignments), "count": 1}, allow_plugins=allow_plugins)
        preview_recipe(chosen, out)
    elif path.exists():
        if city is not None:
            raise MageError("two cities", file=target, expected="one city file", found=f"--city {city}")
        _generator()
        options["city.file"] = target
        preview_city(read_recipe("flood", {**_overrides(options, assignments), "count": 1}), out)
    else:
        raise MageError(
            "no such file, folder or recipe",
            file=target,
            expected=f"one of {', '.join([*bundled_recipes(), *bundled_mixtures()])}, or a path",
        )
    typer.echo(str(out))


def _of_city(city: Path | None, bounds: str | None, terrain: list[Path] | None, style: str | None) -> dict[str, Any]:
    from mage.scenes.commands import parse_bounds

    return {
        "city.file": str(city) if city else None,
        "city.bounds": parse_bounds(bounds),
        "city.terrain": [str(path) for path in terrain] if terrain else None,
        "city.style": style,
    }


def _run(runner: str, part: str | None, workers: int | None, gpus: str | None, patience: float | None) -> Any:
    """How to render, out of the options."""
    import os

    from mage.generator.generate import RUNNERS, Run
    from mage.generator.runners.parts import parse_part

    if runner not in RUNNERS:
        raise MageError("no such runner", expected=" or ".join(RUNNERS), found=runner)
    if runner == "ray" and gpus is not None:
        raise MageError("Ray shares out the GPUs itself", expected="no --gpus with --runner ray", found=gpus)
    return Run(runner, parse_part(part, os.environ) if part else None, workers, _numbers(gpus), patience)


def _numbers(gpus: str | None) -> tuple[int, ...] | None:
    if gpus in (None, "all"):
        return None
    try:
        return tuple(dict.fromkeys(int(part) for part in str(gpus).split(",")))
    except ValueError:
        raise MageError("cannot understand --gpus", expected="all, or numbers such as 0,1", found=gpus) from None


def _overrides(options: dict[str, Any], assignments: list[str] | None) -> dict[str, Any]:
    from mage.scenes.recipe import parse_assignment

    given = {key: value for key, value in options.items() if value is not None}
    return given | dict(parse_assignment(text) for text in assignments or ())


def _generator() -> Any:
    """The driver's entry, or one sentence about what is not installed; bpy itself is imported by workers only."""
    from importlib.util import find_spec

    for module in ("bpy", "embreex", "shapely", "scipy", "rasterio", "pyproj", "lxml", "mapbox_earcut", "osmium"):
        try:
            found = find_spec(module) is not None
        except (ImportError, ValueError):  # a module that is there and broken, or blocked
            found = False
        if not found:
            raise MissingExtraError(module, "generator")
    from mage.generator.generate import generate as run

    return run
