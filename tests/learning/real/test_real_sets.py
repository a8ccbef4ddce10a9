"""Labelled sets of real imagery: what all of them do, what each means, and what is said of broken ones."""

from __future__ import annotations

import pickle
import shutil

import cv2
import fake_sets
import numpy as np
import pytest
import torch
from fake_dataset import write_fake_dataset
from fake_sets import SIDE, draw, label_file, square, write_tif

from mage.generator.export.run import export_dataset
from mage.learning import (
    BRIGHT,
    BUILDINGS,
    DAMAGED,
    XBD,
    EpochSampler,
    FloodNet,
    IdaBD,
    LabelledFolder,
    LevirCD,
    RescueNet,
    Sen1Floods11,
    ShardDataset,
    Taxonomy,
)
from mage.learning.sampling import Draw
from mage.learning.streams import together
from mage.scenes.errors import DatasetError

# each set, its maker, the shape of an image's first axes, number of scenes, and values of the mask
SETS = {
    "xbd": (XBD, fake_sets.fake_xbd, (2, 3), 4, {0, 1, 2, 3, 4}),
    "bright": (BRIGHT, fake_sets.fake_bright, (2, 3), 2, {0, 1, 3, 4}),
    "ida": (IdaBD, fake_sets.fake_ida, (2, 3), 2, {0, 1, 2, 3}),
    "floodnet": (FloodNet, fake_sets.fake_drone, (3,), 4, {0, 1, 2}),
    "rescuenet": (RescueNet, fake_sets.fake_drone, (3,), 4, {0, 1, 2, 3, 4}),
    "levir": (LevirCD, fake_sets.fake_levir, (2, 3), 2, {0, 1}),
    "sen1floods11": (Sen1Floods11, fake_sets.fake_sen1floods11, (13,), 3, {0, 1, 255}),
    "folder": (LabelledFolder, fake_sets.fake_folder, (2, 3), 2, {0, 1, 7, 255}),
}

# parts of where each set's files lie, which errors tell whoever has them elsewhere
LAYOUTS = {
    "xbd": ("SPLIT/images/NAME_pre_disaster.png", "SPLIT/targets/", "SPLIT/labels/", "tier3"),
    "bright": ("pre-event/NAME_pre_disaster.tif", "post-event/", "target/NAME_building_damage.tif"),
    "ida": ("images/NAME_pre_disaster.png", "masks/NAME_post_disaster.png"),
    "floodnet": ("SPLIT-org-img/NAME.jpg", "SPLIT-label-img/NAME_lab.png"),
    "rescuenet": ("SPLIT-org-img/NAME.jpg", "SPLIT-label-img/NAME_lab.png"),
    "levir": ("A, B and label", "SPLIT_N.png", "SPLIT_N_ROW_COLUMN.png"),
    "sen1floods11": ("HandLabeled/S2Hand/NAME_S2Hand.tif", "LabelHand/NAME_LabelHand.tif"),
    "folder": ("images/NAME and masks/NAME", "pre/NAME, post/NAME and masks/NAME"),
}


