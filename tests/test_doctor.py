"""The doctor: every line says OK, WARN or FAIL, and what to do; it tries what it vouches for, and never breaks."""

import os
import shutil
import subprocess
import sys

import psutil
import pytest
from packaging.requirements import Requirement

from course_lib.__main__ import main
from course_lib.files import CHECKOUT
from tools import doctor


@pytest.fixture(autouse=True)
def known_speed(monkeypatch):
    """Measuring is one test's business; the others take it as done."""
    monkeypatch.setattr(doctor, "images_per_second", lambda: 100.0)


def said(state: str) -> list[str]:
    return [line for line in doctor.examine() if line.startswith(state)]


def test_this_machine_is_fine():
    lines = list(doctor.examine())
    assert [line for line in lines if line.startswith("FAIL")] == []
    assert all(line.startswith(("OK    ", "WARN  ")) for line in lines)
    for word in ("Python", "torch ", "ipywidgets", "memory", "disk", "sample", "results store", "quick profile"):
        assert any(word in line for line in lines), word


def test_an_empty_folder_lacks_the_images(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    assert ["sample" in line for line in said("FAIL")] == [True], "the quick profile does not need the full set"
    monkeypatch.setenv("COURSE_PROFILE", "laptop")
    assert "python -m course_lib data" in said("FAIL")[1]


def test_data_that_is_not_there_or_empty_is_no_data(tmp_path, monkeypatch):
    for place in (tmp_path / "gone", tmp_path):
        monkeypatch.setenv("COURSE_DATA", str(place))
        (line,) = doctor.full_set()
        assert line.startswith("FAIL") and "COURSE_DATA" in line and str(place) in line


def test_a_check_that_breaks_is_one_line_and_the_others_go_on(monkeypatch):
    def breaks():
        raise RuntimeError("no such device")

    monkeypatch.setattr(doctor, "memory", breaks)
    lines = list(doctor.examine())
    assert [line for line in lines if line.startswith("FAIL")] == ["FAIL  breaks: RuntimeError: no such device"]
    assert any("images a second" in line for line in lines)


def test_an_unknown_profile_is_a_line(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "huge")
    assert any("unknown profile 'huge'" in line for line in said("FAIL"))


@pytest.mark.parametrize("case", ["installed without -e", "COURSE_HOME misspelt"])
def test_a_course_without_its_folder_is_said_in_one_line_and_nothing_is_written(tmp_path, case):
    """As ``pip install .`` leaves it, there is neither data nor lessons."""
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    shutil.copytree(CHECKOUT / "course_lib", tmp_path / "course_lib", ignore=shutil.ignore_patterns("*cache*"))
    if case == "COURSE_HOME misspelt":
        environment |= {"PYTHONPATH": str(CHECKOUT), "COURSE_HOME": str(tmp_path / "gone")}
    before = sorted(tmp_path.iterdir())
    if case == "COURSE_HOME misspelt":
        code = "from tools import doctor; [print(line) for line in doctor.basics()]"
        run = [sys.executable, "-c", code]
        done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert "FAIL" in done.stdout.splitlines()[1] and done.stderr == ""
    for command in ("course", "report", "data"):
        run = [sys.executable, "-m", "course_lib", command]
        done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 1 and done.stderr.startswith("course: ") and done.stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_packages_that_are_missing_broken_or_out_of_range(tmp_path, monkeypatch):
    missing = doctor.package(Requirement("no-such-package-of-this-course>=1"))
    assert missing.startswith("FAIL") and "make course" in missing
    old = doctor.package(Requirement("pytest>=1000"))
    assert old.startswith("WARN") and "pip install 'pytest>=1000'" in old
    assert doctor.package(Requirement("pytest>=1")).startswith("OK")
    (tmp_path / "furo.py").write_text("raise SystemError('initialisation failed')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "furo", raising=False)
    broken = doctor.package(Requirement("furo"))
    assert broken.startswith("FAIL") and "cannot be imported (SystemError: initialisation failed)" in broken


@pytest.mark.parametrize(("total", "free", "state"), [(2, 1, "FAIL"), (8, 1, "WARN"), (8, 6, "OK")])
def test_memory_and_disk(monkeypatch, total, free, state):
    sizes = type("Sizes", (), {"total": total * doctor.GIB, "available": free * doctor.GIB})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: sizes)
    assert next(doctor.memory()).startswith(state)
    usage = type("Usage", (), {"free": {"FAIL": 0.01, "WARN": 0.5, "OK": 5}[state] * doctor.GIB})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert next(doctor.disk()).startswith(state)


def test_the_full_profile_without_a_gpu_is_warned_of(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setenv("COURSE_PROFILE", "full")
    assert [line[:4] for line in doctor.device()] == ["OK  ", "WARN"]


def test_what_a_run_takes_follows_from_the_measured_speed(monkeypatch):
    (line,) = doctor.speed()
    assert "100 images a second" in line and "quick 10 s" in line
    monkeypatch.setattr(doctor, "images_per_second", lambda: 1.0)
    (line,) = doctor.speed()
    assert line.startswith("WARN") and "again" in line


def test_the_speed_is_measured(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(doctor, "MEASURED_S", 0.2)
    assert 1 < doctor.images_per_second() < 1e6


def test_the_exit_status(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "examine", lambda: ["WARN  tight"])
    assert main(["doctor"]) == 0 and capsys.readouterr().out == "WARN  tight\n"
    monkeypatch.setattr(doctor, "examine", lambda: ["FAIL  b", "OK    a"])
    assert main(["doctor"]) == 1 and "FAIL  b" in capsys.readouterr().out
