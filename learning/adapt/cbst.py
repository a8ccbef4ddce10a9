"""CBST: self-training whose thresholds come from how much of a place is built."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor, nn

from mage.learning.ema import Teacher
from mage.learning.encoders import check_least
from mage.learning.heads import Prediction
from mage.learning.losses import localisation_loss, supervised_losses
from mage.learning.methods import Batch, Supervised, SupervisedOptions
from mage.scenes.errors import ModelError
from mage.scenes.metrics import IGNORE

READ = 512  # pixels of an image that are remembered; their ranks tell the thresholds


class CBST(Supervised):
    """Class-balanced self-training (Zou et al. 2018, section 3) of where buildings are, with shares that are known.

    A network that learned from simulated places ranks the pixels of real ones better than it says how likely each is:
    a threshold of 0.5 misses most of them. Here the surest pixels are taken for buildings and the surest others for
    ground, as many of each as there should be, and the student learns these of a changed view.

    Zou et al. count each class's share in the model's own predictions, which keeps what the model misses missing; here
    it is said: ``share`` of the pixels are of a building, where a sample does not say otherwise in ``share``. A map of
    footprints, the simulated places of the same style, or what lies above the place's own threshold
    (:func:`~mage.learning.place_threshold`), which served best, tell it. Images of one share are ranked together, the
    latest ``memory`` of them, by a teacher that follows the student; where samples say in ``place``, an integer, which
    place they are of, those of one place: what is easy to see in one should not be all that is learned of several.

    Args:
        model: a damage model, or one whose class 0 is what is not looked for.
        share: of the pixels, above 0 and below 1; by default about what it is in xBD and Ida-BD.
        sure: of the pixels that should be buildings, how many are taken for it, the surest.
        doubt: how many times the pixels that should be buildings are not taken for ground, the surest; those between
            are not learned.
        mixed: weight of the loss.
        decay: of the teacher's average.
        memory: images whose ranks count beside those of a batch, one or more; at most 512 pixels of each.
        weights: of each class in the supervised loss.
        augment: of labelled and unlabelled images; the teacher sees the latter as they are.
        hide: share of the features' channels that labelled and unlabelled images are learned without.

    Raises:
        ModelError: a share, ``sure``, ``doubt`` or ``memory`` cannot be used, or crops of the streams differ in shape.

    >>> from mage.learning import SiameseDamageNet
    >>> CBST(SiameseDamageNet(width=4), share=0.12).settings()["share"]
    0.12
    """

    needs = ("unlabelled",)
    remembered: Tensor  # (images, pixels, 3): a logit, share and place of its image; all 0 where nothing is yet

    def __init__(
        self,
        model: nn.Module,
        *,
        share: float = 0.13,
        sure: float = 0.7,
        doubt: float = 1.6,
        mixed: float = 1.0,
        decay: float = 0.99,
        memory: int = 64,
        **options: Unpack[SupervisedOptions],
    ) -> None:
        super().__init__(model, **options)
        _check(share, sure, doubt)
        check_least("the method", memory=memory)
        self.share, self.sure, self.doubt, self.mixed = share, sure, doubt, mixed
        self.decay, self.memory = decay, memory
        self.wants = (*self.wants, "share", "place")
        self.teacher = Teacher(model, decay, by_batch=False)
        self.register_buffer("remembered", torch.zeros(memory, READ, 3))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The supervised losses, and ``mixed``, that of the target's pixels that are sure.

        Both domains go through the network together, so that BatchNorm's statistics are those of both.
        """
        image, mask = self.learned(batch)
        target = batch.image("unlabelled")
        if image.shape[1:] != target.shape[1:]:
            shapes = f"{tuple(image.shape[1:])} and {tuple(target.shape[1:])}"
            raise ModelError("labelled and unlabelled samples differ in shape", expected="equal crops", found=shapes)
        label = self.pseudo(target, self._shares(batch, target), self._places(batch, target))
        view, label = self.augment(target, label, batch.rng)
        output = self.output(torch.cat([image, view]), batch.rng)
        losses = supervised_losses(_part(output, slice(len(image))), mask, self.weights)
        found = built(_part(output, slice(len(image), None)))
        return losses | {"mixed": self.mixed * localisation_loss(found, label)}

    def pseudo(self, image: Tensor, shares: Tensor, places: Tensor) -> Tensor:
        """Labels uint8 (N, H, W), 1 building, 0 ground, 255 neither sure, of images of these shares and places, (N,).

        What the teacher sees of the images is remembered.
        """
        with torch.no_grad():
            score = built(self.teacher(image))[:, 0].float()
        known = torch.cat([self.remembered, _read(score, shares, places)])
        self.remembered = known[-self.memory :]
        told = zip(shares.tolist(), places.tolist(), strict=True)
        high, low = torch.tensor([self._limits(known, *of) for of in told], device=image.device).T
        label = torch.full(score.shape, IGNORE, dtype=torch.uint8, device=image.device)
        label[score < low[:, None, None]] = 0
        label[score > high[:, None, None]] = 1
        return label

    def after_step(self) -> None:
        """The teacher follows."""
        self.teacher.update(self.model)

    def _shares(self, batch: Batch, image: Tensor) -> Tensor:
        told = (batch.unlabelled or {}).get("share")
        if told is None:
            return torch.full((len(image),), self.share, device=image.device)
        if not bool(((told > 0) & (told < 1)).all()):
            raise ModelError("a share of buildings cannot be used", expected="above 0 and below 1", found=str(told))
        return told.float()

    @staticmethod
    def _places(batch: Batch, image: Tensor) -> Tensor:
        told = (batch.unlabelled or {}).get("place")
        return torch.zeros(len(image), device=image.device) if told is None else told.float()

    def _limits(self, known: Tensor, share: float, place: float) -> tuple[float, float]:
        """Above the first a pixel is building, below the second ground, of images of this share and place."""
        like = ((known[..., 1] - share).abs() < 1e-6) & (known[..., 2] == place)
        values = known[..., 0][like]
        ranks = torch.tensor([1 - self.sure * share, max(0.0, 1 - self.doubt * share)], device=values.device)
        high, low = torch.quantile(values, ranks).tolist()
        return high, low


