"""What a run is made of: its first weights and its parameter groups."""

import dataclasses

import pytest
import torch
from tiny import finish, furnish
from torch import nn

from course_lib.data import load_dataset
from course_lib.profiles import PROFILES
from course_lib.study import runs as material
from course_lib.study.experiments import PRETRAINED
from course_lib.study.runs import Run
from course_lib.training.loop import train
from course_lib.training.recipe import Recipe

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
    return Run(PRETRAINED, PROFILES["full"]), asked


def test_fine_tuning_starts_from_imagenet_with_a_new_head(fine_tuned):
    run, asked = fine_tuned
    model, words = material.new_student(run, 10)
    assert asked["check_hash"] is True and "efficientnet_v2_s" in asked["url"]
    assert torch.all(model.features[0][0].weight == 0.5)
    assert model.classifier[1].weight.shape == (10, 1280) and model.classifier[1].weight.std() > 0
    assert "IMAGENET1K_V1" in words
    assert "IMAGENET" not in material.new_student(dataclasses.replace(run, key="efficientnetv2_s"), 10)[1]


@pytest.mark.parametrize(
    ("key", "profile", "small"),
    [
        ("resnet18", "full", True),
        ("resnet18", "laptop", True),
        ("resnet18", "quick", True),
        ("gn-s-1.0x", "full", False),
        ("resnet18<ta", "full", False),  # an assistant is trained as the authors trained it
    ],
)
def test_teachers_start_with_small_linear_layers(key, profile, small):
    run = Run(key, PROFILES[profile])
    model, words = material.new_student(run, 10)
    last = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
    assert (last.weight.std().item() < 0.02) is small is ("s.d. 0.01" in words)


def test_fine_tuning_moves_the_backbone_at_a_tenth():
    model = nn.ModuleDict({"features": nn.Linear(3072, 8), "classifier": nn.Linear(8, 10)})
    head, backbone = material.head_and_backbone(model)
    assert [len(group["params"]) for group in (head, backbone)] == [2, 2]
    assert backbone["lr_factor"] == 0.1 and "lr_factor" not in head


def _constant(module):
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.weight, 0.01)
        nn.init.zeros_(module.bias)


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

    dataset = load_dataset("cifar10", "sample")
    dataset = dataclasses.replace(dataset, train=dataset.train.take(20), test=dataset.test.take(10))
    net, recipe = Net(), Recipe(epochs=1, batch_size=20, warmup=0.0, weight_decay=0.0)
    train(net, dataset, recipe, device="cpu", progress=False, parameters=groups)
    moved = [(linear.weight - 0.01).abs().sum().item() for linear in (net.fast, net.slow)]
    assert moved[1] == pytest.approx(0.1 * moved[0], rel=1e-3) and moved[0] > 0


def test_what_cannot_be_fetched_fails_its_run_in_one_line(monkeypatch, tmp_path):
    def fail(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setenv("COURSE_HOME", furnish(tmp_path))
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    assert finish([PRETRAINED]) == [f"{PRETRAINED}, seed 0: OSError: no route to host"]
