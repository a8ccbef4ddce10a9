"""Is this imagery like what the model was trained on? Gaussians of what training tiles look like, and distances.

A model maps whatever it is shown, and says nothing where it has never seen the like. The distance of an image's pooled
features from those of the training (Mahalanobis distance, Lee et al. 2018, *A simple unified framework for detecting
out-of-distribution samples and adversarial attacks*, here with one class and shrunken covariance) tells. Beside it
stands the same distance of light, contrast and sharpness of the image itself, which normalisation layers take out of
features: haze and other sensors show there first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own habit
from torch.utils.data import Dataset
from tqdm import tqdm

from mage.learning.devices import autocast, place
from mage.learning.methods import featured
from mage.learning.runs import publish
from mage.scenes.errors import ModelError

WINDOW = 64  # pixels
MOST = 3.0  # standard deviations that one direction counts: a rare thing must not weigh like another world
LOOKS = 3  # figures of each band
HELD_OUT = 5  # every so many'th tile sets the threshold and is not learned
FORMAT, NOTE = "mage-density/1", "density"

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A Gaussian of vectors (n, d): ``mean`` (d,), ``factor`` (d, d) with which differences have unit covariance.

    Both are float64 to compute with; of those that :func:`gaussian` finds, float32 holds the values.
    """

    mean: Values
    factor: Values

    def excess(self, vectors: Values) -> Values:
        """Mean square of the whitened differences of vectors (n, d), each capped at 3: 1 on average for those it is
        of, 9 for what is far away in every direction.
        """
        return np.asarray((np.clip((vectors - self.mean) @ self.factor, -MOST, MOST) ** 2).mean(-1))


