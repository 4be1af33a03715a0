"""Estimates say how they are known, and progress says what is left."""

import os
import time

import pytest
from fabricated import fake_result

from course_lib.profiles import PROFILES
from course_lib.study import store
from course_lib.study.estimates import estimate
from course_lib.study.progress import CLEAR, Budget, LiveLine, counted, in_words
from course_lib.study.runs import Run

LAPTOP = PROFILES["laptop"]
HERE = store.environment("cpu")["device"]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))


def ran(key: str, seconds: float, **changes) -> None:
    """Put a run into the store whose epochs took so long."""
    result = fake_result(key, profile=LAPTOP, accuracies=(20.0, 30.0, 40.0, 50.0, 60.0), **changes)
    for row in result["history"]:
        row["seconds"] = seconds if row["epoch"] > 3 else 3_600.0  # the laptop slept, or had other work
    store.save_result(result)


def epoch(key: str, device: str = HERE, **changes) -> float:
    return estimate(Run(key, LAPTOP, **changes), device).epoch


def test_without_a_measurement_the_networks_costs_speak():
    told = estimate(Run("gn-s-1.0x", LAPTOP), "cpu")
    assert told.source == "model" and told.run == pytest.approx(LAPTOP.student_epochs * told.epoch)
    assert told.first == told.epoch
    costs = [epoch(key) for key in ("gn-s-1.0x", "gn-s-1.0x<resnet56", "gn-s-1.6x", "resnet18", "inceptionv3")]
    assert costs == sorted(costs) and costs[0] > 0


def test_the_rows_own_runs_are_a_measurement_and_gn_s_of_all_others():
    ran("gn-s-1.0x", 100.0, seed=1)
    ran("resnet18", 300.0)
    assert estimate(Run("gn-s-1.0x", LAPTOP, seed=4), HERE).source == f"measured on {HERE}"
    assert epoch("gn-s-1.0x", seed=4) == 100.0 and epoch("resnet18", seed=2) == 300.0
    other, alone = (estimate(Run(key, LAPTOP), "cpu, 77 threads") for key in ("gn-s-1.3x", "gn-s-1.0x"))
    assert alone.source == "model"  # another machine's runs say nothing
    assert epoch("gn-s-1.3x") == pytest.approx(100.0 * other.epoch / alone.epoch)


def test_a_long_run_is_compiled_on_a_gpu_before_its_first_epoch():
    long, short = (estimate(Run("gn-s-1.0x", PROFILES[name]), "cuda, H200") for name in ("full", "laptop"))
    assert long.first > long.epoch + 60 and short.first == short.epoch
    assert long.run == pytest.approx(long.first + 199 * long.epoch)


def test_a_budget_never_goes_below_zero():
    assert Budget(None).left == float("inf") and Budget(None).holds(1e9)
    assert Budget(1, started=time.monotonic() - 3600).left == 0.0
    assert not Budget(1, started=time.monotonic() - 3600).holds(0.0)
    with pytest.raises(ValueError, match="minutes must be above 0"):
        Budget(0)


ROW = {"epoch": 3, "test_accuracy": 45.678, "images_per_second": 1234.5, "seconds": 60.0}


def test_a_live_line_tells_run_epoch_accuracy_speed_and_time_left(capsys):
    LiveLine().epoch("gn-d, seed 0", ROW, 10, 1500.0)
    assert capsys.readouterr().out == (
        "gn-d, seed 0: epoch 3/10, test 45.68 %, 1,234 images/s, 7 min to go (25 min of the budget left)\n"
    )


def test_a_file_gets_a_line_now_and_then_and_a_terminal_one_that_changes(capsys, monkeypatch):
    line = LiveLine()
    for _ in range(50):
        line.epoch("run", ROW, 10, float("inf"))
    assert capsys.readouterr().out.count("\n") == 1
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    line = LiveLine()
    line.epoch("a long name", ROW, 10, float("inf"))
    line.epoch("short", ROW, 10, float("inf"))
    line.say("done")
    screen = capsys.readouterr().out
    assert screen.count(CLEAR) == 3 and screen.endswith(f"{CLEAR}done\n")


def test_a_live_line_is_no_wider_than_the_terminal(capsys, monkeypatch):
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((60, 24)))
    LiveLine(in_place=True).epoch("gn-s-1.0x<ensemble, repaired, seed 0", ROW, 10, 1500.0)
    assert len(capsys.readouterr().out.removeprefix(CLEAR)) == 59


def test_counted_things_have_their_plural():
    assert [counted(count, "run") for count in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]


def test_times_in_words():
    assert [in_words(seconds) for seconds in (0, 89, 90, 3600, 20_000)] == ["0 s", "89 s", "2 min", "60 min", "5.6 h"]