@pytest.fixture(scope="session")
def roots(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    for name, (_, make, *_) in SETS.items():
        make(root / name)
    return root


@pytest.fixture
def copies(roots, tmp_path):
    """The set of a name, to be broken."""

    def copy(name):
        return shutil.copytree(roots / name, tmp_path / name)

    return copy


@pytest.mark.parametrize("name", SETS)
def test_samples_have_torchgeos_keys_and_the_masks_of_the_taxonomy(roots, name):
    kind, _, axes, count, values = SETS[name]
    dataset = kind(roots / name)
    assert len(dataset) == count == len(set(dataset.keys))
    sample = dataset[0]
    assert set(sample) == {"image", "mask", "key"}
    assert sample["image"].shape == (*axes, SIDE, SIDE)
    assert sample["image"].dtype == (torch.float32 if name == "sen1floods11" else torch.uint8)
    assert sample["mask"].dtype == torch.int64
    assert sample["mask"].shape == (SIDE, SIDE)
    assert set(sample["mask"].unique().tolist()) == values
    assert [row.key for row in dataset.rows] == dataset.keys
    assert dataset[-1]["key"] == dataset.keys[-1]


@pytest.mark.parametrize("name", SETS)
def test_crops_are_random_by_a_draw_and_in_the_middle_else_and_image_and_mask_stay_together(roots, name):
    kind = SETS[name][0]
    whole, dataset = kind(roots / name)[0], kind(roots / name, size=10)
    middle = (SIDE - 10) // 2
    window = slice(middle, middle + 10)
    assert torch.equal(dataset[0]["image"], whole["image"][..., window, window])
    assert torch.equal(dataset[0]["mask"], whole["mask"][window, window])
    drawn = dataset[Draw(0, 1, 2)]
    row, column = Draw(0, 1, 2).rng().integers(0, [SIDE - 10] * 2, endpoint=True)
    assert torch.equal(drawn["mask"], whole["mask"][row : row + 10, column : column + 10])
    again = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(again[Draw(0, 1, 2)]["image"], drawn["image"])


@pytest.mark.parametrize("name", SETS)
def test_a_crop_larger_than_the_image_is_mirrored_and_ignored(roots, name):
    sample = SETS[name][0](roots / name, size=SIDE + 4)[0]
    assert (sample["mask"][SIDE:] == 255).all()
    assert torch.equal(sample["image"][..., SIDE, :SIDE], sample["image"][..., SIDE - 1, :SIDE])


@pytest.mark.parametrize("name", SETS)
def test_a_stream_of_each_set_can_be_trained_with(roots, name):
    dataset = SETS[name][0](roots / name, size=8)
    order = EpochSampler(len(dataset), batch=3, stop=2)
    batches = list(together({"target": dataset}, {"target": order}, 0, torch.device("cpu"), None))
    assert [batch["target"]["mask"].shape for batch in batches] == [(3, 8, 8)] * 2


@pytest.mark.parametrize("name", SETS)
def test_a_scene_without_its_partner_is_named(copies, name):
    kind, root = SETS[name][0], copies(name)
    lost = kind(root).scenes[1].mask
    lost.unlink()
    with pytest.raises(DatasetError, match="missing: ") as caught:
        kind(root)
    assert lost.stem in str(caught.value)


@pytest.mark.parametrize("name", ["xbd", "bright", "ida", "levir", "folder"])
def test_a_pair_without_its_image_before_is_named(copies, name):
    kind, root = SETS[name][0], copies(name)
    lost = kind(root).scenes[0].images[0]
    lost.unlink()
    with pytest.raises(DatasetError, match="missing: ") as caught:
        kind(root)
    assert lost.stem in str(caught.value)


@pytest.mark.parametrize("name", SETS)
def test_a_mask_of_another_size_is_named_with_both_sizes(copies, name):
    kind, root = SETS[name][0], copies(name)
    mask = kind(root).scenes[0].mask
    if mask.suffix == ".tif":
        write_tif(mask, np.zeros((1, SIDE, SIDE - 1), np.int16))
    else:
        assert cv2.imwrite(str(mask), np.zeros((SIDE, SIDE - 1), np.uint8))
    with pytest.raises(DatasetError, match=rf"not as large as its partner; expected \({SIDE}, {SIDE}\)") as caught:
        kind(root)[0]
    assert str(mask) in str(caught.value)


@pytest.mark.parametrize("name", sorted(set(SETS) - {"folder"}))
def test_a_label_that_a_set_does_not_have_is_named(copies, name):
    kind, root = SETS[name][0], copies(name)
    mask = kind(root).scenes[0].mask
    if mask.suffix == ".tif":
        write_tif(mask, np.full((1, SIDE, SIDE), 77, np.int16))
    else:
        draw(mask, (77,))
    with pytest.raises(DatasetError, match=r"a label that this set does not have; expected .*; found 77") as caught:
        kind(root)[0]
    assert str(mask) in str(caught.value)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("part", ["image", "mask"])
def test_a_cut_file_is_named_and_not_half_read(copies, name, part):
    kind, root = SETS[name][0], copies(name)
    scene = kind(root).scenes[0]
    path = scene.mask if part == "mask" else scene.images[0]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(DatasetError) as caught:
        kind(root)[0]
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", SETS)
def test_a_folder_that_is_not_there_or_is_empty_is_an_error(tmp_path, name):
    kind = SETS[name][0]
    with pytest.raises(DatasetError, match="no such folder; expected") as nowhere:
        kind(tmp_path / "nowhere")
    (tmp_path / "surplus").mkdir()
    with pytest.raises(DatasetError) as empty:
        kind(tmp_path)
    for caught in (nowhere, empty):
        assert caught.value.expected == kind.LAYOUT
        assert {part for part in LAYOUTS[name] if part not in str(caught.value)} == set()


def test_splits_are_those_of_the_authors(roots):
    assert XBD(roots / "xbd", split="hold").keys == ["other-fire_00000000", "other-fire_00000001"]
    assert {row.event for row in XBD(roots / "xbd").rows} == {"some-flood", "other-fire"}
    assert BRIGHT(roots / "bright", split="test").keys == ["some-earthquake_00000001"]
    assert FloodNet(roots / "floodnet", split="val").keys == ["val/10", "val/11"]
    assert LevirCD(roots / "levir", split="train").rows[0].place == "train_1"
    assert Sen1Floods11(roots / "sen1floods11", split="bolivia").rows[0].event == "Bolivia"
    for kind, name in ((XBD, "xbd"), (BRIGHT, "bright"), (FloodNet, "floodnet"), (Sen1Floods11, "sen1floods11")):
        with pytest.raises(DatasetError):
            kind(roots / name, split="surplus")
    with pytest.raises(DatasetError, match="found surplus"):
        LevirCD(roots / "levir", split="surplus")


def test_taxonomies_say_what_the_values_mean(roots):
    def values(dataset):
        return dataset[0]["mask"].unique().tolist()

    assert values(BRIGHT(roots / "bright", taxonomy=BRIGHT.CLASSES)) == [0, 1, 2, 3]
    assert values(FloodNet(roots / "floodnet", taxonomy=FloodNet.CLASSES)) == list(range(8))
    assert values(FloodNet(roots / "floodnet", taxonomy=FloodNet.WATER)) == [0, 1]
    assert values(RescueNet(roots / "rescuenet", taxonomy=RescueNet.ROADS)) == [0, 1]
    assert values(XBD(roots / "xbd", taxonomy=BUILDINGS)) == [0, 1]
    mine = Taxonomy(("other", "seven"), {0: 0, 1: 0, 7: 1, 255: 255})
    assert values(LabelledFolder(roots / "folder", taxonomy=mine)) == [0, 1, 255]


@pytest.mark.parametrize(("taxonomy", "expected"), [(DAMAGED, [0, 1, 2, 3]), (BUILDINGS, [0, 1])])
def test_a_taxonomy_as_a_transform_reads_a_finer_scale_as_a_coarser_one(roots, drawn, taxonomy, expected):
    assert XBD(roots / "xbd", transform=taxonomy)[0]["mask"].unique().tolist() == expected
    plain, coarse = ShardDataset(drawn)[0]["mask"], ShardDataset(drawn, transform=taxonomy)[0]["mask"]
    assert coarse.dtype == plain.dtype
    assert torch.equal(coarse > 0, plain > 0)
    padded = ShardDataset(drawn, size=70, transform=taxonomy)[0]["mask"]
    assert (padded[64:] == 255).all()


def test_polygons_of_xbd_cover_the_pixels_whose_centres_they_hold(copies):
    root = copies("xbd")
    shutil.rmtree(root / "hold" / "targets")
    features = [square(2, 3, 4, "no-damage"), square(10.4, 3.4, 4.2, "destroyed"), square(2, 12, 5, "un-classified")]
    for number in range(2):
        label_file(root / "hold" / "labels" / f"other-fire_0000000{number}_post_disaster.json", features)
    mask = XBD(root, split="hold")[0]["mask"].numpy()
    expected = np.zeros((SIDE, SIDE), int)
    expected[3:7, 2:6] = 1
    expected[3:8, 10:15] = 4  # centres from 3.5 to 7.5 and 10.5 to 14.5
    expected[12:17, 2:7] = 255
    assert (mask == expected).all()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a label file of xBD"),
        ('{"features": {"xy": [3]}, "metadata": {"height": 24, "width": 24}}', "not a label file of xBD"),
        ('{"features": {"xy": []}, "metadata": {"height": 9, "width": 24}}', r"another size; expected \(24, 24\)"),
        ([{"wkt": "POLYGON ((1 2", "properties": {}}], "not a polygon in WKT"),
        ([{"wkt": "POINT (1 2)", "properties": {}}], "not a polygon in WKT"),
        ([{"wkt": 3, "properties": {}}], "not a polygon in WKT"),
        ([{"wkt": "POLYGON EMPTY", "properties": {"subtype": "wet"}}], "no grade of xBD; expected no-damage"),
        ([{"wkt": "POLYGON EMPTY", "properties": {"subtype": ["wet"]}}], "no grade of xBD"),
    ],
)
def test_labels_that_are_not_xbds_are_an_error_that_names_the_file(copies, content, complaint):
    root = copies("xbd")
    shutil.rmtree(root / "hold" / "targets")
    for number in range(2):
        path = root / "hold" / "labels" / f"other-fire_0000000{number}_post_disaster.json"
        label_file(path, content if isinstance(content, list) else [])
        if isinstance(content, str):
            path.write_text(content)
    with pytest.raises(DatasetError, match=complaint) as caught:
        XBD(root, split="hold")[0]
    assert "other-fire_00000000_post_disaster.json" in str(caught.value)


