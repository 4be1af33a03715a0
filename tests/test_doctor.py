"""The doctor: every line says OK, WARN or FAIL, and what to do; a FAIL makes the exit status non-zero."""

import shutil

import pandas as pd
import psutil
import pytest
from packaging.requirements import Requirement

from course_lib import doctor
from course_lib.__main__ import main
from course_lib.doctor import Finding
from course_lib.profiles import PROFILES
from course_lib.study.experiments import EXPERIMENTS

QUICK, LAPTOP, FULL = PROFILES["quick"], PROFILES["laptop"], PROFILES["full"]


@pytest.fixture(autouse=True)
def known_speed(monkeypatch):
    """Measuring is one test's business; the others take it as done."""
    monkeypatch.setattr(doctor, "images_per_second", lambda: 100.0)


def said(findings: list[Finding], state: str) -> list[str]:
    return [finding.text for finding in findings if finding.state == state]


def test_this_machine_is_fine():
    findings = doctor.examine(QUICK)
    assert said(findings, "FAIL") == []
    text = "\n".join(map(str, findings))
    for word in ("Python", "torch ", "ipywidgets", "memory", "disk", "sample", "results store", "quick profile"):
        assert word in text


def test_an_empty_folder_lacks_the_images(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    failed = said(doctor.examine(LAPTOP), "FAIL")
    assert len(failed) == 2
    assert "sample" in failed[0] and "python -m course_lib data" in failed[1]
    assert len(said(doctor.examine(QUICK), "FAIL")) == 1, "the quick profile does not need the full set"


def test_a_data_folder_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "gone"))
    assert "unset COURSE_DATA" in str(doctor.full_set(LAPTOP))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert doctor.full_set(LAPTOP).state == "OK"


def test_packages_that_are_missing_or_out_of_range():
    missing = doctor.package(Requirement("no-such-package-of-this-course>=1"))
    assert missing.state == "FAIL" and "make course" in missing.text
    old = doctor.package(Requirement("pytest>=1000"))
    assert old.state == "WARN" and "pip install 'pytest>=1000'" in old.text
    assert doctor.package(Requirement("pytest>=1")).state == "OK"


@pytest.mark.parametrize(("total", "free", "state"), [(2, 1, "FAIL"), (8, 1, "WARN"), (8, 6, "OK")])
def test_memory(monkeypatch, total, free, state):
    class Memory:
        available, total = free * doctor.GIB, 0

    Memory.total = total * doctor.GIB
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory)
    assert doctor.memory().state == state


@pytest.mark.parametrize(("free", "state"), [(0.01, "FAIL"), (0.5, "WARN"), (5, "OK")])
def test_disk(monkeypatch, free, state):
    usage = type("Usage", (), {"free": free * doctor.GIB})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert doctor.disk().state == state


def test_the_full_profile_without_a_gpu_is_warned_of(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert doctor.device(FULL).state == "WARN" and doctor.device(QUICK).state == "OK"


def test_minutes_follow_from_the_measured_speed(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    lines = [finding.text for finding in doctor.minutes(lambda: 250.0)]
    assert "250 images a second" in lines[0]
    one = {name: size.train_images * size.student_epochs / 250 for name, size in PROFILES.items()}
    for name, line in zip(one, lines[1:], strict=True):
        assert line.startswith(f"{name} profile: about {doctor.duration(one[name])} for one run")
        assert f"all {len(EXPERIMENTS)} runs" in line, "the quick runs are in the store, so their speeds are known"


def test_a_busy_machine_is_told_and_no_forecast_made():
    (finding,) = doctor.minutes(lambda: 1.0)
    assert finding.state == "WARN" and "run again" in finding.text


def test_the_big_networks_count_by_their_stored_speed():
    runs = pd.DataFrame(
        {"key": ["gn-s-1.0x", "resnet50"], "profile": "quick", "device": "cpu, 1 thread", "images_per_second": [80, 20]}
    )
    assert doctor.relative_speeds(runs) == {"gn-s-1.0x": 1.0, "resnet50": 0.25}
    assert doctor.relative_speeds(runs.assign(device="cuda")) == {}
    assert doctor.images_learned(LAPTOP, "resnet50") == LAPTOP.train_images * LAPTOP.teacher_epochs


def test_seconds_are_told_in_a_readers_unit():
    told = [doctor.duration(seconds) for seconds in (20, 600, 7200, 864_000)]
    assert told == ["20 seconds", "10 minutes", "2 hours", "10 days"]


def test_the_speed_is_measured(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(doctor, "MEASURED_S", 0.2)
    assert 1 < doctor.images_per_second() < 1e6


def test_the_exit_status(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "examine", lambda profile: [Finding("WARN", "tight")])
    assert main(["doctor"]) == 0 and capsys.readouterr().out == "WARN  tight\n"
    monkeypatch.setattr(doctor, "examine", lambda profile: [Finding("OK", "a"), Finding("FAIL", "b")])
    assert main(["doctor"]) == 1 and "FAIL  b" in capsys.readouterr().out
