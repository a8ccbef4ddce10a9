"""The trainings of the proof, by name: rounds in the order that they were tried, the five rows, what each part is worth
(ablations), and few real labels with and without synthetic pairs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from transfer.training import Setting

LABELS = (1, 2, 5, 10, 20)  # real chips of 256 px
STYLES = ("suburb", "european-suburb", "village", "informal")

PLAIN = Setting(annotated=False, places=("suburb",), steps=250, batch=6)
ANNOTATED = replace(PLAIN, annotated=True)
FIXED = replace(ANNOTATED, fixed=True)
ZOOM = replace(FIXED, jitter=1.5, far=True, zoom=1.5)
SAME = replace(ZOOM, same=0.25)
LONG = replace(SAME, places=("",), steps=900, batch=8)
MIXED = replace(SAME, places=STYLES, same=0.5, hide=0.3, rate=0.1, steps=500, batch=8)
APART = replace(ZOOM, places=STYLES, alone=True, hide=0.3, batch=8)
DENSER = replace(APART, places=("suburb", "inner-suburb", "european-suburb", "village", "informal"))
SELF: dict[str, Any] = {"method": "cbst", "adapted": True, "steps": 200, "batch": 4, "lr": 1e-3}

ROUNDS = {
    "plain": PLAIN,
    "annotated": ANNOTATED,
    "fixed": FIXED,
    "zoom": ZOOM,
    "same": SAME,
    "varied": replace(ZOOM, places=("",)),
    "long": LONG,
    "mixed": MIXED,
    "mixed, self": replace(MIXED, start="mixed", **SELF),
    "apart": APART,
    "apart, self": replace(APART, start="apart", **SELF),
    "denser": DENSER,
    "denser, self": replace(DENSER, start="denser", **SELF),
    "parted, self": replace(DENSER, start="denser", parted=True, **SELF),
    "water": DENSER,  # the networks of rounds 13 and 17 trained again, so that grades by water can be scored
    "water, self": replace(DENSER, start="denser", parted=True, **SELF),
    "water, open": replace(DENSER, start="denser", imagery="open", parted=True, **SELF),
}

ROWS = {
    "scratch": replace(DENSER, pretrained=False, fixed=False),
    "histogram": replace(DENSER, colours="histogram"),
    "linear": replace(DENSER, colours="linear"),
    "apart, open": replace(APART, start="apart", imagery="open", **SELF),
    "denser, open": replace(DENSER, start="denser", imagery="open", **SELF),
    "parted, open": replace(DENSER, start="denser", imagery="open", parted=True, **SELF),
}

STRUCK = replace(DENSER, corpus="struck")

ABLATIONS = {
    "all of it": DENSER,  # trained with the others below, on the corpus as the generator renders it then
    "exact labels": replace(DENSER, annotated=False),
    "no hidden channels": replace(DENSER, hide=0.0),
    "one scale": replace(DENSER, zoom=1.0),
    "plain light": replace(DENSER, jitter=1.0, far=False),
    "suburbs": replace(DENSER, places=("suburb", "inner-suburb")),
    "22 pairs": replace(DENSER, most=22),
    "44 pairs": replace(DENSER, most=44),
    "nadir": replace(DENSER, views="nadir"),
    "oblique": replace(DENSER, views="oblique"),
    "encoder learns": replace(DENSER, rate=0.1),
    "scratch, geometry first": replace(ROWS["scratch"], pretext="geometry"),
    "scratch, contrast first": replace(ROWS["scratch"], pretext="moco"),
    "struck": STRUCK,
    "struck at random": replace(STRUCK, corpus="struck at random"),
    "struck apart from neighbours": replace(STRUCK, corpus="struck apart from neighbours"),
    "struck, 16 samples": replace(STRUCK, corpus="struck, 16 samples"),
}

REAL = replace(APART, synthetic=False, weighted=False, steps=240)
FEW = replace(ROUNDS["parted, self"], start="parted, self", parted=False, adapted=False, steps=120)
AGAIN = replace(ROUNDS["parted, self"], synthetic=False, weighted=False, adapted=False)
FEW_LABELS = (
    {f"{k} real": replace(REAL, few=k) for k in LABELS}
    | {f"parted, self + {k} real": replace(FEW, few=k) for k in LABELS}
    | {f"parted, self, then {k} real": replace(REAL, start="parted, self", few=k) for k in LABELS}
    | {f"{name}, self": replace(AGAIN, start=name, few=k) for k in LABELS for name in (f"parted, self, then {k} real",)}
)

BEST = "parted, self"
TRAININGS: dict[str, Setting] = ROUNDS | ROWS | ABLATIONS | FEW_LABELS
