"""What mage.learning computes per batch, beside the plain loops that are usual for it: ratios of CPU seconds.

Run: ``python benchmarks/learning.py [REPEATS]``. One thread. Both ways of a row are checked to give the same before
they are timed, and are timed in turn, so that what else the machine does meets both.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from mage.learning import (
    EfficientNetLite,
    FourierStyle,
    HistogramMatching,
    SegmentationNet,
    SiameseDamageNet,
    predict_tile,
)
from mage.learning.devices import ready, reduced_precision
from mage.learning.ema import MovingAverage
from mage.learning.semi.corr_match import spread_regions
from mage.learning.views import class_mask

SIDE = 512
Ways = tuple[Callable[[], object], Callable[[], object]]


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
    model = SiameseDamageNet(48)
    average = MovingAverage(model)
    average.updates = 10**9  # past the warm-up, so that both decay alike
    plain = {name: t.clone() for name, t in model.state_dict().items()}

    def naive() -> None:
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                plain[name] = 0.999 * plain[name] + 0.001 * tensor

    naive(), average.update()
    assert all(torch.allclose(plain[name], t, atol=1e-6) for name, t in average.weights.items())
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
        wide, taken = label.clone(), sure.clone()
        for n in range(len(label)):
            for region in drawn[n]:
                held = region & sure[n]
                if not held.any() or held.sum() < threshold * region.sum():
                    continue
                values, counts = label[n][held].unique(return_counts=True)
                if counts.max() > threshold * counts.sum():
                    wide[n][region] = values[counts.argmax()]
                    taken[n] |= region
        return wide, taken

    def ours() -> tuple[torch.Tensor, torch.Tensor]:
        return spread_regions(label, sure, drawn, threshold, 5)

    assert all(torch.equal(one, other) for one, other in zip(naive(), ours(), strict=True))
    return naive, ours


def inference() -> Ways:
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


def measure(ways: Ways, repeats: int) -> tuple[float, float]:
    """Median CPU milliseconds of each way, timed in turn."""
    spent: list[list[float]] = [[], []]
    for _ in range(repeats):
        for seconds, way in zip(spent, ways, strict=True):
            began = time.process_time()
            way()
            seconds.append(time.process_time() - began)
    naive, ours = (1000 * float(np.median(seconds)) for seconds in spent)
    return naive, ours


def main() -> None:
    """Print a row for each."""
    torch.set_num_threads(1)
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(f"{'':<32}{'loop, ms':>10}{'here, ms':>10}{'ratio':>8}")
    for row in (fda, histogram, class_mix, moving_average, regions):
        naive, ours = measure(row(), repeats)
        print(f"{row.__name__:<32}{naive:>10.2f}{ours:>10.2f}{naive / ours:>8.2f}")
    naive, ours = measure(inference(), max(repeats // 5, 3))
    dtype = str(reduced_precision(torch.device("cpu")) or torch.float32).removeprefix("torch.")
    print(f"{'inference':<32}{naive:>10.2f}{ours:>10.2f}{naive / ours:>8.2f}")
    pixels = SIDE * SIDE / 1000  # per millisecond this is Mpx/s
    print(f"inference: {pixels / naive:.2f} Mpx/s in float32, {pixels / ours:.2f} channels last in {dtype}, one core")


if __name__ == "__main__":
    main()
