"""Networks as translators: from floats on a device to bytes, whatever method trained them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mage.learning.devices import autocast, place
from mage.learning.translate.translator import Bytes, Translator, as_bytes, rounded, shaped_as


class NetworkTranslator(Translator):
    """A trained network, from images (N, T, C, H, W) of 0-1 to such images, as a :class:`Translator`.

    Both dates pass it together. It has one style, so that ``rng`` draws nothing.

    Args:
        network: such as the ``model`` of a trained :class:`~mage.learning.ColorMapGAN`; put into evaluation mode.

    >>> NetworkTranslator(nn.Identity()).transform(np.full((2, 3, 4, 4), 7, np.uint8)).max()
    7
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network.eval()

    def transform(self, pair: Any, rng: np.random.Generator | None = None) -> Bytes:  # noqa: ARG002 - one style
        """See :meth:`Translator.transform`."""
        images = as_bytes(pair)
        device = next((p.device for p in self.network.parameters()), torch.device("cpu"))
        with torch.inference_mode(), autocast(device):
            out = self.network(place(torch.from_numpy(np.ascontiguousarray(images))[None], device))[0]
        return shaped_as(rounded(out.float().cpu().numpy() * 255), pair)

    def state(self) -> dict[str, NDArray[Any]]:
        """See :meth:`Translator.state`."""
        return {name: t.detach().cpu().numpy() for name, t in self.network.state_dict().items()}
