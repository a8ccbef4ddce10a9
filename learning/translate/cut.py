"""CUT: a network that paints in the target's style what can be told from the source's patch at the same place."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.adapt.domains import Discriminator
from mage.learning.methods import Batch, Method
from mage.learning.seeds import seeded
from mage.learning.translate.color_map_gan import least_squares, single
from mage.scenes.errors import ModelError


class Painter(nn.Module):
    """A residual generator (Johnson et al. 2016), as CUT uses it: two strided convolutions, residual blocks, two steps
    up, and a tanh, here added to the image.

    Features are normalised over space and both dates of a place together, so that a pixel that looks alike at both
    dates is painted alike: the same map for before and after.

    Args:
        bands: of an image.
        width: channels at full size; CUT has 64.
        blocks: residual; CUT has 9.
        seed: of the first weights; torch's global generator is left as it was.

    >>> Painter(width=4, blocks=1)(torch.rand(1, 2, 3, 9, 13)).shape
    torch.Size([1, 2, 3, 9, 13])
    """

    def __init__(self, bands: int = 3, width: int = 32, blocks: int = 6, *, seed: int = 0) -> None:
        super().__init__()
        self.bands, self.width = bands, width
        with seeded(seed):
            self.down = nn.ModuleList(
                _Layer(i, o, kernel, stride)
                for i, o, kernel, stride in (
                    (bands, width, 7, 1),
                    (width, 2 * width, 3, 2),
                    (2 * width, 4 * width, 3, 2),
                )
            )
            self.blocks = nn.ModuleList(_Block(4 * width) for _ in range(blocks))
            self.up = nn.ModuleList(_Layer(i, i // 2, 3, 1) for i in (4 * width, 2 * width))
            self.out = nn.Conv2d(width, bands, 7, padding=3, padding_mode="replicate")
        nn.init.zeros_(self.out.weight)  # at first nothing changes
        nn.init.zeros_(cast("Tensor", self.out.bias))

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each of :meth:`features`."""
        return (self.width, 2 * self.width, 4 * self.width, 4 * self.width)

    def forward(self, image: Tensor) -> Tensor:
        """(N, T, C, H, W) or (N, C, H, W), 0-1 -> same."""
        dates, flat = _dates(image, self.bands)
        size = (flat.shape[-2], flat.shape[-1])
        x = self._encode(flat, dates)[-1]
        for layer in self.up:
            x = layer(F.interpolate(x, scale_factor=2.0, mode="nearest"), dates)
        change = self.out(x).float().tanh()[..., : size[0], : size[1]]
        return (flat.float() + change).clamp(0, 1).view(image.shape)

    def features(self, image: Tensor) -> list[Tensor]:
        """Features (N T, channels, h, w) of the encoder's layers and of the last block, as PatchNCE compares them."""
        dates, flat = _dates(image, self.bands)
        return self._encode(flat, dates)

    def _encode(self, flat: Tensor, dates: int) -> list[Tensor]:
        rows, columns = (-side % 4 for side in flat.shape[-2:])
        x = F.pad(2 * flat - 1, (0, columns, 0, rows), mode="replicate")
        found = []
        for layer in self.down:
            x = layer(x, dates)
            found.append(x)
        for block in self.blocks:
            x = block(x, dates)
        return [*found, x]


