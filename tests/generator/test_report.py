"""The report: one file that shows the dataset as it is, and believes no text that it is given."""

from __future__ import annotations

import base64
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from fake_dataset import HASH, VERSIONS, fake_recipe, fake_sample, write_fake_dataset

from mage.generator.panels import DRY, FLOOD_TINT, deepest_of, depth_panel, depth_ramp, overlay, scale_of, shrunk
from mage.generator.report import write_report
from mage.scenes.dataset.fields import DAMAGE_COLOURS
from mage.scenes.dataset.index import finish_dataset
from mage.scenes.dataset.store import LocalStore, write_shard
from mage.scenes.dataset.verify import verify_dataset
from mage.scenes.errors import DatasetError

TIMINGS = {"device": "CPU", "samples": 2, "workers": 1, "seconds": {"render": 7.0, "labels": 1.5}, "wall": 9.25}
VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """What a page holds: tags that are open, pictures, words, and every address."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.pictures, self.addresses, self.words = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.pictures.append(dict(attrs))
        self.addresses += [v for k, v in attrs if k in ("src", "href", "action", "data", "srcset")]
        assert not any(k.startswith("on") for k, _ in attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data.strip())


def report(root, timings=None):
    write_report(root, timings)
    return Page((root / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "dataset"
    write_fake_dataset(folder, count=13, size=48, shard_size=5)
    return folder


def test_the_page_is_whole_and_needs_nothing_else(root):
    page = report(root, TIMINGS)
    assert page.open == []
    assert {"script", "link", "iframe", "object", "form", "a"}.isdisjoint(page.tags)
    assert page.addresses
    assert all(a.startswith("data:image/") for a in page.addresses)
    text = (root / "report.html").read_text()
    assert "http" not in text.replace("http-equiv", "")
    assert "@import" not in text
    assert "url(" not in text
    assert (root / "report.html").stat().st_size < 3_000_000


def test_twelve_of_thirteen_samples_are_shown_from_first_to_last(root):
    page = report(root)
    keys = list(dict.fromkeys(p["alt"].split(":")[0] for p in page.pictures if ":" in p["alt"]))
    assert len(keys) == 12
    assert keys[0].endswith("000000")
    assert keys[-1].endswith("000012")
    assert len(list((root / "preview").iterdir())) == 12


def test_the_pictures_are_those_of_the_sample(root):
    page = report(root)
    sample = fake_sample(0, 48)
    shown = []
    for picture in page.pictures[1:5]:  # the first is the scale
        data = base64.b64decode(picture["src"].partition(",")[2])
        shown.append(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int))
    assert [p["alt"].partition(": ")[2] for p in page.pictures[1:5]] == [
        "before",
        "after",
        "damage and flood over after",
        "flood depth",
    ]
    for picture, true in zip(shown, (sample.images["pre"], sample.images["post"], overlay(sample)), strict=False):
        assert np.abs(picture - true).mean() < 12  # JPEG
    deepest = scale_of([deepest_of(fake_sample(i, 48)) for i in (*range(6), *range(7, 13))])
    np.testing.assert_array_equal(shown[3], depth_panel(sample, deepest))  # PNG


def test_figures_are_those_of_the_manifest(root):
    words = report(root, TIMINGS).words
    samples = [fake_sample(i, 48) for i in range(13)]
    grades = [b.jds for s in samples for b in s.record.buildings]
    for number in (str(len(grades)), f"{100 * np.mean(np.array(grades) > 0):.1f} %"):
        assert number in words
    flooded = np.mean([s.labels["post_class"] == 8 for s in samples])
    assert f"{100 * flooded:.1f} %" in words
    for text in ("13", "3.50 s", "9.2 s", HASH, "CC0-1.0", "train-000002.tar"):
        assert text in words, text


def test_the_page_says_what_was_inferred(root):
    words = report(root).words
    assert words[words.index("inferred, as no source holds it") + 1] == "terrain"


def test_two_reports_of_one_dataset_are_the_same_bytes_and_leave_it_whole(root):
    write_report(root, None)
    first = (root / "report.html").read_bytes()
    write_report(root, None)
    assert (root / "report.html").read_bytes() == first
    assert "left no timings" in first.decode()
    assert verify_dataset(root).ok


def test_text_out_of_files_stays_text(tmp_path):
    evil = '<script>alert("1")</script><img src=x onerror=alert(1)>$title & "quoted"'
    sample = fake_sample(0, 48)
    record = sample.record.model_copy(update={"parameters": {"note": evil}, "city": evil})
    shard = write_shard(LocalStore(tmp_path), "train-000000.tar", [replace(sample, record=record)], HASH)
    sources = [{"name": evil, "format": evil, "licence": evil, "sha256": None}]
    recipe = fake_recipe(1, 48).model_copy(update={"city": fake_recipe().city.model_copy(update={"file": evil})})
    finish_dataset(tmp_path, recipe, [shard], VERSIONS | {evil: evil}, sources)
    page = report(tmp_path, TIMINGS | {"device": evil, "seconds": {evil: 1.0}})
    assert "script" not in page.tags
    assert all(p["src"].startswith("data:") for p in page.pictures)
    assert sum(evil in word for word in page.words) >= 5


def test_without_a_dataset_there_is_no_report(tmp_path):
    with pytest.raises(DatasetError, match="generation did not finish"):
        write_report(tmp_path, None)
    assert list(tmp_path.iterdir()) == []


def test_the_overlay_colours_houses_by_grade_and_water_blue_and_leaves_the_rest():
    sample = fake_sample(2, 64)
    picture = overlay(sample)
    damage, flood = sample.labels["post_damage"], sample.labels["post_flood"] > 0
    assert set(np.unique(damage)) == {0, 1, 2, 3, 4}
    untouched = (damage == 0) & ~flood
    np.testing.assert_array_equal(picture[untouched], sample.images["post"][untouched])
    for grade in range(1, 5):
        assert (picture[damage == grade] == DAMAGE_COLOURS[grade]).all(axis=1).any()  # its rim
    wet = flood & (damage == 0)
    nearer = (
        np.abs(picture[wet].astype(int) - FLOOD_TINT).mean()
        < np.abs(sample.images["post"][wet].astype(int) - FLOOD_TINT).mean()
    )
    assert nearer


def test_the_depth_ramp_darkens_evenly():
    lightness = cv2.cvtColor(depth_ramp()[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0, :, 0]
    steps = -np.diff(lightness[::15])
    assert (steps > 0).all()
    assert steps.max() < 1.5 * steps.min()


def test_deeper_water_is_darker_and_dry_ground_is_not_blue():
    sample = fake_sample(2, 64)
    depth = sample.labels["post_depth"]
    panel = depth_panel(sample, scale_of([deepest_of(sample)]))
    deep, shallow = depth == depth.max(), (depth > 0) & (depth < 50)
    assert panel[deep].mean() < panel[shallow].mean() - 60
    assert (
        panel[(depth == 0) & (sample.labels["post_building"] == 0) & (sample.labels["post_water"] == 0)] == DRY
    ).all()


@pytest.mark.parametrize(("depths", "end"), [([], 0.5), ([0.0], 0.5), ([0.51], 1.0), ([2.0, 1.0], 2.0)])
def test_the_scale_ends_at_the_next_half_metre(depths, end):
    assert scale_of(depths) == end


def test_large_pictures_shrink_in_proportion_and_small_ones_stay():
    assert shrunk(np.zeros((512, 256, 3), np.uint8), 256).shape == (256, 128, 3)
    assert shrunk(np.zeros((64, 32, 3), np.uint8), 256).shape == (64, 32, 3)
