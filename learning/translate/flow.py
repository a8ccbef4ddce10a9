"""Flow matching: a field of velocities that carries source images to target images in a few steps."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.methods import Batch, Method
from mage.learning.seeds import seeded
from mage.learning.translate.cut import normalise
from mage.scenes.errors import ModelError

WAVES = 8  # frequencies that tell the time to the network
COARSE = 8  # side of the images whose likeness couples
SHARPNESS, ROUNDS = 0.05, 100  # of the plan: its entropic term over the mean cost; Sinkhorn's iterations


class Flow(nn.Module):
    """Velocities v(x, t) of images, and the map that they make: x(1) of dx/dt = v(x, t), x(0) the image, by the
    midpoint rule.

    A small U-Net that is told the time by a scale and a shift of its features. These are normalised over space and
    both dates of a place together, so that what looks alike at both dates moves alike.

    Args:
        bands: of an image.
        width: channels at full size.
        blocks: residual, at a quarter of the size.
        steps: of the midpoint rule.
        seed: of the first weights; torch's global generator is left as it was.

    >>> Flow(width=4, blocks=1)(torch.rand(1, 2, 3, 9, 13)).shape
    torch.Size([1, 2, 3, 9, 13])
    """

    def __init__(self, bands: int = 3, width: int = 32, blocks: int = 4, *, steps: int = 8, seed: int = 0) -> None:
        super().__init__()
        if steps < 1:
            raise ModelError("a flow needs steps", expected="1 or more", found=str(steps))
        self.bands, self.steps = bands, steps
        w = width
        with seeded(seed):
            self.entry = _Timed(bands, w)
            self.down = nn.ModuleList([_Timed(w, 2 * w, stride=2), _Timed(2 * w, 4 * w, stride=2)])
            self.blocks = nn.ModuleList(_Timed(4 * w, 4 * w) for _ in range(blocks))
            self.up = nn.ModuleList([_Timed(4 * w + 2 * w, 2 * w), _Timed(2 * w + w, w)])
            self.out = nn.Conv2d(w, bands, 3, padding=1, padding_mode="replicate")
        self.out.weight.data.zero_()  # at first nothing moves
        self.out.bias.data.zero_()  # type: ignore[union-attr]

    def forward(self, image: Tensor) -> Tensor:
        """(N, T, C, H, W) or (N, C, H, W), 0-1 -> same, in the target's style."""
        x, length = image.float(), 1 / self.steps
        for step in range(self.steps):
            time = torch.full((len(x),), step * length, device=x.device)
            middle = x + 0.5 * length * self.velocity(x, time)
            x = x + length * self.velocity(middle, time + 0.5 * length)
        return x.clamp(0, 1)

    def velocity(self, image: Tensor, time: Tensor) -> Tensor:
        """Those of images (N, T, C, H, W) or (N, C, H, W) at times (N,) of 0-1, of the same shape, float32."""
        if image.shape[-3] != self.bands:
            raise ModelError(
                "an image of other bands than the flow's", expected=str(self.bands), found=str(image.shape[-3])
            )
        dates = image.shape[1] if image.ndim == 5 else 1
        flat = image.reshape(-1, *image.shape[-3:])
        height, width = flat.shape[-2:]
        told = waves(time)
        x = F.pad(2 * flat - 1, (0, -width % 4, 0, -height % 4), mode="replicate")
        seen = [self.entry(x, told, dates)]
        for layer in self.down:
            seen.append(layer(seen[-1], told, dates))
        x = seen.pop()
        for block in self.blocks:
            x = x + block(x, told, dates)
        for layer in self.up:
            x = layer(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), seen.pop()], 1), told, dates)
        found: Tensor = self.out(x).float()[..., :height, :width]
        return found.reshape(image.shape)


