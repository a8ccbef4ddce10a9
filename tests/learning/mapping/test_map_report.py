"""``report.html`` as text: whole in itself, safe from the words in it, and true to what was found."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
import shapely
from found import found, nothing_found
from hypothesis import given, settings
from hypothesis import strategies as st

from mage.learning.mapping.findings import Source
from mage.learning.mapping.product.payload import in_script, rings
from mage.learning.mapping.product.report import write_report
from mage.scenes.grid import Grid

HOSTILE = (
    "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">'\"&$title\u2028"
)


class Reader(HTMLParser):
    """Elements with their attributes, and the text of scripts and styles."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.texts, self.open = [], {}, None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.open = f"{tag} {dict(attrs).get('type', '')}".strip() if tag in ("script", "style", "title") else None

    def handle_data(self, data):
        if self.open:
            self.texts.setdefault(self.open, []).append(data)
            self.open = None

    def data(self):
        return json.loads(self.texts["script application/json"][0])


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    return found(tmp_path_factory.mktemp("found"))


@pytest.fixture(scope="module")
def page(findings, tmp_path_factory):
    return write_report(findings, tmp_path_factory.mktemp("report")).read_text("utf-8")


def test_the_page_asks_for_nothing_outside_itself(page):
    read = Reader(page)
    for tag, attributes in read.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name, value in attributes.items():
            assert name not in ("style", "srcset")
            assert not name.startswith("on")
            if name == "src":
                assert value.startswith("data:image/")
            if name == "href":
                assert value.startswith("#")
    assert "http:" not in page.replace("http://www.w3.org", "")
    assert "https:" not in page


def test_the_policy_lets_in_only_the_script_and_the_style_that_stand_in_the_page(page):
    read = Reader(page)
    policy = next(a["content"] for tag, a in read.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        (text,) = read.texts[kind]
        assert f"{kind}-src 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy


def test_hostile_words_change_no_element_of_the_page(findings, page, tmp_path):
    words = np.full(12, HOSTILE)
    evil = replace(
        findings,
        event=replace(findings.event, name=HOSTILE, activation=HOSTILE),
        buildings=replace(findings.buildings, name=words, identity=np.array([f"{HOSTILE}{k}" for k in range(12)])),
        areas=tuple(replace(area, name=f"{HOSTILE}{k}") for k, area in enumerate(findings.areas)),
        sources=tuple(replace(source, name=HOSTILE, licence=HOSTILE) for source in findings.sources),
        access=replace(findings.access, facilities=replace(findings.access.facilities, kind=words[:1], name=words[:1])),
        model={HOSTILE: HOSTILE},
        versions={HOSTILE: HOSTILE},
        corrections=(HOSTILE,),
    )
    made = Reader(write_report(evil, tmp_path).read_text("utf-8"))
    assert {tag for tag, _ in made.elements} == {tag for tag, _ in Reader(page).elements} | {"ul"}
    assert len([tag for tag, _ in made.elements if tag == "script"]) == 2
    assert not [attributes for _, attributes in made.elements if any(name.startswith("on") for name in attributes)]
    assert made.data()["buildings"][0]["name"] == HOSTILE


@settings(max_examples=30)
@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20) | st.floats(allow_nan=False, allow_infinity=False)))
def test_data_in_the_page_read_back_as_they_were_and_hold_no_tag(value):
    text = in_script(value)
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == value


def test_hot_spots_of_the_page_lie_within_the_area(findings, tmp_path):
    west, south, _, north = findings.area.bounds
    area = shapely.box(west, south, west + 30, north)
    data = Reader(write_report(replace(findings, area=area), tmp_path).read_text("utf-8")).data()
    places = np.concatenate([np.cumsum(np.array(ring).reshape(-1, 2), axis=0) for spot in data["hot"] for ring in spot])
    assert places.min() >= 0
    assert places[:, 0].max() == 300  # decimetres


def test_buildings_reach_the_page_with_their_outlines_and_probabilities(findings, page):
    data = Reader(page).data()
    grid = findings.grid
    for k, building in enumerate(data["buildings"]):
        places = np.cumsum(np.array(building["rings"][0]).reshape(-1, 2), axis=0) / 10
        outline = shapely.Polygon(places * (1, -1) + (grid.west, grid.north))
        assert shapely.symmetric_difference(outline, findings.buildings.outline[k]).area < 0.1
        assert data["verdicts"][building["verdict"]]["name"] == findings.buildings.verdict[k]
        if k == 11:
            assert building["p"] is None
        else:
            assert building["p"] == pytest.approx(findings.buildings.grades[k], abs=6e-4)
    assert [road["metres"] for road in data["roads"]] == [40, 18, 14, 24, 24]
    assert data["route"][:2] == [-80, 240]
    assert data["starts"] == [[-80, 240]]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(-500, 500), st.integers(-500, 500)), min_size=3, max_size=9))
def test_rings_are_told_in_decimetres_from_the_corner(corners):
    ring = np.array([*corners, corners[0]], float)
    told = rings(shapely.Polygon(ring + np.array([1000, 2000])), Grid(10, 10, 1000, 2000, 1))
    np.testing.assert_array_equal(np.cumsum(np.array(told[0]).reshape(-1, 2), axis=0), ring * (10, -10))


def test_the_image_in_the_page_is_the_image(findings, page):
    source = next(a["src"] for tag, a in Reader(page).elements if a.get("id") == "post")
    kind, _, content = source.partition(",")
    assert kind == "data:image/jpeg;base64"
    image = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    original = np.moveaxis(findings.post.image, 0, -1)
    assert image.shape == original.shape
    assert np.abs(image.astype(int) - original).mean() < 6


def test_tables_state_counts_areas_sources_and_doubts(findings, page):
    text = re.sub(r"<[^>]+>", " ", page.partition("<footer>")[0])
    assert "Östliche Vorstadt" in text
    assert all(source.sha256 in text for source in findings.sources)
    assert "1 of 12 buildings were not analysed" in text
    assert "0.12 pixels, 0.06 m" in text
    assert "Nobody has corrected" in text
    assert len(re.findall("data-building=", page.partition("<footer>")[0])) == 11


def test_cautions_stand_first_where_the_images_are_unlike_the_training(findings, page, tmp_path):
    assert 'class="caution"' not in page
    made = write_report(replace(findings, unlike=0.35), tmp_path).read_text("utf-8")
    assert "35 % of the image looks unlike" in made
    assert made.index('class="caution"') < made.index('id="stage"')


def test_a_place_with_nothing_in_it_makes_a_whole_page(tmp_path):
    empty = replace(nothing_found(tmp_path, None), model={}, versions={}, sources=(Source("post", "a.tif", "00" * 32),))
    text = write_report(empty, tmp_path).read_text("utf-8")
    assert "There was only one image." in text
    assert "No building was graded." in text
    assert "Time of the image not stated" in text
    data = Reader(text).data()
    assert data["buildings"] == data["roads"] == data["areas"] == []
    assert 'id="pre"' not in text
