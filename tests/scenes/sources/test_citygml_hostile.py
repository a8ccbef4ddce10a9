"""Broken and hostile CityGML: one error of ours or of the XML parser, or counted notes, and soon."""

from __future__ import annotations

import io
import time
from typing import Any

import numpy as np
import pytest
from cityfiles import (
    X,
    Y,
    bounded,
    box,
    city_model,
    citygml,
    implicit,
    linked_solid,
    multi,
    polygon,
    relative,
    ring,
    solid,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from mage.scenes.errors import CityError
from mage.scenes.sources.citygml import gml, links
from mage.scenes.sources.citygml import nodes as citygml_nodes
from mage.scenes.sources.citygml.read import read_citygml
from mage.scenes.sources.raw import Polygons, RawCity

BOX = box(X, Y, 10, 8, 0, 6)
CORNERS = [(X, Y, 0.0), (X + 4, Y, 0.0), (X + 4, Y + 4, 0.0), (X, Y + 4, 0.0)]


def read(text: str | bytes) -> RawCity:
    return read_citygml(io.BytesIO(text.encode() if isinstance(text, str) else text))


class TestDepth:
    @pytest.mark.parametrize(
        "body",
        [
            "<bldg:lod2Solid>{}</bldg:lod2Solid>",
            "<bldg:boundedBy>{}</bldg:boundedBy>",
            "<bldg:address>{}</bldg:address>",
            "<bldg:lod4Solid>{}</bldg:lod4Solid>",
            '<gen:genericAttributeSet name="a">{}</gen:genericAttributeSet>',
        ],
    )
    @pytest.mark.parametrize("name", ["gml:MultiSurface", "bldg:WallSurface", "gen:genericAttributeSet"])
    @pytest.mark.parametrize("depth", [150, 10_000])
    def test_ten_thousand_elements_within_each_other_are_refused(self, body: str, name: str, depth: int) -> None:
        text = citygml({"a": body.format(f"<{name}>" * depth + f"</{name}>" * depth)})
        if depth == 150:
            assert len(read(text).buildings) == 1
        else:
            with pytest.raises((CityError, etree.XMLSyntaxError)):
                read(text)

    def test_ten_thousand_parts_within_each_other_are_refused(self) -> None:
        for opening in ("<bldg:consistsOfBuildingPart><bldg:BuildingPart>", "<wtr:boundedBy><wtr:WaterSurface>"):
            with pytest.raises(CityError, match="nested too deeply"):
                read(citygml({"a": opening * 10_000}))
            with pytest.raises(CityError, match="nested too deeply"):
                read(city_model([f"<wtr:WaterBody>{opening * 10_000}"]))


class TestAmounts:
    def test_a_doctype_is_refused_before_it_is_read(self) -> None:
        bomb = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>" + "".join(
            f"<!ENTITY {b} '{f'&{a};' * 10}'>" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
        )
        with pytest.raises(CityError, match="DOCTYPE"):
            read(citygml({"a": "<x>&j;</x>"}, prolog=bomb + "]>"))

    def test_a_small_library_object_placed_too_often_is_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(links, "MOST_REPEATED", 1000)
        placed = [
            implicit(relative(*arguments), (X, Y, 0))
            for arguments in [(multi([[CORNERS]] * 10, "lib"),)] + [("", "lib")] * 50
        ]
        trees = [f"<veg:lod1ImplicitRepresentation>{text}</veg:lod1ImplicitRepresentation>" for text in placed]
        city = read(city_model(f"<veg:SolitaryVegetationObject>{t}</veg:SolitaryVegetationObject>" for t in trees))
        assert len(city.features) == 51  # a tree still stands where it stands
        repeated = sum(len(f.shells) for f in city.features)
        assert 10 < repeated < 30
        assert city.notes["geometry repeated too often left out"] >= 51 - repeated

    def test_links_that_fork_at_every_step_end_soon(self) -> None:
        """Two to the power of sixty ways lead to the last polygon."""
        row = "".join(
            f'<gml:MultiSurface gml:id="m{k}"><gml:surfaceMember xlink:href="#m{k + 1}"/>'
            f'<gml:surfaceMember xlink:href="#m{k + 1}"/></gml:MultiSurface>'
            for k in range(60)
        )
        row += multi([[CORNERS]], "m60")
        started = time.perf_counter()
        city = read(citygml({"a": f"<bldg:lod1MultiSurface>{row}</bldg:lod1MultiSurface>"}))
        assert time.perf_counter() - started < 2
        assert [len(shell) for shell in city.buildings[0].finest()[1]] == [1]

    @pytest.mark.parametrize("count", [1, 2, 500])
    def test_links_in_a_circle_are_refused(self, count: int) -> None:
        row = "".join(
            f'<gml:MultiSurface gml:id="m{k}"><gml:surfaceMember xlink:href="#m{(k + 1) % count}"/></gml:MultiSurface>'
            for k in range(count)
        )
        for body in (
            "<bldg:lod1MultiSurface>{}</bldg:lod1MultiSurface>",
            "<bldg:lod0FootPrint>{}</bldg:lod0FootPrint>",
        ):
            with pytest.raises(CityError, match="circle"):
                read(citygml({"a": body.format(row)}))

    def test_an_object_of_too_many_elements_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(citygml_nodes, "LARGEST_OBJECT", 100)
        assert len(read(citygml({"a": "<x/>" * 100, "b": "<x/>" * 100})).buildings) == 2
        with pytest.raises(CityError, match="too large"):
            read(citygml({"a": "<x/>" * 101}))

    def test_a_list_of_coordinates_that_is_too_long_is_left_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gml, "LONGEST_LIST", 1000)
        long = polygon([[*CORNERS, *([CORNERS[0]] * 100)]])
        city = read(citygml({"a": f"<bldg:lod1MultiSurface>{long}</bldg:lod1MultiSurface>{bounded(BOX)}"}))
        assert city.notes["lists of coordinates that are too long left out"] == 1
        assert list(city.buildings[0].objects[0].shells) == [2.0]

    def test_an_attribute_is_cut(self) -> None:
        attributes = read(citygml({"a": f"<bldg:function>{'x' * 100_000}</bldg:function>"})).buildings[0].objects[0]
        assert len(str(attributes.attributes["function"])) == citygml_nodes.LONGEST_TEXT

    def test_a_thousand_names_of_coordinate_systems_are_not_all_kept(self) -> None:
        text = "".join(f'<gml:boundedBy><gml:Envelope srsName="made-up-{k}"/></gml:boundedBy>' for k in range(1000))
        assert len(read(citygml({"a": text})).crs) <= citygml_nodes.MOST_NAMES


