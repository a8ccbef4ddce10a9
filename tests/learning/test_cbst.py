"""Self-training whose thresholds come from how much of a place is built."""

import numpy as np
import pytest
import torch
from torch import nn

from mage.learning import CBST, Batch, Prediction, SegmentationNet, SiameseDamageNet, Supervised
from mage.learning.adapt.cbst import READ, built
from mage.scenes.errors import ModelError

SIDE = 16


def plain(image, mask, rng):
    return image, mask


class Light(nn.Module):
    """Sees a building the likelier the lighter the image is, with a bias that training left."""

    grades, classes = 4, 5

    def __init__(self, bias=-20.0):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(10.0))
        self.bias = bias

    def forward(self, image):
        light = image[:, 0].mean(1, keepdim=True)
        return Prediction(self.gain * light + self.bias, light.repeat(1, 4, 1, 1) * self.gain)


def ramp(number=1):
    """Pairs whose light rises from pixel to pixel, so that their ranks are known."""
    values = torch.linspace(0, 1, SIDE * SIDE).view(1, 1, 1, SIDE, SIDE)
    return values.expand(number, 2, 3, SIDE, SIDE).contiguous()


def labelled(number=2):
    rng = np.random.default_rng(0)
    mask = torch.from_numpy(rng.integers(0, 5, (number, SIDE, SIDE)))
    return {"image": torch.from_numpy(rng.random((number, 2, 3, SIDE, SIDE), np.float32)), "mask": mask}


