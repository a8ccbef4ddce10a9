"""``mage translate``: a dataset in another style that verifies, and the pictures that it takes its style from."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
import typer
from fake_dataset import write_fake_dataset, write_fake_tiles, write_sensed_dataset
from typer.testing import CliRunner

from mage.learning import (
    FourierStyle,
    HistogramMatching,
    LinearColour,
    PictureFolder,
    ShardDataset,
    commands,
    write_translated,
)
from mage.learning.sampling import Draw
from mage.learning.translate import write
from mage.scenes.dataset.verify import verify_dataset
from mage.scenes.errors import DatasetError, ModelError

BY = {"name": "photos", "format": "images", "licence": "CC0-1.0", "sha256": None}


def mage(*words):
    app = typer.Typer()
    commands.register(app)
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder of three pictures of another light."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number, suffix in enumerate((".png", ".jpg", ".JPEG")):
        picture = rng.integers(100 + 20 * number, 180, (70, 90, 3), np.uint8)
        (root / f"{number}{suffix}").write_bytes(cv2.imencode(suffix.lower(), picture)[1].tobytes())
    (root / "notes.txt").write_text("no picture")
    return root


@pytest.mark.parametrize("by", ["histogram", "linear", "fourier"])
def test_a_translated_dataset_verifies_and_has_new_images_under_old_labels(drawn, photos, tmp_path, by):
    out = tmp_path / "out"
    done = mage("translate", "--data", drawn, "--to", photos, "--out", out, "--by", by, "--licence", "CC0-1.0")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(out)
    assert verify_dataset(out).problems == ()
    before, after = ShardDataset(drawn), ShardDataset(out)
    assert before.keys == after.keys
    for index in range(len(before)):
        assert torch.equal(before[index]["mask"], after[index]["mask"])
        assert not torch.equal(before[index]["image"], after[index]["image"])
    assert after.record.sources[-1] == {"name": photos.name, "format": "images", "licence": "CC0-1.0", "sha256": None}
    assert "translation" in after.record.versions
    assert json.loads((out / "translation.json").read_text())["styled_by"]["licence"] == "CC0-1.0"


def test_the_style_may_come_from_imagery_that_was_collected_and_its_colours_are_found_among_the_bands(drawn, tmp_path):
    write_fake_tiles(tmp_path / "hazy", bands=("nir", "red", "green", "blue"))
    done = mage("translate", "--data", drawn, "--to", tmp_path / "hazy", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    before, after = (
        np.mean([tile["image"].float().mean() for tile in ShardDataset(r)]) for r in (drawn, tmp_path / "out")
    )
    assert before < 140 < after
    assert ShardDataset(tmp_path / "out").record.sources[-1]["format"] == "MAGE unlabelled dataset"


@pytest.mark.parametrize("by", ["histogram", "linear"])
def test_with_the_mean_style_one_map_serves_all_places(drawn, photos, tmp_path, by):
    mage("translate", "--data", drawn, "--to", photos, "--out", tmp_path / "out", "--by", by, "--mean")
    seen = {}
    for one, other in zip(ShardDataset(drawn), ShardDataset(tmp_path / "out"), strict=True):
        for old, new in zip(
            one["image"].flatten(2)[0].T.tolist(), other["image"].flatten(2)[0].T.tolist(), strict=True
        ):
            assert seen.setdefault(tuple(old), new) == new


def test_a_damage_model_may_say_how_strong_a_translation_is(drawn, photos, short_run, tmp_path):
    line = ("translate", "--data", drawn, "--to", photos, "--out", tmp_path / "out", "--preserve", short_run.path)
    done = mage(*line)
    assert done.exit_code == 0, done.output
    strength = json.loads((tmp_path / "out" / "translation.json").read_text())["settings"]["strength"]
    assert f"strength {strength:g}:" in done.stderr
    assert 0 <= strength <= 1
    weak = mage("translate", "--data", drawn, "--to", photos, "--out", tmp_path / "none", "--strength", 0)
    assert weak.exit_code == 0, weak.output
    assert torch.equal(ShardDataset(tmp_path / "none")[0]["image"], ShardDataset(drawn)[0]["image"])
    assert mage(*line, "--by", "fourier").exit_code == 2


def test_the_images_are_those_that_the_translator_gives(drawn, photos, tmp_path):
    translator = HistogramMatching().fit([PictureFolder(photos)[0]])
    write_translated(drawn, translator, tmp_path / "out", styled_by=BY)
    before, after = ShardDataset(drawn), ShardDataset(tmp_path / "out")
    assert all(
        (translator.transform(a["image"]) == b["image"].numpy()).all() for a, b in zip(before, after, strict=True)
    )


def test_images_of_further_sensors_stay(photos, tmp_path):
    write_sensed_dataset(tmp_path / "data")
    translator = LinearColour().fit([PictureFolder(photos)[0]])
    write_translated(tmp_path / "data", translator, tmp_path / "out", styled_by=BY)
    assert verify_dataset(tmp_path / "out").ok
    one, other = (ShardDataset(tmp_path / name, images=("drawn-2",))[0] for name in ("data", "out"))
    assert torch.equal(one["drawn-2"], other["drawn-2"])


def test_a_translation_that_was_interrupted_goes_on_and_gives_the_same_bytes(drawn, photos, tmp_path, monkeypatch):
    translator = LinearColour().fit(PictureFolder(photos, size=64)[index] for index in range(3))
    write_translated(drawn, translator, tmp_path / "whole", styled_by=BY)
    real, calls = translator.transform, []

    def dying(pair, rng=None):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(pair, rng)

    monkeypatch.setattr(translator, "transform", dying)
    with pytest.raises(KeyboardInterrupt):
        write_translated(drawn, translator, tmp_path / "parts", styled_by=BY)
    assert not (tmp_path / "parts" / "dataset.json").exists()
    monkeypatch.setattr(translator, "transform", real)
    kept = (tmp_path / "parts" / "shards" / "train-000000.tar").stat().st_mtime_ns
    write_translated(drawn, translator, tmp_path / "parts", styled_by=BY)
    assert (tmp_path / "parts" / "shards" / "train-000000.tar").stat().st_mtime_ns == kept
    for path in (tmp_path / "whole").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "parts" / path.relative_to(tmp_path / "whole")).read_bytes()


def test_a_folder_that_holds_something_else_is_left_alone(drawn, photos, tmp_path):
    translator = LinearColour().fit([PictureFolder(photos)[0]])
    for out in (photos, drawn):
        with pytest.raises(DatasetError, match="not empty"):
            write_translated(drawn, translator, out, styled_by=BY)
    write_translated(drawn, translator, tmp_path / "out", styled_by=BY)
    with pytest.raises(DatasetError, match="not empty"):
        write_translated(drawn, FourierStyle().fit([np.zeros((3, 64, 64), np.uint8)]), tmp_path / "out", styled_by=BY)


def test_damaged_shards_leave_no_dataset(photos, tmp_path):
    write_fake_dataset(tmp_path / "data", count=1, size=32)
    shard = tmp_path / "data" / "shards" / "train-000000.tar"
    shard.write_bytes(shard.read_bytes()[:-2048])
    with pytest.raises(DatasetError, match="cut or was changed"):
        write_translated(
            tmp_path / "data", LinearColour().fit([PictureFolder(photos)[0]]), tmp_path / "out", styled_by=BY
        )
    assert not list((tmp_path / "out").rglob("*.tar"))
    assert not (tmp_path / "out" / write.MANIFEST).exists()


def test_what_newcomers_get_wrong_is_one_clear_error(drawn, photos, tmp_path):
    (tmp_path / "empty").mkdir()
    cases = [
        (DatasetError, "no such folder", (tmp_path / "nowhere", photos)),
        (DatasetError, "no such folder", (drawn, tmp_path / "nowhere")),
        (DatasetError, "no pictures", (drawn, tmp_path / "empty")),
    ]
    for kind, words, (data, to) in cases:
        raised = mage("translate", "--data", data, "--to", to, "--out", tmp_path / "out").exception
        assert isinstance(raised, kind)
        assert words in str(raised)
    raised = mage("translate", "--data", drawn, "--to", photos, "--out", tmp_path / "o", "--by", "fourier", "--beta", 9)
    assert isinstance(raised.exception, ModelError)
    assert not (tmp_path / "out").exists()


def test_pictures_are_read_in_order_cropped_and_mirrored(photos):
    whole, cropped, larger = (PictureFolder(photos, size=size) for size in (None, 32, 80))
    assert [whole[i]["key"] for i in range(len(whole))] == ["0.png", "1.jpg", "2.JPEG"]
    assert whole[0]["image"].shape == (3, 70, 90)
    assert torch.equal(cropped[0]["image"], whole[0]["image"][:, 19:51, 29:61])
    assert torch.equal(larger[0]["image"][:, 70:], larger[0]["image"][:, 60:70].flip(1))
    assert len({cropped[Draw(0, 0, epoch)]["image"].numpy().tobytes() for epoch in range(6)}) > 3


@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
def test_files_that_are_no_pictures_are_named(photos, tmp_path, name):
    good = next(photos.glob(f"*{name[1:]}")).read_bytes()
    for content in (b"", b"GIF89a", good[:30], good[: len(good) // 20], b"\xff\xd8\xff" + b"\xff" * 50):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DatasetError, match=name):
            PictureFolder(tmp_path)[0]


def test_a_small_file_that_claims_to_be_a_huge_picture_is_refused(photos, tmp_path):
    good = (photos / "0.png").read_bytes()
    (tmp_path / "x.png").write_bytes(good[:16] + (60_000).to_bytes(4, "big") * 2 + good[24:])
    with pytest.raises(DatasetError, match="60000 x 60000"):
        PictureFolder(tmp_path)[0]
