"""AdaBN: the statistics of BatchNorm are those of the target, all weights stay."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from mage.learning.devices import autocast, explained, pick_device, place
from mage.learning.streams import collate
from mage.scenes.errors import ModelError

BatchNorm = nn.modules.batchnorm._BatchNorm
MOMENTS = ("running_mean", "running_var")


def adapt_batch_norm(
    model: nn.Module, target: Dataset[dict[str, Any]], *, batch: int = 8, device: str = "auto", progress: bool = False
) -> None:
    """Replace the running statistics of every BatchNorm by those of target images (Li et al. 2018, AdaBN, algorithm 1).

    Means and variances are those of all pixels of all images, merged over batches exactly (Chan et al. 1979), not the
    mean of the batches' variances, which leaves out how batches differ. The images pass through the network as in
    training, each batch normalised by itself.

    Args:
        model: changed in place; its mode, device and all weights are left as they were.
        target: samples with ``image``, uint8 or float of about 0-1.
        batch: images in a pass.
        device: auto, cpu, cuda or mps.
        progress: a bar on standard error.

    Raises:
        ModelError: the model has no BatchNorm with running statistics.
        DatasetError: a sample cannot be read.

    >>> net = nn.Sequential(nn.BatchNorm2d(3))
    >>> adapt_batch_norm(net, [{"image": torch.full((3, 8, 8), 0.25)}], device="cpu")
    >>> net[0].running_mean
    tensor([0.2500, 0.2500, 0.2500])
    """
    layers = [m for m in model.modules() if isinstance(m, BatchNorm) and m.track_running_stats]
    if not layers:
        raise ModelError("this model has no BatchNorm whose statistics could be adapted", found=type(model).__name__)
    # so that the batches' own averages, which training mode keeps, do not stay
    before = {layer: layer.num_batches_tracked.clone() for layer in layers if layer.num_batches_tracked is not None}
    found = {layer: _Moments() for layer in layers}
    hooks = [layer.register_forward_pre_hook(lambda m, inputs: found[m].add(inputs[0])) for layer in layers]
    training = {module: module.training for module in model.modules()}
    try:
        model.eval()
        for layer in layers:
            layer.train()
        _pass(model, target, batch, pick_device(device), progress)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in training.items():
            module.training = mode
    for layer, moments in found.items():
        moments.write(layer)
        if layer in before and layer.num_batches_tracked is not None:
            layer.num_batches_tracked.copy_(before[layer])


def _pass(model: nn.Module, target: Dataset[dict[str, Any]], batch: int, device: torch.device, progress: bool) -> None:
    home = next((p.device for p in model.parameters()), torch.device("cpu"))
    loader = DataLoader(target, batch_size=batch, collate_fn=lambda samples: collate(samples, labelled=False))
    model.to(device)
    try:
        with torch.no_grad(), explained(), autocast(device):
            for samples in tqdm(loader, disable=not progress, unit="batch"):
                model(place(samples["image"], device))
    finally:
        model.to(home)


class _Moments:
    """Count, mean and squared deviations of each channel, merged over batches in float64."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor | None = None
        self.deviation: Tensor | None = None

    def add(self, x: Tensor) -> None:
        """Take in an input (N, C, ...) of the layer."""
        values = x.detach().double().transpose(0, 1).flatten(1)
        number, mean = values.shape[1], values.mean(1)
        deviation = (values - mean[:, None]).square().sum(1)
        if self.mean is None or self.deviation is None:
            self.count, self.mean, self.deviation = number, mean, deviation
            return
        total, step = self.count + number, mean - self.mean
        self.mean = self.mean + step * number / total
        self.deviation = self.deviation + deviation + step.square() * self.count * number / total
        self.count = total

    def write(self, layer: nn.modules.batchnorm._BatchNorm) -> None:
        """Put mean and unbiased variance, as BatchNorm keeps it, into the layer."""
        if self.mean is None or self.deviation is None or layer.running_mean is None or layer.running_var is None:
            return  # a layer that no image passes
        layer.running_mean.copy_(self.mean)
        layer.running_var.copy_(self.deviation / max(self.count - 1, 1))
