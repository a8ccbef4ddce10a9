"""MIC: what is hidden must be told from what is around it."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor, nn

from mage.learning.adapt.daformer import DAFormer, DAFormerOptions
from mage.learning.losses import log_probabilities, surprise
from mage.learning.methods import Batch
from mage.learning.views import mix, strong
from mage.scenes.errors import ModelError


class MIC(DAFormer):
    """Masked image consistency (Hoyer et al. 2023, equations 4 to 8) on top of DAFormer: from a target image of which
    most patches are hidden, the student must tell what the teacher sees in the whole.

    Args:
        model: as of :class:`DAFormer`.
        masked: weight λ^M of the masked images' loss; the paper's is 1.
        patch: side of a patch in pixels. The paper hides patches of 64 in crops of 512 to 1024; 16 is as much of a crop
            of 128.
        hidden: share of patches that are hidden; the paper's is 0.7.
        options: as of :class:`DAFormer`; a ``distance`` of 0 leaves the feature distance out.

    >>> from mage.learning import SiameseDamageNet
    >>> MIC(SiameseDamageNet(width=4), patch=32).settings()["hidden"]
    0.7
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        masked: float = 1.0,
        patch: int = 16,
        hidden: float = 0.7,
        **options: Unpack[DAFormerOptions],
    ) -> None:
        super().__init__(model, **options)
        if patch < 1:
            raise ModelError("a patch cannot have this side", expected="1 pixel or more", found=str(patch))
        self.masked, self.patch, self.hidden = masked, patch, hidden

    def target_losses(self, image: Tensor, label: Tensor, sure: Tensor, batch: Batch) -> dict[str, Tensor]:
        """``masked``."""
        n, size = len(image), image.shape[-2:]
        grid = [-(-side // self.patch) for side in size]
        seen = torch.from_numpy(batch.rng.random((n, *grid)) >= self.hidden).to(image.device)
        whole = seen.repeat_interleave(self.patch, 1).repeat_interleave(self.patch, 2)[:, : size[0], : size[1]]
        view = mix(whole, strong(image, batch.rng), torch.zeros_like(image))
        loss = surprise(log_probabilities(self.model(view)), label, sure.expand(n, *size))
        return {"masked": self.masked * loss}
