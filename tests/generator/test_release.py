"""Making a release: whole or not at all, equal to the byte, and every document says what the dataset holds."""

from __future__ import annotations

import json
import os
import subprocess

import cv2
import pytest
import yaml
from fake_dataset import SOURCES, write_fake_dataset, write_sensed_dataset
from fake_release import publication, write_campaign

from mage.generator.release import publish
from mage.generator.release.publish import release
from mage.scenes.dataset.index import open_dataset
from mage.scenes.dataset.released import open_release, release_files
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.dataset.verify import verify_dataset
from mage.scenes.dataset.verify_release import verify_release
from mage.scenes.errors import DatasetError

OSM = [
    {"name": "town.osm.pbf", "format": "PBF", "licence": "ODbL-1.0, © OpenStreetMap contributors", "sha256": "a" * 64}
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    write_campaign(folder / "dataset")
    release(folder / "dataset", folder / "out", publication())
    return folder


@pytest.fixture(scope="module")
def out(made):
    return made / "out"


def head_of(readme):
    return yaml.safe_load(readme.read_text(encoding="utf-8").split("---\n")[1])


def test_a_release_is_a_dataset_that_verifies_and_documents_that_agree(out):
    assert verify_dataset(out).ok
    assert verify_release(out) == []


def test_sha256sum_checks_every_file(out):
    done = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=out, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(release_files(out)) - 1


def test_two_releases_of_one_dataset_are_equal_to_the_byte(made, tmp_path):
    release(made / "dataset", tmp_path / "again", publication())
    names = release_files(made / "out")
    assert names == release_files(tmp_path / "again")
    assert all((made / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in names)


def test_a_release_of_a_dataset_in_a_store_is_that_of_one_in_a_folder(made, tmp_path):
    write_campaign("memory://releases/d")
    release("memory://releases/d", tmp_path / "out", publication())
    names = release_files(made / "out")
    assert names == release_files(tmp_path / "out")
    assert all((made / "out" / name).read_bytes() == (tmp_path / "out" / name).read_bytes() for name in names)


def test_the_folder_holds_no_trace_of_the_machine_or_the_hour(out):
    for name in release_files(out):
        if not name.endswith((".tar", ".png", ".parquet")):
            assert str(out.parent) not in (out / name).read_text(encoding="utf-8"), name


def test_shards_are_not_copied_where_the_file_system_links(made):
    name = "shards/train-000000.tar"
    assert (made / "dataset" / name).stat().st_ino == (made / "out" / name).stat().st_ino


def test_shards_are_copied_where_it_does_not(made, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    release(made / "dataset", tmp_path / "out", publication())
    name = "shards/train-000000.tar"
    assert (tmp_path / "out" / name).read_bytes() == (made / "dataset" / name).read_bytes()
    assert (tmp_path / "out" / name).stat().st_ino != (made / "dataset" / name).stat().st_ino


def test_splits_are_listed_key_by_key(out):
    assert (out / "splits/test-city.txt").read_text().split() == ["southville-flood-000000", "southville-flood-000001"]
    assert open_release(out).splits["train"].samples == 2


def test_the_card_tells_hugging_face_which_shards_are_which_split(out):
    head = head_of(out / "README.md")
    assert head["license"] == "cc-by-4.0"
    assert head["configs"][0]["data_files"] == [
        {"split": "test_city", "path": "shards/test-city-*.tar"},
        {"split": "train", "path": "shards/train-*.tar"},
    ]
    assert head["size_categories"] == ["n<1K"]


def test_the_datasheet_counts_what_the_dataset_counts(out):
    text, counts = (out / "DATASHEET.md").read_text(encoding="utf-8"), open_dataset(out).counts
    line = next(
        line for line in text.splitlines() if line.startswith("| all | ") and " %)" in line and "0 (" not in line
    )
    assert f"| {counts['buildings']} |" in next(line for line in text.splitlines() if line.startswith("| all | 4 |"))
    assert all(f"{number:,} (" in line or f"| {number:,}" in text for number in counts["jds"].values())


def test_the_datasheet_tells_that_tiles_of_two_splits_lie_on_each_other(out):
    text = (out / "DATASHEET.md").read_text(encoding="utf-8")
    assert "| test-city, train | 0 | 0 | 2 | 0.0 m |" in text
    assert "2 samples of test-city show ground that train shows too." in text


def test_a_release_of_one_split_says_that_nothing_is_held_out(tmp_path):
    write_fake_dataset(tmp_path / "dataset", count=2)
    release(tmp_path / "dataset", tmp_path / "out", publication())
    assert "nothing is held out" in (tmp_path / "out/README.md").read_text(encoding="utf-8")


def test_sensors_are_described_band_by_band(tmp_path):
    write_sensed_dataset(tmp_path / "dataset", count=1)
    release(tmp_path / "dataset", tmp_path / "out", publication())
    bands = json.loads((tmp_path / "out/croissant.json").read_text())["geocr:spectralBandMetadata"]
    assert [(b["name"], b["geocr:centerWavelength"]["value"]) for b in bands] == [
        ("drawn-2 red", 660),
        ("drawn-2 red-edge", 710),
    ]
    assert verify_release(tmp_path / "out") == []


def test_previews_are_pictures_of_moderate_size(out):
    for split in ("train", "test-city"):
        for name in (f"{split}.png", f"{split}-labels.png"):
            picture = cv2.imread(str(out / "previews" / name))
            assert 64 <= max(picture.shape) <= 1600
            assert picture.std() > 10


def test_a_dataset_of_openstreetmap_is_named_and_stays_under_its_licence(tmp_path):
    write_campaign(tmp_path / "dataset", sources=OSM)
    heard = []
    with pytest.raises(DatasetError, match=r"town\.osm\.pbf is under ODbL-1\.0, which asks that .* not CC0-1\.0"):
        release(tmp_path / "dataset", tmp_path / "out", publication(licence="CC0-1.0"))
    assert not (tmp_path / "out").exists()
    release(tmp_path / "dataset", tmp_path / "out", publication(licence="ODbL-1.0"), say=heard.append)
    assert "© OpenStreetMap contributors" in (tmp_path / "out/LICENSES.md").read_text(encoding="utf-8")
    assert "share-alike" in heard[0]
    assert verify_release(tmp_path / "out") == []


def test_a_source_without_a_licence_needs_one_from_the_publisher(tmp_path):
    write_campaign(tmp_path / "dataset", sources=[SOURCES[0] | {"name": "delft.gml", "licence": None}])
    with pytest.raises(DatasetError, match=r"delft\.gml states no licence"):
        release(tmp_path / "dataset", tmp_path / "out", publication())
    stated = {"delft.gml": "CC-BY-4.0, © City of Delft"}
    release(tmp_path / "dataset", tmp_path / "out", publication(), stated=stated)
    text = (tmp_path / "out/LICENSES.md").read_text(encoding="utf-8")
    assert "- © City of Delft" in text
    assert "†" in text


def test_a_folder_that_is_there_is_never_touched(made, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(DatasetError, match="exists already"):
        release(made / "dataset", tmp_path / "out", publication())
    assert list((tmp_path / "out").iterdir()) == []


def test_a_release_is_not_released_again(out, tmp_path):
    with pytest.raises(DatasetError, match="is a release already"):
        release(out, tmp_path / "again", publication())


def test_an_unfinished_dataset_is_refused(tmp_path):
    write_campaign(tmp_path / "dataset")
    (tmp_path / "dataset/dataset.json").unlink()
    with pytest.raises(DatasetError, match="generation did not finish"):
        release(tmp_path / "dataset", tmp_path / "out", publication())


def test_a_dataset_that_does_not_verify_is_refused(tmp_path):
    write_campaign(tmp_path / "dataset")
    (tmp_path / "dataset/shards/train-000000.json").unlink()
    with pytest.raises(DatasetError, match="does not verify"):
        release(tmp_path / "dataset", tmp_path / "out", publication())


def test_a_shard_of_the_right_size_and_other_bytes_is_found_without_full(tmp_path):
    write_campaign(tmp_path / "dataset")
    path = tmp_path / "dataset/shards/train-000000.tar"
    with TarIndex(path) as tar:
        start, size = tar.members(tar.keys[0])["json"]
    assert size % 512  # what follows is padding, which no reader looks at
    with path.open("r+b") as file:
        file.seek(start + size)
        file.write(b"?")
    with pytest.raises(DatasetError, match="another shard than the manifest lists"):
        release(tmp_path / "dataset", tmp_path / "out", publication())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_what_goes_wrong_half_way_leaves_nothing_behind(made, tmp_path, monkeypatch, failure):
    def fail(*_, **__):
        raise failure

    monkeypatch.setattr(publish, "write_sums", fail)
    with pytest.raises((KeyboardInterrupt, DatasetError)):
        release(made / "dataset", tmp_path / "out", publication())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "two words"},
        {"name": "../up"},
        {"name": ".hidden"},
        {"name": "x" * 97},
        {"name": "émile"},
        {"version": "1.0"},
        {"version": "v1.0.0"},
        {"version": "01.0.0"},
        {"licence": "cc-by"},
        {"licence": "CC-BY-ND-4.0"},
        {"licence": "Apache-2.0"},
        {"date": "2026-13-01"},
        {"date": "20260101"},
        {"doi": "doi.org/10.5281/zenodo.1"},
        {"title": "two\nlines"},
        {"authors": ("",)},
    ],
)
def test_a_publisher_s_mistake_is_one_clear_error(wrong):
    with pytest.raises(DatasetError, match=r"bad|cannot be released"):
        publication(**wrong)


def test_words_that_mean_something_to_markdown_and_html_are_only_words(made, tmp_path):
    title = "<script>alert(1)</script> | [x](y) *z*"
    release(made / "dataset", tmp_path / "out", publication(title=title, description=title))
    for name in ("README.md", "DATASHEET.md"):
        body = (tmp_path / "out" / name).read_text(encoding="utf-8").split("\n---\n")[-1]
        assert "<script>" not in body.replace("\\<", "")
    assert head_of(tmp_path / "out/README.md")["pretty_name"] == title
    assert verify_release(tmp_path / "out") == []
