"""What synthetic pairs are worth on real imagery: train on them alone, test on labelled real chips, change, test again.

Run: ``python benchmarks/sim2real.py [--corpora FOLDER] [--seeds 0,1,2] [--short | --final] [NAME ...]``. The corpus is
rendered where it is missing (`transfer/mixture.yaml`, 88 pairs of 256 px); every training is a run in a folder named
by the hash of its settings and is done once; results are in `results/sim2real.json`. Rounds see the part `dev` of the
real chips (`transfer/chips.py`); `--final` opens the other, and the file notes when. Without NAMEs all of `TRAININGS`
is done in order, but for trainings with real labels, which are of `dev` and so are tested on `final` alone. The model
is that of the last step: truth chooses nothing. The name `more` stands for water, change and distances of imagery.

`--short`, as in `make bench`, renders 4 pairs of 128 px, trains two settings for 12 steps and tests them on four chips:
it shows that all of it works, not what it reaches.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from beside.kept import keep, read, rounded
from transfer import chips as real
from transfer.distances import features, table
from transfer.more import Changed, ious
from transfer.places import separability
from transfer.scores import scored
from transfer.settings import BEST, TRAININGS
from transfer.training import Ground, Setting, pairs, train
from transfer.water import water_run

from mage.generator.generate import generate
from mage.generator.plan import make_plan, open_plan
from mage.learning import Network, Run, adapt_batch_norm, mixed_consistency, neighbourhood_density
from mage.scenes.recipe import read_recipe

HERE = Path(__file__).resolve().parent
FILE = "sim2real.json"  # of results
MIXTURE = HERE / "transfer" / "mixture.yaml"
SMALL = {"count": 4, "output.size": 128, "render.quality": "draft", "label_style": "annotator", "city.extent": 320}


def corpus(folder: Path, *, short: bool) -> str:
    """The name of the corpus's folder, which holds its recipe's hash; rendered where it is not there yet."""
    plan = make_plan(read_recipe("flood", SMALL)) if short else open_plan(str(MIXTURE))
    name = f"{'short' if short else 'main'}-{plan.recipe_hash}"
    if not (folder / name / "dataset.json").is_file():
        generate(plan, folder / name, say=print, progress=True)
    return name


def ground_of(folder: Path, source: str) -> Ground:
    """Corpora, runs and the real chips of dev: labels for `few`, and images alone for adaptation."""
    few = real.harvey("dev") + real.ida("dev")
    free = {"dev": few + real.joplin() + real.kampala("dev"), "open": real.free_licence()}
    return Ground(folder, source, folder / "runs", few, free)


def sets_of(part: str, *, short: bool) -> dict[str, list[real.Chip]]:
    """The labelled chips that models are tested on; few of them where it must be short."""
    harvey, ida = real.harvey(part), real.ida(part)
    if short:
        harvey, ida = harvey[17:19], ida[:1]
    return {"harvey": harvey, "ida": ida, "kampala": real.kampala(part)[: 1 if short else None]}


def measured(name: str, setting: Setting, ground: Ground, part: str, sets: dict[str, list[real.Chip]]) -> None:
    """Train a setting, test it on a part of the real chips, and keep what was found."""
    key = f"{name}/{setting.seed}/{part}"
    kept = read(FILE).get(key, {})
    if kept.get("setting") == setting.name() and "balanced" in kept:
        return
    run, seconds = train(setting, ground, begun(setting, ground))
    model = run.model("cpu")
    graded = {name: sets[name] for name in ("harvey", "ida")}
    found: dict[str, Any] = {
        "setting": setting.name(),
        "source": ground.source,
        "seconds": seconds,
        "scores": scored(model, sets),
        "parted": scored(model, sets, parted=True),
        "balanced": scored(model, graded, parted=True, balanced=True),
    }
    if not setting.alone:
        found["together"] = scored(model, graded, alone=False)
    if part == "dev":
        found["blind"] = blind(model, [chip for chips in graded.values() for chip in chips])
        found["blind"]["separability"] = separability(model, [chip for chips in sets.values() for chip in chips])
    if setting.method == "supervised" and part == "final" and not setting.few:
        adapt_batch_norm(model, real.Before(ground.free["dev"], 128), batch=8, device="cpu")
        found["adapted"] = scored(model, sets)
    keep(FILE, {key: rounded(found)})
    print(line(key, found), flush=True)


def blind(model: Network, chips: list[real.Chip]) -> dict[str, float]:
    """What validators that read no labels say of a model, higher is better: a choice among settings that saw none."""
    images = real.Chips(chips)
    return {
        "neighbourhood density": neighbourhood_density(model, images, np.random.default_rng(0)),
        "mixed consistency": mixed_consistency(model, images, np.random.default_rng(0)),
    }


def begun(setting: Setting, ground: Ground) -> Run | None:
    """The run that a setting begins with, of the same seed, if it does."""
    if setting.start is None:
        return None
    first = replace(TRAININGS[setting.start], seed=setting.seed)
    return train(first, ground, begun(first, ground))[0]


def further(name: str, ground: Ground, part: str, steps: int) -> None:
    """Water, change by the model of a training, and how far apart synthetic and real images are."""
    source = ground.corpora / ground.source
    setting = TRAININGS[name]
    water = water_run(source, ground.runs / f"recoloured-water-{ground.source}-{steps}", steps=steps, seed=0).model(
        "cpu"
    )
    model = train(setting, ground, begun(setting, ground))[0].model("cpu")
    images = {
        "Harvey": [chip.image for chip in real.harvey("dev")],
        "Ida": [chip.image for chip in real.ida("dev")],
        "Joplin": [chip.image for chip in real.joplin()],
        "Kampala": [chip.image[:1] for chip in real.kampala("dev")],
        "synthetic": _images(setting, ground, None),
    } | {f"synthetic, {by}": _images(setting, ground, by) for by in ("histogram", "linear", "fourier")}
    found = {
        "water": ious(water, real.photographs(part) + real.sentinel(part)),
        "change": ious(Changed(model), real.change(part)),
        "distances": table({kind: features(these) for kind, these in images.items()}),
    }
    keep(FILE, {f"more/{part}": rounded(found)})
    print(json.dumps(rounded(found), indent=1))


def _images(setting: Setting, ground: Ground, colours: str | None) -> list[Any]:
    """The synthetic tiles, as they are or in real imagery's colours."""
    dataset = pairs(replace(setting, colours=colours), ground)
    tiles = [dataset.tile(index)["image"].numpy() for index in range(len(dataset))]
    rng = np.random.default_rng(0)
    return [tile if dataset.colours is None else dataset.colours(tile, rng) for tile in tiles]


