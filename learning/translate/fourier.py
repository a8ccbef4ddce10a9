"""Fourier domain adaptation: the target's low frequencies in amplitude, the source's in phase."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.learning.translate.translator import Bytes, Translator, as_bytes, collected, need, rounded, shaped_as
from mage.scenes.errors import ModelError

FAINT = 1e-9  # of the amplitude per pixel in levels: a frequency that the source lacks has no phase to keep


class FourierStyle(Translator):
    """FDA (Yang and Soatto 2020, equation 3): amplitudes of the lowest frequencies, up to ``beta`` of the shorter side
    from the middle of the spectrum, are the target's; all phases and higher frequencies stay.

    Both dates are multiplied by the same factors, target over their mean amplitude, so that for one date the result is
    the paper's. Only the few low bins are computed, as products with their waves, and not the whole transform.
    Target images must be as large as those that are translated, since the amplitudes are theirs.

    Args:
        beta: half the side of the exchanged square over the shorter side of the image, 0 to 0.5; the paper's best
            lie between 0.01 and 0.09.

    >>> grey = np.full((1, 3, 16, 16), 50, np.uint8)
    >>> FourierStyle().fit([grey + 30]).transform(grey).max()
    80
    """

    def __init__(self, beta: float = 0.01) -> None:
        if not 0 <= beta < 0.5:
            raise ModelError("FDA cannot exchange this part of the spectrum", expected="0 to 0.5", found=str(beta))
        self.beta = beta
        self.size: tuple[int, int] = (0, 0)
        self.amplitudes: NDArray[np.float32] | None = None

    def fit(self, target: Iterable[Any]) -> FourierStyle:
        """Keep the low amplitudes of target images (uint8 arrays, tensors, or samples with ``image``); returns itself.

        Raises:
            ModelError: no image, or images that differ in size or bands or cannot be used.
        """
        images = collected(target)
        if len({image.shape[-2:] for image in images}) > 1:
            raise ModelError("FDA needs target images of one size: cut crops out of them")
        self.size = (images[0].shape[-2], images[0].shape[-1])
        self.amplitudes = np.stack([np.abs(self._low(image)).mean(0) for image in images])
        return self

    def transform(self, pair: Any, rng: np.random.Generator | None = None) -> Bytes:
        """See :meth:`Translator.transform`."""
        styles = need(self.amplitudes)
        images = as_bytes(pair, styles.shape[1])
        if images.shape[-2:] != self.size:
            raise ModelError(
                "FDA needs images as large as the target's", expected=str(self.size), found=str(images.shape[-2:])
            )
        goal = styles.mean(0) if rng is None else styles[rng.integers(len(styles))]
        low = self._low(images)
        amplitude = np.abs(low).mean(0)
        factor = np.where(amplitude > FAINT, goal / np.maximum(amplitude, FAINT), 1)
        out = rounded(images + self._back(low * (factor - 1)))
        return shaped_as(out, pair)

    def settings(self) -> dict[str, float]:
        """See :meth:`Translator.settings`."""
        return {"beta": self.beta}

    def state(self) -> dict[str, NDArray[Any]]:
        """See :meth:`Translator.state`."""
        return {"amplitudes": need(self.amplitudes)}

    def _waves(self) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
        """exp(-2πi k n / N): (2b + 1, H) for rows, k from -b to b, and (W, b + 1) for columns, k from 0 to b."""
        height, width = self.size
        b = int(min(self.size) * self.beta)
        rows = np.outer(np.arange(-b, b + 1), np.arange(height)) / height
        columns = np.outer(np.arange(width), np.arange(b + 1)) / width
        return np.exp(-2j * np.pi * rows).astype(np.complex64), np.exp(-2j * np.pi * columns).astype(np.complex64)

    def _low(self, images: Bytes) -> NDArray[np.complex64]:
        """The low bins of the transform per pixel, (T, C, 2b + 1, b + 1)."""
        rows, columns = self._waves()
        flat = images.astype(np.float32)
        real, imaginary = flat @ columns.real.copy(), flat @ columns.imag.copy()
        return (rows @ (real + 1j * imaginary)) / np.float32(self.size[0] * self.size[1])

    def _back(self, low: NDArray[np.complexfloating[Any, Any]]) -> NDArray[np.float32]:
        """The image (T, C, H, W) that these bins and their conjugates, on the other half, make up."""
        rows, columns = self._waves()
        twice = np.where(np.arange(low.shape[-1]) == 0, 1, 2).astype(np.float32)
        waves = rows.conj().T @ (low * twice).astype(np.complex64)  # (T, C, H, b + 1)
        back = columns.conj().T
        return waves.real @ back.real.copy() - waves.imag @ back.imag.copy()
