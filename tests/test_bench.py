"""The benchmark times both loops on the same images and says what it measured."""

import dataclasses
import json

import pytest
import torch

from classroom import measure
from course_lib.__main__ import main
from course_lib.data import load_dataset
from course_lib.data.augment import VIEWS
from course_lib.training.recipe import Recipe
from tools import benchmark
from tools.benchmark import Task


@pytest.mark.slow
def test_a_small_run_reports_both_loops(tmp_path, monkeypatch):
    out = tmp_path / "bench.json"
    tasks = (Task("small", "gn-s", 0.5), Task("taught", "gn-s", 0.5, ("gn-s",)))
    monkeypatch.setattr(benchmark, "TASKS", tasks)
    assert benchmark.main(["--batch-size", "16", "--steps", "1", "--turns", "1", "--json", str(out)]) == 0
    report = json.loads(out.read_text())
    for row in report["tasks"]:
        assert row["engine_images_per_second"] > 0 and row["plain_images_per_second"] > 0
        assert row["ratio"] == pytest.approx(row["engine_images_per_second"] / row["plain_images_per_second"], rel=0.1)
    assert 0 < report["augmentation"]["share_of_a_step"] < 1
    assert [row["batch_size"] for row in report["folded"]] == [1, 256]
    assert report["together"] is None


@pytest.mark.slow
def test_runs_at_once_are_counted_one_by_one():
    report = benchmark.time_together(Task("small", "gn-s", 0.5), 2, 16, 1, torch.device("cpu"))
    assert len(report["at_once"]) == 2
    assert min(report["at_once"]) > report["alone"] / 10  # threads that spin for each other brought it to a twentieth
    assert report["ratio"] == pytest.approx(sum(report["at_once"]) / report["alone"], abs=0.011)


def test_the_sample_is_shown_again_where_more_images_are_asked_for():
    images = benchmark.sample(2_600)
    assert len(images) == 2_600 and torch.equal(images.images[2_500], images.images[0])


def test_the_plain_reference_sees_as_many_images_as_it_says_and_starts_its_workers_once(monkeypatch):
    made, plain_loader = [], benchmark.plain_loader
    monkeypatch.setattr(benchmark, "plain_loader", lambda *args: made.append(plain_loader(*args)) or made[-1])
    epoch = benchmark.plain_run(Task("", "gn-s", 0.5), load_dataset("cifar10", "sample").train, 8, torch.device("cpu"))
    assert epoch(1) == epoch(1) == 8
    assert len(made) == 1 and made[0].persistent_workers


def test_an_unknown_task_is_one_line(capsys):
    assert main(["bench", "gn-x"]) == 1
    assert "no task is called gn-x" in capsys.readouterr().err
    assert main(["bench", "--turns", "0"]) == 1 and main(["bench", "--until", "0"]) == 1


def test_until_an_accuracy_both_loops_are_timed_and_stop_when_they_are_there(capsys):
    data = load_dataset("cifar10", "sample")
    data = dataclasses.replace(data, train=data.train.take(20), test=data.test.take(20))
    task, recipe = Task("small", "gn-s", 0.25), Recipe(epochs=2, batch_size=10)
    never, at_once = (benchmark.until(percent, recipe, data, task, torch.device("cpu")) for percent in (100, 0))
    for loop in ("engine", "plain"):
        assert never[loop]["minutes"] is None and len(never[loop]["epochs"]) == 2
        assert len(at_once[loop]["epochs"]) == 1 and at_once[loop]["minutes"] == at_once[loop]["epochs"][0][1]
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_merging_takes_the_batch_norms_out_of_a_step():
    plain, merged = measure.step_by_kind(False, 4, 0.5), measure.step_by_kind(True, 4, 0.5)
    assert merged["batch norm"] < 0.2 * plain["batch norm"]
    assert plain["merging"] < 0.1 * sum(plain.values()) and merged["merging"] > 0


def test_the_share_of_known_answers_is_what_drawing_gives():
    """162 views of an image, one drawn an epoch: how many of 50 draws repeat an earlier one?"""
    draws = torch.randint(VIEWS, (2_000, 50), generator=torch.Generator().manual_seed(0))
    repeated = sum(50 - len(set(views.tolist())) for views in draws) / draws.numel()
    assert benchmark.mean_known(50) == pytest.approx(repeated, abs=0.01)
    assert benchmark.mean_known(1) == pytest.approx(0)
