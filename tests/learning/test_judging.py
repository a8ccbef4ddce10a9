"""Evaluation of sets of other kinds, by group and over runs, its report, and the commands."""

from __future__ import annotations

import csv
import json
import shutil

import cv2
import numpy as np
import pytest
import torch
import typer
from fake_dataset import write_fake_campaign
from toys import CLASSES, Stripes, ToyNet
from typer.testing import CliRunner

from mage.learning import (
    ShardDataset,
    SiameseDamageNet,
    boundary_counts,
    compare,
    evaluate,
    group,
    load_model,
    open_run,
    write_report,
)
from mage.learning.commands import register
from mage.scenes.errors import DatasetError, MissingExtraError, ModelError


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """A dataset of three events in two cities and splits."""
    root = tmp_path_factory.mktemp("campaign") / "dataset"
    write_fake_campaign(root)
    return root


def rng():
    return np.random.default_rng(0)


def pair(mask, **more):
    image = torch.from_numpy(rng().integers(0, 255, (2, 3, *mask.shape), np.uint8))
    return {"image": image, "mask": torch.from_numpy(mask)} | more


def test_a_plain_segmentation_of_one_image_is_scored_by_class():
    found = evaluate(ToyNet(), Stripes(4), rng=rng())
    assert list(found.figures["classes"]) == ["class-0", "class-1", "class-2"]
    assert not {"xview2", "damage_f1", "building_iou"} & found.figures.keys()
    assert found.reliability.keys() == {"classes"}
    assert found.buildings is None
    assert found.step is None
    assert set(found.intervals) == {"mean_iou", "mean_f1", "boundary_f1", "ece"}
    assert found.intervals["mean_iou"].value == pytest.approx(found.figures["mean_iou"])
    json.dumps(found.to_dict(), allow_nan=False)
    assert "mean IoU of all classes" in found.table()


def test_sets_that_tell_buildings_without_grades_are_compared_by_building_or_none():
    mask = np.zeros((16, 16), np.uint8)
    mask[3:9, 3:9], mask[12:] = 1, 255
    graded = np.where(mask == 1, 3, mask).astype(np.uint8)
    model = SiameseDamageNet(2)
    one, other = (evaluate(model, [pair(m)], only_buildings=True) for m in (mask, graded))
    assert one.figures == other.figures
    assert one.boundary == other.boundary
    assert list(one.figures["classes"]) == ["background", "building"]
    located = evaluate(model, [pair(graded)])
    assert one.figures["building_iou"] == located.figures["building_iou"]
    assert one.boundary["building"] == located.boundary["building"]
    assert one.reliability["classes"].ece() == pytest.approx(located.reliability["localisation"].ece(), abs=1e-6)


def test_numbers_of_buildings_and_events_come_from_the_samples_of_any_dataset():
    mask = np.zeros((16, 16), np.uint8)
    mask[2:6, 2:6], mask[8:12, 8:14] = 1, 4
    building = torch.from_numpy(np.where(mask == 4, 9, mask).astype(np.int32))
    tiles = [pair(mask, building=building, key=f"{i}", event=e) for i, e in enumerate(("storm", "fire"))]
    found = evaluate(SiameseDamageNet(2), tiles)
    assert found.buildings["buildings"] == 4
    assert found.reliability["buildings"].top[:, 0].sum() == 4
    assert found.tiles.places == {"event": ("storm", "fire")}


def test_a_tolerance_in_metres_is_divided_by_the_metres_of_a_pixel():
    mask = np.pad(np.ones((6, 6), np.uint8), 5)
    model = SiameseDamageNet(2)
    in_metres = evaluate(model, [pair(mask, gsd=0.5)], tolerance=2.0, metres=True)
    in_pixels = evaluate(model, [pair(mask)], tolerance=4.0)
    assert (in_metres.tiles.counts["boundary"] == in_pixels.tiles.counts["boundary"]).all()
    with pytest.raises(DatasetError, match="gsd"):
        evaluate(model, [pair(mask)], metres=True)


