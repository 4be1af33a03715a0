"""The worked solutions run from top to bottom, and every checker says that they are right."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest

from tools import lessons as notebooks
from tools.exercises import exercises

FOLDER = Path(__file__).resolve().parent.parent / "notebooks" / "solutions"
SOLUTIONS = sorted(FOLDER.glob("*.ipynb"))
CALLED = re.compile(r"\b(check_\w+)\s*\(")
CLOSED_DOOR = "http://127.0.0.1:9"


def verdicts(notebook: nbformat.NotebookNode) -> list[str]:
    """The verdicts that the notebook shows, as text."""
    shown = [
        output.get("data", {}).get("text/plain", output.get("text", ""))
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    return re.findall(r"✔ Right|✘ Not right yet|… Not done yet", "\n".join(map(str, shown)))


def checkers_called(notebook: nbformat.NotebookNode) -> list[str]:
    return CALLED.findall("\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code"))


def name(path: Path) -> str:
    return path.stem


def test_every_lesson_has_its_solutions():
    with_exercises = [path.name[:2] for path in notebooks.lessons() if exercises([path])]
    assert [path.name[:2] for path in SOLUTIONS] == with_exercises


@pytest.mark.parametrize("path", SOLUTIONS, ids=name)
def test_every_exercise_of_the_lesson_is_solved(path):
    (lesson,) = notebooks.find_lessons([path.name[:2]])
    asked = [exercise.checker for exercise in exercises([lesson])]
    solved = set(checkers_called(nbformat.read(path, as_version=4)))
    assert set(asked) - solved == set(), "exercises without a solution"


@pytest.mark.slow
@pytest.mark.parametrize("path", SOLUTIONS, ids=name)
def test_solutions_run_and_are_right(path, tmp_path, monkeypatch):
    """Executed as a reader of a fresh clone would, without a network; no checker says anything but "right"."""
    home = tmp_path / "home"
    shutil.copytree(FOLDER.parent.parent / "data", home / "data", ignore=shutil.ignore_patterns("cache"))
    monkeypatch.setenv("COURSE_HOME", str(home))
    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(variable, CLOSED_DOOR)
        monkeypatch.setenv(variable.upper(), CLOSED_DOOR)
    executed = notebooks.execute(path, timeout_s=240, profile="quick")
    said = verdicts(executed)
    assert set(said) == {"✔ Right"}, said
    assert len(said) >= len(set(checkers_called(executed))), "each verdict is shown"