def line(key: str, found: dict[str, Any]) -> str:
    """A result in a row."""
    scores = found["scores"]
    cells = [_cell(scores[name]["building_iou"]) for name in ("harvey", "ida", "kampala")]
    cells += [_cell(scores[name]["xview2_present"]) for name in ("harvey", "ida", "pairs")]
    cells += [_cell(scores["pairs"][figure]) for figure in ("macro_f1", "quadratic_kappa")]
    if parted := found.get("parted"):
        cells += ["/".join(_cell(parted[name]["building_iou"]) for name in ("harvey", "ida", "kampala"))]
        cells += [_cell(parted["pairs"]["xview2_present"]), _cell(found["balanced"]["pairs"]["xview2_present"])]
    else:
        cells += ["", "", ""]
    cells.append(_cell(found["together"]["pairs"]["building_iou"]) if "together" in found else "")
    again = found.get("adapted", {}).get("pairs")
    cells.append("" if again is None else f"{_cell(again['building_iou'])}/{_cell(again['xview2_present'])}")
    return f"| {key} | " + " | ".join(cells) + f" | {found['seconds']:.0f} |"


def _cell(figure: list[float | None]) -> str:
    return "–" if figure[0] is None else f"{figure[0]:.3f}"


HEAD = (
    "| | IoU Harvey | Ida | Kampala | xView2 over present grades, Harvey | Ida | both | macro F1 | κ"
    " | by each place's threshold: IoU | xView2 of both | the same, grades balanced"
    " | IoU from both dates | after AdaBN: IoU/xView2 of both | CPU s |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Train and test what is asked for and has no result yet, and print the rows."""
    asked = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    asked.add_argument("names", nargs="*", help="of TRAININGS, or more; none is all of them")
    asked.add_argument("--corpora", type=Path, default=Path("out/sim2real"))
    asked.add_argument("--seeds", default="0")
    asked.add_argument("--short", action="store_true", help="a few steps, to see that it works")
    asked.add_argument("--final", action="store_true", help="open the final chips")
    options = asked.parse_args()
    if not real.DATA.is_dir():
        print(f"nothing measured: no labelled real imagery in {real.DATA}")
        return
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    part = "final" if options.final else "dev"
    ground = ground_of(options.corpora, corpus(options.corpora, short=options.short))
    if options.short:
        shortly(ground, sets_of(part, short=True))
        return
    if options.final and "opened" not in read(FILE):
        keep(FILE, {"opened": {"final": datetime.now(UTC).strftime("%Y-%m-%d %H:%M")}})
    sets = sets_of(part, short=False)
    print(HEAD)
    for seed in map(int, options.seeds.split(",")):
        for name in options.names or [*TRAININGS, "more"]:
            if name == "more":
                further(BEST, ground, part, steps=250)
            elif options.final or not TRAININGS[name].few:
                measured(name, replace(TRAININGS[name], seed=seed), ground, part, sets)


def shortly(ground: Ground, sets: dict[str, list[real.Chip]]) -> None:
    """Two settings, a few steps, a few chips; nothing is kept."""
    print(HEAD)
    for name in ("annotated", "same"):
        run, seconds = train(replace(TRAININGS[name], places=("",), steps=12, batch=4), ground)
        model = run.model("cpu")
        together = scored(model, {name: sets[name] for name in ("harvey", "ida")}, alone=False)
        print(line(name, {"seconds": seconds, "scores": scored(model, sets), "together": together}))


if __name__ == "__main__":
    main()
