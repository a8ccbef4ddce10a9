"""Masked autoencoding whose positions are metres: what a quarter of the patches tells of the others, at two scales."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.augmentation import dihedral
from mage.learning.encoders import padded
from mage.learning.methods import Batch
from mage.learning.pretext.task import Pretext
from mage.learning.seeds import seeded
from mage.learning.vit import Block, ViT, initialise, positions
from mage.scenes.errors import ModelError

FLAT = 1e-6  # added to the variance of a patch, as MAE does


class ScaleMAE(Pretext):
    """Masked autoencoding (He et al. 2022) with the scales of ScaleMAE (Reed et al. 2023, sections 3 and 4).

    The encoder sees some patches of an image that is ``factor`` times coarser than it came, with positions by the GSD;
    a small transformer fills in the others, and predicts of each masked patch the low frequencies at the scale of the
    input, by a squared error, and what they lack of the image as it came, by an absolute error:
    L = |l - D(t)|² + high |h - (t - U(D(t)))|, means over the values of masked patches, where t is the patch of the
    finer image, less its mean and over its deviation, D the mean of factor x factor pixels, and U their repetition.

    The paper cuts its bands at coarser scales (low frequencies of 14 pixels a side out of 448, high ones above 56), and
    decodes them by convolutions; here both are cut at the input's scale, so that nothing of the image is left out, and
    come from the token of the patch. All dates of a place are images by themselves.

    Args:
        model: a :class:`~mage.learning.ViT`.
        masked: share of patches that the encoder does not see; both papers' is 0.75.
        factor: of the input's GSD to the image's; the paper's is 2 (224 pixels in, 448 out). 1 is MAE, without a loss
            of high frequencies.
        high: weight of the high frequencies; the paper's is 1.
        width: of the decoder's tokens; the paper's is 512.
        depth: of the decoder; the paper's is 3.
        heads: of the decoder's attention; the paper's are 16.
        gsd: metres of a pixel of all images; by default each sample says its own, as ``gsd``.
        seed: of the decoder's first weights.

    Raises:
        ModelError: the model is no ViT, or a number cannot be.

    >>> ScaleMAE(ViT(width=16, depth=1, heads=2), width=16, depth=1).settings()["masked"]
    0.75
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        masked: float = 0.75,
        factor: int = 2,
        high: float = 1.0,
        width: int = 512,
        depth: int = 3,
        heads: int = 16,
        gsd: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(model)
        if not isinstance(model, ViT):
            raise ModelError("masked autoencoding trains a transformer", expected="ViT", found=type(model).__name__)
        if not 0 < masked < 1 or factor < 1 or width % math.lcm(4, heads):
            expected = "masked of 0-1, a factor of 1 or more, a width that 4 and the heads divide"
            raise ModelError("such a task cannot be", expected=expected, found=f"{masked}, {factor}, {width}")
        self.masked, self.factor, self.high, self.gsd, self.seed = masked, factor, high, gsd, seed
        self.width, self.depth, self.heads = width, depth, heads
        self.wants = ("gsd",) if gsd is None else ()
        values = model.bands * model.patch**2
        with seeded(seed):
            self.narrow, self.unknown = nn.Linear(model.width, width), nn.Parameter(torch.randn(width) * 0.02)
            self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
            self.norm, self.coarse = nn.LayerNorm(width), nn.Linear(width, values)
            self.fine = nn.Linear(width, values * factor**2) if factor > 1 else None
            initialise(self)

    @property
    def vit(self) -> ViT:
        """The model, by what it is."""
        return cast("ViT", self.model)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """``low`` and, where the factor is above 1, ``high``."""
        totals: dict[str, Tensor] = {}
        streams = list(self.images(batch))
        for name, image in streams:
            gsd = batch.wanted(name, "gsd") if self.gsd is None else torch.full((len(image),), self.gsd)
            metres = gsd.to(image.device).repeat_interleave(image.shape[1])
            for part, loss in self.reconstruct(image.flatten(0, 1), metres, batch.rng).items():
                totals[part] = totals.get(part, 0) + loss / len(streams)
        return totals

    def reconstruct(self, image: Tensor, gsd: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
        """The losses of images (N, C, H, W) of so many metres a pixel, (N,)."""
        nothing = image.new_zeros(len(image), *image.shape[-2:])
        image = padded(dihedral(image, nothing, rng)[0], self.vit.patch * self.factor)
        seen = F.avg_pool2d(image, self.factor)
        order, kept = self.hide(seen, rng)
        found = self.fill(seen, gsd * self.factor, order, kept)
        low, high = targets(image, self.vit.patch, self.factor)
        hidden = order[:, kept:, None]
        losses = {"low": _mean((self.coarse(found).float() - _pick(low, hidden)).square())}
        if self.fine is not None:
            losses["high"] = self.high * _mean((self.fine(found).float() - _pick(high, hidden)).abs())
        return losses

    def hide(self, image: Tensor, rng: np.random.Generator) -> tuple[Tensor, int]:
        """A random order of the patches of each image, (N, L), and how many of them, the first, are seen."""
        rows, columns = self.vit.grid(image)
        kept = max(1, round((1 - self.masked) * rows * columns))
        order = torch.from_numpy(rng.random((len(image), rows * columns)).argsort(1))
        return order.to(image.device), kept

    def fill(self, image: Tensor, gsd: Tensor, order: Tensor, kept: int) -> Tensor:
        """What the decoder makes of the patches that are not seen, (N, L - kept, width), in their order."""
        seen = self.narrow(self.vit.tokens(image, gsd, order[:, :kept]))
        unknown = self.unknown.to(seen.dtype).expand(len(seen), order.shape[1] - kept, -1)
        places = positions(self.vit.grid(image), self.width, gsd, image.device)
        x = torch.cat([seen, unknown], 1) + _pick(places, order[:, :, None]).to(seen.dtype)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, kept:]


def targets(image: Tensor, patch: int, factor: int) -> tuple[Tensor, Tensor]:
    """Low and high frequencies of the patches of images (N, C, H, W), (N, L, C · patch²) and, factor² as many,
    (N, L, C · (patch · factor)²); each patch is first normalised by its own mean and deviation. The mean is zero, and
    the two add up: repeated by the factor, low plus high is the normalised patch.
    """
    whole = F.unfold(image.float(), patch * factor, stride=patch * factor).transpose(1, 2)
    whole = (whole - whole.mean(2, keepdim=True)) / (whole.var(2, keepdim=True, unbiased=False) + FLAT).sqrt()
    squares = whole.reshape(*whole.shape[:2], image.shape[1], patch, factor, patch, factor)
    low = squares.mean((4, 6))
    return low.flatten(2), (squares - low[:, :, :, :, None, :, None]).flatten(2)


def _pick(tokens: Tensor, order: Tensor) -> Tensor:
    """Tokens (1 or N, L, D) in an order (N, K, 1)."""
    return tokens.expand(len(order), -1, -1).gather(1, order.expand(-1, -1, tokens.shape[2]))


def _mean(values: Tensor) -> Tensor:
    """The mean; 0 of none, as of an image of a single patch."""
    return values.sum() / max(values.numel(), 1)
