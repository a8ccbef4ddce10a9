"""A model that learns from an analyst's corrections of one map, and keeps what it knew.

Crops around corrected buildings are labelled where somebody looked, and nowhere else. There the model learns; on the
rest of these crops, and on crops elsewhere in the scene, it is to say what it said before (self-distillation, as in
"Learning without forgetting", Li and Hoiem 2016, doi:10.1007/978-3-319-46493-0_37).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import rasterio
import shapely
import torch
from numpy.typing import NDArray
from rasterio.features import rasterize
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit
from torch.utils.data import Dataset

from mage.learning.ema import BatchNorm
from mage.learning.heads import Prediction
from mage.learning.losses import damage_losses, log_probabilities, main_mask, supervised_losses
from mage.learning.mapping.edited import BY_HAND
from mage.learning.mapping.findings import Buildings
from mage.learning.mapping.picture import Picture, Window
from mage.learning.mapping.stream import read_window
from mage.learning.methods import Batch, Supervised, SupervisedOptions
from mage.learning.network import Network
from mage.learning.runs import Run
from mage.learning.sampling import Draw
from mage.learning.train import fit
from mage.scenes.errors import DatasetError, ModelError
from mage.scenes.grid import Grid
from mage.scenes.metrics import IGNORE

Labels = NDArray[np.uint8]
TRIES = 50  # crops drawn anywhere before one that holds a correction is taken too


class Corrected(Supervised):
    """Learns from labels of few pixels, and holds on to what the model said of all others before it began.

    ``memory``, the mean divergence of the model's probabilities from those that it began with, over pixels without a
    label of the labelled streams and over all of the unlabelled one, joins the supervised losses. Further heads are
    held where they were. Statistics of BatchNorm stay: those of few crops of one place would be worse.

    Args:
        model: as of :class:`~mage.learning.Method`; what it says now is remembered.
        memory: weight.
        weights: as of :class:`~mage.learning.Supervised`.
        augment: likewise.

    >>> from mage.learning import SiameseDamageNet
    >>> method = Corrected(SiameseDamageNet(width=2))
    >>> tiles = {"image": torch.zeros(1, 2, 3, 16, 16), "mask": torch.full((1, 16, 16), 255)}
    >>> losses = method.losses(Batch(np.random.default_rng(0), target=tiles))
    >>> {name: round(loss.item(), 4) for name, loss in losses.items()}
    {'localisation': 0.0, 'damage': 0.0, 'memory': 0.0}
    """

    def __init__(self, model: nn.Module, *, memory: float = 1.0, **options: Unpack[SupervisedOptions]) -> None:
        super().__init__(model, **options)
        self.memory = memory
        self.labels = ()  # of further heads nobody corrects anything
        self.before = deepcopy(model).requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Corrected:
        """As of torch, but for BatchNorm and the model as it was, which stay as they are."""
        super().train(mode)
        self.before.eval()
        for module in self.model.modules():
            if isinstance(module, BatchNorm):
                module.eval()
        return self

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The supervised losses, and ``memory``."""
        image, mask = self.learned(batch)
        output = self.model(image)
        losses = _labelled(output, mask, self.weights)
        kept = [self._apart(output, image, main_mask(mask) == IGNORE)]
        if batch.unlabelled is not None:
            image = self.weak(batch)
            everywhere = torch.ones(len(image), *image.shape[-2:], dtype=torch.bool, device=image.device)
            kept.append(self._apart(self.model(image), image, everywhere))
        return losses | {"memory": self.memory * torch.stack(kept).mean()}

    def _apart(self, output: Any, image: Tensor, where: Tensor) -> Tensor:
        """Mean divergence from what the model said of images before, over some of their pixels."""
        with torch.no_grad():
            wanted = self.before(image)
        log_p, log_q = log_probabilities(output), log_probabilities(wanted)
        apart = (log_q.exp() * (log_q - log_p)).sum(1) * where
        further = sum(
            (F.smooth_l1_loss(logits.float(), kept.float()) for logits, kept in _further(output, wanted)),
            start=apart.new_zeros(()),
        )
        return apart.sum() / where.sum().clamp(min=1) + further


