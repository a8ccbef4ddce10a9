"""ColorMapGAN: a map of colours that a discriminator cannot tell from the target's, and that can move nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.adapt.domains import Discriminator
from mage.learning.methods import Batch, Method
from mage.learning.seeds import seeded
from mage.scenes.errors import ModelError


class ColourMap(nn.Module):
    """A scale and a shift for each colour: x' = x · W[x] + K[x], clipped to 0-1; at first nothing changes.

    W and K are given at ``nodes`` values of each band, and are linear in between, so that near colours stay near.

    Args:
        nodes: of each band.

    >>> ColourMap(nodes=9)(torch.full((1, 2, 3, 1, 1), 0.3)).detach().unique()
    tensor([0.3000])
    """

    def __init__(self, nodes: int = 17) -> None:
        super().__init__()
        if nodes < 2:
            raise ModelError("a colour map needs more nodes", expected="2 or more", found=str(nodes))
        self.nodes = nodes
        self.change = nn.Parameter(torch.zeros(1, 6, nodes, nodes, nodes))  # W - 1 and K by blue, green and red

    def forward(self, image: Tensor) -> Tensor:
        """(N, T, 3, H, W) or (N, 3, H, W), 0-1 -> same."""
        if image.shape[-3] != 3:
            raise ModelError("a colour map is of three bands", expected="3", found=str(image.shape[-3]))
        with torch.autocast(image.device.type, enabled=False):
            flat = image.float().reshape(-1, *image.shape[-3:])
            colours = flat.movedim(1, -1).reshape(1, 1, 1, -1, 3)
            found = F.grid_sample(self.change, 2 * colours - 1, align_corners=True, padding_mode="border")
            scale, shift = found.view(6, len(flat), *flat.shape[2:]).movedim(0, 1).chunk(2, 1)
            return (flat * (1 + scale) + shift).clamp(0, 1).view(image.shape)


class ColorMapGAN(Method):
    """Adversarial colour maps (Tasar et al. 2020, equations 1 to 4): x' = x ∘ W + K with a scale and a shift for each
    colour, trained by least squares (Mao et al. 2017) against a discriminator of images.

    The paper has a row for each of 256³ colours; here :class:`ColourMap` has fewer and is linear between them. One map
    serves all places and both dates. Masks of the source are not used.

    Args:
        model: a :class:`ColourMap`.
        rate: multiple of the learning rate for the discriminator; the paper's are both 5e-4.
        width: channels of the discriminator's first layer.
        seed: of its first weights.

    >>> method = ColorMapGAN(ColourMap())
    >>> sorted(method.settings())
    ['rate', 'seed', 'width']
    """

    needs = ("source", "unlabelled")

    def __init__(self, model: nn.Module, *, rate: float = 1.0, width: int = 64, seed: int = 0) -> None:
        super().__init__(model)
        self.rate, self.width, self.seed = rate, width, seed
        with seeded(seed):
            self.discriminator = Discriminator(3, width)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """``adversarial``, the map's, and ``discriminator``."""
        fake, real = single(self.model(batch.image("source"))), single(batch.image("unlabelled"))
        return least_squares(self.discriminator, fake, real)

    def rates(self) -> dict[str, float]:
        """The discriminator's."""
        return {"discriminator": self.rate}

    def preview(self, image: Tensor) -> Tensor | None:
        """The images in the target's style."""
        return self.model(image)


def least_squares(discriminator: nn.Module, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
    """Both sides of a least-squares game in one step: ``adversarial``, the generator's, (D(fake) - 1)², through D
    without its weights; and ``discriminator``, ((D(real) - 1)² + D(fake)²) / 2, without the gradient of the images.
    """
    frozen = {name: p.detach() for name, p in discriminator.named_parameters()}
    fooled = functional_call(discriminator, frozen, (fake,)).float()
    told, known = discriminator(fake.detach()).float(), discriminator(real).float()
    return {
        "adversarial": (fooled - 1).square().mean(),
        "discriminator": ((known - 1).square().mean() + told.square().mean()) / 2,
    }


def single(image: Tensor) -> Tensor:
    """Dates as images of their own: (N, T, C, H, W) or (N, C, H, W) -> (N T, C, H, W)."""
    return image.flatten(0, 1) if image.ndim == 5 else image
