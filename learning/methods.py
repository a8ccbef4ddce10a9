"""What a way to learn is: the losses of a batch, and what follows a step. And the plainest one.

A method is a module: its state holds all that training changes (networks, teachers, discriminators, thresholds), so
that saving and loading it resumes exactly. What is random comes in with the batch.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypedDict, cast

import numpy as np
import torch
from torch import Tensor, nn

from mage.learning.augmentation import augment
from mage.learning.devices import unit
from mage.learning.losses import predicted_classes, supervised_losses
from mage.learning.views import channel_masks
from mage.scenes.errors import ModelError

STREAMS = ("source", "target", "unlabelled")
Samples = Mapping[str, Tensor]
Augment = Callable[[Tensor, Tensor, np.random.Generator], tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step learns from: up to three streams of collated samples, on the device of the method.

    Samples have TorchGeo's keys: ``image``, (N, T, C, H, W) or (N, C, H, W), uint8, or float of about 0-1; and
    ``mask``, (N, H, W) integers, 255 ignored, which unlabelled ones need not have; beside them whatever the
    method ``wants`` and they hold.

    Attributes:
        rng: of all that is random in this step.
        source: labelled, of the source domain (synthetic).
        target: labelled, few, of the target domain (real).
        unlabelled: of the target domain.
        progress: share of all steps that is done, 0 to 1; schedules depend on it.

    >>> batch = Batch(np.random.default_rng(0), unlabelled={"image": torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)})
    >>> batch.image("unlabelled").unique()
    tensor([1.])
    """

    rng: np.random.Generator
    source: Samples | None = None
    target: Samples | None = None
    unlabelled: Samples | None = None
    progress: float = 0.0

    def image(self, stream: str) -> Tensor:
        """Images of a stream as float 0-1.

        Raises:
            ModelError: the stream is not in the batch.
        """
        samples: Samples | None = getattr(self, stream)
        if samples is None:
            raise ModelError(f"this method needs the stream '{stream}', and the batch has none")
        return unit(samples["image"])

    def wanted(self, stream: str, name: str) -> Tensor:
        """A further tensor of a stream, as the samples hold it, stacked.

        Raises:
            ModelError: the stream is not in the batch, or its samples do not hold it.
        """
        samples: Samples | None = getattr(self, stream)
        if samples is None or name not in samples:
            raise ModelError(
                f"this method needs '{name}' in the samples of the stream '{stream}'",
                expected="a dataset that gives it, such as ShardDataset with `labels` or `images`",
                found="no such stream" if samples is None else ", ".join(samples),
            )
        return samples[name]

    def labelled(self, further: Sequence[str] = ()) -> tuple[Tensor, Tensor]:
        """Images, float 0-1, and masks of all labelled streams, one after the other along N.

        With the names of ``further`` labels the masks are (N, 1 + labels, H, W) int32: the mask itself, then each of
        the labels, -1 where a stream has none.

        Raises:
            ModelError: there is none, their samples differ in shape, or a further label is missing or no integer.
        """
        there = [samples for samples in (self.source, self.target) if samples is not None]
        if not there:
            raise ModelError("this method needs labelled samples", expected="the stream 'source', 'target' or both")
        images = [unit(samples["image"]) for samples in there]
        if len({image.shape[1:] for image in images}) > 1:
            shapes = " and ".join(str(tuple(image.shape[1:])) for image in images)
            raise ModelError("source and target samples differ in shape", expected="equal crops", found=shapes)
        masks = torch.cat([samples["mask"] for samples in there])
        if not further:
            return torch.cat(images), masks
        return torch.cat(images), torch.stack([masks.int(), *(_joined(there, name) for name in further)], 1)


