"""What mage.learning reads and computes, beside webdataset and the plain loops that are usual: ratios of CPU seconds.

Run: ``python benchmarks/learning.py [REPEATS]``. One thread. Both ways of a row are checked to give the same before
they are timed, but for the last two, and are timed in turn, so that what else the machine does meets both.
"""

from __future__ import annotations

import io
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from beside.measure import Ways, timed
from fake_dataset import write_fake_dataset

from mage.learning import (
    EfficientNetLite,
    FourierStyle,
    HistogramMatching,
    SegmentationNet,
    ShardDataset,
    SiameseDamageNet,
    Supervised,
    damage_losses,
    predict_tile,
)
from mage.learning.devices import ready, reduced_precision
from mage.learning.ema import MovingAverage
from mage.learning.runs import Arguments
from mage.learning.semi.corr_match import spread_regions
from mage.learning.trainer import Training
from mage.learning.views import class_mask
from mage.scenes.dataset.tar import TarIndex

SIDE = 512
FIELDS = ("pre.png", "post.png", "post_damage.png")


def fda() -> Ways:
    """Exchange of low amplitudes in one RGB image: the whole spectrum, or its few low bins."""
    rng = np.random.default_rng(0)
    source, target = rng.integers(60, 190, (2, 1, 3, SIDE, SIDE), np.uint8)
    style = FourierStyle(beta=0.01).fit([target])
    goal = np.abs(np.fft.fft2(target[0].astype(np.float32)))

    def naive() -> NDArray[np.uint8]:
        spectrum = np.fft.fft2(source[0].astype(np.float32))
        amplitude, phase = np.fft.fftshift(np.abs(spectrum), (1, 2)), np.angle(spectrum)
        b, middle = int(SIDE * 0.01), SIDE // 2
        square = (..., slice(middle - b, middle + b + 1), slice(middle - b, middle + b + 1))
        amplitude[square] = np.fft.fftshift(goal, (1, 2))[square]
        image = np.fft.ifft2(np.fft.ifftshift(amplitude, (1, 2)) * np.exp(1j * phase)).real
        return np.clip(np.rint(image), 0, 255).astype(np.uint8)

    assert np.abs(naive().astype(int) - style.transform(source)[0]).max() <= 1
    return naive, lambda: style.transform(source)


def histogram() -> Ways:
    """Matched histograms of one RGB image: by sorted values, as scikit-image does, or by counts of bytes."""
    rng = np.random.default_rng(0)
    source, target = rng.integers(60, 190, (2, 1, 3, SIDE, SIDE), np.uint8)
    matching = HistogramMatching().fit([target])

    def naive() -> NDArray[np.float64]:
        bands = []
        for one, other in zip(source[0], target[0], strict=True):
            _, place, count = np.unique(one.ravel(), return_inverse=True, return_counts=True)
            values, wanted = np.unique(other.ravel(), return_counts=True)
            rank, goal = np.cumsum(count) / one.size, np.cumsum(wanted) / other.size
            bands.append(np.interp(rank, goal, values)[place].reshape(one.shape))
        return np.stack(bands)

    assert np.abs(naive() - matching.transform(source)[0]).max() <= 1.5
    return naive, lambda: matching.transform(source)


