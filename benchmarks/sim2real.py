"""What synthetic pairs are worth on real imagery: train on them alone, test on labelled real chips, change, test again.

Run: ``python benchmarks/sim2real.py [--corpora FOLDER] [--seeds 0,1,2] [--short | --final] [NAME ...]``. The corpus is
rendered where it is missing (`transfer/mixture.yaml`, 120 pairs of 256 px); every training is a run in a folder named
by the hash of its settings and is done once; results are in `results/sim2real.json`, and the tables are printed from
it. Rounds see the part `dev` of the real chips (`transfer/chips.py`), `--final` opens the other and notes when. Without
NAMEs all that `TRAININGS` lists is done in order. The model is that of the last step; truth chooses nothing. `--short`
trains two settings for 40 steps on what corpus there is, to see that all of it works.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "transfer"))

import chips as real  # noqa: E402 - of this benchmark's own folder
from scores import scored  # noqa: E402
from training import Ground, Setting, train  # noqa: E402

from mage.learning import Network, Run, adapt_batch_norm  # noqa: E402

RESULTS = HERE / "results" / "sim2real.json"
MIXTURE = HERE / "transfer" / "mixture.yaml"
PLAIN = Setting(annotated=False, steps=250, batch=6)
ANNOTATED = replace(PLAIN, annotated=True)
FAR = replace(ANNOTATED, jitter=1.5, far=True)
ZOOM = replace(FAR, zoom=1.5)
SAME = replace(ZOOM, same=0.25)
LINEAR = replace(SAME, colours="linear")

TRAININGS: dict[str, Setting] = {
    "plain": PLAIN,
    "annotated": ANNOTATED,
    "far": FAR,
    "zoom": ZOOM,
    "same": SAME,
    "linear": LINEAR,
}


def ground_of(corpora: Path) -> Ground:
    """Corpora, runs and the real chips of dev: labels for `few`, and images alone for adaptation."""
    few = real.harvey("dev") + real.ida("dev")
    return Ground(corpora, corpora / "runs", few, few + real.joplin())


def sets_of(part: str) -> dict[str, list[real.Chip]]:
    """The labelled chips that models are tested on."""
    harvey, ida = real.harvey(part), real.ida(part)
    return {"harvey": harvey, "ida": ida, "kampala": real.kampala(part)}


def measured(name: str, setting: Setting, ground: Ground, part: str, sets: dict[str, list[real.Chip]]) -> None:
    """Train a setting, test it on a part of the real chips, and keep what was found."""
    results = read()
    key = f"{name}/{setting.seed}/{part}"
    if results.get(key, {}).get("setting") == setting.name():
        return
    begin = None if setting.start is None else begun(setting, ground)
    run, seconds = train(setting, ground, begin)
    model = run.model("cpu")
    found: dict[str, Any] = {"setting": setting.name(), "seconds": seconds, "scores": scored(model, sets)}
    found["together"] = scored(model, {name: sets[name] for name in ("harvey", "ida")}, alone=False)
    keep(key, found)
    print(line(key, found), flush=True)


def begun(setting: Setting, ground: Ground) -> Run:
    """The run that a setting begins with, of the same seed."""
    assert setting.start is not None
    return train(replace(TRAININGS[setting.start], seed=setting.seed), ground)[0]


def adapted(run: Run, ground: Ground) -> Network:
    """The model after AdaBN on unlabelled real pairs."""
    model = run.model("cpu")
    adapt_batch_norm(model, real.Chips(ground.free), batch=8, device="cpu")
    return model


def read() -> dict[str, Any]:
    """All results so far."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}


def keep(key: str, found: dict[str, Any]) -> None:
    """Add a result."""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(rounded(read() | {key: found}), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def rounded(value: Any) -> Any:
    """JSON values with four digits after the point."""
    if isinstance(value, dict):
        return {name: rounded(v) for name, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return round(value, 4) if isinstance(value, float) else value


def line(key: str, found: dict[str, Any]) -> str:
    """A result in a row."""
    scores = found["scores"]
    cells = [f"{scores[name]['building_iou'][0]:.3f}" for name in ("harvey", "ida", "kampala")]
    cells += [f"{scores[name][figure][0]:.3f}" for name in ("harvey", "ida", "pairs") for figure in ("xview2_present",)]
    cells += [f"{scores['pairs'][figure][0]:.3f}" for figure in ("macro_f1", "quadratic_kappa")]
    cells.append(f"{found['together']['pairs']['building_iou'][0]:.3f}")
    if "adapted" in found:
        again = found["adapted"]
        cells += [f"{again['pairs']['building_iou'][0]:.3f}/{again['pairs']['xview2_present'][0]:.3f}"]
    return f"| {key} | " + " | ".join(cells) + f" | {found['seconds']:.0f} |"


HEAD = (
    "| | IoU Harvey | Ida | Kampala | xView2 over present grades, Harvey | Ida | both | macro F1 | κ | IoU from both dates"
    " | after AdaBN: IoU/xView2 of both | CPU s |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Train and test what is asked for and has no result yet, and print the table."""
    asked = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    asked.add_argument("names", nargs="*", help="of TRAININGS; none is all")
    asked.add_argument("--corpora", type=Path, default=Path("out/sim2real"))
    asked.add_argument("--seeds", default="0")
    asked.add_argument("--short", action="store_true", help="a few steps, to see that it works")
    asked.add_argument("--final", action="store_true", help="open the final chips")
    options = asked.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    ground, part = ground_of(options.corpora), "final" if options.final else "dev"
    if options.final and "opened" not in read():
        keep("opened", {"final": datetime.now(UTC).strftime("%Y-%m-%d %H:%M")})
    sets = sets_of(part)
    print(HEAD)
    for seed in map(int, options.seeds.split(",")):
        for name in options.names or TRAININGS:
            measured(name, replace(TRAININGS[name], seed=seed), ground, part, sets)


if __name__ == "__main__":
    main()
