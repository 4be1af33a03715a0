"""Estimates say how they are known, and progress says what is left."""

import io
import os
import time

import pandas as pd
import pytest
from fabricated import fake_result, fake_store

from course_lib.profiles import PROFILES
from course_lib.study import store
from course_lib.study.estimates import START, Estimates
from course_lib.study.experiments import PRETRAINED
from course_lib.study.plan import wanted
from course_lib.study.progress import Budget, LiveLine, counted, in_words
from course_lib.study.protocols import RECIPES
from course_lib.study.runs import Run, with_teachers

LAPTOP = PROFILES["laptop"]
HERE = store.environment("cpu")["device"]


def model_seconds(run: Run, device: str) -> float:
    """Seconds of an epoch as nothing but the model says them."""
    return Estimates(run.profile, pd.DataFrame(columns=list(store.COLUMNS)), device).of(run).epoch


def test_without_a_measurement_the_model_speaks(tmp_path):
    estimates = Estimates(LAPTOP, store.load_results(tmp_path), "cpu")
    small, large = (estimates.of(Run(key, LAPTOP)) for key in ("gn-s-1.0x", "gn-s-1.6x"))
    assert small.source == "model" and small.run == pytest.approx(12 * small.epoch)
    assert 0 < small.epoch < large.epoch
    taught = estimates.of(Run("gn-s-1.0x<resnet18", LAPTOP))
    assert taught.epoch > small.epoch


def test_on_a_gpu_a_run_is_compiled_before_its_first_epoch(tmp_path):
    cpu, cuda = (Estimates(LAPTOP, store.load_results(tmp_path), kind).of(Run("gn-s-1.0x", LAPTOP)) for kind in START)
    assert cpu.first == cpu.epoch
    assert cuda.start > 0 and cuda.first == cuda.start + cuda.epoch
    assert cuda.run == pytest.approx(cuda.start + 12 * cuda.epoch)


def test_a_measured_run_counts_and_corrects_the_others(tmp_path):
    fake_store(tmp_path, {"gn-s-1.0x": {0: 50.0, 1: 50.0}}, profile=LAPTOP)  # 1.25 s an epoch
    estimates = Estimates(LAPTOP, store.load_results(tmp_path), HERE)
    measured = estimates.of(Run("gn-s-1.0x", LAPTOP, seed=4))
    assert measured == (0.0, 1.25, 12 * 1.25, f"measured on {HERE}")
    other = Run("gn-s-1.3x", LAPTOP)
    assert estimates.of(other).epoch == pytest.approx(
        model_seconds(other, "cpu") * 1.25 / model_seconds(Run("gn-s-1.0x", LAPTOP), "cpu")
    )
    for device in ("cuda, NVIDIA H200", "cpu, 77 threads"):
        elsewhere = Estimates(LAPTOP, store.load_results(tmp_path), device)
        assert elsewhere.measured == {} and elsewhere.of(other).source == "model"
        assert elsewhere.of(other).epoch == model_seconds(other, elsewhere.kind)
    assert Estimates(PROFILES["full"], store.load_results(tmp_path), HERE).measured == {}


def test_runs_of_other_work_share_no_measurement(tmp_path):
    """The teacher that is shown scraps sees 32 x 32 pixels; one from ImageNet weights is fed 224 x 224."""
    whole, scraps, softened = (Run("gn-s-2.8x<efficientnetv2_s", LAPTOP, recipe) for recipe in RECIPES)
    measured = {whole: 3.0, scraps: 5.0, Run("efficientnetv2_s", LAPTOP): 2.0, Run(PRETRAINED, LAPTOP): 70.0}
    for run, seconds in measured.items():
        result = fake_result(run.key, profile=LAPTOP, recipe=run.recipe)
        for row in result["history"]:
            row["seconds"] = seconds
        store.save_result(result, tmp_path)
    estimates = Estimates(LAPTOP, store.load_results(tmp_path), HERE)
    assert {run: estimates.of(run).epoch for run in measured} == measured
    assert estimates.of(softened).epoch == 3.0  # `repaired` does the work of `paper`
    assert estimates.of(Run(f"gn-s-2.8x<{PRETRAINED}", LAPTOP)).source == "model"


