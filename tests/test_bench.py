"""The benchmark times both loops on the same images and says what it measured."""

import json

import pytest
import torch

from classroom import measure
from course_lib.__main__ import main
from course_lib.data.augment import VIEWS
from tools import benchmark
from tools.benchmark import Task


def test_a_small_run_reports_both_loops(tmp_path):
    out = tmp_path / "bench.json"
    tasks = (Task("small", "gn-s", 0.5), Task("taught", "gn-s", 0.5, ("gn-s",)))
    report = benchmark.show(out, tasks=tasks, batch_size=16, steps=1, turns=1, device=torch.device("cpu"))
    assert json.loads(out.read_text()) == report
    for row in report["tasks"]:
        assert row["engine_images_per_second"] > 0 and row["plain_images_per_second"] > 0
        assert row["ratio"] == pytest.approx(row["engine_images_per_second"] / row["plain_images_per_second"], rel=0.1)
    assert 0 < report["augmentation"]["share_of_a_step"] < 1
    assert [row["batch_size"] for row in report["folded"]] == [1, 256]
    assert report["together"] is None


def test_runs_at_once_are_counted_one_by_one():
    report = benchmark.time_together(Task("small", "gn-s", 0.5), 2, 16, 1, torch.device("cpu"))
    assert len(report["at_once"]) == 2
    assert min(report["at_once"]) > report["alone"] / 10  # threads that spin for each other brought it to a twentieth
    assert report["ratio"] == pytest.approx(sum(report["at_once"]) / report["alone"], abs=0.011)


def test_the_sample_is_shown_again_where_more_images_are_asked_for():
    images = benchmark.sample(2_600)
    assert len(images) == 2_600 and torch.equal(images.images[2_500], images.images[0])


def test_the_plain_reference_sees_as_many_images_as_it_says():
    epoch = benchmark.plain_run(
        Task("", "gn-s", 0.5), benchmark.load_dataset("cifar10", "sample").train, 8, torch.device("cpu")
    )
    assert epoch(1) == 8


def test_an_unknown_task_is_one_line(capsys):
    assert main(["bench", "gn-x"]) == 1
    assert "no task is called gn-x" in capsys.readouterr().err
    assert main(["bench", "--turns", "0"]) == 1


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
