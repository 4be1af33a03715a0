"""What a run is made of: its first weights, its parameter groups, and what it leaves for the lessons."""

import dataclasses

import pytest
import torch
from tiny import TINY, network, runs
from torch import nn

from course_lib.data import load_dataset
from course_lib.files import CheckpointError, CourseError, ResultError
from course_lib.models.weights import load_weights
from course_lib.profiles import PROFILES
from course_lib.study import queue, store, verify
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
    with pytest.raises(CourseError, match="the row efficientnetv2_s is the same network") as caught:
        material.new_student(Run(PRETRAINED, TINY), 10)
    assert "\n" not in str(caught.value) and str(error) in str(caught.value)


# --- what a finished run leaves ---------------------------------------------------------------------------

KEPT = dataclasses.replace(TINY, name="full")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    return tmp_path


def wrong(run: Run, conditions: dict | None = None) -> str | None:
    """What is said of what is kept of a run, as its stored result tells it or under other conditions."""
    result = store.read_result(run.result)
    result["conditions"] = result["conditions"] if conditions is None else conditions
    try:
        return next(verify._against_kept(result, run), None)
    except (CheckpointError, ResultError) as error:
        return str(error)


def test_a_run_leaves_its_logits_and_the_folded_student(home):
    assert queue.work([Run("gn-s-1.0x", KEPT)]).failures == []
    name = "gn-s-1.0x.full.paper.seed0"
    kept = store.load_logits(name, home / "data" / "logits" / "full")
    row = store.load_results().iloc[0]
    assert (kept.logits.argmax(dim=1).numpy() == store.predictions(row)).mean() > 0.9  # float16 may break ties
    assert kept.meta["run"] == name and kept.meta["epochs"] == 1 and kept.meta["profile"] == "full"
    model, about = load_weights("gn-s-1.0x", home / "data" / "weights" / "full")
    assert about["folded"] and about["accuracy"] == row.last_accuracy
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    whole = material.load_teacher(Run("gn-s-1.0x", KEPT)).model
    with torch.no_grad():
        expected, stored = whole(images), model(images)
    assert (stored - expected).norm() < 0.05 * expected.norm()  # folded and in float16: 0.003 as a rule
    assert len(material.study_data(KEPT).test) == 20


def test_numbers_too_large_for_float16_cost_the_artefact_and_not_the_result(home, monkeypatch):
    def loud(*arguments, **rest):
        model = network(*arguments, **rest)
        torch.nn.init.constant_(model[-1].bias, 1e6)
        return model

    monkeypatch.setattr(material, "create_model", loud)
    run = Run("gn-s-1.3x", KEPT)
    assert queue.work([run]).failures == []
    assert not (home / "data" / "logits").exists()
    assert wrong(run) is None  # nor does `verify` ask for what was not kept on purpose
    assert "no logits at" in wrong(run, {})


def test_folded_weights_too_large_for_float16_are_not_asked_for_and_older_ones_go(home, monkeypatch):
    run, older = Run("gn-s-1.0x", KEPT), home / "data" / "weights" / "full" / "gn-s-1.0x.safetensors"
    older.parent.mkdir(parents=True)
    older.write_bytes(b"of an older training")
    loud = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(loud.bias, 1e6)
    monkeypatch.setattr(material, "create_model", network)
    monkeypatch.setattr(material, "fold", lambda model: loud)
    assert queue.work([run]).failures == []
    assert wrong(run) is None and not older.exists()
    assert "there are no weights" in wrong(run, {})


def test_quick_runs_and_later_seeds_leave_none(home, monkeypatch):
    monkeypatch.setattr(material, "create_model", network)
    queue.work([Run("gn-s-1.3x", KEPT, seed=1), *runs("gn-s-1.3x")])
    assert len(store.load_results()) == 2
    assert not (home / "data" / "logits").exists() and not (home / "data" / "weights").exists()