def test_ghostnets_and_big_networks_are_corrected_apart(tmp_path):
    """On two cores of a shared server the one kind took 0.9 times, the other 2.5 times what the model says."""
    for key, factor in (("gn-s-1.0x", 2.0), ("resnet18", 5.0), ("gn-s-1.0x<resnet50", 100.0)):
        result = fake_result(key, profile=LAPTOP)
        for row in result["history"]:
            row["seconds"] = factor * model_seconds(Run(key, LAPTOP), "cpu")
        store.save_result(result, tmp_path)
    estimates = Estimates(LAPTOP, store.load_results(tmp_path), HERE)
    for key, factor in (("gn-s-1.6x", 2.0), ("gn-s-1.0x<gn-s-2.8x", 2.0), ("vgg13", 5.0)):
        run = Run(key, LAPTOP)
        assert estimates.of(run).epoch == pytest.approx(factor * model_seconds(run, "cpu"))
    taught, alone = (model_seconds(Run(key, LAPTOP), "cpu") for key in ("gn-s-1.0x<vgg13", "gn-s-1.0x"))
    expected = 2.0 * alone + 5.0 * (taught - alone)
    assert estimates.of(Run("gn-s-1.0x<vgg13", LAPTOP)).epoch == pytest.approx(expected)


def test_the_laptop_profile_fits_a_night():
    """By the model alone less than twelve hours on two cores, and each row but the ensemble's less than 90 minutes."""
    minutes = {run.key: 12 * model_seconds(run, "cpu") / 60 for run in with_teachers(wanted(LAPTOP))}
    assert sum(minutes.values()) < 12 * 60
    assert max(value for key, value in minutes.items() if "ensemble" not in key) < 90


def test_epochs_in_which_the_laptop_slept_or_had_other_work_do_not_count(tmp_path):
    result = fake_result(profile=LAPTOP, accuracies=(20.0, 30.0, 40.0, 50.0, 60.0))
    for row in result["history"][:3]:
        row["seconds"] = 3_600.0
    store.save_result(result, tmp_path)
    assert Estimates(LAPTOP, store.load_results(tmp_path), HERE).of(Run("gn-s-1.0x", LAPTOP)).epoch == 1.25


def test_a_budget_never_goes_below_zero():
    assert Budget(None).left == float("inf") and Budget(None).holds(1e9)
    assert Budget(1, started=time.monotonic() - 3600).left == 0.0
    assert not Budget(1, started=time.monotonic() - 3600).holds(0.0)
    with pytest.raises(ValueError, match="minutes must be above 0"):
        Budget(0)


ROW = {"epoch": 3, "test_accuracy": 45.678, "images_per_second": 1234.5, "seconds": 60.0}


def test_a_live_line_tells_run_epoch_accuracy_speed_and_time_left():
    stream = io.StringIO()
    LiveLine(stream).epoch("gn-d, seed 0", ROW, 10, 1500.0)
    assert stream.getvalue() == (
        "gn-d, seed 0: epoch 3/10, test 45.68 %, 1,234 images/s, 7 min to go (25 min of the budget left)\n"
    )


def test_a_file_gets_a_line_now_and_then_and_a_terminal_one_that_changes():
    stream = io.StringIO()
    line = LiveLine(stream)
    for _ in range(50):
        line.epoch("run", ROW, 10, float("inf"))
    assert stream.getvalue().count("\n") == 1

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    line = LiveLine(screen)
    line.epoch("a long name", ROW, 10, float("inf"))
    line.epoch("short", ROW, 10, float("inf"))
    line.say("done")
    assert screen.getvalue().count("\r") == 4 and screen.getvalue().endswith("\rdone\n")


def test_a_live_line_is_no_wider_than_the_terminal(monkeypatch):
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((60, 24)))
    stream = io.StringIO()
    LiveLine(stream, in_place=True).epoch("gn-s-1.0x<ensemble, repaired, seed 0", ROW, 10, 1500.0)
    assert len(stream.getvalue().strip("\r")) == 59


def test_counted_things_have_their_plural():
    assert [counted(count, "run") for count in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]


def test_times_in_words():
    assert [in_words(seconds) for seconds in (0, 89, 90, 3600, 20_000)] == ["0 s", "89 s", "2 min", "60 min", "5.6 h"]
