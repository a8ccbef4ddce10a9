"""What Cycles renders on: an interface, and which of its GPUs."""

from __future__ import annotations

from dataclasses import dataclass

import bpy

from mage.generator.runners.share import Share
from mage.scenes.errors import RenderError

DEVICE_ORDER = ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI")  # the fastest interface of each vendor first


@dataclass(frozen=True, slots=True)
class Device:
    """What Cycles renders on: an interface (``CPU``, ``OPTIX`` ...), the names of the processors taken, and how many of
    the machine's this run may use.
    """

    kind: str
    names: tuple[str, ...]
    available: int = 0

    def __str__(self) -> str:
        return f"{self.kind} ({', '.join(self.names)})" if self.names else self.kind


def choose_device(wanted: str, share: Share) -> Device:
    """Set Cycles to the interface ``wanted``, or for ``auto`` the best there is, and to this worker's GPUs.

    Raises:
        RenderError: it is not on this machine; the message lists what is.
    """
    found = devices()
    if wanted == "cpu" or (wanted == "auto" and not found):
        return Device("CPU", ())
    kinds = [k for k in DEVICE_ORDER if k in found] if wanted == "auto" else [wanted.upper()]
    if kinds[0] not in found:
        there = ", ".join(["cpu", *(k.lower() for k in found)])
        raise RenderError("the device asked for is not on this machine", expected=wanted, found=there)
    names = found[kinds[0]]
    own = share.of(names)
    preferences = bpy.context.preferences.addons["cycles"].preferences
    preferences.compute_device_type = kinds[0]
    gpus = 0
    for entry in preferences.get_devices_for_type(kinds[0]):
        entry.use = entry.type != "CPU" and gpus in own
        gpus += entry.type != "CPU"
    return Device(kinds[0], tuple(names[i] for i in own), len(names if share.gpus is None else share.gpus))


def devices() -> dict[str, tuple[str, ...]]:
    """Names of the GPUs that each of Cycles' interfaces finds; interfaces without any are left out."""
    preferences = bpy.context.preferences.addons["cycles"].preferences
    found = {}
    for kind in DEVICE_ORDER:
        try:
            names = tuple(d.name for d in preferences.get_devices_for_type(kind) if d.type != "CPU")
        except (TypeError, ValueError):  # an interface that this build of Blender does not know
            continue
        if names:
            found[kind] = names
    return found