def class_mix() -> Ways:
    """Masks of ClassMix for four label maps of five classes: a loop over images and classes, or gather."""
    label = torch.from_numpy(np.random.default_rng(0).integers(0, 5, (4, SIDE // 16, SIDE // 16)))
    label = label.repeat_interleave(16, 1).repeat_interleave(16, 2)

    def naive() -> torch.Tensor:
        order, masks = np.random.default_rng(1).random((4, 5)), []
        for image, scores in zip(label, order, strict=True):
            classes = torch.unique(image).tolist()
            chosen = sorted(classes, key=lambda c: scores[c])[: (len(classes) + 1) // 2]
            mask = torch.zeros_like(image, dtype=torch.bool)
            for one in chosen:
                mask = mask | (image == one)
            masks.append(mask)
        return torch.stack(masks)

    def ours() -> torch.Tensor:
        return class_mask(label, 5, np.random.default_rng(1))

    assert torch.equal(naive(), ours())
    return naive, ours


def moving_average() -> Ways:
    """Moving average of the network of width 48: a loop over tensors, or one fused update."""
    return _averages(SiameseDamageNet(48))


def lite_average() -> Ways:
    """The same of EfficientNet-Lite 0: fewer numbers in more tensors."""
    return _averages(EfficientNetLite(0))


def small_average() -> Ways:
    """The same of the network of width 8, whose numbers stay in the processor's cache."""
    return _averages(SiameseDamageNet(8))


def _averages(model: nn.Module) -> Ways:
    average = MovingAverage(model)
    average.updates = 10**9  # past the warm-up, so that both decay alike
    plain = {name: t.clone() for name, t in model.state_dict().items()}

    def naive() -> None:
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                plain[name] = 0.999 * plain[name] + 0.001 * tensor

    naive(), average.update()
    assert all(torch.allclose(plain[name], t.float(), atol=1e-6) for name, t in average.weights.items())
    return naive, average.update


def regions() -> Ways:
    """Region propagation of CorrMatch, four images of 128 px and 64 regions: a loop over regions, or votes by one
    product of matrices.
    """
    rng = np.random.default_rng(0)
    label = torch.from_numpy(rng.integers(0, 5, (4, 128, 128)))
    sure = torch.from_numpy(rng.random((4, 128, 128)) < 0.9)
    drawn = torch.from_numpy(rng.random((4, 64, 8, 8)) < 0.3).repeat_interleave(16, 2).repeat_interleave(16, 3)
    threshold = torch.tensor(0.19)

    def naive() -> tuple[torch.Tensor, torch.Tensor]:
        return region_loop(label, sure, drawn, 0.19)

    def ours() -> tuple[torch.Tensor, torch.Tensor]:
        return spread_regions(label, sure, drawn, threshold, 5)

    assert all(torch.equal(one, other) for one, other in zip(naive(), ours(), strict=True))
    return naive, ours


def lite_inference() -> Ways:
    """One image of 512 px through a U-Net on EfficientNet-Lite 0: as built, in float32; or as :func:`load_model` lays
    it out, channels last, in bfloat16 where the processor has units for it.
    """
    plain, model = (SegmentationNet(2, encoder=EfficientNetLite(0)).eval() for _ in range(2))
    ready(model, torch.device("cpu"))
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE), np.uint8))

    def naive() -> torch.Tensor:
        with torch.inference_mode():
            return plain(image[None].float() / 255).softmax(1)[0]

    def ours() -> torch.Tensor:
        return predict_tile(model, image)

    exact = reduced_precision(torch.device("cpu")) is None
    assert torch.allclose(naive(), ours(), atol=1e-4 if exact else 0.1)
    return naive, ours


def first_epoch(folder: Path) -> Ways:
    """Bytes of 48 pairs and their labels, 256 px, in the order of the shards: webdataset, or tars that are mapped and
    indexed first.
    """
    shards = _shards(folder)

    def ours() -> list[list[bytes]]:
        opened = (TarIndex(shard) for shard in shards)
        return [[tar.read(key, field) for field in FIELDS] for tar in opened for key in tar.keys]

    naive = partial(_by_webdataset, shards)
    assert naive() == ours()
    return naive, ours


def later_epoch(folder: Path) -> Ways:
    """The same bytes in any later epoch: webdataset reads the files again, in their order; tars stay mapped, and are
    read in random order.
    """
    shards = _shards(folder)
    opened = [TarIndex(shard) for shard in shards]
    places = [(tar, key) for tar in opened for key in tar.keys]
    order = [places[i] for i in np.random.default_rng(0).permutation(len(places))]

    def ours() -> list[list[bytes]]:
        return [[tar.read(key, field) for field in FIELDS] for tar, key in order]

    naive = partial(_by_webdataset, shards)
    assert sorted(naive()) == sorted(ours())
    return naive, ours


def drawn(folder: Path) -> Path:
    """A dataset of 48 pairs of 256 px in four shards."""
    write_fake_dataset(folder, count=48, size=256, shard_size=12)
    return folder


def _shards(folder: Path) -> list[Path]:
    return sorted((folder / "shards").glob("*.tar"))


def _by_webdataset(shards: list[Path]) -> list[list[bytes]]:
    import webdataset

    samples = webdataset.WebDataset([str(s) for s in shards], shardshuffle=False, empty_check=False)
    return [[sample[field] for field in FIELDS] for sample in samples]


def decoded(folder: Path) -> Ways:
    """The same pairs as tensors: webdataset with Pillow, as its documentation has it, or ShardDataset."""
    import webdataset
    from PIL import Image

    shards = _shards(folder)
    tiles = ShardDataset(folder)

    def opened(data: bytes) -> NDArray[np.uint8]:
        return np.asarray(Image.open(io.BytesIO(data)))

    def naive() -> list[torch.Tensor]:
        found = []
        for sample in webdataset.WebDataset([str(s) for s in shards], shardshuffle=False, empty_check=False):
            pair = np.stack([opened(sample[f"{date}.png"]) for date in ("pre", "post")]).transpose(0, 3, 1, 2)
            opened(sample["post_damage.png"])
            found.append(torch.from_numpy(np.ascontiguousarray(pair)))
        return found

    def ours() -> list[torch.Tensor]:
        return [tiles[index]["image"] for index in range(len(tiles))]

    assert all(torch.equal(one, other) for one, other in zip(naive(), ours(), strict=True))
    return naive, ours


def train_step() -> Ways:
    """A step of the network of width 24 on 8 pairs of 128 px: the loop of a tutorial (float augmentation by image,
    losses read one by one, an average tensor by tensor), or what ``fit`` does.
    """
    rng = np.random.default_rng(0)
    tiles: dict[str, torch.Tensor] = {
        "image": torch.from_numpy(rng.integers(0, 255, (8, 2, 3, 128, 128), np.uint8)),
        "mask": torch.from_numpy(rng.integers(0, 5, (8, 128, 128), np.uint8)),
    }
    training = Training(
        Supervised(SiameseDamageNet(24)), Arguments(steps=10**6, batch=8, lr=1e-3, seed=0), {}, torch.device("cpu")
    )
    net = SiameseDamageNet(24)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, foreach=False)
    mean = {name: t.clone() for name, t in net.state_dict().items()}

    def naive() -> None:
        image, mask = tiles["image"].float() / 255, tiles["mask"].long()
        for n in range(len(image)):  # flips and light, one image after the other
            if rng.random() < 0.5:
                image[n], mask[n] = image[n].flip(-1), mask[n].flip(-1)
            for date in range(2):
                image[n, date] = (image[n, date] * float(rng.uniform(0.8, 1.2))).clamp(0, 1)
        losses = damage_losses(net(image), mask)
        optimizer.zero_grad()
        sum(losses.values(), torch.zeros(())).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for name, tensor in net.state_dict().items():
                mean[name] = 0.999 * mean[name] + 0.001 * tensor
        [loss.item() for loss in losses.values()]

    return naive, lambda: training.advance([{"source": tiles}])