@pytest.mark.parametrize("bias", [-20.0, 0.0, 20.0])
def test_the_surest_pixels_are_labels_however_unsure_the_model_is_of_them(bias):
    method = CBST(Light(bias), share=0.25, sure=0.5, doubt=2.0, augment=plain)
    label = method.pseudo(ramp(), torch.tensor([0.25]), torch.zeros(1)).flatten()
    number = SIDE * SIDE
    assert abs(int((label == 1).sum()) - number / 8) <= 1
    assert abs(int((label == 0).sum()) - number / 2) <= 1
    assert label[-1] == 1
    assert label[0] == 0
    assert (label.int().diff()[: number // 2 - 2] == 0).all()


def test_images_of_one_share_are_ranked_together():
    method = CBST(Light(), share=0.25, sure=1.0, doubt=1.0, augment=plain)
    dark, light = ramp() * 0.4, 0.6 + ramp() * 0.4
    label = method.pseudo(torch.cat([dark, light]), torch.tensor([0.5, 0.5]), torch.zeros(2))
    assert (label[0] == 1).sum() == 0
    assert (label[1] == 1).float().mean() > 0.99


def test_images_of_other_shares_are_ranked_apart():
    method = CBST(Light(), share=0.25, sure=1.0, doubt=1.0, augment=plain)
    label = method.pseudo(torch.cat([ramp() * 0.4, 0.6 + ramp() * 0.4]), torch.tensor([0.5, 0.125]), torch.zeros(2))
    found = (label == 1).float().mean((1, 2))
    assert found.tolist() == pytest.approx([0.5, 0.125], abs=0.01)


def test_images_of_other_places_are_ranked_apart():
    method = CBST(Light(), share=0.25, sure=1.0, doubt=1.0, augment=plain)
    images, shares = torch.cat([ramp() * 0.4, 0.6 + ramp() * 0.4]), torch.tensor([0.25, 0.25])
    found = (method.pseudo(images, shares, torch.tensor([1, 2])) == 1).float().mean((1, 2))
    assert found.tolist() == pytest.approx([0.25, 0.25], abs=0.01)


def test_a_batch_may_tell_the_share_of_each_image():
    method = CBST(Light(), share=0.9, sure=1.0, doubt=1.0, mixed=1.0, augment=plain)
    unlabelled = {"image": ramp(), "share": torch.tensor([0.125])}
    method.losses(Batch(np.random.default_rng(0), source=labelled(), unlabelled=unlabelled))
    assert method.remembered[-1, 0, 1] == 0.125
    wrong = Batch(np.random.default_rng(0), source=labelled(), unlabelled={"image": ramp(), "share": torch.ones(1)})
    with pytest.raises(ModelError, match="share of buildings"):
        method.losses(wrong)


def test_the_loss_of_the_target_is_that_of_the_labels_it_gave():
    method = CBST(Light(), share=0.25, mixed=3.0, augment=plain)
    losses = method.losses(Batch(np.random.default_rng(0), source=labelled(), unlabelled={"image": ramp()}))
    label = method.pseudo(ramp(), torch.tensor([0.25]), torch.zeros(1))
    known = label != 255
    score, target = built(method.model(ramp()))[:, 0][known], (label[known] == 1).float()
    entropy = nn.functional.binary_cross_entropy_with_logits(score, target)
    chance = score.sigmoid()
    dice = 1 - (2 * (chance * target).sum() + 1) / (chance.sum() + target.sum() + 1)
    assert losses["mixed"].item() == pytest.approx(3 * (entropy + dice).item(), rel=1e-5)


def test_learning_finds_what_the_bias_hid():
    method = CBST(Light(-12.0), share=0.25, augment=plain)
    method.model.bias = nn.Parameter(torch.tensor(-12.0))
    unlabelled = {"image": ramp()}
    optimizer = torch.optim.Adam(method.model.parameters(), lr=0.3)
    none = {"image": ramp(), "mask": torch.full((1, SIDE, SIDE), 255)}
    for _ in range(60):
        losses = method.losses(Batch(np.random.default_rng(0), source=none, unlabelled=unlabelled))
        optimizer.zero_grad()
        losses["mixed"].backward()
        optimizer.step()
        method.after_step()
    found = (built(method.model(ramp())) > 0).float().mean().item()
    assert 0.15 < found < 0.4


def test_models_of_plain_classes_can_learn_so_too():
    method = CBST(SegmentationNet(3, width=2), share=0.2)
    source = {"image": torch.rand(2, 3, 16, 16), "mask": torch.randint(0, 3, (2, 16, 16))}
    losses = method.losses(
        Batch(np.random.default_rng(0), source=source, unlabelled={"image": torch.rand(1, 3, 16, 16)})
    )
    assert sorted(losses) == ["mixed", "segmentation"]


def test_what_is_remembered_is_bounded_and_part_of_the_state():
    method = CBST(Light(), share=0.25, memory=3, augment=plain)
    for _ in range(3):
        method.pseudo(ramp(2), torch.tensor([0.25, 0.25]), torch.zeros(2))
    assert method.remembered.shape == (3, READ, 3)
    again = CBST(Light(), share=0.25, memory=3, augment=plain)
    again.load_state_dict(method.state_dict())
    assert torch.equal(again.remembered, method.remembered)


@pytest.mark.parametrize(
    "wrong", [{"share": 0.0}, {"share": 1.0}, {"share": 0.2, "sure": 0.0}, {"share": 0.2, "doubt": 0.5}, {"memory": 0}]
)
def test_shares_that_cannot_be_are_refused(wrong):
    with pytest.raises(ModelError):
        CBST(Light(), **wrong)


def test_hidden_channels_change_what_is_learned_but_not_what_is_predicted():
    tiles = labelled()
    model = SiameseDamageNet(width=4)
    hidden, whole = Supervised(model, hide=0.5, augment=plain), Supervised(model, augment=plain)
    first, again, other = (
        hidden.losses(Batch(np.random.default_rng(seed), source=tiles))["damage"].item() for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
    assert whole.losses(Batch(np.random.default_rng(0), source=tiles))["damage"].item() not in (first, other)


def test_a_memory_smaller_than_a_batch_still_ranks_all_of_it():
    method = CBST(Light(), share=0.25, sure=1.0, doubt=1.0, memory=1, augment=plain)
    images, places = torch.cat([ramp() * 0.4, 0.6 + ramp() * 0.4]), torch.tensor([1, 2])
    found = (method.pseudo(images, torch.tensor([0.25, 0.25]), places) == 1).float().mean((1, 2))
    assert found.tolist() == pytest.approx([0.25, 0.25], abs=0.01)
    assert len(method.remembered) == 1


def test_crops_of_other_shapes_are_refused():
    method = CBST(Light(), augment=plain)
    batch = Batch(np.random.default_rng(0), source=labelled(), unlabelled={"image": ramp()[..., :8]})
    with pytest.raises(ModelError, match="differ in shape"):
        method.losses(batch)


@pytest.mark.parametrize("hide", [-0.1, 1.0])
def test_shares_of_channels_that_cannot_be_hidden_are_refused(hide):
    with pytest.raises(ModelError, match="hidden"):
        Supervised(SiameseDamageNet(width=2), hide=hide)


def test_hiding_needs_a_model_whose_features_can_be_had_apart():
    with pytest.raises(ModelError, match="features"):
        Supervised(Light(), hide=0.5)
