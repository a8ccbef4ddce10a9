"""Pictures of a few samples while a method learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from toys import Stripes, ToyNet, stream

from mage.learning import CUT, FixMatch, MeanTeacher, Painter, ShardDataset, SiameseDamageNet, Supervised, fit
from mage.learning.previews import GAP, HEAD, Previews, class_colours
from mage.learning.sampling import EpochSampler
from mage.scenes.dataset.fields import DAMAGE_COLOURS
from mage.scenes.dataset.png import decode_png

CPU = torch.device("cpu")


def picture(path):
    return decode_png(path.read_bytes())


def panel(drawn, row, column, side=128):
    """A panel of a picture whose panels are all of one size."""
    top, left = HEAD + row * (HEAD + side + GAP), GAP + column * (side + GAP)
    return drawn[top : top + side, left : left + side]


def draw(method, folder, step=1, **datasets):
    orders = {name: EpochSampler(len(dataset), batch=2) for name, dataset in datasets.items()}
    Previews(folder, datasets, orders).draw(method, step, CPU)
    found = sorted((folder / "previews").glob("*.png")) if (folder / "previews").exists() else []
    return [picture(path) for path in found]


def test_pictures_come_early_and_then_every_so_often(tmp_path):
    run = fit(Supervised(ToyNet()), Stripes(), out=tmp_path, steps=13, batch=2, device="cpu", preview=4)
    names = [path.name for path in sorted((run.path / "previews").iterdir())]
    assert names == ["00000004.png", "00000008.png", "00000010.png", "00000012.png"]


def test_none_are_drawn_where_none_are_wanted(tmp_path):
    fit(Supervised(ToyNet()), Stripes(), out=tmp_path, steps=10, batch=2, device="cpu", preview=0)
    assert not (tmp_path / "previews").exists()


def test_training_does_not_notice_them(tmp_path):
    one, other = (
        fit(
            MeanTeacher(ToyNet()),
            Stripes(),
            None,
            Stripes(light=0.3),
            out=tmp_path / str(preview),
            steps=3,
            batch=2,
            device="cpu",
            preview=preview,
        )
        for preview in (0, 1)
    )
    first, second = load_file(one.checkpoint), load_file(other.checkpoint)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_every_module_is_left_in_its_mode(tmp_path):
    method = MeanTeacher(ToyNet()).train()
    method.model.head.eval()
    before = {name: module.training for name, module in method.named_modules()}
    draw(method, tmp_path, source=Stripes())
    assert {name: module.training for name, module in method.named_modules()} == before


def test_a_damage_model_is_shown_both_dates_and_grades_in_the_colours_of_datasets(drawn, tmp_path):
    tiles = ShardDataset(drawn, size=64)
    net = SiameseDamageNet(2)
    torch.nn.init.zeros_(net.head.weight)
    with torch.no_grad():
        net.head.bias.view(5, 4)[:] = torch.tensor([9.0, 0, 0, 9, 0])[:, None]  # buildings everywhere, of grade 2
    (found,) = draw(Supervised(net), tmp_path, source=tiles)
    first = tiles[EpochSampler(6, batch=2).first(1)[0]]
    for column, date in enumerate(first["image"]):
        assert np.array_equal(panel(found, 0, column)[::2, ::2], date.permute(1, 2, 0).numpy())
    assert np.array_equal(panel(found, 0, 2)[::2, ::2], np.array(DAMAGE_COLOURS, np.uint8)[first["mask"].numpy()])
    assert (panel(found, 0, 3) == DAMAGE_COLOURS[3]).all()


def test_unlabelled_samples_are_shown_without_their_truth(tmp_path):
    class Secret(Stripes):
        def __getitem__(self, index):
            return super().__getitem__(index) | {"mask": None}

    (found,) = draw(FixMatch(ToyNet()), tmp_path, source=Stripes(), unlabelled=Secret())
    colours = class_colours(FixMatch(ToyNet()))
    assert set(map(tuple, panel(found, 3, 1).reshape(-1, 3))) <= set(map(tuple, colours[:3]))
    assert (panel(found, 3, 2) == 255).all()
    assert not (panel(found, 0, 2) == 255).all()


def test_the_samples_are_the_same_in_every_picture_and_after_resuming(tmp_path):
    arguments = {"out": tmp_path, "batch": 2, "device": "cpu", "preview": 1}
    fit(Supervised(ToyNet()), Stripes(), steps=2, **arguments)
    fit(Supervised(ToyNet()), Stripes(), steps=3, resume=True, **arguments)
    pictures = [picture(path) for path in sorted((tmp_path / "previews").iterdir())]
    assert len(pictures) == 3
    for row in range(3):
        for column in (0, 1):
            assert all(np.array_equal(panel(pictures[0], row, column), panel(p, row, column)) for p in pictures)


def test_painters_show_what_they_make_of_images(tmp_path):
    (found,) = draw(CUT(Painter(width=2, blocks=1), width=2, hidden=4, patches=4), tmp_path, source=Stripes())
    assert np.array_equal(panel(found, 0, 0), panel(found, 0, 1))  # a fresh painter changes nothing


def test_a_method_with_nothing_to_show_draws_nothing(tmp_path):
    class Silent(Supervised):
        def preview(self, image):
            return None

    assert draw(Silent(ToyNet()), tmp_path, source=Stripes()) == []


@pytest.mark.parametrize("bands", [1, 2, 5])
@pytest.mark.parametrize("side", [1, 7])
def test_images_of_any_bands_and_of_one_pixel_can_be_shown(tmp_path, bands, side):
    class Tiles(torch.utils.data.Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            mask = torch.full((side, side), 255)
            return {"image": torch.full((bands, side, side), 0.02 * int(index)), "mask": mask}

    (found,) = draw(Supervised(ToyNet(bands=bands)), tmp_path, source=Tiles())
    assert found.ndim == 3


def test_dark_reflectances_are_stretched_and_both_dates_alike(tmp_path):
    class Pair(torch.utils.data.Dataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            one = stream(1)["image"][0] * 0.2
            return {"image": torch.stack([one, one * 2]), "mask": torch.zeros(16, 16, dtype=torch.uint8)}

    (found,) = draw(Supervised(SiameseDamageNet(2)), tmp_path, source=Pair())
    before, after = (panel(found, 0, column).astype(int) for column in (0, 1))
    assert after.max() > 240
    assert after.mean() > 1.5 * before.mean()
