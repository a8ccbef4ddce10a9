"""From pairs to single images, for models that look at one date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

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
