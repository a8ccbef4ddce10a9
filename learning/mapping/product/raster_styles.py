"""How QGIS draws the rasters: a QML document beside each, ``NAME.qml``, which it takes by itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as Xml  # written only, never read

import rasterio

from mage.learning.mapping.maps import STEPS
from mage.learning.mapping.product import names
from mage.learning.mapping.product.styles import OBSERVED_COLOURS, Colour, document_text
from mage.learning.runs import publish
from mage.scenes.metrics import grade_names

Stop = tuple[float, Colour, int, str]  # value, colour, opacity of 255, label
WET = ((0, 0, "dry"), (STEPS / 2, 120, "50 %"), (STEPS, 255, "water"))
BUILT: Colour = (230, 76, 0)
BLUES: tuple[tuple[float, Colour], ...] = (
    (0.0, (198, 219, 239)),
    (0.5, (107, 174, 214)),
    (1.0, (66, 146, 198)),
    (2.0, (33, 113, 181)),
    (4.0, (8, 48, 107)),
)


def write_raster_styles(rasters: Iterable[Path]) -> list[Path]:
    """The style of each raster beside it, as ``NAME.qml``.

    Raises:
        DatasetError: one cannot be written.
    """
    written = []
    for path in rasters:
        text = raster_style(path)
        if text is not None:
            written.append(path.with_suffix(".qml"))
            publish(written[-1], text.encode())
    return written


def raster_style(path: Path) -> str | None:
    """The QML of a product's raster; None for one that needs no other than QGIS's own.

    Background is not drawn, so that what lies below is seen: of ``classes`` the class 0, of probabilities what is near
    0. ``probabilities`` show how likely a building is, ``depth`` metres.
    """
    kind = path.stem.removesuffix("_corrected")
    if kind == "classes":
        return _document(_palette(path))
    if kind == "probabilities":  # its first band is that of no building
        return _document(_ramp([(0, BUILT, 255, "building"), (STEPS, BUILT, 0, "none")]))
    if kind in names.OBSERVED:
        colour = OBSERVED_COLOURS[names.OBSERVED[kind]]
        parts = ((0, 0), (STEPS / 4, 60), (STEPS / 2, 160), (STEPS, 255))
        return _document(_ramp([(value, colour, alpha, f"{100 * value / STEPS:.0f} %") for value, alpha in parts]))
    if kind in ("water_before", "water_after"):
        return _document(_ramp([(value, BLUES[3][1], alpha, label) for value, alpha, label in WET]))
    if kind == "depth":
        return _document(_ramp([(metres, colour, 255, f"{metres:g} m") for metres, colour in BLUES]))
    return None


def _document(renderer: Xml.Element) -> str:
    document = Xml.Element("qgis", version="3.22.0", styleCategories="Symbology")
    Xml.SubElement(document, "pipe").append(renderer)
    return document_text(document)


def _palette(path: Path) -> Xml.Element:
    """The file's own colours, which hold no transparency."""
    with rasterio.open(path, driver="GTiff") as file:
        colours = file.colormap(1)
    renderer = _renderer("paletted")
    entries = Xml.SubElement(renderer, "colorPalette")
    grades = grade_names(sum(any(colour[:3]) for value, colour in colours.items() if value))
    for value, label in enumerate(("background", *grades)):
        _entry(entries, "paletteEntry", value, colours[value][:3], 255 if value else 0, label)
    return renderer


def _ramp(stops: Iterable[Stop]) -> Xml.Element:
    """Colours between those of given values of the first band."""
    given = list(stops)
    ends = {"classificationMin": f"{given[0][0]:g}", "classificationMax": f"{given[-1][0]:g}"}
    renderer = _renderer("singlebandpseudocolor", **ends)
    shader = Xml.SubElement(
        Xml.SubElement(renderer, "rastershader"),
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        minimumValue=ends["classificationMin"],
        maximumValue=ends["classificationMax"],
    )
    for value, colour, alpha, label in given:
        _entry(shader, "item", value, colour, alpha, label)
    return renderer


def _renderer(kind: str, **attributes: str) -> Xml.Element:
    return Xml.Element("rasterrenderer", {"type": kind, "band": "1", "opacity": "1", "alphaBand": "-1"} | attributes)


def _entry(parent: Xml.Element, tag: str, value: float, colour: Iterable[int], alpha: int, label: str) -> None:
    red, green, blue = colour
    Xml.SubElement(
        parent, tag, value=f"{value:g}", color=f"#{red:02x}{green:02x}{blue:02x}", alpha=str(alpha), label=label
    )
