"""``mage map`` as a user types it."""

from __future__ import annotations

import json

import pytest
import typer
from struck import footprints, pair, streets
from typer.testing import CliRunner

from mage.learning import Card, SiameseDamageNet, commands, save_model
from mage.learning.mapping import run
from mage.learning.mapping.grader import Grader
from mage.scenes.errors import DatasetError, MageError


def mage(*words):
    app = typer.Typer()
    commands.register(app)
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def quick(monkeypatch):
    """Leaves out what draws, which has tests of its own."""
    monkeypatch.setattr(run, "write_sheet", lambda findings, folder: [])
    monkeypatch.setattr(run, "write_layers", lambda findings, folder: [])
    monkeypatch.setattr(run, "write_report", written)


def written(findings, folder):
    (folder / "report.html").write_text("report")
    return folder / "report.html"


@pytest.fixture
def given(tmp_path):
    """Options that are always there."""
    pre, post = pair(tmp_path)
    save_model(SiameseDamageNet(width=2), tmp_path / "model", Card("A", "drawn", "CC0-1.0"))
    return [
        f"--pre={pre}",
        f"--post={post}",
        f"--model={tmp_path / 'model'}",
        f"--out={tmp_path / 'p'}",
        "--kind=wind",
        "--device=cpu",
    ]


def test_a_map_is_made_and_its_folder_printed(tmp_path, given, quick):
    houses, roads = footprints(tmp_path / "houses.geojson"), streets(tmp_path / "streets.geojson")
    more = [f"--buildings={houses}", f"--roads={roads}", "--pre-date=2011-05-20", "--window=64"]
    told = ["--name=Joplin", "--activation=EMSR385", "--aoi-number=6", "--route=500001,5300030 500060,5300030"]
    found = mage("map", *given, *more, *told)
    assert found.exit_code == 0, found.output
    assert found.stdout.strip() == str(tmp_path / "p")
    assert "12 buildings" in found.stderr
    assert "road edges likely closed" in found.stderr
    assert "the way takes" in found.stderr
    about = json.loads((tmp_path / "p" / "provenance.json").read_text())
    assert about["event"] | {"kind": "wind", "activation": "EMSR385", "aoi": 6, "name": "Joplin"} == about["event"]
    assert about["sources"][1]["taken"] == "2011-05-20T00:00:00+00:00"
    assert about["model"]["licence"] == "cc0-1.0"
    assert (tmp_path / "p" / "model_card.md").read_text().startswith("---")


def test_an_interrupted_map_says_that_the_same_command_goes_on(tmp_path, given, quick, monkeypatch):
    def interrupted(self, images):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Grader, "forward", interrupted)
        found = mage("map", *given)
    assert found.exit_code == 130
    assert "interrupted; the same command goes on" in found.stderr
    assert not (tmp_path / "p" / "report.html").exists()
    again = mage("map", *given)
    assert again.exit_code == 0


def test_the_extent_alone_of_one_image_needs_no_model(tmp_path, given, quick):
    post, out = given[1], given[3]
    found = mage("map", post, out, "--product=DEL", "--kind=flood")
    assert found.exit_code == 0, found.output
    assert "its extent alone is mapped" in found.stderr


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--gsd=0", "metres above 0"),
        ("--gsd=nan", "metres above 0"),
        ("--reflectance=-1", "above 0 in --reflectance"),
        ("--bands=red=3,infra=4", "no such bands"),
        ("--bands=red=3,red=4", "no such bands"),
        ("--bands=nir=x", "no such bands"),
        ("--bands=nir=4", "there is no such band"),
        ("--bands=a,b", "no such bands"),
        ("--bands=0,1,2", "no such band"),
        ("--route=1,2", "no such route"),
        ("--route=1,2 3,4", "a route needs roads"),
        ("--finetune=run", "learns from corrections"),
        ("--pre-date=May", "no such date"),
        ("--activation=EMSR_385", "no such activation"),
        ("--model=nothing", "no such run"),
        ("--population=nothing.tif", "no such file for 'population'"),
        ("--device=abacus", "abacus"),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path, given, option, words):
    found = mage("map", *given, option)
    assert isinstance(found.exception, MageError)
    assert words in str(found.exception)
    assert not (tmp_path / "p").exists()


def test_a_map_is_of_no_event_until_somebody_says_which(given):
    found = mage("map", *[word for word in given if word != "--kind=wind"])
    assert found.exit_code == 2
    assert "--kind" in found.stderr


def test_options_of_other_kinds_are_refused_by_their_name(given):
    for option in ("--kind=meteor", "--window=3"):
        found = mage("map", *given, option)
        assert found.exit_code == 2
        assert option.partition("=")[0] in found.stderr


def test_a_product_that_is_no_folder_to_update_is_refused(tmp_path, given, quick):
    found = mage("map", *given, f"--before={tmp_path / 'model'}")
    assert isinstance(found.exception, DatasetError)
