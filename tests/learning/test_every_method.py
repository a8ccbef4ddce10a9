"""What holds for every method: it trains and resumes to the bit, in both precisions, on damage models and others."""

from __future__ import annotations

import doctest
import inspect
import pkgutil
from importlib import import_module

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from toys import Pairs, Stripes, ToyNet

import mage.learning
from mage.learning import (
    Batch,
    ColourMap,
    Flow,
    Method,
    Painter,
    ResidualEncoder,
    ShardDataset,
    SiameseDamageNet,
    ViT,
    fit,
    open_run,
)
from mage.learning.pretext.task import Pretext
from mage.learning.seeds import seeded


def is_method(kind):
    return inspect.isclass(kind) and issubclass(kind, Method) and not inspect.isabstract(kind)


NAMES = [name for name in mage.learning.__all__ if is_method(getattr(mage.learning, name))]
DISTILLED = {"local": 1, "prototypes": 8, "hidden": 8, "bottleneck": 4}
SMALL = {
    "ADVENT": {"width": 4},
    "CaCo": {"queue": 12, "code": 4, "memory": 8},
    "ColorMapGAN": {"width": 4},
    "CUT": {"width": 4, "hidden": 8, "patches": 16},
    "DINO": DISTILLED,
    "Geometry": {"width": 4},
    "MoCo": {"queue": 5, "code": 4},
    "ScaleMAE": {"width": 8, "depth": 1, "heads": 2},
    "XStars": {"code": 4} | DISTILLED,
}
OWN = {  # models of methods that do not train a damage network
    "ColorMapGAN": lambda _: ColourMap(5),
    "CUT": lambda seed: Painter(width=4, blocks=1, seed=seed),
    "FlowMatching": lambda seed: Flow(width=4, blocks=1, seed=seed),
    "ScaleMAE": lambda seed: ViT(width=8, depth=1, heads=2, patch=4, seed=seed),
} | dict.fromkeys(("CaCo", "DINO", "Geometry", "MoCo", "XStars"), lambda seed: encoder(seed))


def encoder(seed):
    with seeded(seed):
        return ResidualEncoder(width=2)


def toy(name, seed=0):
    """The model that a method trains in these tests."""
    return OWN.get(name, ToyNet)(seed)


def started(name, model):
    return getattr(mage.learning, name)(model, **SMALL.get(name, {}))


def streams(name, labelled=None, unlabelled=None):
    """What a method learns from, of two datasets, or of toys."""
    kind = getattr(mage.learning, name)
    pretext = issubclass(kind, Pretext)
    labelled, unlabelled = labelled or (Pairs() if pretext else Stripes()), unlabelled or Stripes(light=0.3)
    if pretext:
        return (labelled, None, None) if kind.labelled else (None, None, labelled)
    return labelled if kind.labelled else None, None, unlabelled if "unlabelled" in kind.needs else None


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_was_cut_in_two_equals_one_that_was_not(name, tmp_path):
    arguments = {"batch": 2, "device": "cpu", "lr": 0.01}
    whole = fit(started(name, toy(name)), *streams(name), out=tmp_path / "whole", steps=4, **arguments)
    torch.manual_seed(12345)  # nothing may hang on the global generator

    class Stopped(Exception):  # noqa: N818
        pass

    class Dying(type(started(name, toy(name)))):
        calls = 0

        def losses(self, batch):
            Dying.calls += 1
            if Dying.calls > 2:
                raise Stopped
            return super().losses(batch)

    Dying.__name__ = name
    with pytest.raises(Stopped):
        fit(
            Dying(toy(name), **SMALL.get(name, {})),
            *streams(name),
            out=tmp_path / "parts",
            steps=4,
            every=2,
            **arguments,
        )
    assert open_run(tmp_path / "parts").step == 2
    fresh = started(name, toy(name, seed=9))
    resumed = fit(fresh, *streams(name), out=tmp_path / "parts", steps=4, resume=True, **arguments)
    one, other = load_file(resumed.checkpoint), load_file(whole.checkpoint)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_a_damage_model_in_both_precisions(name, drawn, tmp_path, monkeypatch):
    from mage.learning import devices

    tiles = ShardDataset(drawn, size=16, labels=("pre_height", "post_height"))
    for bfloat16 in (False, True):
        monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda on=bfloat16: on)
        run = fit(
            started(name, OWN.get(name, lambda _: SiameseDamageNet(4))(0)),
            *streams(name, tiles, tiles),
            out=tmp_path / str(bfloat16),
            steps=2,
            batch=2,
            device="cpu",
        )
        assert all(tensor.isfinite().all() for tensor in load_file(run.checkpoint).values())


@pytest.mark.parametrize("name", NAMES)
def test_its_numbers_are_recorded(name, tmp_path):
    run = fit(started(name, toy(name)), *streams(name), out=tmp_path / "run", steps=1, batch=2, device="cpu")
    arguments = inspect.signature(getattr(mage.learning, name)).parameters.values()
    numbers = {a.name for a in arguments if isinstance(a.default, int | float)}
    assert numbers <= set(run.record.method.settings)


@pytest.mark.parametrize("name", NAMES)
def test_images_of_one_pixel_give_finite_losses_and_gradients(name):
    method = started(name, OWN.get(name, lambda _: SiameseDamageNet(4))(0))
    images = {"image": torch.zeros(2, 2, 3, 1, 1, dtype=torch.uint8), "gsd": torch.ones(2)}
    heights = dict.fromkeys(("pre_height", "post_height"), torch.ones(2, 1, 1, dtype=torch.int32))
    tiles = images | {"mask": torch.tensor([0, 2]).view(2, 1, 1)} | heights
    losses = method.losses(Batch(np.random.default_rng(0), source=tiles, unlabelled=images))
    sum(losses.values()).backward()
    assert all(loss.isfinite() and loss.ndim == 0 and loss.dtype == torch.float32 for loss in losses.values())
    assert all(p.grad is None or p.grad.isfinite().all() for p in method.parameters())


def modules():
    """Modules of this package that hold examples, and those outside it where a public name lives."""
    found = pkgutil.walk_packages(mage.learning.__path__, "mage.learning.")
    inside = {m.name for m in found if not m.ispkg and ">>>" in inspect.getsource(import_module(m.name))}
    return sorted(inside | {getattr(mage.learning, name).__module__ for name in mage.learning.__all__})


@pytest.mark.parametrize("module", modules())
def test_the_examples_of_docstrings_run(module, drawn, short_run):
    """``root`` and ``run`` in them are the folders of a dataset and of a run."""
    there = {"root": drawn, "run": short_run.path}
    found = doctest.testmod(import_module(module), extraglobs=there)
    assert found.attempted
    assert not found.failed


@pytest.mark.parametrize("name", mage.learning.__all__)
def test_every_public_name_is_documented_with_an_example(name):
    assert ">>>" in (getattr(mage.learning, name).__doc__ or ""), f"mage.learning.{name} shows no example"
