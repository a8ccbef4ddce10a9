"""What a translator is: it gives each place one style of the target, the same for both dates."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mage.learning.sampling import Draw
from mage.scenes.errors import ModelError

Bytes = NDArray[np.uint8]


class Translator(ABC):
    """From the look of one domain to that of another.

    Images are uint8, (T, C, H, W) with one or more dates, or (C, H, W); the dates of a place are given together and
    get the same map, since a change that a map makes between them is a change that nobody labelled. Those that go by
    statistics have ``fit(target images)``; those that are networks are trained by :func:`~mage.learning.fit`.

    >>> class Negative(Translator):
    ...     def transform(self, pair, rng=None):
    ...         return 255 - as_bytes(pair).reshape(np.shape(pair))
    ...
    ...     def state(self):
    ...         return {}
    >>> Negative().transform(np.zeros((3, 4, 4), np.uint8)).min()
    255
    """

    @abstractmethod
    def transform(self, pair: Any, rng: np.random.Generator | None = None) -> Bytes:
        """The place in the target's style, uint8 of the same shape.

        Args:
            pair: uint8 array or tensor.
            rng: draws the target image whose style it gets; None takes the mean style.

        Raises:
            ModelError: not fitted, or the pair is of another kind than what it was fitted to.
        """

    @abstractmethod
    def state(self) -> dict[str, NDArray[Any]]:
        """What ``fit`` learned, by name."""

    def fingerprint(self) -> str:
        """SHA-256 of the class, its settings and what it learned: equal ones translate alike."""
        digest = hashlib.sha256(json.dumps([type(self).__name__, self.settings()]).encode())
        for name, array in sorted(self.state().items()):
            digest.update(f"{name} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def settings(self) -> dict[str, float]:
        """The hyper-parameters by name."""
        return {}


class Translated(Dataset[dict[str, Any]]):
    """A dataset whose images a translator has changed; everything else of a sample stays.

    Args:
        dataset: of samples with ``image``, uint8.
        translator: fitted.
        styles: draw a style for each place, another one in each epoch of an :class:`~mage.learning.EpochSampler`;
            False takes the mean style.

    >>> import torch
    >>> from mage.learning import HistogramMatching
    >>> grey = torch.full((3, 4, 4), 50, dtype=torch.uint8)
    >>> brighter = Translated([{"image": grey, "key": "a"}], HistogramMatching().fit([grey + 30]))
    >>> brighter[0]["key"], int(brighter[0]["image"].max())
    ('a', 80)
    """

    def __init__(self, dataset: Dataset[dict[str, Any]], translator: Translator, *, styles: bool = True) -> None:
        self.dataset, self.translator, self.styles = dataset, translator, styles

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]  # map-style ones have a length

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The sample at this index, translated."""
        from torch import from_numpy

        sample = self.dataset[index]
        rng = style_rng(index) if self.styles else None
        return sample | {"image": from_numpy(self.translator.transform(sample["image"], rng))}


def style_rng(index: int) -> np.random.Generator:
    """Draws the style of a place: a function of its index, and of seed and epoch where it carries them."""
    drawn = (index.seed, index.epoch) if isinstance(index, Draw) else (0, 0)
    return np.random.default_rng((*drawn, int(index), 2))  # the 2 keeps it apart from crops


def as_bytes(image: Any, bands: int | None = None) -> Bytes:
    """An image, a pair or a sample as uint8 (T, C, H, W).

    Raises:
        ModelError: another type or shape, or other bands than ``bands``.
    """
    values = image["image"] if isinstance(image, dict) else image
    array = values.numpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or array.size == 0:
        raise ModelError(
            "an image that cannot be translated",
            expected="uint8 (T, C, H, W) or (C, H, W)",
            found=f"{array.dtype} {array.shape}",
        )
    if bands is not None and array.shape[-3] != bands:
        raise ModelError("an image of other bands than the target's", expected=str(bands), found=str(array.shape[-3]))
    return array.reshape(-1, *array.shape[-3:])


def collected(target: Iterable[Any]) -> list[Bytes]:
    """All target images as :func:`as_bytes`; ModelError if there is none, or their bands differ."""
    images: list[Bytes] = []
    for image in target:
        images.append(as_bytes(image, images[0].shape[1] if images else None))
    if not images:
        raise ModelError("a translator needs images of the target, and there is none")
    return images


def shaped_as(images: Bytes, pair: Any) -> Bytes:
    """Images (T, C, H, W) in the shape of the pair, or sample, that they come from."""
    return images.reshape(np.shape(pair["image"] if isinstance(pair, dict) else pair))


def need(state: NDArray[Any] | None) -> NDArray[Any]:
    """What was learned; ModelError where nothing was."""
    if state is None:
        raise ModelError("the translator is not fitted", expected="a call of fit(target images) first")
    return state


def rounded(values: NDArray[Any]) -> Bytes:
    """The nearest bytes."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
