"""What tests of learning share: one thread, a drawn dataset, a small run."""

from __future__ import annotations

import pytest
import torch
from fake_dataset import write_fake_dataset

from mage.learning import ShardDataset, SiameseDamageNet, Supervised, devices, fit


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def float32(monkeypatch):
    """Convolutions in float32, even where a processor has bfloat16 units, whose rounding some tests cannot bear."""
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: False)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Root of a dataset of 6 tiles of 64 px in 3 shards."""
    root = tmp_path_factory.mktemp("drawn") / "dataset"
    write_fake_dataset(root, count=6, size=64, shard_size=2)
    return root


@pytest.fixture(scope="session")
def short_run(drawn, tmp_path_factory):
    """A run of 4 steps on it."""
    out = tmp_path_factory.mktemp("short") / "run"
    method = Supervised(SiameseDamageNet(4))
    return fit(method, ShardDataset(drawn, size=32), out=out, steps=4, batch=2, device="cpu")