class TestRoots:
    @pytest.mark.parametrize("namespace", ["", "}", "{}", "http://www.opengis.net/citygml/2.0}", "urn:x"])
    def test_a_namespace_that_is_none_is_another_version(self, namespace: str) -> None:
        with pytest.raises(CityError, match="version of CityGML"):
            read(f'<CityModel xmlns="{namespace}"/>')

    @pytest.mark.parametrize("text", ["", "   ", "<CityModel", "</CityModel>", "<?xml version='1.0'?>"])
    def test_no_root_is_an_error(self, text: str) -> None:
        with pytest.raises((CityError, etree.XMLSyntaxError)):
            read(text)


class TestNumbers:
    @pytest.mark.parametrize("dimension", ["2", "0", "-1", "4", "three", "", "99999999999999999999"])
    @pytest.mark.parametrize("where", ["gml:MultiSurface", "gml:Polygon", "gml:LinearRing", "gml:posList"])
    def test_another_srs_dimension_is_counted(self, dimension: str, where: str) -> None:
        text = multi([[CORNERS]]).replace(f"<{where}>", f'<{where} srsDimension="{dimension}">')
        city = read(citygml({"a": f"<bldg:lod1MultiSurface>{text}</bldg:lod1MultiSurface>{solid(BOX, 2)}"}))
        assert city.notes == {"rings without three coordinates a point left out": 1}
        assert list(city.buildings[0].objects[0].shells) == [2.0]  # and it does not hold beyond its element

    @pytest.mark.parametrize("word", ["NaN", "-inf", "1e999"])
    def test_numbers_that_are_nowhere_come_through_for_the_cleaning_of_surfaces(self, word: str) -> None:
        text = multi([[CORNERS]]).replace(f"{X:.9f}", word, 1)
        city = read(citygml({"a": f"<bldg:lod1MultiSurface>{text}</bldg:lod1MultiSurface>"}))
        (shell,) = city.buildings[0].finest()[1]
        assert (~np.isfinite(shell.points)).sum() == 1

    @pytest.mark.parametrize("word", ["", "abc", "1,2,3", "0x10", "1e", "--1"])
    def test_words_that_are_no_numbers_cost_their_ring(self, word: str) -> None:
        text = multi([[CORNERS], [CORNERS]]).replace(f"{X:.9f}", word, 1)
        city = read(citygml({"a": f"<bldg:lod1MultiSurface>{text}</bldg:lod1MultiSurface>"}))
        assert [len(s) for s in city.buildings[0].finest()[1]] == [1]
        assert city.notes == {"rings without three coordinates a point left out": 1}

    def test_a_polygon_without_its_outer_ring_is_nothing(self) -> None:
        text = polygon([CORNERS, CORNERS[::-1]]).replace("gml:exterior", "gml:ulterior")
        assert read(citygml({"a": f"<bldg:lod1MultiSurface>{text}</bldg:lod1MultiSurface>"})).buildings[0].finest() == (
            0,
            [],
        )

    def test_a_hole_that_cannot_be_read_leaves_its_polygon(self) -> None:
        opening = "<gml:interior><gml:LinearRing><gml:posList>"
        text = polygon([CORNERS, CORNERS[::-1]]).replace(opening, f"{opening} 7 ")
        city = read(citygml({"a": f"<bldg:lod1MultiSurface>{text}</bldg:lod1MultiSurface>"}))
        (shell,) = city.buildings[0].finest()[1]
        assert (shell.rings.tolist(), shell.sizes.tolist()) == ([1], [4])
        assert city.notes == {"rings without three coordinates a point left out": 1}