def finetune(
    model: Network,
    pictures: Sequence[Picture],
    grid: Grid,
    buildings: Buildings,
    corrected: Buildings,
    out: Path,
    *,
    steps: int = 200,
    seed: int = 0,
    size: int = 128,
    batch: int = 4,
    lr: float = 1e-4,
    memory: float = 1.0,
    device: str = "auto",
    resume: bool = False,
    progress: bool = False,
) -> Run:
    """Train a model further on what somebody corrected; the run can be mapped with.

    Labels are the grades of buildings that are "Photo-interpretation" and certain, and bare ground where a building was
    deleted. "Damaged" is the likelier of the grades between. Its temperatures and densities, fitted to the model that
    it was, do not go with it: calibrate the run anew where there are labels to do so.

    Args:
        model: as it was mapped with; it is changed.
        pictures: one for each date, on the grid.
        grid: of the map.
        buildings: as found.
        corrected: the same with corrections, see :func:`~mage.learning.mapping.corrections.apply_corrections`.
        out: folder of the run.
        steps: updates of the weights; few.
        seed: of order and crops.
        size: side of the crops, pixels.
        batch: crops of each kind in a batch.
        lr: highest learning rate; low.
        memory: how much it counts to say what was said before, see :class:`Corrected`.
        device: auto, cpu, cuda or mps.
        resume: go on with the run in ``out``.
        progress: a bar on standard error.

    Raises:
        DatasetError: nothing was corrected that a model could learn from.
        ModelError: as of :func:`~mage.learning.fit`, or the model has other grades or dates.
    """
    number = 1 + corrected.grades.shape[1]
    if model.classes != number or model.dates != len(pictures):
        found = f"{model.classes} classes, {model.dates} dates"
        raise ModelError("not a model of this map", expected=f"{number} classes, {len(pictures)} dates", found=found)
    labels = _labels(buildings, corrected)
    if not labels:
        raise DatasetError("nothing to learn from: no building was given a certain grade, and none was deleted")
    taught = CorrectedCrops(pictures, grid, labels, size)
    elsewhere = RememberedCrops(pictures, grid, [shape for shape, _ in labels], size)
    return fit(
        Corrected(model, memory=memory),
        target=taught,
        unlabelled=elsewhere,
        out=out,
        steps=steps,
        batch=batch,
        lr=lr,
        seed=seed,
        device=device,
        preview=0,
        resume=resume,
        progress=progress,
    )


