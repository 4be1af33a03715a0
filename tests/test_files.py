"""Paths; writing aside and moving into place; profiles."""

import os

import pytest
import torch

from course_lib import files, profiles
from course_lib.files import CourseError


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "new" / "file.bin"
    files.atomic_write(path, b"one")
    files.atomic_write(path, b"two")
    assert path.read_bytes() == b"two" and list(path.parent.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.bin"
    files.atomic_write(path, b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CourseError, match="cannot write .*file.bin: No space left on device") as caught:
        files.atomic_write(path, b"new")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(CourseError, match="cannot write"):
        files.atomic_write(tmp_path / "taken" / "file.bin", b"x")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write into read-only folders")
def test_a_read_only_folder_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(CourseError, match="Permission denied"):
        files.atomic_write(tmp_path / "file.bin", b"x")


def test_a_read_only_file_system_is_named(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    with pytest.raises(CourseError, match="Read-only file system"):
        files.atomic_write(tmp_path / "file.bin", b"x")


def test_course_home_moves_the_courses_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    assert files.repo_path("data", "x") == tmp_path / "data" / "x"
    monkeypatch.delenv("COURSE_HOME")
    assert (files.repo_path("data", "paper") / "table1.csv").exists()


@pytest.mark.parametrize("variable", ["COURSE_HOME", "COURSE_DATA"])
def test_a_path_in_a_variable_means_the_same_in_other_folders(tmp_path, monkeypatch, variable):
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "me"))
    monkeypatch.chdir(tmp_path)
    for value, place in ((".", tmp_path), ("~/kd", tmp_path / "me" / "kd")):
        monkeypatch.setenv(variable, value)
        assert files.path_in(variable) == place and os.environ[variable] == str(place)
    monkeypatch.setenv(variable, "")
    assert files.path_in(variable) is None


# --- profiles -------------------------------------------------------------------------------------


def test_the_profile_is_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "laptop")
    assert profiles.active_profile().name == "laptop"
    assert profiles.active_profile("quick").name == "quick"
    monkeypatch.setenv("COURSE_PROFILE", "fast")
    with pytest.raises(ValueError, match="unknown profile 'fast': COURSE_PROFILE is one of quick, laptop, full"):
        profiles.active_profile()


@pytest.mark.parametrize("gpu, expected", [(False, "quick"), (True, "full")])
def test_the_profile_fits_the_machine(monkeypatch, gpu, expected):
    monkeypatch.delenv("COURSE_PROFILE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert profiles.active_profile().name == expected


def test_small_profiles_say_that_they_are_no_reproduction():
    for name, profile in profiles.PROFILES.items():
        assert ("not a reproduction" in profile.label) == (name != "full")
    full = profiles.PROFILES["full"]
    assert (full.train_images, full.student_epochs, full.batch_size) == (50_000, 200, 256)  # the paper's
