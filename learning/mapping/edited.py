"""Columns of an edited layer: words and numbers as somebody left them, and who that was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mage.learning.mapping.vectors import Features

BY_HAND, HALF_BY_HAND = "Photo-interpretation", "Semi-automatic extraction"  # Copernicus EMS det_method
EDITOR, EDITED = ("editor", "edited_by"), ("edited_at", "edited")  # fields that QGIS may be told to fill


def words(features: Features, name: str) -> list[str]:
    """A column as words without blanks around them, one for each feature; empty where it says nothing, or is not
    there.
    """
    column = features.attributes.get(name)
    return [""] * len(features) if column is None else [_word(value) for value in column]


def numbers(features: Features, name: str) -> NDArray[np.float64]:
    """A column as numbers, (n,); NaN where it holds none, or is not there."""
    found = np.full(len(features), np.nan)
    for k, value in enumerate(features.attributes.get(name, ())):
        try:
            found[k] = np.nan if value is None else float(value)
        except (TypeError, ValueError):
            continue
    return found


def by_whom(features: Features) -> list[str]:
    """Who edited each feature and when, in brackets; empty where the file does not say."""
    who, when = ([next(filter(None, row), "") for row in zip(*(words(features, n) for n in names), strict=True)]
                 for names in (EDITOR, EDITED))  # fmt: skip
    said = [", ".join(filter(None, pair)) for pair in zip(who, when, strict=True)]
    return [f" ({text})" if text else "" for text in said]


def _word(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return str(value).strip()