def test_boundaries_are_those_of_the_maps(short_run, drawn):
    found = evaluate(short_run, ShardDataset(drawn), device="cpu", tolerance=1.0)
    model, total = load_model(short_run.path, "cpu"), np.zeros((5, 4), np.int64)
    for sample in ShardDataset(drawn):
        predicted, _ = model.predict(*sample["image"].numpy().transpose(0, 2, 3, 1))
        total += boundary_counts(predicted, sample["mask"].numpy(), 5, 1.0)
    assert (found.tiles.sums()["boundary"] == total).all()
    assert found.boundary["tolerance"] == 1.0


def test_a_set_without_a_grade_has_both_the_exact_score_and_that_over_present_grades(short_run, campaign):
    found = evaluate(short_run, ShardDataset(campaign), device="cpu")
    assert found.figures["xview2"] <= 0.3
    assert "destroyed" in found.warnings[-1]
    assert {"xview2", "xview2_present"} <= found.figures.keys()


def test_what_is_not_compared_is_one_clear_error():
    blank = np.zeros((8, 8), np.uint8)
    with pytest.raises(DatasetError, match="'mask'"):
        evaluate(SiameseDamageNet(2), [{"image": pair(blank)["image"]}])
    with pytest.raises(DatasetError, match="other classes"):
        evaluate(SiameseDamageNet(2), [pair(blank + 5)])
    with pytest.raises(DatasetError, match="empty"):
        evaluate(SiameseDamageNet(2), [])
    with pytest.raises(ModelError, match="classes"):
        evaluate(torch.nn.Conv2d(3, 2, 1), Stripes(1))


def test_one_pixel_and_nothing_but_ignored_pixels_are_scored():
    for mask in (np.ones((1, 1), np.uint8), np.full((4, 4), 255, np.uint8)):
        json.dumps(evaluate(SiameseDamageNet(2), [pair(mask)], rng=rng()).to_dict(), allow_nan=False)


def test_events_cities_and_splits_of_a_dataset_have_rows_of_their_own(short_run, campaign):
    found = evaluate(short_run, ShardDataset(campaign), device="cpu")
    names = {"event": 3, "city": 2, "split": 2}
    for by, number in names.items():
        rows = group(found.tiles, by, found.headlines, rng(), replicates=20)
        assert len(rows.rows) == number
        assert sum(rows.tiles.values()) == 6
    alone = evaluate(short_run, ShardDataset(campaign, split="test-city"), device="cpu")
    assert rows.rows["test-city"]["building_iou"].value == alone.figures["building_iou"]


@pytest.fixture(scope="module")
def reported(short_run, campaign, tmp_path_factory):
    """An evaluation with groups and a comparison, its report, and the files of that before it was written again."""
    dataset = ShardDataset(campaign, labels=("post_building",))
    found = evaluate(short_run, dataset, device="cpu", rng=rng())
    groups = group(found.tiles, "event", found.headlines, rng(), replicates=50)
    comparison = compare(("a", "b"), [found.tiles, found.tiles], found.headlines, rng())
    folder, written = tmp_path_factory.mktemp("report") / "report", []
    for _ in range(2):
        write_report(folder, [found, found], short_run.model("cpu"), dataset, groups=groups, comparison=comparison)
        written.append({p.name: p.read_bytes() for p in folder.iterdir()})
    return found, folder, written


