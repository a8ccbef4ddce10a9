"""Tent: adaptation to unlabelled images alone, without a look at what the model was trained on."""

from __future__ import annotations

from torch import Tensor, nn

from mage.learning.losses import entropy, log_probabilities
from mage.learning.methods import Batch, Method
from mage.scenes.errors import ModelError

NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
BatchNorm = nn.modules.batchnorm._BatchNorm


class Tent(Method):
    """Fully test-time adaptation (Wang et al. 2021, equation 1): the scale and shift of the normalisation layers learn
    to lower the entropy of the predictions; all other weights stay.

    BatchNorm normalises by the batch, as in the paper, and its running statistics move to the target's. GroupNorm and
    LayerNorm, which need no statistics, are adapted in the same way (as in Niu et al. 2023, SAR). Give :func:`fit` few
    steps, and the model a copy if the one before is still wanted: parameters that stay no longer require a gradient.

    Args:
        model: trained; see :class:`~mage.learning.Method`.

    Raises:
        ModelError: it has no normalisation layer with scale and shift.

    >>> method = Tent(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)))
    >>> [name for name, p in method.named_parameters() if p.requires_grad]
    ['model.1.weight', 'model.1.bias']
    """

    needs, labelled = ("unlabelled",), False

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        layers = [m for m in model.modules() if isinstance(m, NORMS) and getattr(m, "weight", None) is not None]
        if not layers:
            raise ModelError("this model has no normalisation layer to adapt", found=type(model).__name__)
        model.requires_grad_(False)
        for layer in layers:
            layer.requires_grad_(True)
        self.train()

    def train(self, mode: bool = True) -> Tent:
        """Only BatchNorm is put into training mode; dropout would blur what the entropy is of."""
        super().train(False)
        for module in self.model.modules():
            if isinstance(module, BatchNorm):
                module.train(mode)
        return self

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """``entropy``: its mean over all pixels, in nats."""
        return {"entropy": entropy(log_probabilities(self.model(batch.image("unlabelled")))).mean()}
