"""What a run is made of: the right images for the teacher, the right first weights, the right parameter groups."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from tiny import TINY, runs
from torch import nn

from course_lib.data import load_dataset
from course_lib.data.augment import normalise
from course_lib.errors import CourseError
from course_lib.profiles import PROFILES
from course_lib.study import material
from course_lib.study.plan import Run
from course_lib.training.loop import train
from course_lib.training.recipe import Recipe
from course_lib.training.scraps import ScrapTeacher, pieces
from course_lib.training.teachers import Teacher


@pytest.fixture(scope="module")
def images():
    return load_dataset("synthetic").train.images[:6]


# --- scraps -------------------------------------------------------------------------------------------


def test_a_piece_is_what_cutting_the_enlarged_image_gives(images):
    seen = normalise(images)
    corners = torch.tensor([[0, 0], [192, 192], [0, 192], [37, 101], [96, 5], [190, 3]])
    flips = torch.tensor([False, False, True, True, False, True])
    enlarged = F.interpolate(seen, size=(224, 224), mode="bilinear", align_corners=False)
    for number, (top, left) in enumerate(corners.tolist()):
        cut = enlarged[number, :, top : top + 32, left : left + 32]
        cut = cut.flip(-1) if flips[number] else cut
        torch.testing.assert_close(pieces(seen, corners, flips)[number], cut, atol=2e-5, rtol=1e-4)


def test_a_piece_is_two_percent_of_the_picture():
    ramp = torch.arange(32.0).view(1, 1, 1, 32).expand(1, 3, 32, 32)
    piece = pieces(ramp, torch.tensor([[100, 100]]), torch.tensor([False]))
    assert piece.max() - piece.min() < 32 / 7 + 0.1  # 32 of 224 pixels: a seventh of each side
    assert (32 / 224) ** 2 == pytest.approx(0.02, abs=0.001)


class Echo(nn.Module):
    """A network whose logits are what it was shown."""

    def forward(self, shown):
        return shown.flatten(1)[:, :10]


def test_a_scrap_teacher_looks_elsewhere_than_the_student(images):
    teacher = ScrapTeacher(Teacher(Echo(), 224), images)
    batch = torch.zeros(4, 3, 32, 32)
    torch.manual_seed(0)
    first = teacher(batch, torch.tensor([0, 1, 2, 3]), torch.zeros(4, 3))
    torch.manual_seed(0)
    again = teacher(batch, torch.tensor([0, 1, 2, 3]), torch.ones(4, 3))
    other = teacher(batch, torch.tensor([0, 1, 2, 3]), torch.ones(4, 3))
    assert torch.equal(first, again) and not torch.equal(first, other)  # its pieces are drawn anew each time
    assert first.abs().sum() > 0 and not teacher.train().training


def test_training_with_scraps_is_repeatable(images):
    dataset = load_dataset("synthetic")
    dataset = dataclasses.replace(dataset, train=dataset.train.take(20), test=dataset.test.take(10))
    losses = []
    for _ in range(2):
        teacher = ScrapTeacher(Teacher(nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)).apply(_constant)), images)
        teacher.register_buffer("images", dataset.train.images, persistent=False)
        student = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)).apply(_constant)
        finished = train(
            student, dataset, Recipe(epochs=1, batch_size=10), teacher=teacher, device="cpu", progress=False
        )
        losses.append(finished.history[0]["soft_loss"])
    assert losses[0] == losses[1] > 0


def _constant(module):
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.weight, 0.01)
        nn.init.zeros_(module.bias)


# --- ImageNet weights -----------------------------------------------------------------------------------


@pytest.fixture
def fine_tuned(monkeypatch):
    """A run from ImageNet weights, and a stand-in for the download that holds a thousand classes."""
    from torchvision import models

    with torch.device("meta"):
        layout = models.efficientnet_v2_s(weights=None).state_dict()
    asked = {}

    def load(url, **options):
        asked.update(options, url=url)
        return {name: torch.full(value.shape, 0.5, dtype=value.dtype) for name, value in layout.items()}

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", load)
    return Run("efficientnetv2_s", PROFILES["full"], pretrained=True), asked


def test_fine_tuning_starts_from_imagenet_with_a_new_head(fine_tuned):
    run, asked = fine_tuned
    model = material.new_student(run, 10)
    assert asked["check_hash"] is True and "efficientnet_v2_s" in asked["url"]
    assert torch.all(model.features[0][0].weight == 0.5)
    assert model.classifier[1].weight.shape == (10, 1280) and model.classifier[1].weight.std() > 0
    assert "IMAGENET1K_V1" in material.initial_weights(run)
    assert "IMAGENET" not in material.initial_weights(dataclasses.replace(run, pretrained=False))


@pytest.mark.parametrize(
    ("key", "profile", "small"),
    [
        ("resnet18", "full", True),
        ("resnet18", "laptop", True),
        ("resnet18", "quick", False),
        ("gn-s-1.0x", "full", False),
        ("resnet18<ta", "full", False),  # an assistant is trained as the authors trained it
    ],
)
def test_teachers_start_with_small_linear_layers(key, profile, small):
    run = Run(key, PROFILES[profile])
    last = [module for module in material.new_student(run, 10).modules() if isinstance(module, torch.nn.Linear)][-1]
    assert (last.weight.std().item() < 0.02) is small
    assert ("s.d. 0.01" in material.initial_weights(run)) is small


def test_fine_tuning_moves_the_backbone_at_a_tenth(fine_tuned):
    run, _ = fine_tuned
    model = nn.ModuleDict({"features": nn.Linear(3072, 8), "classifier": nn.Linear(8, 10)})
    head, backbone = material.trained_parameters(run)(model)
    assert [len(group["params"]) for group in (head, backbone)] == [2, 2]
    assert backbone["lr_factor"] == 0.1 and "lr_factor" not in head
    assert material.trained_parameters(runs("gn-s-1.0x")[0]) is nn.Module.parameters


def test_a_groups_factor_scales_its_rate():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fast, self.slow = nn.Linear(3072, 10), nn.Linear(3072, 10)
            _constant(self.fast), _constant(self.slow)

        def forward(self, images):
            flat = images.flatten(1)
            return self.fast(flat) + self.slow(flat)

    def groups(model):
        return [{"params": model.fast.parameters()}, {"params": model.slow.parameters(), "lr_factor": 0.1}]

    dataset = load_dataset("synthetic")
    dataset = dataclasses.replace(dataset, train=dataset.train.take(20), test=dataset.test.take(10))
    net, recipe = Net(), Recipe(epochs=1, batch_size=20, warmup=0.0, weight_decay=0.0)
    train(net, dataset, recipe, device="cpu", progress=False, parameters=groups)
    moved = [(linear.weight - 0.01).abs().sum().item() for linear in (net.fast, net.slow)]
    assert moved[1] == pytest.approx(0.1 * moved[0], rel=1e-3) and moved[0] > 0


@pytest.mark.parametrize("error", [OSError("no route to host"), RuntimeError('invalid hash value (expected "dd5f")')])
def test_weights_that_cannot_be_fetched_are_one_line(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(CourseError, match="leave --pretrained out") as caught:
        material.new_student(Run("efficientnetv2_s", TINY, pretrained=True), 10)
    assert "\n" not in str(caught.value) and str(error) in str(caught.value)
    assert material.new_student(Run("gn-s-1.0x", TINY, pretrained=True), 10) is not None  # others need none
