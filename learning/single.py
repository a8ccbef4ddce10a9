"""From pairs to single images, for models that look at one date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mage.learning.names import Theme
from mage.scenes.errors import DatasetError
from mage.scenes.metrics import IGNORE


@dataclass(frozen=True, slots=True)
class SingleImage:
    """A transform for :class:`~mage.learning.ShardDataset`: one date's image, and as its mask one of the labels, as in
    ``ShardDataset(root, labels=("post_class",), transform=SingleImage("post", "post_class"))``.

    Attributes:
        date: whose image it is.
        label: a label member that the dataset was asked for; 255 where the tile ends.
        presence: take 1 where the label is above 0, as of building numbers or depths, rather than its value.

    Raises:
        DatasetError: the sample has no such label.

    >>> import torch
    >>> sample = {"image": torch.zeros(2, 3, 1, 2), "mask": torch.tensor([[0, 255]])}
    >>> sample["post_road"] = torch.tensor([[7, 0]])
    >>> SingleImage("post", "post_road", presence=True)(sample)["mask"]
    tensor([[  1, 255]])
    """

    date: Literal["pre", "post"]
    label: str
    presence: bool = False

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """The sample with ``image`` (C, H, W) and ``mask`` (H, W) of one date; other tensors stay."""
        if self.label not in sample:
            raise DatasetError(f"samples lack the label '{self.label}'", expected="a dataset made with `labels`")
        value = sample[self.label]
        value = (value > 0).to(value.dtype) if self.presence else value
        mask = value.masked_fill(sample["mask"] == IGNORE, IGNORE)
        return sample | {"image": sample["image"][int(self.date == "post")], "mask": mask}


@dataclass(frozen=True, slots=True)
class ThemeImage:
    """A transform for :class:`~mage.learning.ShardDataset` with the labels ``theme.wants``: the image after, and a mask
    of the theme, 255 where the tile ends.

    Raises:
        DatasetError: the sample lacks a label.

    >>> import torch
    >>> sample = {"image": torch.zeros(2, 3, 1, 3), "mask": torch.tensor([[0, 0, 255]])}
    >>> sample |= {"post_water": torch.tensor([[1, 0, 0]]), "post_flood": torch.tensor([[0, 0, 0]])}
    >>> ThemeImage(Theme.WATER)(sample)["mask"]
    tensor([[  1,   0, 255]])
    """

    theme: Theme

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the mask's values."""
        return self.theme.classes

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """The sample with ``image`` (C, H, W) and ``mask`` (H, W) of one date; other tensors stay."""
        if missing := [name for name in self.theme.wants if name not in sample]:
            raise DatasetError(f"samples lack the label '{missing[0]}'", expected="a dataset made with `labels`")
        there = [sample[name] > 0 for name in self.theme.wants]
        match self.theme:
            case Theme.BUILDINGS:
                value = there[0].long()
            case Theme.WATER:
                value = (there[0] | there[1]).long()
            case Theme.ROADS:
                value = there[0].long() * (1 + there[1].long())
        mask = value.masked_fill(sample["mask"] == IGNORE, IGNORE)
        return sample | {"image": sample["image"][1], "mask": mask}
