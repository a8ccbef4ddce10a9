"""A user's own model, in a loop of their own, that adapts to images without labels by one of the methods."""

import sys

import numpy as np
import torch
from torch import nn

from mage.learning import DACS, Batch, EpochSampler, ShardDataset, log_probabilities

tiles = ShardDataset(sys.argv[1], size=32)
model = nn.Sequential(nn.Flatten(1, 2), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 1))
method = DACS(model, threshold=0.6)
optimizer = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=0.1)
for step, drawn in enumerate(EpochSampler(len(tiles), batch=2, stop=4)):
    samples = [tiles[index] for index in drawn]
    stacked = {name: torch.stack([sample[name] for sample in samples]) for name in ("image", "mask")}
    hazy = {"image": stacked["image"] // 2 + 100}
    losses = method.losses(Batch(np.random.default_rng(step), stacked, unlabelled=hazy, progress=step / 4))
    optimizer.zero_grad()
    sum(losses.values()).backward()
    optimizer.step()
    method.after_step()
shown = log_probabilities(model(hazy["image"].float() / 255)).exp()
sys.stdout.write(f"{sorted(losses)} {tuple(shown.shape)} {shown.isfinite().all()}\n")