class CorrectedCrops(Dataset[dict[str, Any]]):
    """Crops around labelled shapes of a scene: samples with ``image``, uint8 (dates, bands, size, size), without
    ``dates`` where there is one; and ``mask``, uint8 (size, size), 255 where nobody looked.

    Args:
        pictures: one for each date.
        grid: theirs.
        labels: polygons in metres and their value in the mask.
        size: side of the crops, pixels.

    Raises:
        DatasetError: none of them lies on the grid.
    """

    def __init__(
        self, pictures: Sequence[Picture], grid: Grid, labels: Sequence[tuple[shapely.Geometry, int]], size: int
    ) -> None:
        scene = shapely.box(*grid.bounds)
        cut = [(shapely.intersection(shape, scene), value) for shape, value in labels]
        self.labels = [(shape, value) for shape, value in cut if shape.area > 0]
        if not self.labels:
            raise DatasetError("no correction lies on the map")
        self.pictures, self.grid, self.size = tuple(pictures), grid, size
        self.tree = shapely.STRtree([shape for shape, _ in self.labels])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The crop around this shape; a :class:`~mage.learning.sampling.Draw` moves it at random."""
        middle = shapely.get_coordinates(shapely.point_on_surface(self.labels[int(index)][0]))
        corner = np.floor(self.grid.to_pixel(middle)[0, ::-1]).astype(int) - self.size // 2
        if isinstance(index, Draw):
            reach = self.size // 4
            corner = corner + index.rng().integers(-reach, reach, 2, endpoint=True)
        spare = np.maximum(np.array(self.grid.shape) - self.size, 0)
        window = _window(np.clip(corner, 0, spare), self.size)
        image, valid = _crop(self.pictures, window)
        mask = self._mask(window)
        mask[~valid] = IGNORE
        return {"image": image, "mask": torch.from_numpy(mask)}

    def _mask(self, window: Window) -> Labels:
        part = self.grid.part(window)
        found = np.sort(self.tree.query(shapely.box(*part.bounds)))
        shapes = [self.labels[k] for k in found]
        return np.asarray(
            rasterize(shapes, part.shape, fill=IGNORE, transform=rasterio.Affine(*part.transform), dtype="uint8")
        )


class RememberedCrops(Dataset[dict[str, Any]]):
    """Crops of a scene that hold none of some shapes, if such can be found: samples with ``image`` as of
    :class:`CorrectedCrops`. One for every crop's worth of the scene; where they lie is drawn.

    Args:
        pictures: one for each date.
        grid: theirs.
        shapes: to be left out.
        size: side of the crops, pixels.
    """

    def __init__(self, pictures: Sequence[Picture], grid: Grid, shapes: Sequence[shapely.Geometry], size: int) -> None:
        self.pictures, self.grid, self.size = tuple(pictures), grid, size
        self.tree = shapely.STRtree(list(shapes))
        self.count = int(np.prod([max(side // size, 1) for side in grid.shape]))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A crop somewhere."""
        rng = index.rng() if isinstance(index, Draw) else np.random.default_rng(int(index))
        spare = np.maximum(np.array(self.grid.shape) - self.size, 0)
        for _ in range(TRIES):
            window = _window(np.asarray(rng.integers(0, spare, endpoint=True), np.int64), self.size)
            around = shapely.box(*self.grid.part(window).bounds)
            if not len(self.tree.query(around, predicate="intersects")):
                break
        return {"image": _crop(self.pictures, window)[0]}


def _labels(buildings: Buildings, corrected: Buildings) -> list[tuple[shapely.Geometry, int]]:
    """Shapes that somebody is sure of, with their value in a mask; buildings over ground where both overlap."""
    deleted = ~np.isin(buildings.identity, corrected.identity)
    found = [(shape, 0) for shape in buildings.outline[deleted]]
    sure = np.isin(corrected.verdict, ("Destroyed", "Damaged", "No visible damage")) & (corrected.method == BY_HAND)
    grade = 1 + np.nan_to_num(corrected.grades).argmax(1) if len(corrected) else np.zeros(0, int)
    return found + [(corrected.outline[k], int(grade[k])) for k in np.flatnonzero(sure)]


def _window(corner: NDArray[np.integer[Any]], size: int) -> Window:
    row, column = corner.tolist()
    return slice(row, row + size), slice(column, column + size)


def _crop(pictures: Sequence[Picture], window: Window) -> tuple[Tensor, NDArray[np.bool_]]:
    """Images of a window, uint8 (dates, C, h, w) or of one date (C, h, w), and where all of them are data."""
    images, valid = read_window(pictures, window)
    return torch.from_numpy(images if len(images) > 1 else images[0]), valid


def _labelled(output: Prediction | Tensor, mask: Tensor, weights: Tensor | None) -> dict[str, Tensor]:
    """The supervised losses, those of further heads aside."""
    if isinstance(output, Prediction):
        return damage_losses(output, mask, weights)
    return supervised_losses(output, mask, weights)


def _further(output: Prediction | Tensor, wanted: Prediction | Tensor) -> list[tuple[Tensor, Tensor]]:
    """Logits of further heads, now and before."""
    if not isinstance(output, Prediction) or not isinstance(wanted, Prediction):
        return []
    before = wanted.further()
    return [(logits, before[head]) for head, logits in output.further().items()]
