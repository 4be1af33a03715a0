"""Paths; writing aside and moving into place; folders made anew; profiles; shipped weights."""

import os
from pathlib import Path

import pytest
import torch

from course_lib import files, profiles
from course_lib.files import CheckpointError, CourseError
from course_lib.models import weights
from course_lib.models.zoo import create_model


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


# --- folders made anew ----------------------------------------------------------------------------


def make(place, **contents):
    with files.replace_folder(place, "a test") as new:
        for name, text in contents.items():
            (new / name).write_text(text)


def shown(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != files.MARK}


def test_a_folder_is_made_and_made_anew(tmp_path):
    place = tmp_path / "new" / "site"
    make(place, one="1", two="2")
    (place / "__pycache__").mkdir()
    (place / "__pycache__" / "x.pyc").write_text("litter")
    make(place, one="changed")
    assert shown(place) == {"one": "changed"}
    assert (place / files.MARK).read_text().startswith("made by: a test\n")
    assert list(place.parent.iterdir()) == [place]


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / ".DS_Store").write_text("litter")
    make(tmp_path, one="1")
    assert shown(tmp_path) == {"one": "1"}


@pytest.mark.parametrize("deed", ["a foreign folder", "a file added", "a file changed", "a folder of folders"])
def test_what_the_course_did_not_make_is_kept(tmp_path, deed):
    place, kept = tmp_path / "course", tmp_path / "course" / "slides"
    if deed == "a folder of folders":
        kept.mkdir(parents=True)
    else:
        if deed == "a foreign folder":
            place.mkdir()
        else:
            make(place, slides="ours")
        (kept if deed != "a file added" else place / "more").write_text("my own lecture")
    with pytest.raises(CourseError, match="move it away first|choose another folder") as caught:
        make(place, slides="ours")
    assert "\n" not in str(caught.value) and list(tmp_path.iterdir()) == [place]
    assert kept.is_dir() or "my own lecture" in shown(place).values()


@pytest.mark.parametrize("where", [".", "..", files.CHECKOUT, files.CHECKOUT.parent])
def test_the_checkout_and_the_current_folder_are_never_replaced(tmp_path, monkeypatch, where):
    make(tmp_path / "stick" / "course", one="1")  # carries the list, as a stick's course does
    monkeypatch.chdir(tmp_path / "stick" / "course")
    with pytest.raises(CourseError, match="is or holds"):
        make(Path(where), one="other")
    assert shown(tmp_path / "stick" / "course") == {"one": "1"}


def test_a_body_that_fails_leaves_the_old_folder(tmp_path):
    make(tmp_path / "site", one="1")
    with pytest.raises(ZeroDivisionError), files.replace_folder(tmp_path / "site", "a test") as new:
        (new / "half").write_text(str(1 / 0))
    assert shown(tmp_path / "site") == {"one": "1"} and len(list(tmp_path.iterdir())) == 1


def test_an_exchange_that_fails_puts_the_old_folder_back(tmp_path, monkeypatch):
    make(tmp_path / "site", one="1")
    rename = os.rename

    def refuse_new(source, target):
        if Path(source).name == "new":
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse_new)
    with pytest.raises(CourseError, match="cannot replace .*site: Permission denied"):
        make(tmp_path / "site", one="2")
    assert shown(tmp_path / "site") == {"one": "1"} and len(list(tmp_path.iterdir())) == 1


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
        assert profiles.live_size(profile).epochs >= 1
    full = profiles.PROFILES["full"]
    assert (full.train_images, full.student_epochs, full.batch_size) == (50_000, 200, 256)  # the paper's


# --- shipped weights ------------------------------------------------------------------------------


def test_weights_come_back_as_they_were(tmp_path):
    model = create_model("gn-s", width=0.5, seed=3)
    weights.save_weights("net", model, {"model": "gn-s", "width": 0.5, "epochs": 2}, tmp_path)
    loaded, meta = weights.load_weights("net", tmp_path)
    assert meta["epochs"] == 2 and not loaded.training
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())


def test_bad_weights_are_named_and_not_written(tmp_path):
    with pytest.raises(CheckpointError, match="there are no weights"):
        weights.load_weights("net", tmp_path)
    model = create_model("gn-s", width=0.5)
    path = weights.save_weights("net", model, {"model": "gn-s", "width": 0.5}, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:5000])
    with pytest.raises(CheckpointError, match="damaged"):
        weights.load_weights("net", tmp_path)
    with pytest.raises(ValueError, match="meta does not describe the network"):
        weights.save_weights("net", model, {"model": "gn-s", "width": 0.75}, tmp_path)
