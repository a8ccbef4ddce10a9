"""How QGIS draws the layers: a QML document for each, kept as a file and in the GeoPackage's ``layer_styles``."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as Xml  # written only, never read

from mage.learning.mapping.product import names
from mage.learning.mapping.product.table import AREA, LINE, Layer

Colour = tuple[int, int, int]

# red to yellow as the service's maps have it; what is not damaged steps back
DAMAGE_COLOURS: dict[str, Colour] = {
    names.DESTROYED: (168, 0, 0),
    names.DAMAGED: (230, 76, 0),
    names.POSSIBLY: (255, 204, 0),
    names.UNDAMAGED: (166, 166, 166),
    names.NOT_ANALYSED: (225, 225, 225),
}
PASSABLE_COLOURS: dict[str, Colour] = {
    names.OPEN: (56, 128, 60),
    names.CAR_ONLY: (140, 170, 60),
    names.TRUCK_ONLY: (255, 170, 0),
    names.CLOSED: (200, 0, 0),
    names.NOT_ANALYSED: (150, 150, 150),
}
OBSERVED_COLOURS: dict[str, Colour] = {
    names.OBSERVED["flood"]: (64, 140, 230),
    names.OBSERVED["burn"]: (120, 60, 20),
    names.OBSERVED["debris"]: (122, 47, 168),
}
CRISIS_COLOURS: dict[str, Colour] = {
    names.HOT_SPOT: (220, 20, 60),
    names.MOST_AFFECTED: (255, 140, 0),
    names.ISOLATED: (90, 60, 160),
    names.ROUTE: (0, 80, 200),
}
CHANGE_COLOURS: dict[str, Colour] = {
    "newly damaged": (200, 0, 0),
    "worse": (120, 0, 60),
    "less damaged": (56, 128, 60),
    "better known": (90, 160, 220),
    "less known": (190, 190, 190),
    "new": (0, 112, 255),
    "gone": (60, 60, 60),
    "grown": (220, 90, 30),
    "shrunk": (120, 190, 120),
    "opened": (56, 128, 60),
    "closed": (200, 0, 0),
}
DARK: Colour = (35, 35, 35)
# by feature: the attribute that tells classes apart, their colours, and how opaque areas are
CLASSED: Mapping[str, tuple[str, Mapping[str, Colour], int]] = {
    "builtUp": ("damage_gra", DAMAGE_COLOURS, 220),
    "facilities": ("damage_gra", DAMAGE_COLOURS, 255),
    "transportation": ("passable", PASSABLE_COLOURS, 255),
    "observedEvent": ("notation", OBSERVED_COLOURS, 110),
    "changes": ("change", CHANGE_COLOURS, 160),
    "ancillaryCrisisInfo": ("obj_desc", CRISIS_COLOURS, 45),
}
OUTLINED: Mapping[str, Colour] = {
    "areaOfInterest": (230, 0, 0),
    "imageFootprint": (0, 112, 255),
    "notAnalysed": (120, 120, 120),
}


def style(layer: Layer) -> str:
    """A layer's QML: its classes by colour, or its outlines alone; the same for the same kind of layer.

    >>> from mage.learning.mapping.product.table import polygons, text
    >>> document = style(Layer("builtUp", AREA, polygons([]), {"damage_gra": text([])}, ""))
    >>> document.count("<category "), 'attr="damage_gra"' in document
    (5, True)
    """
    document = Xml.Element("qgis", version="3.28.0", styleCategories="Symbology")
    if layer.feature in CLASSED:
        attribute, colours, alpha = CLASSED[layer.feature]
        _classes(document, layer, attribute, colours, alpha)
    else:
        renderer = _renderer(document, type="singleSymbol")
        _symbol(Xml.SubElement(renderer, "symbols"), layer, "0", OUTLINED.get(layer.feature, DARK), 0)
    return document_text(document)


def document_text(document: Xml.Element) -> str:
    """A QML document as text."""
    Xml.indent(document, " ")
    return "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + Xml.tostring(document, "unicode") + "\n"


def _classes(document: Xml.Element, layer: Layer, attribute: str, colours: Mapping[str, Colour], alpha: int) -> None:
    renderer = _renderer(document, type="categorizedSymbol", attr=attribute)
    categories, symbols = Xml.SubElement(renderer, "categories"), Xml.SubElement(renderer, "symbols")
    for number, (value, colour) in enumerate(colours.items()):
        Xml.SubElement(categories, "category", symbol=str(number), value=value, label=value, render="true")
        _symbol(symbols, layer, str(number), colour, alpha)


def _renderer(document: Xml.Element, **attributes: str) -> Xml.Element:
    return Xml.SubElement(document, "renderer-v2", attributes | {"enableorderby": "0", "forceraster": "0"})


def _symbol(symbols: Xml.Element, layer: Layer, name: str, colour: Colour, alpha: int) -> None:
    kind, drawn, options = _drawn(layer, colour, alpha)
    symbol = Xml.SubElement(symbols, "symbol", type=kind, name=name, alpha="1", clip_to_extent="1", force_rhr="0")
    part = Xml.SubElement(symbol, "layer", {"class": drawn, "enabled": "1", "locked": "0", "pass": "0"})
    table = Xml.SubElement(part, "Option", type="Map")
    for key, value in options.items():
        Xml.SubElement(table, "Option", type="QString", name=key, value=value)


def _drawn(layer: Layer, colour: Colour, alpha: int) -> tuple[str, str, dict[str, str]]:
    """The symbol's type, what draws it, and how: millimetres and colours."""
    full = _rgba(colour, 255)
    if layer.kind == LINE:
        width = "1.2" if layer.feature == "ancillaryCrisisInfo" else "0.8"
        return "line", "SimpleLine", {"line_color": full, "line_width": width, "line_width_unit": "MM"}
    edge = {"outline_color": _rgba(DARK, 255) if alpha > 200 else full, "outline_width_unit": "MM"}
    if layer.kind == AREA:
        width, brush = ("0.15", "solid") if alpha else ("0.6", "no")
        if layer.feature == "notAnalysed":
            brush = "b_diagonal"
        return (
            "fill",
            "SimpleFill",
            {"color": _rgba(colour, alpha or 255), "style": brush, "outline_width": width, **edge},
        )
    shape, size = ("diamond", "3.6") if layer.feature == "facilities" else ("circle", "2")
    return "marker", "SimpleMarker", {"name": shape, "color": full, "size": size, "size_unit": "MM", **edge}


def _rgba(colour: Colour, alpha: int) -> str:
    return ",".join(map(str, (*colour, alpha)))