def test_images_of_sen1floods11_are_reflectance_or_scaled_backscatter_and_ignored_without_data(roots):
    root = roots / "sen1floods11"
    optical = Sen1Floods11(root, split="train", bands=(4, 3, 2))[0]
    assert optical["image"].shape == (3, SIDE, SIDE)
    assert optical["image"][:, 1, 1].tolist() == pytest.approx([0.2] * 3)
    assert optical["image"][:, 0, 0].tolist() == [0, 0, 0]
    radar = Sen1Floods11(root, split="train", radar=True)[0]
    assert radar["image"][:, 1, 1].tolist() == pytest.approx([0.5, 0.5])
    assert radar["mask"][0, :2].tolist() == [255, 255]
    assert radar["image"].isfinite().all()
    with pytest.raises(DatasetError, match="has no such band; expected 1-13"):
        Sen1Floods11(root, bands=(14,))[0]


def test_a_folder_tells_its_events_by_folders_or_as_it_is_asked_to(roots):
    assert [row.event for row in LabelledFolder(roots / "folder").rows] == ["harvey", "ida"]
    rows = LabelledFolder(roots / "folder", where=lambda key: ("all", key[-1])).rows
    assert [(row.event, row.place) for row in rows] == [("all", "a"), ("all", "b")]


def test_a_mask_with_colours_or_a_palette_is_refused(copies):
    root = copies("ida")
    mask = IdaBD(root).scenes[0].mask
    assert cv2.imwrite(str(mask), np.zeros((SIDE, SIDE, 3), np.uint8))
    with pytest.raises(DatasetError, match="not a raster of labels; expected a grey PNG; found PNG of colour type 2"):
        IdaBD(root)[0]