def _rich(version: str) -> bytes:
    """A document that holds some of everything."""
    window = f"<bldg:lod3MultiSurface>{multi([[CORNERS]], 'pane')}</bldg:lod3MultiSurface>"
    window = f"<bldg:opening><bldg:Window>{window}</bldg:Window></bldg:opening></bldg:WallSurface>"
    walls = bounded(BOX, "p").replace("</bldg:WallSurface>", window, 1)
    part = f"<bldg:BuildingPart>{solid(BOX, 1)}</bldg:BuildingPart>"
    part = f"<bldg:consistsOfBuildingPart>{part}</bldg:consistsOfBuildingPart>"
    generic = '<gen:stringAttribute name="a"><gen:value>b</gen:value></gen:stringAttribute>'
    house = f'<bldg:Building gml:id="h">{generic}{linked_solid(["p0", "p1", "pane"])}{walls}{part}</bldg:Building>'
    matrix = "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1"
    tree = implicit(relative(multi([[CORNERS]], "lib")), (X, Y, 0), matrix)
    tree = f"<veg:lod1ImplicitRepresentation>{tree}</veg:lod1ImplicitRepresentation>"
    tree = f"<veg:SolitaryVegetationObject>{tree}</veg:SolitaryVegetationObject>"
    triangle = f"<gml:Triangle><gml:exterior>{ring(CORNERS[:3])}</gml:exterior></gml:Triangle>"
    tin = f"<gml:Tin><gml:trianglePatches>{triangle}</gml:trianglePatches></gml:Tin>"
    relief = f"<dem:TINRelief><dem:lod>1</dem:lod><dem:tin>{tin}</dem:tin></dem:TINRelief>"
    relief = f"<dem:ReliefFeature><dem:reliefComponent>{relief}</dem:reliefComponent></dem:ReliefFeature>"
    line = f"<gml:LineString><gml:pos>{X} {Y} 0</gml:pos><gml:pos>{X} 0 0</gml:pos></gml:LineString>"
    area = f"<tran:function>1</tran:function><tran:lod2MultiSurface>{multi([[CORNERS]])}</tran:lod2MultiSurface>"
    area = f"<tran:trafficArea><tran:TrafficArea>{area}</tran:TrafficArea></tran:trafficArea>"
    road = f"<tran:Road><tran:lod0Network>{line}</tran:lod0Network>{area}</tran:Road>"
    return city_model([house, tree, relief, road], version=version).encode()


