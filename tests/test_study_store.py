"""The store keeps what it is given, byte for byte, and refuses what is torn, edited or contradicts itself."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from fabricated import fake_result

from course_lib.files import CourseError, ResultError
from course_lib.profiles import PROFILES
from course_lib.study import store


def one_line(caught) -> str:
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def stored(tmp_path) -> Path:
    return store.save_result(fake_result(), tmp_path)


def test_what_is_saved_is_read_back(tmp_path):
    result = fake_result("gn-s-1.0x<resnet50", seed=2)
    path = store.save_result(result, tmp_path)
    assert path == tmp_path / "quick" / "gn-s-1.0x_from_resnet50.quick.paper.seed2.json"
    assert path == store.result_path(result["run"], "quick", tmp_path)
    assert store.read_result(path) == result


def test_the_store_is_in_the_courses_folder_by_default(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    path = store.save_result(fake_result())
    assert path.parent == tmp_path / "data" / "results" / "quick"
    assert len(store.load_results()) == 1


def test_a_result_follows_from_its_history():
    result = fake_result(accuracies=(10.0, 40.0, 40.0, 35.5))
    assert (result["last_accuracy"], result["best_accuracy"], result["best_epoch"]) == (35.5, 40.0, 2)
    assert result["history"][0]["hard_loss"] == 1.234568  # seven digits, as much as float32 holds


def test_two_hundred_epochs_stay_small_and_stand_one_a_line(tmp_path):
    profile = PROFILES["full"]
    accuracies = tuple(float(value) for value in np.random.default_rng(0).integers(1000, 9999, 200) / 100)
    result = fake_result(profile=profile, accuracies=accuracies, test_images=10_000)
    path = store.save_result(result, tmp_path)
    assert path.stat().st_size < 40_000
    changed = fake_result(profile=profile, accuracies=(5.0, *accuracies[1:]), test_images=10_000)
    changed |= {"finished": result["finished"]}
    other = store.save_result(changed, tmp_path / "other")
    pairs = zip(path.read_text().splitlines(), other.read_text().splitlines(), strict=True)
    assert sum(a != b for a, b in pairs) == 2  # the first epoch and the digest


def test_predictions_survive_packing(tmp_path):
    classes = np.array([0, 9, 255, 3, 3, 3], dtype=np.uint8)
    packed = store.pack_predictions(classes) | {"run": "r"}
    assert packed["test_images"] == 6
    np.testing.assert_array_equal(store.predictions(packed), classes)
    store.save_result(fake_result(seed=4), tmp_path)
    row = store.load_results(tmp_path).iloc[0]
    expected = np.random.default_rng(4).integers(0, 10, 1000)
    np.testing.assert_array_equal(store.predictions(row), expected)


@pytest.mark.parametrize("bad", [[], [-1], [256], [0.5], [[1, 2]]])
def test_predictions_must_be_class_numbers(bad):
    with pytest.raises(ValueError, match="class numbers"):
        store.pack_predictions(np.array(bad))


def test_the_frame_has_a_row_a_run_and_flat_columns(tmp_path):
    store.save_result(fake_result("gn-s-1.3x<ta"), tmp_path)
    store.save_result(fake_result("gn-s-1.3x", seed=1), tmp_path)
    frame = store.load_results(tmp_path)
    assert tuple(frame.columns) == store.COLUMNS
    row = frame.set_index("key").loc["gn-s-1.3x<ta"]
    assert (row["student"], row["width"], row["teachers"]) == ("gn-s", 1.3, ("resnet18<ta",))
    assert (row["profile"], row["recipe"], row["seed"], row["epochs"]) == ("quick", "paper", 0, 2)
    assert (row["last_accuracy"], row["alpha"], row["dataset"]) == (31.5, 0.5, "cifar10")
    assert row["profile_spec"]["train_images"] == row["train_images"] == PROFILES["quick"].train_images
    assert row["data_subset"] == "sample"
    assert len(row["history"]) == 2


@pytest.mark.parametrize("folder", ["", "missing"])
def test_an_empty_store_gives_an_empty_frame(tmp_path, folder):
    frame = store.load_results(tmp_path / folder)
    assert frame.empty
    assert tuple(frame.columns) == store.COLUMNS


# --- damage -----------------------------------------------------------------------------------------


def edit(path: Path, change) -> None:
    """Change the stored JSON as an editor would, leaving the digest as it was."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content, indent=1) + "\n")


def raise_accuracy(content):
    content["last_accuracy"] = content["best_accuracy"] = content["history"]["rows"][-1][6] = 95.0


