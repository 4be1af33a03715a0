"""Estimates say how they are known, and progress says what is left."""

import io

import pytest
from fabricated import fake_result, fake_store

from course_lib import results
from course_lib.estimates import Estimates, model_seconds
from course_lib.plan import Run
from course_lib.profiles import PROFILES
from course_lib.progress import LiveLine, in_words

LAPTOP = PROFILES["laptop"]


def test_without_a_measurement_the_model_speaks(tmp_path):
    estimates = Estimates(LAPTOP, results.load_results(tmp_path), "cpu")
    small, large = (estimates.of(Run(key, LAPTOP)) for key in ("gn-s-1.0x", "gn-s-1.6x"))
    assert small.source == "model" and small.run == pytest.approx(12 * small.epoch)
    assert 0 < small.epoch < large.epoch
    taught = estimates.of(Run("gn-s-1.0x<resnet18", LAPTOP))
    assert taught.epoch > small.epoch


def test_a_measured_run_counts_and_corrects_the_others(tmp_path):
    fake_store(tmp_path, {"gn-s-1.0x": {0: 50.0, 1: 50.0}}, profile=LAPTOP)  # 1.25 s an epoch
    estimates = Estimates(LAPTOP, results.load_results(tmp_path), "cpu")
    measured = estimates.of(Run("gn-s-1.0x", LAPTOP, seed=4))
    assert measured == (1.25, 12 * 1.25, "measured")
    other = Run("gn-s-1.3x", LAPTOP)
    assert estimates.of(other).epoch == pytest.approx(
        model_seconds(other, "cpu") * 1.25 / model_seconds(Run("gn-s-1.0x", LAPTOP), "cpu")
    )
    assert Estimates(LAPTOP, results.load_results(tmp_path), "cuda").of(other).source == "model"
    assert Estimates(PROFILES["full"], results.load_results(tmp_path), "cpu").measured == {}


def test_the_laptop_profile_fits_a_night():
    """By the model alone less than twelve hours on two cores, and each row but the ensemble's less than 90 minutes."""
    from course_lib.plan import queue, with_teachers

    minutes = {run.key: 12 * model_seconds(run, "cpu") / 60 for run in with_teachers(queue(LAPTOP))}
    assert sum(minutes.values()) < 12 * 60
    assert max(value for key, value in minutes.items() if "ensemble" not in key) < 90


def test_an_epoch_in_which_the_laptop_slept_does_not_count(tmp_path):
    result = fake_result(profile=LAPTOP, accuracies=(20.0, 30.0, 40.0))
    result["history"][1]["seconds"] = 3_600.0
    results.save_result({**result, "wall_seconds": 3_602.5}, tmp_path)
    assert Estimates(LAPTOP, results.load_results(tmp_path), "cpu").of(Run("gn-s-1.0x", LAPTOP)).epoch == 1.25


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


def test_times_in_words():
    assert [in_words(seconds) for seconds in (0, 89, 90, 3600, 20_000)] == ["0 s", "89 s", "2 min", "60 min", "5.6 h"]