def test_a_report_is_json_a_table_and_pictures_and_written_again_equal_to_the_byte(reported):
    found, one, written = reported
    pictures = {"confusion.png", "reliability.png", "groups.png", "tiles.png"}
    assert written[0].keys() == pictures | {"report.json", "report.md", "report.txt", "tiles.csv"}
    assert written[0] == written[1]
    content = json.loads((one / "report.json").read_text())
    assert content["runs"][0]["xview2"] == found.figures["xview2"]
    assert set(content["groups"]["rows"]) == {"testville-flood-0", "testville-flood-1", "othertown-flood-0"}
    assert content["comparison"]["against_first"][0]["xview2"]["difference"]["value"] == 0
    markdown = (one / "report.md").read_text()
    assert all(f"({name})" in markdown for name in pictures)
    with (one / "tiles.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == list(found.tiles.keys)
    for name in pictures:
        picture = cv2.imread(str(one / name))
        assert min(picture.shape[:2]) > 100
        assert picture.std() > 5


def test_a_report_is_written_into_no_folder_that_holds_something_else(reported, short_run, campaign, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    for folder in (tmp_path, tmp_path / "letter.txt"):
        with pytest.raises(ModelError, match="report"):
            write_report(folder, [reported[0]], short_run.model("cpu"), ShardDataset(campaign))
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_a_report_of_a_segmentation_without_groups_or_numbers(tmp_path):
    found = evaluate(ToyNet(), Stripes(3), rng=rng())
    folder = write_report(tmp_path / "report", [found], ToyNet(), Stripes(3))
    assert json.loads((folder / "report.json").read_text())["mean_iou"] == found.figures["mean_iou"]
    assert len(found.task.names) == CLASSES


def mage(*words):
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_extra_that_draws_is_named_where_it_is_missing_before_anything_is_evaluated(
    short_run, campaign, tmp_path, monkeypatch
):
    import importlib.util

    real = importlib.util.find_spec
    hide = lambda name, *rest: None if name == "matplotlib" else real(name, *rest)  # noqa: E731
    monkeypatch.setattr("mage.learning.scoring.plots.find_spec", hide)
    raised = mage("evaluate", short_run.path, "--data", campaign, "--out", tmp_path / "report").exception
    assert isinstance(raised, MissingExtraError)
    assert "mage-eo[plots]" in str(raised)
    assert not (tmp_path / "report").exists()


def test_several_runs_are_evaluated_by_event_as_json_and_as_a_table(short_run, campaign, tmp_path):
    other = shutil.copytree(short_run.path, tmp_path / "other")
    line = ("evaluate", short_run.path, other, "--data", campaign, "--by", "event", "--device", "cpu")
    content = json.loads(mage(*line, "--json").stdout)
    assert len(content["runs"]) == 2
    assert content["comparison"]["seeds"]["building_iou"]["sd"] == 0
    assert content["comparison"]["against_first"][0]["building_iou"]["p_permutation"] == 1
    table = mage(*line).stdout
    assert "macro over groups" in table
    assert "2 runs as seeds of one" in table


@pytest.fixture
def chips(drawn, tmp_path):
    """The drawn tiles as plain files, two of them of another event."""
    for index, sample in enumerate(ShardDataset(drawn)):
        event = "storm" if index < 2 else "flood"
        for name, picture in zip(("pre", "post"), sample["image"].permute(0, 2, 3, 1).numpy(), strict=True):
            (tmp_path / "chips" / name / event).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / "chips" / name / event / f"{index}.png"), picture[..., ::-1])
        (tmp_path / "chips" / "masks" / event).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "chips" / "masks" / event / f"{index}.png"), sample["mask"].numpy())
    return tmp_path / "chips"


def test_sets_of_real_pairs_are_evaluated_by_command_and_by_event(short_run, drawn, chips):
    line = (
        "evaluate",
        short_run.path,
        "--data",
        chips,
        "--set",
        "folder",
        "--by",
        "event",
        "--device",
        "cpu",
        "--json",
    )
    found = json.loads(mage(*line).stdout)
    same = evaluate(short_run, ShardDataset(drawn), device="cpu")
    assert found["classes"]["no-damage"]["pixels"] == same.figures["classes"]["no-damage"]["pixels"]
    assert found["building_iou"] == pytest.approx(same.figures["building_iou"], abs=1e-3)
    assert set(found["groups"]["rows"]) == {"storm", "flood"}
    split = mage("evaluate", short_run.path, "--data", chips, "--set", "folder", "--split", "test", "--device", "cpu")
    assert "has no splits" in str(split.exception)
    assert isinstance(mage("evaluate", short_run.path, "--data", chips, "--set", "xbd").exception, DatasetError)


def test_a_run_is_calibrated_and_chosen_by_command(short_run, drawn, campaign, tmp_path):
    run = shutil.copytree(short_run.path, tmp_path / "run")
    line = ("calibrate", run, "--data", campaign, "--training", drawn, "--device", "cpu", "--json")
    content = json.loads(mage(*line).stdout)
    assert open_run(run).model("cpu").temperatures.to_dict() == content["temperatures"]
    assert content["ece"].keys() == {"localisation", "damage", "buildings"}
    assert open_run(run).beside(".density.safetensors").is_file()
    assert content["density"]["threshold"] > 0
    line = ("choose", short_run.path, run, "--data", drawn, "--size", 32, "--oracle", "--device", "cpu")
    table = mage(*line).stdout
    assert "neighbourhood density" in table
    assert table.count("*") >= 4