RICH = {version: _rich(version) for version in ("1.0", "2.0", "3.0")}
WORDS = ["", "NaN", "1e999", "#p0", "#h", "#lib", "-", "2", "0 0 0 1 0 0 0 1 0", "1 2", "x" * 50, "\u0661"]


def _whole(shell: Polygons) -> None:
    assert shell.points.shape == (shell.sizes.sum(), 3)
    assert (shell.sizes > 0).all()
    assert (shell.rings > 0).all()
    assert len(shell.sizes) == shell.rings.sum()
    assert shell.surface.shape == shell.rings.shape
    assert (shell.points.dtype, shell.surface.dtype) == (np.float64, np.uint8)


def _survives(content: bytes) -> None:
    """Reads it to a city whose arrays fit together, or to an error of ours or of the XML parser."""
    try:
        city = read(content)
    except (CityError, etree.LxmlError):
        return
    for building in city.buildings:
        for shell in [*building.finest()[1], *building.installations()]:
            _whole(shell)
    for feature in city.features:
        assert np.isfinite(feature.points).all()
        assert all(line.shape[1] == 3 for line in feature.lines)
        for shells in feature.shells.values():
            for shell in shells:
                _whole(shell)
    assert all(count > 0 for count in city.notes.values())


def _mutate(root: etree._Element, data: Any) -> None:
    """One change to the tree: an element goes, comes twice, moves, or gets another name, text or attribute."""
    elements = list(root.iter())
    places = st.integers(0, len(elements) - 1)
    element, other = elements[data.draw(places)], elements[data.draw(places)]
    parent = element.getparent()
    change = data.draw(st.sampled_from(["remove", "double", "move", "rename", "text", "attribute"]))
    if parent is None:
        return
    if change == "remove":
        parent.remove(element)
    elif change == "double":
        parent.append(etree.fromstring(etree.tostring(element)))
    elif change == "move" and other not in list(element.iter()):
        other.append(element)
    elif change == "rename":
        element.tag = other.tag
    elif change == "text":
        element.text = data.draw(st.sampled_from(WORDS))
    elif change == "attribute":
        names = ["srsDimension", "srsName", "orientation", "name", gml.HREF, *gml.IDS]
        element.set(data.draw(st.sampled_from(names)), data.draw(st.sampled_from(WORDS)))


FUZZ = settings(max_examples=150, database=None)


@pytest.mark.parametrize("version", sorted(RICH))
class TestFuzz:
    def test_the_document_before_it_is_changed_is_whole(self, version: str) -> None:
        city = read(RICH[version])
        assert len(city.buildings) == 1
        assert {f.kind for f in city.features} == {"SolitaryVegetationObject", "TINRelief", "Road"}
        assert city.notes == {}

    @FUZZ
    @given(data=st.data())
    def test_changed_trees_end_in_a_whole_city_or_an_error(self, version: str, data: Any) -> None:
        root = etree.fromstring(RICH[version])
        for _ in range(data.draw(st.integers(1, 6))):
            _mutate(root, data)
        _survives(etree.tostring(root))

    @FUZZ
    @given(data=st.data())
    def test_changed_bytes_end_in_a_whole_city_or_an_error(self, version: str, data: Any) -> None:
        content = bytearray(RICH[version])
        for _ in range(data.draw(st.integers(1, 4))):
            start = data.draw(st.integers(0, len(content)))
            content[start : start + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=4))
        _survives(bytes(content))

    @FUZZ
    @given(share=st.floats(0, 1))
    def test_a_cut_file_is_an_error(self, version: str, share: float) -> None:
        content = RICH[version][: int(share * (len(RICH[version]) - 1))]
        with pytest.raises((CityError, etree.LxmlError)):
            read(content)