def built(output: Prediction | Tensor) -> Tensor:
    """Logits (N, 1, H, W) that a pixel is of a building, or of any class but 0.

    >>> built(torch.tensor([0.0, 2.0]).view(1, 2, 1, 1)).item()
    2.0
    """
    if isinstance(output, Prediction):
        return output.localisation
    return output[:, 1:].logsumexp(1, keepdim=True) - output[:, :1]


def _read(score: Tensor, shares: Tensor, places: Tensor) -> Tensor:
    """What is remembered of logits (N, H, W), (N, 512, 3); all 0 behind the pixels of smaller images."""
    flat = score.flatten(1)
    picked = torch.linspace(0, flat.shape[1] - 1, min(READ, flat.shape[1]), device=flat.device).long()
    seen = torch.zeros(len(flat), READ, 3, device=flat.device)
    seen[:, : len(picked), 0] = flat[:, picked]
    seen[:, : len(picked), 1], seen[:, : len(picked), 2] = shares[:, None], places[:, None]
    return seen


def _part(output: Prediction | Tensor, images: slice) -> Prediction | Tensor:
    if isinstance(output, Tensor):
        return output[images]
    return Prediction(*(None if logits is None else logits[images] for logits in output))  # type: ignore[arg-type]


def _check(share: float, sure: float, doubt: float) -> None:
    if not 0 < share < 1:
        raise ModelError("a share of buildings cannot be used", expected="above 0 and below 1", found=str(share))
    if not 0 < sure <= doubt:
        raise ModelError(
            "what is sure and what is in doubt do not fit", expected="0 < sure <= doubt", found=f"{sure}, {doubt}"
        )