def inference() -> Ways:
    """A map of a pair of 768 px in windows of 256 with an overlap of 64: windows that vote with equal weight, in
    float32, or what ``predict`` does, whose windows fade into each other, so that the maps are not the same.
    """
    pair = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (2, 3, 768, 768), np.uint8))
    net = SiameseDamageNet(24).eval()

    def naive() -> torch.Tensor:
        total, votes = torch.zeros(5, 768, 768), torch.zeros(768, 768)
        starts = sorted({*range(0, 768 - 256, 192), 768 - 256})
        with torch.no_grad():
            for row in starts:
                for column in starts:
                    part = (..., slice(row, row + 256), slice(column, column + 256))
                    total[part] += net(pair[part][None].float() / 255).probabilities()[0]
                    votes[part] += 1
        return total / votes

    def ours() -> torch.Tensor:
        return predict_tile(net, pair, window=256, overlap=64)

    return naive, ours


def region_loop(
    label: torch.Tensor, sure: torch.Tensor, regions: torch.Tensor, threshold: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Region propagation as it is defined, region after region, with votes of the labels as they come."""
    wide, taken = label.clone(), sure.clone()
    for n in range(len(label)):
        for region in regions[n]:
            held = region & sure[n]
            if not held.any() or held.sum() < threshold * region.sum():
                continue
            values, counts = label[n][held].unique(return_counts=True)
            if counts.max() > threshold * counts.sum():
                wide[n][region] = values[counts.argmax()]
                taken[n] |= region
    return wide, taken


def main() -> None:
    """Print a row for each."""
    torch.set_num_threads(1)
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(f"{'':<32}{'plain, ms':>10}{'here, ms':>10}{'ratio':>8}")
    with TemporaryDirectory() as folder:
        dataset = drawn(Path(folder))
        for reader in (first_epoch, later_epoch, decoded):
            _row(reader.__name__, reader(dataset), repeats)
    averages = (moving_average, lite_average, small_average)
    for row in (fda, histogram, class_mix, *averages, regions, train_step, inference, lite_inference):
        _row(row.__name__, row(), repeats)


def _row(name: str, ways: Ways, repeats: int) -> None:
    naive, ours = 1000 * np.median(timed(ways, repeats), axis=1)
    print(f"{name:<32}{naive:>10.2f}{ours:>10.2f}{naive / ours:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
