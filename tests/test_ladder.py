"""The ladder's rungs change what their names say, and its file grows rung by rung."""

import csv
import dataclasses

import pytest
import torch

from course_lib.data import load_dataset
from course_lib.models import create_model
from course_lib.training.recipe import Recipe
from tools import ladder


@pytest.fixture
def few(monkeypatch, tmp_path):
    """200 images instead of 50,000, one epoch of 6 steps, and a file of its own."""
    sample = load_dataset("cifar10", "sample")
    some = dataclasses.replace(sample, train=sample.train.take(200))
    monkeypatch.setattr(ladder, "load_dataset", lambda *_: some)
    monkeypatch.setattr(ladder, "BASE", Recipe(epochs=1, batch_size=32, lr=0.02))
    monkeypatch.setattr(ladder, "repo_path", lambda *_: tmp_path / "ladder.csv")
    rungs = {"plain": {}, "averaged": {"averaging": 0.999}, "quick norms": {"norm momentum": 0.4, "bias rate": 8}}
    monkeypatch.setattr(ladder, "RUNGS", rungs)
    return tmp_path / "ladder.csv"


def test_every_rung_is_run_once_and_no_two_are_alike(few):
    ladder.main([])
    rows = list(csv.DictReader(few.open()))
    assert [row["rung"] for row in rows] == ["plain", "averaged", "quick norms"]
    assert rows[0]["train_accuracy"] == rows[1]["train_accuracy"]  # the average is beside the training
    before = few.read_bytes()
    ladder.main(["averaged"])
    assert few.read_bytes() == before


def test_a_rung_changes_what_is_no_field_of_a_recipe(few, monkeypatch):
    seen = []

    def look(model, _dataset, _recipe, *, parameters, **_):
        seen.append(({norm.momentum for norm in ladder.norms(model)}, parameters(model)[1]["lr_factor"]))
        raise InterruptedError

    monkeypatch.setattr(ladder, "train", look)
    for name in ("plain", "quick norms"):
        with pytest.raises(InterruptedError):
            ladder.climb(name, 0)
    assert seen == [({0.1}, 1), ({0.4}, 8)]


def test_an_average_keeps_what_it_says_and_lets_the_optimizers_go():
    model = torch.nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with ladder.averaging(model, 0.75) as average:
        for gradient in (1.0, 1.0):
            before = model.weight.item()
            model.weight.grad = torch.full((1, 1), gradient)
            optimizer.step()
    assert average.module.weight.item() == pytest.approx(0.75 * before + 0.25 * (before - 1))
    optimizer.step()
    assert average.n_averaged == 2


def test_only_the_norms_biases_have_a_rate_of_their_own():
    model = create_model("gn-s", width=0.5)
    others, biases = ladder.groups(model, 8)
    assert biases["lr_factor"] == 8 and len(biases["params"]) == len(ladder.norms(model))
    assert len(others["params"]) + len(biases["params"]) == len(list(model.parameters()))


def test_an_unknown_rung_gets_one_line():
    with pytest.raises(SystemExit, match="no rung is called 'lr 9'"):
        ladder.main(["lr 9"])
