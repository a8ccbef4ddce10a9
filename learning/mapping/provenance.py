"""What a product was made of and how, in words that JSON can keep."""

from __future__ import annotations

import math
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import rasterio

from mage.learning.mapping.findings import Findings
from mage.learning.mapping.inputs import Request

LIBRARIES = ("mage-eo", "numpy", "torch", "rasterio", "shapely", "scipy", "pyproj", "pyogrio")


def provenance(request: Request, findings: Findings) -> dict[str, Any]:
    """What a product was made of and how, in JSON types, without a path or a time of this machine."""
    found, event, grid = findings.registration, findings.event, findings.grid
    return {
        "event": {name: getattr(event, name) for name in event.__dataclass_fields__},
        "sources": [
            {"role": s.role, "name": s.name, "sha256": s.sha256, "taken": s.taken and s.taken.isoformat(), "gsd": s.gsd}
            for s in findings.sources
        ],
        "model": dict(findings.model),
        "water_model": dict(findings.water),
        "options": {
            "gsd": request.gsd,
            "bands": request.bands,
            "named": dict(request.named),
            "reflectance": request.reflectance,
            "register": request.register,
            "ecc": request.ecc,
            "route": request.route,
            "window": request.window,
            "seed": request.seed,
        },
        "grid": {name: getattr(grid, name) for name in grid.__dataclass_fields__},
        "registration": None
        if found is None
        else {"shift": found.shift, "residual": _finite(found.residual), "confidence": found.confidence},
        "unlike": findings.unlike,
        "building_threshold": findings.threshold,
        "corrections": list(findings.corrections),
        "versions": dict(findings.versions),
    }


@cache
def versions() -> dict[str, str]:
    """Of the program and of what its figures depend on, by name."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # installed otherwise, or not needed here
            continue
    return found | {"GDAL": str(rasterio.__gdal_version__)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
