"""Geometry from one image: how high what stands there is, and which way it faces, as the simulator knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from mage.learning.augmentation import dihedral, jitter
from mage.learning.encoders import norm, padded
from mage.learning.methods import Batch
from mage.learning.pretext.task import Pretext
from mage.learning.seeds import seeded
from mage.scenes.errors import ModelError
from mage.scenes.metrics import IGNORE


class Geometry(Pretext):
    """Height and normals of every pixel from one image, as dense regression: L = smooth |log(1 + h) - log(1 + ĥ)|
    + normals (1 - n · n̂ / |n̂|), means over pixels whose truth is known.

    The first is the smooth absolute error by which SynRS3D (Song et al. 2024) learns heights, here of the logarithm of
    metres, so that low houses count as towers do; the second the cosine of Eigen and Fergus (2015, equation 3).
    Normals are those of the height raster at its GSD, see :func:`normals_of`.

    Args:
        model: an :class:`~mage.learning.Encoder`.
        heights: the tensors of samples, (H, W), that hold the height at each date, in the order of the dates, as
            ``ShardDataset(root, labels=("pre_height", "post_height"))`` gives them.
        metre: what a metre is in them; 100, for shards have centimetres.
        normals: weight of the normals.
        width: channels of the decoder.
        gsd: metres of a pixel of all images; by default each sample says its own, as ``gsd``.
        seed: of the decoder's first weights.

    Raises:
        ModelError: the model is no encoder, or a number cannot be.

    >>> from mage.learning import ResidualEncoder
    >>> Geometry(ResidualEncoder(width=4), width=8).settings()["normals"]
    1.0
    """

    labelled = True

    def __init__(
        self,
        model: nn.Module,
        *,
        heights: Sequence[str] = ("pre_height", "post_height"),
        metre: float = 100.0,
        normals: float = 1.0,
        width: int = 64,
        gsd: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(model)
        if not heights or width < 1 or not metre > 0:
            raise ModelError("such a task cannot be", expected="a name for each date, a width and a metre above 0")
        self.heights, self.metre, self.normals, self.width = tuple(heights), metre, normals, width
        self.gsd, self.seed = gsd, seed
        self.wants = (*self.heights, *(("gsd",) if gsd is None else ()))
        with seeded(seed):
            self.decoder = Decoder(self.encoder.channels, self.encoder.strides, width)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """``height`` and ``normals``, of the labelled streams."""
        parts = [self.regress(*self.seen(batch, name, image), batch) for name, image in self.images(batch)]
        height, normals = (torch.stack(part).mean() for part in zip(*parts, strict=True))
        return {"height": height, "normals": self.normals * normals}

    def images(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """Those of the labelled streams."""
        return ((name, image) for name, image in super().images(batch) if name != "unlabelled")

    def seen(self, batch: Batch, name: str, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of a stream, each date by itself: images (M, C, H, W), heights in metres and where they are known (M, H, W),
        and metres of a pixel (M,).

        Raises:
            ModelError: samples lack a height or a date, or a height is not as large as its image.
        """
        heights = [batch.wanted(name, height).float() / self.metre for height in self.heights]
        dates, size = len(heights), (len(image), *image.shape[-2:])
        if image.shape[1] < dates or any(height.shape != size for height in heights):
            found = f"{image.shape[1]}, of {tuple(image.shape[-2:])}, and {[tuple(h.shape[1:]) for h in heights]}"
            raise ModelError("images and heights differ", expected=f"{dates} dates of one size", found=found)
        mask = getattr(batch, name)["mask"]
        metres = batch.wanted(name, "gsd") if self.gsd is None else torch.full(size[:1], self.gsd, device=image.device)
        known = (mask != IGNORE)[:, None].expand(-1, dates, -1, -1)
        return (
            image[:, :dates].flatten(0, 1),
            torch.stack(heights, 1).flatten(0, 1),
            known.flatten(0, 1),
            metres.float().repeat_interleave(dates),
        )

    def regress(
        self, image: Tensor, height: Tensor, known: Tensor, metres: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        """The errors of height and normals, of what :meth:`seen` returns."""
        both, known = dihedral(torch.cat([image, height[:, None]], 1), known, batch.rng)
        image, height = jitter(both[:, :-1], batch.rng), both[:, -1]
        found = self.decoder(self.model(padded(image, self.encoder.strides[-1]))).float()
        found = found[..., : height.shape[-2], : height.shape[-1]]
        wrong = F.smooth_l1_loss(found[:, 0], height.clamp(min=0).log1p(), reduction="none")
        normals, sure = normals_of(height, metres), surrounded(known)
        away = 1 - F.cosine_similarity(found[:, 1:], normals, dim=1)
        return _mean_where(wrong, known), _mean_where(away, sure)


class Decoder(nn.Module):
    """Features of all scales on the finest of them, summed, and a convolution to the height and three numbers of the
    normal at every pixel.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], width: int) -> None:
        super().__init__()
        self.stride = strides[0]
        self.level = nn.ModuleList(nn.Conv2d(c, width, 1, bias=False) for c in channels)
        self.norm, self.out = norm(width), nn.Conv2d(width, 4 * self.stride**2, 3, padding=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Features, finest first -> (N, 4, H, W)."""
        size = features[0].shape[-2:]
        parts = [F.interpolate(level(f), size, mode="nearest") for level, f in zip(self.level, features, strict=True)]
        return F.pixel_shuffle(self.out(self.norm(torch.stack(parts).sum(0)).relu()), self.stride)


def normals_of(height: Tensor, metres: Tensor) -> Tensor:
    """Normals of unit length, (N, 3, H, W), of surfaces whose height is (N, H, W) in metres on pixels of so many
    metres, (N,): east (along columns), south (along rows) and up, by central differences, one-sided at the borders.
    """
    slopes = []
    for dim in (2, 1):
        before, after, apart = _neighbours(height, dim)
        slopes.append((after - before) / (apart * metres[:, None, None]))
    return F.normalize(torch.stack([-slopes[0], -slopes[1], torch.ones_like(height)], 1), dim=1)


def surrounded(known: Tensor) -> Tensor:
    """Where a pixel, (N, H, W), and those that its normal is taken from are known."""
    rows, columns = (_neighbours(known, dim) for dim in (1, 2))
    return known & rows[0] & rows[1] & columns[0] & columns[1]


def _neighbours(values: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Values one place before and after along a dimension, themselves where there is none, and how many pixels lie
    between the two, at least 1.
    """
    place = torch.arange(values.shape[dim], device=values.device)
    before, after = (place - 1).clamp(min=0), (place + 1).clamp(max=len(place) - 1)
    apart = (after - before).clamp(min=1)
    return values.index_select(dim, before), values.index_select(dim, after), apart if dim == 2 else apart[:, None]


def _mean_where(values: Tensor, there: Tensor) -> Tensor:
    """The mean of values where they count; 0 of none."""
    return (values * there).sum() / there.sum().clamp(min=1)