class Method(nn.Module, ABC):
    """A way to learn; train it with :func:`~mage.learning.fit`, in a Lightning module, or in a loop of your own.

    In a loop: ``losses`` of a batch, their sum backwards, the optimizer's step over ``parameters()`` that require a
    gradient, then ``after_step``. In a Lightning module with the method as ``self.method``, whose loaders are a dict
    of streams::

        def training_step(self, streams, index):
            rng = np.random.default_rng((self.seed, self.global_step))
            batch = Batch(rng, progress=self.global_step / self.trainer.max_steps, **streams)
            return sum(self.method.losses(batch).values())

        def on_train_batch_end(self, *_):
            self.method.after_step()

    Args:
        model: what is trained and used afterwards, from images (N, T, C, H, W) or (N, C, H, W) to a
            :class:`~mage.learning.Prediction` or to logits (N, classes, H, W).

    >>> class Darker(Method):
    ...     labelled, needs = False, ("unlabelled",)
    ...
    ...     def losses(self, batch):
    ...         return {"light": self.model(batch.image("unlabelled")).sigmoid().mean()}
    >>> images = {"image": torch.zeros(1, 3, 8, 8)}
    >>> batch = Batch(np.random.default_rng(0), unlabelled=images)
    >>> list(Darker(nn.Conv2d(3, 2, 1)).losses(batch))
    ['light']
    """

    needs: ClassVar[tuple[str, ...]] = ()
    """Streams without which the method cannot work."""
    labelled: ClassVar[bool] = True
    """Whether it needs at least one labelled stream."""
    wants: tuple[str, ...] = ()
    """Further tensors of samples that batches keep where samples have them, such as ``pre_height`` or ``gsd``; of
    unlabelled samples never a label."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars by name, already weighed: their sum is what is minimised."""

    def after_step(self) -> None:
        """What follows the optimizer's step, such as a teacher that follows its student. Nothing by default."""

    def preview(self, image: Tensor) -> Tensor | None:  # noqa: ARG002 - for subclasses
        """What a preview picture shows of images, float 0-1: their classes, integers (N, H, W), or images of their
        shape. None, as by default, shows nothing.
        """
        return None

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The same as :meth:`losses`; wrappers such as DistributedDataParallel hook in here."""
        return self.losses(batch)

    def rates(self) -> dict[str, float]:
        """Multiples of the learning rate for the parameters of some of the method's modules, by name."""
        return {}

    def settings(self) -> dict[str, Any]:
        """The hyper-parameters by name: arguments of the class that are numbers, flags or words, or tuples of them."""
        kinds = [kind for kind in type(self).__mro__ if "__init__" in vars(kind) and issubclass(kind, Method)]
        names = dict.fromkeys(name for kind in kinds for name in inspect.signature(kind).parameters)
        values = {name: getattr(self, name, None) for name in names}
        values = {name: str(v) if isinstance(v, tuple) else v for name, v in values.items()}
        return {name: v for name, v in values.items() if isinstance(v, bool | int | float | str)}

    @property
    def classes(self) -> int | None:
        """Values that a mask may hold, as the model states; None where it does not."""
        found = getattr(self.model, "classes", None)
        return found if isinstance(found, int) else None

    def number(self, classes: int | None) -> int:
        """The number of classes, given or the model's own.

        Raises:
            ModelError: neither says.
        """
        found = classes or self.classes
        if found is None:
            raise ModelError("the model does not state its classes: name their number", found=type(self.model).__name__)
        return found


class SupervisedOptions(TypedDict, total=False):
    """Arguments of :class:`Supervised` that the methods built on it hand on."""

    weights: Sequence[float] | None
    augment: Augment
    hide: float


