"""``mage release`` and ``mage reproduce`` as a newcomer meets them."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import pytest
from fake_dataset import write_fake_dataset
from typer.testing import CliRunner

from mage.generator import reproduce as reproduction
from mage.scenes import cli
from mage.scenes.dataset.released import open_release
from mage.scenes.errors import MissingExtraError

WORDS = ("--name", "fake", "--version", "1.0.0", "--licence", "CC-BY-4.0")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("commands") / "dataset"
    write_fake_dataset(root, count=1)
    return root


def call(*words):
    return CliRunner().invoke(cli.app, [str(word) for word in words])


def test_a_release_in_one_line(dataset, tmp_path):
    result = call("release", dataset, tmp_path / "out", *WORDS, "--author", "Doe, Jo", "--author", "Institute")
    assert result.exit_code == 0, result.output
    assert "fake 1.0.0: 1 samples" in result.output
    record = open_release(tmp_path / "out")
    assert record.authors == ["Doe, Jo", "Institute"]
    assert record.date == datetime.now(UTC).date().isoformat()


def test_without_an_author_it_says_whom_it_cites(dataset, tmp_path):
    result = call("release", dataset, tmp_path / "out", *WORDS, "--full", "--date", "2026-01-02")
    assert "cites 'fake contributors'" in result.output + result.stderr
    assert open_release(tmp_path / "out").date == "2026-01-02"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--source-licence", "x"), "SOURCE=LICENCE"),
        (("--source-licence", "x=CC0-1.0"), "for no source"),
        (("--baselines", "/nowhere.json"), "no such file"),
        (("--date", "tomorrow"), "bad date"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(dataset, tmp_path, words, said):
    result = call("release", dataset, tmp_path / "out", *WORDS, *words)
    assert result.exit_code != 0
    assert said in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_installed_is_named(dataset, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("pystac", "mage.generator.release.publish"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "mage.generator.release.stac", raising=False)
    monkeypatch.setitem(sys.modules, "pystac", None)
    result = call("release", dataset, tmp_path / "out", *WORDS)
    assert isinstance(result.exception, MissingExtraError)
    assert "mage-eo[release]" in str(result.exception)


@pytest.mark.parametrize(("share", "code"), [(0.0, 0), (0.5, 1)])
def test_a_sample_that_is_not_reproduced_ends_in_1(dataset, monkeypatch, share, code):
    def again(root, key, **_):
        labels = (reproduction.Difference("post_height", 8, share, 3),) if share else ()
        images = (reproduction.Difference("post", 8, 0.1, 3, 41.25),)
        return reproduction.Reproduction(key, labels, images, (), {"numpy": ("1", "2")})

    monkeypatch.setattr(reproduction, "reproduce", again)
    result = call("reproduce", dataset, "--tile", "some-key")
    assert result.exit_code == code
    assert "some-key: " + ("NOT reproduced" if code else "reproduced") in result.output
    assert "PSNR 41.2 dB" in result.output
    assert "numpy: made with 1, now 2" in result.output
    told = json.loads(call("reproduce", dataset, "--tile", "some-key", "--json").stdout)
    assert told["ok"] == (code == 0)
    assert told["images"][0]["psnr"] == 41.25
