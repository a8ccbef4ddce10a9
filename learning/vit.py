"""A plain vision transformer whose positions are metres: the same ground looks alike to it at any resolution."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.encoders import normalise
from mage.learning.seeds import seeded
from mage.scenes.errors import ModelError

REFERENCE = 1.0  # metres: the GSD of which ScaleMAE's positions are multiples
SLOWEST = 10_000.0  # radians of the fastest position frequency to the slowest (Vaswani et al. 2017)


class ViT(nn.Module):
    """A vision transformer (Dosovitskiy et al. 2021) for any bands and any size, an
    :class:`~mage.learning.Encoder` of one stride; :class:`~mage.learning.SimplePyramid` makes features of several.

    Positions are fixed sines and cosines, scaled by the image's GSD over 1 m (ScaleMAE, Reed et al. 2023, equations 2
    and 3). There is no class token; ``registers`` are tokens without a place (Darcet et al. 2024). The defaults are
    those of ViT-S/16.

    Args:
        width: of a token; a multiple of 4 and of ``heads``.
        depth: blocks.
        heads: of the attention.
        patch: side of a patch in pixels.
        bands: channels of an image.
        registers: how many.
        gsd: metres of a pixel of images that come without one.
        expansion: of the width within a block.
        seed: of the first weights; torch's global generator is left as it was.

    Raises:
        ModelError: a number that cannot be.

    >>> vit = ViT(width=16, depth=1, heads=2, patch=8)
    >>> [feature.shape for feature in vit(torch.rand(2, 3, 32, 48))]
    [torch.Size([2, 16, 4, 6])]
    >>> vit.tokens(torch.rand(2, 3, 32, 48), gsd=torch.tensor([0.3, 10.0]), keep=torch.tensor([[0, 5], [1, 2]])).shape
    torch.Size([2, 2, 16])
    """

    mean, std = (0.5,), (0.25,)

    def __init__(
        self,
        width: int = 384,
        depth: int = 12,
        heads: int = 6,
        patch: int = 16,
        bands: int = 3,
        registers: int = 0,
        gsd: float = REFERENCE,
        expansion: int = 4,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__()
        numbers = {"width": width, "depth": depth, "heads": heads, "patch": patch, "bands": bands, "gsd": gsd}
        numbers["expansion"] = expansion
        for name, value in numbers.items():
            if not (math.isfinite(value) and value > 0):
                raise ModelError(f"a transformer cannot have this {name}", expected="above 0", found=str(value))
        if width % math.lcm(4, heads) or registers < 0:
            expected = "a width that 4 and the heads divide, and 0 or more registers"
            raise ModelError("these tokens cannot be", expected=expected, found=f"{width}, {heads} and {registers}")
        self.width, self.depth, self.heads, self.patch, self.bands = width, depth, heads, patch, bands
        self.gsd, self.expansion = gsd, expansion
        self.channels, self.strides = (width,), (patch,)
        with seeded(seed):
            self.embed = nn.Conv2d(bands, width, patch, patch)
            self.registers = nn.Parameter(torch.randn(registers, width) * 0.02)
            self.blocks = nn.ModuleList(Block(width, heads, expansion) for _ in range(depth))
            self.norm = nn.LayerNorm(width)
            initialise(self)

    def forward(self, image: Tensor, gsd: Tensor | float | None = None) -> list[Tensor]:
        """(N, bands, H, W) 0-1, H and W multiples of the patch -> one feature, (N, width, H / patch, W / patch).

        Args:
            image: as said.
            gsd: metres of a pixel, one or (N,).
        """
        tokens = self.tokens(image, gsd)
        return [tokens.transpose(1, 2).reshape(len(image), self.width, *self.grid(image))]

    def tokens(self, image: Tensor, gsd: Tensor | float | None = None, keep: Tensor | None = None) -> Tensor:
        """(N, L, width) of the patches row by row, or (N, K, width) of those alone that ``keep``, (N, K) indices,
        names; the others are not looked at.
        """
        grid = self.grid(image)
        x = self.embed(normalise(image, self.mean, self.std)).flatten(2).transpose(1, 2)
        places = positions(grid, self.width, self.gsd if gsd is None else gsd, image.device)
        x = x + places.to(x.dtype)
        if keep is not None:
            x = x.gather(1, keep[:, :, None].expand(-1, -1, self.width))
        number = len(self.registers)
        x = torch.cat([self.registers.expand(len(x), -1, -1).to(x.dtype), x], 1)
        for block in self.blocks:
            x = block(x)
        return cast("Tensor", self.norm(x)[:, number:])

    def grid(self, image: Tensor) -> tuple[int, int]:
        """Rows and columns of patches.

        Raises:
            ModelError: the image is of another shape.
        """
        height, width = image.shape[-2:]
        if image.ndim != 4 or image.shape[1] != self.bands or height % self.patch or width % self.patch:
            expected = f"(N, {self.bands}, H, W), H and W multiples of {self.patch}"
            raise ModelError("images of another shape", expected=expected, found=str(tuple(image.shape)))
        return height // self.patch, width // self.patch


class Block(nn.Module):
    """Self-attention and a perceptron, each behind a LayerNorm and beside a shortcut."""

    def __init__(self, width: int, heads: int, expansion: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, L, width) -> same."""
        x = x + self._attend(self.norms[0](x))
        return cast("Tensor", x + self.perceptron(self.norms[1](x)))

    def _attend(self, x: Tensor) -> Tensor:
        parts = self.query_key_value(x)
        query, key, value = parts.view(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return cast("Tensor", self.out(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)))


def positions(grid: tuple[int, int], width: int, gsd: Tensor | float, device: torch.device | None = None) -> Tensor:
    """Sine and cosine codes of the places of a grid (ScaleMAE, equations 2 and 3), float32 (1 or N, rows · columns,
    width): for column x, sin and cos of gsd / G · x · 10000^(-k / (width / 4)), k below width / 4 and G = 1 m; then the
    same for the row.

    Args:
        grid: rows and columns.
        width: of a code, a multiple of 4.
        gsd: metres, one or (N,).
        device: of the codes.

    Raises:
        ModelError: a GSD is not above 0.
    """
    scale = torch.as_tensor(gsd, dtype=torch.float32, device=device).reshape(-1) / REFERENCE
    if not bool((scale.isfinite() & (scale > 0)).all()):
        raise ModelError("a GSD cannot be", expected="metres, above 0", found=str(gsd))
    number = width // 4
    frequency = SLOWEST ** (-torch.arange(number, dtype=torch.float32, device=device) / number)
    row, column = (torch.arange(n, dtype=torch.float32, device=device) for n in grid)
    place = torch.stack([column.expand(grid), row[:, None].expand(grid)], -1).flatten(0, 1)  # (L, 2): x, y
    angle = scale[:, None, None, None] * place[:, :, None] * frequency  # (N, L, 2, width / 4)
    return torch.cat([angle.sin(), angle.cos()], -1).flatten(2)


def initialise(module: nn.Module) -> None:
    """First weights of a transformer: kernels from a normal distribution of 0.02 deviation, biases 0."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            nn.init.normal_(part.weight, std=0.02)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
