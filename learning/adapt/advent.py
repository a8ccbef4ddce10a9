"""ADVENT: in the target the model is as sure, and of what it is sure in the source."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.func import functional_call

from mage.learning.adapt.domains import SOURCE, TARGET, Discriminator, domain_loss
from mage.learning.augmentation import augment
from mage.learning.losses import log_probabilities, supervised_losses
from mage.learning.methods import Augment, Batch, Supervised
from mage.learning.seeds import seeded


class ADVENT(Supervised):
    """Adversarial entropy minimisation (Vu et al. 2019, equations 6 to 8): a discriminator tells the maps of weighted
    self-information, -p log p of each class, of the target from the source's, and the model learns to mislead it.

    Both play in one step: the model's loss goes through the discriminator without its weights, the discriminator's
    sees the maps without their gradient.

    Args:
        model: any; see :class:`~mage.learning.Method`.
        classes: of the maps; None takes the model's ``classes``.
        adversarial: weight λ_adv of the model's part; the paper's is 0.001.
        rate: multiple of the learning rate for the discriminator; the paper's are 1e-4 and 2.5e-4.
        width: channels of the discriminator's first layer.
        seed: of its first weights.
        weights: of each class in the supervised loss.
        augment: of labelled and unlabelled images.

    >>> from mage.learning import SiameseDamageNet
    >>> ADVENT(SiameseDamageNet(width=4)).settings()["adversarial"]
    0.001
    """

    needs = ("source", "unlabelled")

    def __init__(
        self,
        model: nn.Module,
        classes: int | None = None,
        *,
        adversarial: float = 0.001,
        rate: float = 0.4,
        width: int = 64,
        seed: int = 0,
        weights: Sequence[float] | None = None,
        augment: Augment = augment,
    ) -> None:
        super().__init__(model, weights=weights, augment=augment)
        self.adversarial, self.rate, self.width, self.seed = adversarial, rate, width, seed
        with seeded(seed):
            self.discriminator = Discriminator(self.number(classes), width)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The supervised losses, ``adversarial`` (the model's) and ``discriminator``."""
        image, mask = self.learned(batch)
        output = self.model(image)
        from_source = len(batch.image("source"))
        source = self_information(log_probabilities(output)[:from_source])
        target = self_information(log_probabilities(self.model(self.weak(batch))))
        frozen = {name: p.detach() for name, p in self.discriminator.named_parameters()}
        misled = domain_loss(functional_call(self.discriminator, frozen, (target,)), SOURCE)
        told = [
            domain_loss(self.discriminator(m.detach()), domain) for m, domain in ((source, SOURCE), (target, TARGET))
        ]
        losses = supervised_losses(output, mask, self.weights)
        return losses | {"adversarial": self.adversarial * misled, "discriminator": (told[0] + told[1]) / 2}

    def rates(self) -> dict[str, float]:
        """The discriminator's."""
        return {"discriminator": self.rate}


def self_information(log_p: Tensor) -> Tensor:
    """-p log p of each class over log C, (N, classes, H, W), so that a pixel's sum is its normalised entropy."""
    return -(log_p.exp() * log_p) / math.log(log_p.shape[1])