class Supervised(Method):
    """Learns from the labelled streams alone; the base of the methods that also learn from others.

    Args:
        model: as of :class:`Method`.
        weights: of each class in the loss, see :func:`~mage.learning.supervised_losses`; None weighs all alike. For a
            damage model ``grade_weights(dataset.grade_counts())`` keeps rare grades from drowning, or, of other sets
            than MAGE's, ``grade_weights(class_counts(dataset, 5).sum(0)[1:])``, by pixels.
        augment: from (images, masks, rng) to (images, masks); applied to labelled samples. Masks are (N, H, W), or
            (N, K, H, W) where the model has further heads.
        hide: share of the features' channels that each labelled image is learned without (spatial dropout, Tompson et
            al. 2015), drawn anew: what is seen in few channels alone, as the marks of a renderer, is trusted less. Not
            0 needs a model with ``features`` and ``decode``.

    Raises:
        ModelError: ``weights`` or ``hide`` do not fit the model.

    >>> from mage.learning import SiameseDamageNet
    >>> method = Supervised(SiameseDamageNet(width=4))
    >>> tiles = {"image": torch.zeros(2, 2, 3, 16, 16, dtype=torch.uint8), "mask": torch.ones(2, 16, 16).long()}
    >>> sorted(method.losses(Batch(np.random.default_rng(0), source=tiles)))
    ['damage', 'localisation']
    """

    weights: Tensor | None

    def __init__(
        self,
        model: nn.Module,
        *,
        weights: Sequence[float] | None = None,
        augment: Augment = augment,
        hide: float = 0.0,
    ) -> None:
        super().__init__(model)
        if not 0 <= hide < 1:
            raise ModelError("a share of channels cannot be hidden", expected="0 or more, below 1", found=str(hide))
        if hide:
            featured(model)
        self.augment, self.hide = augment, hide
        self.labels = labels_of(model)
        self.wants = (*self.wants, *self.labels)
        self.register_buffer("weights", None if weights is None else _checked(weights, model))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Those of :meth:`supervised`."""
        return self.supervised(batch)

    def preview(self, image: Tensor) -> Tensor | None:
        """The classes that the model sees."""
        return predicted_classes(self.model(image))

    def supervised(self, batch: Batch) -> dict[str, Tensor]:
        """The supervised losses of the labelled streams, augmented."""
        return self.graded(*self.learned(batch), batch.rng)

    def learned(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Images and masks of the labelled streams, augmented; the masks hold the labels of the model's further heads
        too, see :meth:`Batch.labelled`.
        """
        return self.augment(*batch.labelled(self.labels), batch.rng)

    def graded(self, image: Tensor, mask: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
        """The supervised losses of images and masks as they are."""
        return supervised_losses(self.output(image, rng), mask, self.weights)

    def output(self, image: Tensor, rng: np.random.Generator) -> Any:
        """What the model makes of images while some of its channels are hidden."""
        if not self.hide:
            return self.model(image)
        model = featured(self.model)
        return model.decode(self.kept(model.features(image), rng), (image.shape[-2], image.shape[-1]))

    def kept(self, features: list[Tensor], rng: np.random.Generator) -> list[Tensor]:
        """Features, some of whose channels are hidden."""
        if not self.hide:
            return features
        return [f * mask for f, mask in zip(features, channel_masks(features, rng, self.hide), strict=True)]

    def weak(self, batch: Batch, stream: str = "unlabelled") -> Tensor:
        """Images of a stream, augmented as labelled ones are."""
        image = batch.image(stream)
        nothing = torch.zeros(len(image), *image.shape[-2:], dtype=torch.uint8, device=image.device)
        return self.augment(image, nothing, batch.rng)[0]


class Featured(Protocol):
    """A model whose features can be had apart: what methods need that align or perturb features."""

    channels: Sequence[int]
    """Of each of the features."""

    def features(self, image: Tensor) -> list[Tensor]:
        """From images to features (N, channels, h, w), finest first."""

    def decode(self, features: list[Tensor], size: tuple[int, int]) -> Any:
        """From features to what the model returns, of ``size`` (H, W)."""


def featured(model: nn.Module) -> Featured:
    """The model, as one with features.

    Raises:
        ModelError: it has no ``features``, ``decode`` and ``channels``.
    """
    missing = [name for name in ("features", "decode", "channels") if not hasattr(model, name)]
    if missing:
        raise ModelError(
            f"this method needs a model with '{missing[0]}'",
            expected="features(image) -> list, decode(features, size) and channels, as SiameseDamageNet has",
            found=type(model).__name__,
        )
    return cast("Featured", model)


def labels_of(model: nn.Module) -> tuple[str, ...]:
    """Names of the labels from which a model's further heads learn, in the order of the heads."""
    return tuple(name for head in getattr(model, "heads", ()) for name in head.wants)


def _joined(there: Sequence[Samples], name: str) -> Tensor:
    """A label of several streams, int32 (N, H, W), -1 where one has none."""
    if not any(name in samples for samples in there):
        raise ModelError(
            f"the model has a head that learns from '{name}', and no labelled sample has it",
            expected="a dataset that gives it, such as ShardDataset with `labels`",
            found=", ".join(there[0]),
        )
    if any(samples[name].is_floating_point() for samples in there if name in samples):
        raise ModelError(f"the label '{name}' is of another type", expected="integers, as in MAGE's datasets")
    missing = [torch.full_like(samples["mask"], -1, dtype=torch.int32) for samples in there]
    return torch.cat([samples.get(name, none).int() for samples, none in zip(there, missing, strict=True)])


def _checked(weights: Sequence[float], model: nn.Module) -> Tensor:
    values = torch.tensor([float(w) for w in weights])
    number = getattr(model, "grades", getattr(model, "classes", len(values)))
    if len(values) != number or not bool((values.isfinite() & (values > 0)).all()):
        raise ModelError("the weights do not fit", expected=f"{number} above 0", found=str(list(weights)))
    return values