@dataclass(frozen=True, eq=False)
class Density:
    """How unlike its training a model finds images; see :func:`fit_density`.

    Attributes:
        model: whose features it is of.
        features: the Gaussian of windows' mean features.
        look: that of their light, contrast and sharpness.
        threshold: score of a tile from which on it counts as unlike the training.
        false_alarm: share of tiles like the training that exceed it.
        window: side of a window in pixels.

    >>> from mage.learning import SiameseDamageNet
    >>> rng = np.random.default_rng(0)
    >>> tiles = [{"image": torch.from_numpy(rng.integers(0, 60, (2, 3, 32, 48), np.uint8))} for _ in range(12)]
    >>> density = fit_density(SiameseDamageNet(width=2), tiles, window=16)
    >>> density.map(tiles[0]["image"]).shape
    (2, 3)
    >>> density.score(tiles[0]["image"] + 150) > density.score(tiles[0]["image"])
    True
    """

    model: nn.Module
    features: Gaussian
    look: Gaussian
    threshold: float
    false_alarm: float
    window: int

    def score(self, image: Tensor) -> float:
        """Mean distance of an image's windows; shaped as in training but of any height and width. Up to about 1 where
        it is as usual, 3 for what could not be stranger.

        Raises:
            ModelError: another shape.
        """
        return float(self.map(image).mean())

    def unlike(self, image: Tensor) -> bool:
        """Whether the score exceeds the threshold."""
        return self.score(image) > self.threshold

    def map(self, image: Tensor) -> Values:
        """Distance of each window of an image, (rows, columns): where to look.

        Raises:
            ModelError: another shape.
        """
        if (found := LOOKS * _bands(image)) != len(self.look.mean):
            expected, counted = f"{len(self.look.mean) // LOOKS} bands of all dates", str(found // LOOKS)
            raise ModelError("the image is of another kind than the training's", expected=expected, found=counted)
        return _distance(self.features, self.look, describe(self.model, image, self.window))

    def save(self, path: str | Path) -> Path:
        """Write it as one safetensors file of float32, whole or not at all; the model is not in it."""
        arrays = {"features": self.features, "look": self.look}
        tensors = {
            f"{name}.{field}": torch.from_numpy(np.ascontiguousarray(getattr(gaussian, field), np.float32))
            for name, gaussian in arrays.items()
            for field in ("mean", "factor")
        }
        about = {name: getattr(self, name) for name in ("threshold", "false_alarm", "window")}
        # one entry, since their order in the file is not the same every time
        publish(Path(path), save(tensors, {NOTE: json.dumps({"format": FORMAT} | about)}))
        return Path(path)


def load_density(path: str | Path, model: nn.Module) -> Density:
    """A density that was saved, of the features of the model that it was fitted with.

    Raises:
        ModelError: the file cannot be read, or is no density.

    >>> from tempfile import TemporaryDirectory
    >>> from mage.learning import SiameseDamageNet
    >>> model = SiameseDamageNet(width=2)
    >>> tiles = [{"image": torch.randint(0, 99, (2, 3, 32, 32), dtype=torch.uint8)} for _ in range(12)]
    >>> with TemporaryDirectory() as folder:
    ...     density = fit_density(model, tiles)
    ...     again = load_density(density.save(f"{folder}/density.safetensors"), model)
    >>> again.score(tiles[0]["image"]) == density.score(tiles[0]["image"])
    True
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name).double().numpy() for name in file.keys()}  # noqa: SIM118 - not a mapping
        about = json.loads(metadata.get(NOTE, "{}"))
        if about.get("format") != FORMAT:
            raise ModelError("not a density", file=path, expected=FORMAT, found=str(about.get("format")))
        features, look = (Gaussian(arrays[f"{name}.mean"], arrays[f"{name}.factor"]) for name in ("features", "look"))
        density = Density(
            model, features, look, float(about["threshold"]), float(about["false_alarm"]), int(about["window"])
        )
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"the density cannot be read ({error})", file=path, expected="a file that Density.save wrote"
        ) from error
    channels, found = sum(featured(model).channels), len(features.mean)
    if found != channels or features.factor.shape != (found, found) or look.factor.shape != (len(look.mean),) * 2:
        raise ModelError(
            "the density is of another model", file=path, expected=f"{channels} features", found=str(found)
        )
    return density


def fit_density(
    model: nn.Module,
    dataset: Dataset[dict[str, Any]],
    held_out: Dataset[dict[str, Any]] | None = None,
    *,
    false_alarm: float = 0.05,
    window: int = WINDOW,
    progress: bool = False,
) -> Density:
    """Learn what tiles of the training look like to a model.

    Args:
        model: with ``features``, as :class:`~mage.learning.SiameseDamageNet` has; its mode is left as it was.
        dataset: tiles that it was trained on, whole, without augmentation: samples with ``image``.
        held_out: tiles of the same kind that set the threshold; None takes every fifth of the dataset, which is then
            not learned from. Tiles of other places make the threshold stand for the kind rather than for the places.
        false_alarm: share of such tiles that the threshold may take for unlike.
        window: side of the windows of :meth:`Density.map`, pixels.
        progress: a bar on standard error.

    Raises:
        ModelError: fewer than four tiles to learn from or none to set the threshold by, a model without features, a
            share outside 0-1.

    >>> from mage.learning import SiameseDamageNet
    >>> rng = np.random.default_rng(0)
    >>> dark = [{"image": torch.from_numpy(rng.integers(0, 60, (2, 3, 32, 32), np.uint8))} for _ in range(20)]
    >>> density = fit_density(SiameseDamageNet(width=2), dark)
    >>> density.unlike(dark[0]["image"]), density.unlike(dark[0]["image"] + 150)
    (False, True)
    """
    if not 0 < false_alarm < 1:
        raise ModelError("no such share of false alarms", expected="between 0 and 1", found=str(false_alarm))
    seen = _described(model, dataset, window, progress)
    if held_out is None:
        judged = seen[::HELD_OUT]
        seen = [vectors for index, vectors in enumerate(seen) if index % HELD_OUT]
    else:
        judged = _described(model, held_out, window, progress)
    if len(seen) < 4 or not judged:
        expected, found = "4 tiles to learn from and 1 to set the threshold", f"{len(seen)} and {len(judged)}"
        raise ModelError("too few tiles for a density", expected=expected, found=found)
    vectors = np.concatenate(seen)
    looks = LOOKS * _bands(dataset[0]["image"])
    features, look = gaussian(vectors[:, :-looks]), gaussian(vectors[:, -looks:])
    scores = [_distance(features, look, part).mean() for part in judged]
    threshold = float(np.quantile(scores, 1 - false_alarm, method="higher"))
    return Density(model, features, look, threshold, false_alarm, window)


def gaussian(vectors: Values) -> Gaussian:
    """The Gaussian of vectors (n, d), its covariance shrunken towards a diagonal one as Ledoit and Wolf (2004,
    *A well-conditioned estimator for large-dimensional covariance matrices*) find best, in units of each dimension's
    standard deviation; it holds for fewer vectors than dimensions too. Its values are rounded to those of float32, as
    :meth:`Density.save` keeps them, before anything is measured by it.
    """
    mean, n = vectors.mean(0), len(vectors)
    deviation = vectors.std(0)
    scale = np.maximum(deviation, max(1e-6, 1e-3 * float(deviation.mean())))  # what never varied here may vary later
    z = (vectors - mean) / scale
    sample = z.T @ z / n
    level = np.trace(sample) / len(sample)
    spread = ((sample - level * np.eye(len(sample))) ** 2).sum()
    noise = ((z**2).sum(1) ** 2).sum() / n**2 - (sample**2).sum() / n
    share = float(np.clip(noise / spread, 0, 1)) if spread > 0 else 1.0
    values, axes = np.linalg.eigh((1 - share) * sample + share * max(level, 1e-6) * np.eye(len(sample)))
    factor = axes / np.sqrt(np.maximum(values, 1e-6 * values.max())) / scale[:, None]
    return Gaussian(*(values.astype(np.float32).astype(np.float64) for values in (mean, factor)))


def auroc(inside: NDArray[Any], outside: NDArray[Any]) -> float:
    """Probability that a score from outside exceeds one from inside, ties half: 1 told apart, 0.5 not at all.

    Raises:
        ModelError: one of the two is empty.

    >>> auroc(np.array([0.1, 0.4]), np.array([0.4, 0.9]))
    0.875
    """
    ours, theirs = np.sort(np.asarray(inside, np.float64)), np.asarray(outside, np.float64)
    if not (ours.size and theirs.size):
        raise ModelError("no score to compare", expected="some inside and some outside")
    below, upto = np.searchsorted(ours, theirs, "left"), np.searchsorted(ours, theirs, "right")
    return float((below + upto).mean() / 2 / len(ours))


def describe(model: nn.Module, image: Tensor, window: int = WINDOW) -> Values:
    """Vectors of the windows of an image, (rows, columns, d): means of each feature of the encoder; and of each band at
    each date mean, logarithm of contrast, and logarithm of sharpness.

    Windows have about the side that is asked for, so that they cover the image evenly.

    Raises:
        ModelError: the model has no features, or the image does not fit it.
    """
    device = next(model.parameters()).device
    rows, columns = (max(round(side / window), 1) for side in image.shape[-2:])
    picture = place(image[None], device)
    with _evaluated(model), torch.inference_mode(), autocast(device):
        features = featured(model).features(picture)
    pooled = [F.adaptive_avg_pool2d(feature.float(), (rows, columns))[0] for feature in features]
    vectors = torch.cat([*pooled, _look(picture[0].flatten(0, -3), rows, columns)])
    values = vectors.permute(1, 2, 0).double().cpu().numpy()
    if not np.isfinite(values).all():
        raise ModelError("the features of an image are not finite")
    return values


def _distance(features: Gaussian, look: Gaussian, vectors: Values) -> Values:
    """Root mean square of the two Gaussians' distances, which count alike however many dimensions they have."""
    looks = len(look.mean)
    return np.sqrt((features.excess(vectors[..., :-looks]) + look.excess(vectors[..., -looks:])) / 2)


def _bands(image: Tensor) -> int:
    """Of all dates together."""
    return image[..., 0, 0].numel()


def _look(bands: Tensor, rows: int, columns: int) -> Tensor:
    """Light, contrast and sharpness of bands (B, H, W) in windows, (3 B, rows, columns)."""
    mean = F.adaptive_avg_pool2d(bands, (rows, columns))
    variance = F.adaptive_avg_pool2d(bands**2, (rows, columns)) - mean**2
    step = F.pad(bands, (0, 1, 0, 1), mode="replicate")
    edges = (step[:, 1:, :-1] - bands) ** 2 + (step[:, :-1, 1:] - bands) ** 2
    sharp = F.adaptive_avg_pool2d(edges, (rows, columns))
    return torch.cat([mean, *((part.clamp(min=0) + 1e-6).log() / 2 for part in (variance, sharp))])


def _described(model: nn.Module, dataset: Dataset[dict[str, Any]], window: int, progress: bool) -> list[Values]:
    """Vectors (windows, d) of each tile."""
    found = []
    for index in tqdm(range(len(dataset)), disable=not progress, unit="tile"):  # type: ignore[arg-type]
        vectors = describe(model, dataset[index]["image"], window)
        found.append(vectors.reshape(-1, vectors.shape[-1]))
    return found


@contextmanager
def _evaluated(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, and as it was afterwards."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
