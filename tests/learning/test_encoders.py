"""Encoders are those that were published: their sizes, their tensors, and what they make of an image."""

from __future__ import annotations

import pickle
import subprocess
import sys
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from mage.learning import (
    ConvNeXt,
    EfficientNetLite,
    ResidualEncoder,
    ResNet,
    SimplePyramid,
    adapt_batch_norm,
    bundled_weights,
    load_pretrained,
)
from mage.learning.backbones.convnext import SMALL, TINY
from mage.learning.backbones.pretrained import fit_bands
from mage.learning.encoders import IMAGENET_MEAN, IMAGENET_STD, Shortcut, extend, normalise
from mage.scenes.errors import MissingExtraError, ModelError

SMALL_ONES = (
    lambda bands=3: ResidualEncoder(2, bands),
    lambda bands=3: ResNet(18, bands, width=2),
    lambda bands=3: ResNet(50, bands, width=2),
    lambda bands=3: ConvNeXt((1, 1, 2, 1), 4, bands),
    lambda bands=3: EfficientNetLite(0, bands),
    lambda bands=3: EfficientNetLite(0, bands, scales=3),
    lambda bands=3: SimplePyramid(ResidualEncoder(2, bands), 8),
)
# parameters without the classifier, by torchvision's and the papers' totals (11,689,512; 21,797,672; 25,557,032;
# 44,549,160; 28,589,128; 50,223,688; 88,591,464) and those of the files of EfficientNet-Lite (4,652,008; 5,416,680;
# 6,092,072)
PUBLISHED = {
    "resnet18": (lambda: ResNet(18), 11_689_512 - 513_000, 122 - 2),
    "resnet34": (lambda: ResNet(34), 21_797_672 - 513_000, 218 - 2),
    "resnet50": (lambda: ResNet(50), 25_557_032 - 2_049_000, 320 - 2),
    "resnet101": (lambda: ResNet(101), 44_549_160 - 2_049_000, 626 - 2),
    "convnext-tiny": (lambda: ConvNeXt(TINY), 28_589_128 - 769_000 - 2 * 768, 182 - 4),
    "convnext-small": (lambda: ConvNeXt(SMALL), 50_223_688 - 769_000 - 2 * 768, 344 - 4),
    "convnext-base": (lambda: ConvNeXt(SMALL, 128), 88_591_464 - 1_025_000 - 2 * 1024, 344 - 4),
    "lite0": (lambda: EfficientNetLite(0), 4_652_008 - 1_281_000 - 1280 * (320 + 2), 296 - 8),
    "lite1": (lambda: EfficientNetLite(1), 5_416_680 - 1_281_000 - 1280 * (320 + 2), 386 - 8),
    "lite2": (lambda: EfficientNetLite(2), 6_092_072 - 1_281_000 - 1280 * (352 + 2), 386 - 8),
}
# mean size of the features of a ramp of light, by the implementation that the weights were published with (0.1.0)
RAMP = {
    0: (224, [4.39344, 5.72769, 4.94593, 3.6304, 1.44886]),
    1: (240, [4.14088, 7.26002, 5.50292, 3.35585, 1.36218]),
    2: (260, [3.95215, 6.58698, 6.01984, 3.61013, 1.47756]),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_encoder_has_as_many_parameters_and_tensors_as_its_publication(name):
    make, parameters, tensors = PUBLISHED[name]
    with torch.device("meta"):
        encoder = make()
    assert sum(p.numel() for p in encoder.parameters()) == parameters
    assert len(encoder.state_dict()) == tensors


@pytest.mark.parametrize("make", SMALL_ONES)
@pytest.mark.parametrize("bands", [1, 3, 13])
def test_features_have_the_channels_and_strides_that_are_stated(make, bands):
    encoder = make(bands)
    features = encoder(torch.rand(2, bands, 64, 96))
    assert encoder.bands == bands
    assert [tuple(f.shape) for f in features] == [
        (2, c, 64 // s, 96 // s) for c, s in zip(encoder.channels, encoder.strides, strict=True)
    ]
    assert all(f.isfinite().all() for f in features)


@pytest.mark.parametrize("make", SMALL_ONES[1:5])
def test_first_weights_follow_the_seed_alone(make):
    torch.manual_seed(3)
    one = make().state_dict()
    torch.manual_seed(4)
    assert all(torch.equal(t, one[name]) for name, t in make().state_dict().items())


def test_odd_sides_are_padded_as_tensorflow_does():
    stem = EfficientNetLite(0).stem[0]
    with torch.no_grad():
        stem.weight.zero_()[:, :, 0, 0] = 1  # looks at the corner of its window
    grey = torch.arange(1.0, 6).expand(1, 3, 5, 5)
    assert stem(grey[..., :4, :4])[0, 0, 0].tolist() == [3, 9]  # even sides: the odd pixel lies beyond the far edge
    assert stem(grey)[0, 0, 1].tolist() == [0, 6, 12]  # odd sides: one on each side


def test_normalisation_is_by_band_and_bands_beyond_take_the_mean():
    image = torch.tensor([*IMAGENET_MEAN, sum(IMAGENET_MEAN) / 3])[None, :, None, None]
    assert torch.allclose(normalise(image, IMAGENET_MEAN, IMAGENET_STD), torch.zeros(1, 4, 1, 1), atol=1e-7)
    assert extend(IMAGENET_STD, 1) == pytest.approx([0.226])
    assert normalise(torch.full((1, 2, 1, 1), 0.75), (0.5,), (0.5,)).flatten().tolist() == [0.5, 0.5]


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 9])
def test_a_fitted_first_convolution_sees_a_grey_image_as_the_one_of_three_bands(bands):
    kernel = torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    fitted = fit_bands(kernel, bands)
    assert fitted.shape == (5, bands, 3, 3)
    assert torch.allclose(fitted.sum(1), kernel.sum(1), atol=1e-5)
    if bands > 3:
        assert torch.allclose(fitted[:, :3] * bands / 3, kernel)