DAMAGE = {
    "torn last bytes": lambda path: path.write_bytes(path.read_bytes()[:-2]),
    "torn in the middle": lambda path: path.write_bytes(path.read_bytes()[:700]),
    "empty": lambda path: path.write_bytes(b""),
    "not text": lambda path: path.write_bytes(b"\xff\xfe" * 10),
    "a list": lambda path: path.write_text("[1, 2]\n"),
    "edited accuracy": lambda path: edit(path, lambda c: c.update(last_accuracy=95.0)),
    "edited everywhere": lambda path: edit(path, raise_accuracy),
    "edited seed": lambda path: edit(path, lambda c: c.update(seed=1)),
    "wrong hash": lambda path: edit(path, lambda c: c.update(predictions_sha256="0" * 64)),
    "other predictions": lambda path: edit(path, lambda c: c.update(store.pack_predictions([1]))),
    "no digest": lambda path: edit(path, lambda c: c.pop("content_sha256")),
    "unknown format": lambda path: edit(path, lambda c: c.update(format=99)),
    "ragged history": lambda path: edit(path, lambda c: c["history"]["rows"][0].pop()),
    "no history": lambda path: edit(path, lambda c: c.pop("history")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused_by_name(stored, damage):
    DAMAGE[damage](stored)
    with pytest.raises(ResultError) as caught:
        store.read_result(stored)
    assert str(stored) in one_line(caught)
    with pytest.raises(ResultError):
        store.load_results(stored.parent.parent)


def test_an_untouched_file_in_another_layout_is_still_sound(stored):
    before, layout = store.read_result(stored), stored.read_text()
    edit(stored, lambda content: None)
    assert stored.read_text() != layout
    assert store.read_result(stored) == before


@pytest.mark.parametrize("place", ["quick/gn-d.quick.paper.seed0.json", "full/{name}"])
def test_a_file_under_another_name_is_refused(stored, place):
    moved = stored.parent.parent / place.format(name=stored.name)
    moved.parent.mkdir(exist_ok=True)
    stored.rename(moved)
    with pytest.raises(ResultError) as caught:
        store.read_result(moved)
    assert str(moved) in one_line(caught)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ResultError, match="gone.json"):
        store.read_result(tmp_path / "gone.json")


def test_what_the_finder_leaves_and_a_second_copy_stop_nothing(stored):
    """c27: macOS's ._ files are not looked at; a stranger is named and left out."""
    stored.with_name(f"._{stored.name}").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    copy = stored.with_name(f"{stored.stem} (1).json")
    shutil.copy(stored, copy)
    with pytest.warns(UserWarning, match="left out") as told:
        assert len(store.load_results(stored.parent.parent)) == 1
    assert [str(copy) in str(warning.message) for warning in told] == [True]


# Each change alone makes the result unsound, and it is not saved.
UNSOUND = {
    "the training 2": lambda r: r["history"].pop(),
    "last_accuracy": lambda r: r.update(last_accuracy=95.0),
    "best_accuracy": lambda r: r.update(best_accuracy=95.0),
    "best_epoch": lambda r: r.update(best_epoch=1),
    "SHA-256": lambda r: r.update(predictions_sha256="0" * 64),
    "cannot be unpacked": lambda r: r.update(predictions="###"),
    "test_images is 999": lambda r: r.update(test_images=999),
    "not JSON compliant": lambda r: r["history"][0].update(train_loss=float("nan")),
    "percent": lambda r: r["history"][0].update(test_accuracy=101.0),
    "its history has the epochs [2, 2]": lambda r: r["history"][0].update(epoch=2),
    "field source is missing": lambda r: r["data"].pop("source"),
    "seedTrue": lambda r: r.update(seed=True),
    "format is 2": lambda r: r.update(format=2),
    "run is": lambda r: r.update(run="other"),
    "key is gn-d": lambda r: r.update(key="gn-d"),
    "cannot name": lambda r: r["profile"].update(name="../up"),
    "not JSON serializable": lambda r: r["versions"].update(torch=object()),
}


@pytest.mark.parametrize("words", UNSOUND)
def test_an_unsound_result_is_not_saved(tmp_path, words):
    result = fake_result()
    UNSOUND[words](result)
    with pytest.raises(ResultError) as caught:
        store.save_result(result, tmp_path)
    assert words in one_line(caught)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_result_leaves_the_older_file_alone(stored):
    before = stored.read_bytes()
    with pytest.raises(ResultError):
        store.save_result(fake_result() | {"last_accuracy": 95.0}, stored.parent.parent)
    assert stored.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_answered_in_one_line(tmp_path):
    (tmp_path / "quick").write_text("a file where the folder should be")
    with pytest.raises(CourseError) as caught:
        store.save_result(fake_result(), tmp_path)
    assert str(tmp_path) in one_line(caught)


# --- surroundings -----------------------------------------------------------------------------------


def test_the_environment_says_what_numbers_depend_on():
    found = store.environment("cpu")
    assert found["device"].startswith("cpu, ")
    assert found["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert found["revision"] == store.code_revision()


# code_revision remembers its answer; __wrapped__ asks git each time.
def test_the_revision_is_unknown_without_git(monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    assert store.code_revision.__wrapped__() == "unknown"
    monkeypatch.setenv("COURSE_REVISION", "0abc123")
    assert store.code_revision.__wrapped__() == "0abc123 (stated)"


def repository(folder: Path) -> None:
    """A repository of all that lies in the folder."""
    for command in ("init", "add .", "-c user.name=t -c user.email=t@t commit -m x"):
        subprocess.run(["git", *command.split()], cwd=folder, check=True, capture_output=True)


def test_the_revision_marks_changed_code(tmp_path, monkeypatch):
    code = tmp_path / "course_lib" / "study"
    code.mkdir(parents=True)
    (code / "store.py").write_text("")
    repository(tmp_path)
    monkeypatch.setattr(store, "__file__", str(code / "store.py"))
    clean = store.code_revision.__wrapped__()
    (tmp_path / "a-result.json").write_text("{}")  # results are not code
    assert store.code_revision.__wrapped__() == clean != "unknown"
    (code / "store.py").write_text("changed")
    assert store.code_revision.__wrapped__() == f"{clean}-dirty"


def test_the_revision_of_a_repository_that_the_course_lies_in_is_not_its_own(tmp_path, monkeypatch):
    """c33: unpacked from a .zip inside somebody's homework."""
    code = tmp_path / "kd" / "course_lib" / "study"
    code.mkdir(parents=True)
    (code / "store.py").write_text("")
    repository(tmp_path)
    monkeypatch.setattr(store, "__file__", str(code / "store.py"))
    monkeypatch.delenv("COURSE_REVISION", raising=False)
    assert store.code_revision.__wrapped__() == "unknown"


def test_the_store_and_the_report_do_without_torch():
    script = "import sys, course_lib.study.store, course_lib.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