class CUT(Method):
    """Contrastive unpaired translation (Park et al. 2020, equations 1 to 5): L = L_GAN + λ_X L_PatchNCE(X)
    + λ_Y L_PatchNCE(Y). A patch of the output must be nearer to the patch of the input at its place than to the others
    of that image, in features of the generator's own encoder; target images must come out as they are, by the same
    measure.

    Masks of the source are not used.

    Args:
        model: a :class:`Painter`.
        source: weight λ_X; the paper's is 1.
        identity: weight λ_Y; the paper's is 1.
        patches: of each image and layer; the paper's are 256.
        temperature: τ; the paper's is 0.07.
        hidden: of the two layers that project features; the paper's are 256.
        rate: multiple of the learning rate for the discriminator. The paper's is 1, over 400 epochs. In short trainings
            the painter's colours then run past the target's, back and forth, since its last layer moves them by
            hundreds of weights at once: give a small learning rate, such as 2e-4, and a ``rate`` of 10.
        width: channels of the discriminator's first layer.
        seed: of the first weights.

    >>> CUT(Painter(width=4)).settings()["temperature"]
    0.07
    """

    needs = ("source", "unlabelled")

    def __init__(
        self,
        model: nn.Module,
        *,
        source: float = 1.0,
        identity: float = 1.0,
        patches: int = 256,
        temperature: float = 0.07,
        hidden: int = 256,
        rate: float = 1.0,
        width: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__(model)
        if not isinstance(model, Painter):
            raise ModelError("CUT trains a generator with an encoder", expected="Painter", found=type(model).__name__)
        self.painter = model
        self.source, self.identity, self.patches, self.temperature = source, identity, patches, temperature
        self.hidden, self.rate, self.width, self.seed = hidden, rate, width, seed
        with seeded(seed):
            self.discriminator = Discriminator(model.bands, width)
            self.heads = nn.ModuleList(
                nn.Sequential(nn.Linear(c, hidden), nn.ReLU(), nn.Linear(hidden, hidden)) for c in model.channels
            )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """``adversarial``, ``discriminator``, ``source`` (PatchNCE of X) and ``identity`` (of Y)."""
        image, target = batch.image("source"), batch.image("unlabelled")
        fake, same = self.model(image), self.model(target)
        losses = least_squares(self.discriminator, single(fake), single(target))
        losses["source"] = self.source * self._contrast(fake, image, batch.rng)
        losses["identity"] = self.identity * self._contrast(same, target, batch.rng)
        return losses

    def rates(self) -> dict[str, float]:
        """The discriminator's."""
        return {"discriminator": self.rate}

    def preview(self, image: Tensor) -> Tensor | None:
        """The images in the target's style."""
        return self.model(image)

    def _contrast(self, out: Tensor, image: Tensor, rng: np.random.Generator) -> Tensor:
        """Mean PatchNCE over the layers."""
        total = out.new_zeros(())
        pairs = zip(self.heads, self.painter.features(out), self.painter.features(image), strict=True)
        for head, query, key in pairs:
            places = query.shape[-2] * query.shape[-1]
            drawn = torch.from_numpy(rng.permutation(places)[: self.patches]).to(query.device)
            one, other = (head(f.flatten(2)[..., drawn].transpose(1, 2)) for f in (query, key))
            total = total + patch_nce(one, other, self.temperature)
        return total / len(self.heads)


def patch_nce(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of telling each query's key among those of its image, by cosine similarity over τ.

    Args:
        query: (N, patches, D) of the output.
        key: (N, patches, D) of the input, without a gradient.
        temperature: τ.
    """
    one, other = F.normalize(query.float(), dim=-1), F.normalize(key.detach().float(), dim=-1)
    with torch.autocast(query.device.type, enabled=False):
        scores = one @ other.transpose(1, 2) / temperature
    wanted = torch.arange(scores.shape[1], device=scores.device).expand(len(scores), -1)
    return F.cross_entropy(scores.flatten(0, 1), wanted.flatten())


class _Layer(nn.Module):
    """A convolution, instance normalisation over both dates, and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.convolve = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, padding_mode="replicate")

    def forward(self, x: Tensor, dates: int) -> Tensor:
        """(N dates, inputs, H, W) -> (N dates, outputs, H / stride, W / stride)."""
        return torch.relu(normalise(self.convolve(x), dates))


class _Block(nn.Module):
    """Two such convolutions beside a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one, self.other = (nn.Conv2d(channels, channels, 3, padding=1, padding_mode="replicate") for _ in range(2))

    def forward(self, x: Tensor, dates: int) -> Tensor:
        """(N dates, channels, H, W) -> the same shape."""
        inside = torch.relu(normalise(self.one(x), dates))
        return x + normalise(self.other(inside), dates)


def normalise(x: Tensor, dates: int) -> Tensor:
    """Instance normalisation (Ulyanov et al. 2016) of (N T, C, H, W) over space and the dates of a place."""
    places = x.unflatten(0, (-1, dates))  # type: ignore[no-untyped-call]
    spread, mean = torch.var_mean(places.float(), dim=(1, 3, 4), keepdim=True, correction=0)
    out: Tensor = ((places - mean) / (spread + 1e-5).sqrt()).to(x.dtype).flatten(0, 1)
    return out


def _dates(image: Tensor, bands: int) -> tuple[int, Any]:
    if image.shape[-3] != bands:
        raise ModelError(
            "an image of other bands than the generator's", expected=str(bands), found=str(image.shape[-3])
        )
    return (image.shape[1], image.flatten(0, 1)) if image.ndim == 5 else (1, image)