def torchvisions(name):
    """The name that torchvision has for a tensor of ours."""
    part = name.split(".")
    if part[0] == "stem":
        return f"features.0.{part[1]}.{part[2]}"
    stage = int(part[1])
    if part[2] == "downsample":
        return f"features.{2 * stage}.{part[3]}.{part[4]}"
    block = f"features.{2 * stage + 1}.{part[3]}"
    inner = {"conv_dw": "0", "norm": "2", "mlp.fc1": "3", "mlp.fc2": "5"}
    rest = ".".join(part[4:])
    return f"{block}.layer_scale" if rest == "gamma" else f"{block}.block.{inner[rest.rpartition('.')[0]]}.{part[-1]}"


def papers(name):
    """The name that the paper's weights have for a tensor of ours."""
    for ours, theirs in ((".blocks.", "."), ("conv_dw", "dwconv"), ("mlp.fc", "pwconv")):
        name = name.replace(ours, theirs)
    part = name.split(".")
    if part[0] == "stem":
        return f"downsample_layers.0.{'.'.join(part[1:])}"
    return f"downsample_layers.{part[1]}.{'.'.join(part[3:])}" if part[2] == "downsample" else name


@pytest.mark.parametrize(
    ("make", "rename", "head"),
    [
        (lambda seed: ResNet(18, width=2, seed=seed), str, "fc"),
        (lambda seed: ResNet(50, width=2, seed=seed), str, "fc"),
        (lambda seed: ConvNeXt((1, 2, 1, 1), 4, seed=seed), str, "head.fc"),
        (lambda seed: ConvNeXt((1, 2, 1, 1), 4, seed=seed), torchvisions, "classifier.2"),
        (lambda seed: ConvNeXt((1, 2, 1, 1), 4, seed=seed), papers, "head"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_of_others_are_found_under_their_names(make, rename, head, wrapped, tmp_path):
    wanted = make(1).state_dict()
    stored = {rename(name): t[:, None, None] if name.endswith("gamma") else t for name, t in wanted.items()}
    assert len(stored) == len(wanted)
    stored |= {f"{head}.weight": torch.zeros(10, 7), f"{head}.bias": torch.zeros(10)}
    if wrapped:
        stored = {"epoch": 3, "state_dict": {f"module.{name}": t for name, t in stored.items()}}
    torch.save(stored, tmp_path / "weights.pth")
    found = load_pretrained(make(0), tmp_path / "weights.pth").state_dict()
    assert all(torch.equal(t, wanted[name]) for name, t in found.items())


def test_other_bands_and_files_without_counters_work_too(tmp_path):
    stored = {name: t for name, t in ResNet(18, width=2, seed=1).state_dict().items() if "num_batches" not in name}
    save_file(stored, tmp_path / "weights.safetensors")
    found = load_pretrained(ResNet(18, bands=5, width=2), tmp_path / "weights.safetensors")
    assert torch.equal(found.conv1.weight, fit_bands(stored["conv1.weight"], 5))
    assert torch.equal(found.layer4[1].bn2.weight, stored["layer4.1.bn2.weight"])


def broken(path, how):
    state = ResNet(18, width=2).state_dict()
    if how == "pickle":
        path.write_bytes(pickle.dumps({"conv1.weight": print}))
    elif how == "code":
        torch.save({"conv1.weight": Evil()}, path)
    elif how == "cut":
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[:-300])
    elif how == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x02]q\x00.")
    elif how == "other":
        torch.save(ResNet(34, width=2).state_dict(), path)
    elif how == "less":
        torch.save({name: t for name, t in state.items() if name != "layer2.0.conv1.weight"}, path)
    elif how == "wide":
        torch.save(ResNet(18, width=4).state_dict(), path)
    elif how == "words":
        torch.save({"state_dict": {"conv1.weight": "none"}}, path)
    else:
        path.write_bytes({"empty": b"", "noise": b"\x00" * 999}[how])


class Evil:
    """Would run code where a pickle is trusted."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


@pytest.mark.parametrize(
    "how", ["pickle", "code", "cut", "zip", "other", "less", "wide", "words", "empty", "noise", "gone", "folder"]
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_files_that_hold_no_such_weights_are_one_clear_error(how, suffix, tmp_path):
    path, encoder = tmp_path / f"weights{suffix}", ResNet(18, width=2)
    if how == "folder":
        path.mkdir()
    elif how != "gone":
        broken(path, how)
    before = {name: t.clone() for name, t in encoder.state_dict().items()}
    with pytest.raises(ModelError, match="weights"):
        load_pretrained(encoder, path)
    assert all(torch.equal(t, before[name]) for name, t in encoder.state_dict().items())


@pytest.mark.parametrize(
    "version", [0, pytest.param(1, marks=pytest.mark.long), pytest.param(2, marks=pytest.mark.long)]
)
def test_bundled_weights_give_what_the_implementation_that_they_came_with_gives(version):
    try:
        file = bundled_weights(version)
    except MissingExtraError:
        pytest.skip("needs the extra 'pretrained'")
    encoder = load_pretrained(EfficientNetLite(version), file).eval()
    side, wanted = RAMP[version]
    ramp = torch.linspace(0, 1, side)
    image = torch.stack([ramp.expand(side, side), ramp[:, None].expand(side, side), ramp.flip(0).expand(side, side)])
    short = load_pretrained(EfficientNetLite(version, scales=4), file).eval()
    with torch.no_grad():
        features, first = encoder(image[None]), short(image[None])
    assert [f.abs().mean().item() for f in features] == pytest.approx(wanted, rel=1e-4)
    assert len(first) == 4
    assert all(torch.equal(a, b) for a, b in zip(first, features, strict=False))


def test_missing_wheels_and_unknown_versions_are_named(monkeypatch):
    monkeypatch.setattr("mage.learning.backbones.pretrained.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pretrained"):
        bundled_weights(0)
    with pytest.raises(ModelError, match="0, 1 or 2"):
        bundled_weights(7)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ResNet(19),
        lambda: ResNet(18, bands=0),
        lambda: ResNet(18, width=0),
        lambda: ResNet(18, seed=-1),
        lambda: ConvNeXt((1, 1, 1)),
        lambda: ConvNeXt((1, 0, 1, 1)),
        lambda: ConvNeXt(width=0),
        lambda: EfficientNetLite(3),
        lambda: EfficientNetLite(-1),
        lambda: EfficientNetLite(0, bands=0),
        lambda: EfficientNetLite(0, scales=0),
        lambda: EfficientNetLite(0, scales=6),
        lambda: ResidualEncoder(0),
        lambda: SimplePyramid(ResidualEncoder(2), width=0),
    ],
)
def test_impossible_encoders_are_refused(make):
    with pytest.raises(ModelError):
        make()


def test_batch_norm_of_a_published_encoder_can_be_adapted():
    encoder = ResNet(18, width=2)
    before = encoder.bn1.running_mean.clone()
    adapt_batch_norm(encoder, [{"image": torch.rand(3, 32, 32)} for _ in range(2)], device="cpu")
    assert not torch.equal(encoder.bn1.running_mean, before)


def test_a_shortcut_is_a_convolution_that_strides():
    torch.manual_seed(0)
    ours, x = Shortcut(4, 8, 2), torch.rand(2, 4, 15, 16)
    assert torch.allclose(ours(x), torch.nn.functional.conv2d(x, ours.weight, stride=2), atol=1e-6)


def test_networks_laid_out_channels_last_learn():
    """Convolutions of 1x1 that stride write beyond their memory then (oneDNN in torch 2.13), which ends the process."""
    code = """
import torch
from mage.learning import SiameseDamageNet
from mage.learning.devices import channels_last
model = SiameseDamageNet(4)
channels_last(model)
for _ in range(20):
    output = model(torch.rand(2, 2, 3, 32, 32))
    (output.damage.sum() + output.localisation.sum()).backward()
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