class FlowMatching(Method):
    """Conditional flow matching between two domains of images, without a latent space (Lipman et al. 2023; Tong et al.
    2024, equations 9 to 14; for Earth observation the idea of FlowEO, Le Bellier and Audebert 2025): the network learns
    the velocity x₁ - x₀ at x_t = (1 - t) x₀ + t x₁, t uniform in 0-1, of pairs that belong together.

    Which source image x₀ goes with which target image x₁ of a batch depends on the data (Albergo et al. 2024): pairs
    are drawn from the optimal transport plan, entropic, whose cost is the squared distance of coarse images without
    their mean colour, so that places of like layout go together, whatever their light. Large batches couple better.

    Masks of the source are not used.

    Args:
        model: a :class:`Flow`.

    >>> FlowMatching(Flow(width=4)).needs
    ('source', 'unlabelled')
    """

    needs = ("source", "unlabelled")

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        if not isinstance(model, Flow):
            raise ModelError("flow matching trains a field of velocities", expected="Flow", found=type(model).__name__)
        self.flow = model

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """``velocity``: the mean squared error."""
        source, target = _alike(batch.image("source"), batch.image("unlabelled"), batch.rng)
        drawn = draw_pairs(transport_plan(layout_cost(source, target)), batch.rng)
        target = target[drawn.to(target.device)]
        time = torch.from_numpy(batch.rng.random(len(source), np.float32)).to(source.device)
        t = time.view(-1, *[1] * (source.ndim - 1))
        found = self.flow.velocity((1 - t) * source + t * target, time)
        return {"velocity": (found - (target - source)).square().mean()}

    def preview(self, image: Tensor) -> Tensor | None:
        """The images in the target's style."""
        return self.model(image)


def layout_cost(source: Tensor, target: Tensor) -> Tensor:
    """Mean squared distances, (N, M), of coarse images without their mean colour."""
    one, other = _coarse(source), _coarse(target)
    return torch.cdist(one, other).square() / one.shape[1]


def transport_plan(cost: Tensor) -> Tensor:
    """The entropic optimal transport plan, (N, M), float64 on the CPU, between equal weights (Cuturi 2013)."""
    cost = cost.detach().double().cpu()
    scores = -cost / (SHARPNESS * cost.mean()).clamp(min=1e-12)
    one, other = torch.zeros(cost.shape[0], dtype=cost.dtype), torch.zeros(cost.shape[1], dtype=cost.dtype)
    for _ in range(ROUNDS):
        one = -math.log(cost.shape[0]) - torch.logsumexp(scores + other, 1)
        other = -math.log(cost.shape[1]) - torch.logsumexp(scores + one[:, None], 0)
    return torch.exp(scores + one[:, None] + other)


def draw_pairs(plan: Tensor, rng: np.random.Generator) -> Tensor:
    """A column for each row, drawn by the plan, (N,)."""
    share = (plan / plan.sum(1, keepdim=True)).cumsum(1).numpy()
    return torch.from_numpy((rng.random((len(share), 1)) * share[:, -1:] > share).sum(1))


def waves(time: Tensor) -> Tensor:
    """Times (N,) as sines and cosines, (N, 2 · WAVES)."""
    angles = time.float()[:, None] * math.pi * 2.0 ** torch.arange(WAVES, device=time.device)
    return torch.cat([angles.sin(), angles.cos()], 1)


class _Timed(nn.Module):
    """A 3x3 convolution, normalised, scaled and shifted by the time, and ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.convolve = nn.Conv2d(inputs, outputs, 3, stride, 1, padding_mode="replicate")
        self.time = nn.Linear(2 * WAVES, 2 * outputs)

    def forward(self, x: Tensor, told: Tensor, dates: int) -> Tensor:
        """(N dates, inputs, H, W) and the time, (N, 2 WAVES) -> (N dates, outputs, H / stride, W / stride)."""
        x = normalise(self.convolve(x), dates)
        scale, shift = self.time(told).repeat_interleave(dates, 0)[:, :, None, None].chunk(2, 1)
        return torch.relu(x * (1 + scale) + shift)


def _coarse(image: Tensor) -> Tensor:
    small = F.adaptive_avg_pool2d(image.reshape(-1, *image.shape[-3:]), COARSE)
    small = small.view(*image.shape[:-2], COARSE, COARSE).float()
    return (small - small.mean((-2, -1), keepdim=True)).flatten(1)


def _alike(source: Tensor, target: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Both with dates, or both without: of source places one date is drawn where the target's have none."""
    if source.ndim == 5 and target.ndim == 4:
        dates = torch.from_numpy(rng.integers(0, source.shape[1], len(source))).to(source.device)
        source = source[torch.arange(len(source), device=source.device), dates]
    if source.shape[1:] != target.shape[1:]:
        found = f"{tuple(source.shape[1:])} and {tuple(target.shape[1:])}"
        raise ModelError("source and unlabelled images differ in shape", expected="equal crops", found=found)
    return source, target