def test_two_files_of_one_name_are_an_error(copies):
    root = copies("folder")
    shutil.copy(root / "pre" / "ida" / "b.png", root / "pre" / "ida" / "b.jpg")
    with pytest.raises(DatasetError, match="two files of one name"):
        LabelledFolder(root)


def test_what_mage_exports_as_xbd_and_bright_is_read_back(tmp_path):
    write_fake_dataset(tmp_path / "dataset", count=2, size=32, shard_size=2)
    truth = {s["key"]: s for s in ShardDataset(tmp_path / "dataset")}
    assert truth
    for kind in ("xbd", "bright"):
        export_dataset(tmp_path / "dataset", tmp_path / kind, kind)
    masks = [sample["mask"].long() for sample in truth.values()]
    found = XBD(tmp_path / "xbd")
    assert all(torch.equal(sample["mask"], mask) for sample, mask in zip(found, masks, strict=True))
    assert len(BRIGHT(tmp_path / "bright")) == 2


def linked(folder, **files):
    for name, source in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(source)


def test_real_pairs_of_xbd_and_ida_bd_are_read(shared_data, tmp_path):
    harvey, ida = shared_data / "damage" / "xbd_harvey", shared_data / "damage" / "idabd"
    for number in range(3):
        for date in ("pre", "post"):
            name = f"hurricane-harvey_{number:08d}_{date}_disaster"
            files = {f"images__{name}.png": harvey / f"{number:08d}_{date}.png"}
            linked(
                tmp_path / "xbd" / "train",
                **files,
                **{f"targets__{name}_target.png": harvey / f"{number:08d}_{date}_mask.png"},
            )
    dataset = XBD(tmp_path / "xbd", split="train", size=256)
    assert len(dataset) == 3
    assert set().union(*(XBD(tmp_path / "xbd")[k]["mask"].unique().tolist() for k in range(2))) == {0, 1, 2, 3}
    for name in ("1-3", "1-4"):
        files = {f"images__{name}_{date}_disaster.png": ida / f"{name}_{date}.png" for date in ("pre", "post")}
        linked(tmp_path / "ida", **files, **{f"masks__{name}_post_disaster.png": ida / f"{name}_post_mask.png"})
    sample = IdaBD(tmp_path / "ida", size=512)[0]
    assert sample["image"].shape == (2, 3, 512, 512)
    assert sample["mask"].max() == 3


def test_real_tiles_of_levir_cd_and_sen1floods11_are_read(shared_data, tmp_path):
    levir = LevirCD(shared_data / "change" / "levir")
    assert {row.split for row in levir.rows} == {"train", "val", "test"}
    assert levir.rows[0].place == "test_102"
    assert levir.rows[0].box == (0, 512, 256, 768)
    shares = [float((levir[k]["mask"] == 1).float().mean()) for k in range(len(levir))]
    assert 0 < sum(shares) / len(shares) < 0.5
    chips = tmp_path / "data" / "flood_events" / "HandLabeled"
    for folder, name in (("S1Hand", "s1"), ("S2Hand", "s2"), ("LabelHand", "label")):
        linked(chips, **{f"{folder}__Spain_1_{folder}.tif": shared_data / "flood" / f"sen1floods11_spain_{name}.tif"})
    for radar in (False, True):
        sample = Sen1Floods11(tmp_path, radar=radar)[0]
        assert set(sample["mask"].unique().tolist()) <= {0, 1, 255}
        wet = sample["image"][-1 if radar else 7][sample["mask"] == 1].mean()
        dry = sample["image"][-1 if radar else 7][sample["mask"] == 0].mean()
        assert wet < dry  # water is dark in near infrared and in radar
