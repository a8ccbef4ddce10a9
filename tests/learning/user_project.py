"""A project of a user's own: what they would write with ``mage.learning`` and torch, and nothing else of MAGE's."""

import sys

import numpy as np
import torch
from torch.utils.data import DataLoader

from mage.learning import (
    EpochSampler,
    ShardDataset,
    SiameseDamageNet,
    Supervised,
    augment,
    damage_losses,
    evaluate,
    fit,
    load_model,
)

root, out = sys.argv[1:]
tiles = ShardDataset(root, size=32)
model = SiameseDamageNet(width=4)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for number, batch in enumerate(DataLoader(tiles, batch_sampler=EpochSampler(len(tiles), batch=2, stop=3))):
    image, mask = augment(batch["image"].float() / 255, batch["mask"], np.random.default_rng(number))
    loss = sum(damage_losses(model(image), mask).values())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
run = fit(Supervised(model), tiles, out=out, steps=2, batch=2)
pre, post = ShardDataset(root)[0]["image"].permute(0, 2, 3, 1).numpy()
classes, probabilities = load_model(out).predict(pre, post)
score = evaluate(run, ShardDataset(root)).figures["localisation_f1"]
sys.stdout.write(f"{classes.shape} {probabilities.shape} {score:.3f}\n")
