"""The study: teachers first, finished runs skipped, killed runs resumed, failed runs reported."""

import dataclasses

import pytest
import torch

from course_lib import experiments, results, study
from course_lib.data import load_dataset
from course_lib.errors import CheckpointError, CourseError, TrainingError
from course_lib.profiles import PROFILES

TINY = dataclasses.replace(PROFILES["quick"], train_images=20, student_epochs=1, teacher_epochs=1, batch_size=10)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A course folder of its own, with synthetic images in place of the sample and tiny networks for all."""
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    full = load_dataset("synthetic")
    tiny = dataclasses.replace(full, train=full.train.take(40), test=full.test.take(20))
    monkeypatch.setattr(study, "load_dataset", lambda name, subset: tiny)
    original = study.create_model
    monkeypatch.setattr(study, "create_model", lambda name, width=None, **rest: original("gn-s", width=0.25, **rest))
    monkeypatch.setattr(study, "input_size", lambda name: 32)
    monkeypatch.setattr(study, "default_device", lambda: torch.device("cpu"))
    study.study_data.cache_clear()
    study.trained_teacher.cache_clear()
    yield tmp_path
    study.study_data.cache_clear()
    study.trained_teacher.cache_clear()


def stored():
    frame = results.load_results()
    return {row.key: row for row in frame.itertuples()}


def test_a_student_brings_its_teachers(home):
    assert study.run(["gn-s-1.0x<ta"], profile=TINY) == []
    assert set(stored()) == {"resnet50", "resnet34<resnet50", "resnet18<ta", "gn-s-1.0x<ta"}
    row = stored()["gn-s-1.0x<ta"]
    assert row.method == "assistant" and row.teachers == ("resnet18<ta",)
    assert row.history[0]["soft_loss"] > 0
    assert stored()["resnet50"].history[0]["soft_loss"] == 0


def test_an_ensemble_learns_from_the_mean_of_its_teachers(home, monkeypatch):
    seen = []
    original = study.train
    monkeypatch.setattr(study, "train", lambda *args, **rest: seen.append(rest["teacher"]) or original(*args, **rest))
    study.run(["gn-s-1.0x<ensemble"], profile=TINY)
    ensemble = seen[-1].teacher
    assert len(ensemble.teachers) == 4
    images = torch.randn(3, 3, 32, 32)
    members = [study.load_teacher(key, TINY, "paper", 0) for key in experiments.ENSEMBLE_TEACHERS]
    torch.testing.assert_close(ensemble(images), sum(member(images) for member in members) / 4)


def test_finished_runs_are_skipped_and_fresh_runs_again(home, monkeypatch):
    trained = []
    original = study.run_one
    monkeypatch.setattr(study, "run_one", lambda key, *rest: trained.append(key) or original(key, *rest))
    study.run(["gn-s-1.0x"], profile=TINY)
    study.run(["gn-s-1.0x"], profile=TINY)
    assert trained == ["gn-s-1.0x"]
    study.run(["gn-s-1.0x"], profile=TINY, fresh=True)
    assert trained == ["gn-s-1.0x"] * 2


def test_the_result_holds_what_the_run_did(home):
    study.run(["gn-s-1.3x"], profile=TINY, seeds=(0, 1))
    frame = results.load_results().sort_values("seed")
    assert list(frame.seed) == [0, 1] and set(frame.profile) == {"quick"} and set(frame.train_images) == {20}
    for row in frame.itertuples():
        predictions = results.predictions(row._asdict())
        labels = study.study_data(TINY).test.labels.numpy()
        assert 100 * (predictions == labels).mean() == pytest.approx(row.last_accuracy)
    assert frame.predictions.nunique() == 2  # two seeds, two networks


def test_a_teacher_whose_weights_are_gone_is_trained_again(home):
    study.run(["gn-s-1.0x<resnet18"], profile=TINY)
    before = stored()["resnet18"].history
    study.checkpoint_path("resnet18", TINY, "paper", 0).unlink()
    study.result_path("gn-s-1.0x<resnet18", TINY, "paper", 0).unlink()
    assert study.missing(["gn-s-1.0x<resnet18"], TINY, "paper", 0) == ["resnet18", "gn-s-1.0x<resnet18"]
    assert study.run(["gn-s-1.0x<resnet18"], profile=TINY) == []
    again = stored()["resnet18"].history
    assert [row["train_loss"] for row in again] == [row["train_loss"] for row in before]


def test_a_failed_run_is_reported_and_does_not_stop_the_others(home, monkeypatch, capsys):
    original = study.train

    def train(model, *args, name, **rest):
        if name == "gn-s-1.0x":
            raise TrainingError("the loss became nan in epoch 1")
        return original(model, *args, name=name, **rest)

    monkeypatch.setattr(study, "train", train)
    failures = study.run(["gn-s-1.0x", "gn-s-1.3x"], profile=TINY)
    assert failures == ["gn-s-1.0x, seed 0: the loss became nan in epoch 1"]
    assert set(stored()) == {"gn-s-1.3x"}
    assert "FAILED gn-s-1.0x" in capsys.readouterr().out


def test_an_unfinished_teacher_is_no_teacher(home):
    study.run(["resnet18"], profile=TINY)
    path = study.checkpoint_path("resnet18", TINY, "paper", 0)
    state = torch.load(path, weights_only=True)
    state["recipe"]["epochs"] = 5
    torch.save(state, path)
    with pytest.raises(CourseError, match="unfinished"):
        study.load_teacher("resnet18", TINY, "paper", 0)
    path.unlink()
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        study.load_teacher("resnet18", TINY, "paper", 0)


def test_students_in_a_row_share_what_the_teacher_said(home):
    study.run(["gn-s-1.0x<ensemble", "gn-s-2.8x<ensemble", "gn-d<ensemble"], profile=TINY)
    memory = study.trained_teacher(experiments.ENSEMBLE_TEACHERS, TINY, "paper", 0)
    assert (memory.asked, memory.computed) == (60, 20)


def test_listing_tells_done_from_missing(home):
    study.run(["gn-s-1.0x"], profile=TINY)
    lines = study.listing(["gn-s-1.0x", "gn-s-1.0x<vgg13"], profile=TINY)
    assert [line.split()[0] for line in lines[1:]] == ["done", "missing", "missing"]
    assert "needs vgg13" in lines[-1]


def test_an_unknown_experiment_is_named(home):
    with pytest.raises(ValueError, match="unknown experiment 'gn-s-1x'"):
        study.run(["gn-s-1x"], profile=TINY)


def test_every_student_of_a_profile_gets_equal_epochs():
    for profile in PROFILES.values():
        epochs = {
            study.training_recipe(experiment, profile, 0).epochs
            for experiment in experiments.EXPERIMENTS.values()
            if experiment.student in study.STUDENTS
        }
        assert epochs == {profile.student_epochs}
