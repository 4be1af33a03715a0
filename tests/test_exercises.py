"""The exercises: enough of them, on three levels, each with minutes, a hint, a checker and a solution."""

import importlib
import json
import pkgutil
import re
from collections import Counter
from pathlib import Path

import nbformat
import pytest

from classroom import checks
from tools.exercises import LEVELS, Exercise, exercises
from tools.lessons import execute, lessons

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "docs" / "template.ipynb"
ALL = exercises()


def name(exercise: Exercise) -> str:
    return f"{exercise.lesson.stem[:2]}.{exercise.number}"


def checkers() -> set[str]:
    """Every checker that course_lib has."""
    modules = [
        importlib.import_module(f"{checks.__name__}.{each.name}") for each in pkgutil.iter_modules(checks.__path__)
    ]
    return {found for module in modules for found in vars(module) if found.startswith("check_")}


def test_there_are_enough_of_each_kind():
    assert len(ALL) >= 30
    assert sum(exercise.bug for exercise in ALL) >= 6, "find the bug"
    assert set(Counter(exercise.level for exercise in ALL)) == set(LEVELS)


def test_every_lesson_has_some():
    for lesson in lessons()[:-1]:  # the last one, for 90 minutes, has votes in their place
        assert len([exercise for exercise in ALL if exercise.lesson == lesson]) >= 3, lesson.name


def test_the_teaching_guide_gives_their_hours():
    """Sums of the printed minutes, to the half hour; below an hour to the minute."""
    guide = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    for lesson in lessons()[:-1]:
        minutes = sum(exercise.minutes for exercise in ALL if exercise.lesson == lesson)
        halves = round(minutes / 30)
        hours = f"{halves // 2 or ''}{'½' if halves % 2 else ''} h" if minutes >= 60 else f"{minutes} min"
        row = next(line for line in guide.splitlines() if f"]({lesson.name}) |" in line)
        assert row.split("|")[3].strip() == hours, lesson.name


@pytest.mark.parametrize("exercise", ALL, ids=name)
def test_an_exercise_has_all_its_parts(exercise):
    assert exercise.level in LEVELS
    assert 1 <= exercise.minutes <= 60
    assert exercise.hint, "no hint in <details>"
    assert exercise.checker in checkers(), f"no such checker: {exercise.checker!r}"
    assert exercise.title


def test_they_are_numbered_one_after_the_other():
    for lesson in lessons():
        numbers = [exercise.number for exercise in ALL if exercise.lesson == lesson]
        assert numbers == list(range(1, len(numbers) + 1)), lesson.name


def test_every_checker_is_asked_for():
    """A checker that no lesson calls is dead, or its exercise is missing."""
    asked = {exercise.checker for exercise in ALL}
    offered = checkers()
    assert offered - asked == set() and asked - offered == set()


def test_the_committed_lessons_show_them_not_done():
    for lesson in lessons():
        cells = nbformat.read(lesson, as_version=4).cells
        shown = json.dumps([cell.outputs for cell in cells if cell.cell_type == "code"], ensure_ascii=False)
        number = len([exercise for exercise in ALL if exercise.lesson == lesson])
        assert len(re.findall(r"\"text/plain\": \"… Not done yet", shown)) == number, lesson.name


# --- the template -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_template_of_a_lesson_runs_and_has_an_exercise():
    executed = execute(TEMPLATE, timeout_s=120, profile="quick")
    assert "… Not done yet" in str(executed.cells[-2].outputs)
    (exercise,) = exercises([TEMPLATE])
    assert exercise.level and exercise.minutes and exercise.hint and exercise.checker in checkers()


# --- the reader of exercises itself ---------------------------------------------------------------


def lesson_of(tmp_path, *cells) -> list[Exercise]:
    path = tmp_path / "07_made_up.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), path)
    return exercises([path])


def text(source: str):
    return nbformat.v4.new_markdown_cell(source)


def code(source: str):
    return nbformat.v4.new_code_cell(source)


def test_headings_and_bold_openings_are_read(tmp_path):
    found = lesson_of(
        tmp_path,
        text("# 07 Made up\n\n## 1. A section\n\n### 1. No exercise (core, 5 minutes)"),
        text("## Exercises\n\nSome words.\n\n### Exercise 1 (core, 10 minutes): Fold\n\n<details>hint</details>"),
        code("def fold(): ...\n\n\nchecks.check_fold(fold)"),
        text("**2. Find the bug: a lost factor** (warm-up, 5 min). Look.\n<details>hint</details>"),
        code("def loss(): ...\n\n\nchecks.check_loss(loss)"),
        text("### 3. Alone\n\n*stretch, 20 minutes*"),
        text("## References\n\n### 4. Not one (core, 5 minutes)"),
    )
    assert [(each.number, each.level, each.minutes, each.bug, each.hint, each.checker) for each in found] == [
        (1, "core", 10, False, True, "check_fold"),
        (2, "warm-up", 5, True, True, "check_loss"),
        (3, "stretch", 20, False, False, ""),
    ]
    assert [each.title for each in found] == ["Fold", "A lost factor", "Alone"]
    assert found[0].heading == "Exercise 1 (core, 10 minutes): Fold" and found[1].heading == ""


def test_two_exercises_in_one_cell_are_two(tmp_path):
    found = lesson_of(tmp_path, text("## Exercises\n\n### 1. A (core, 5 min)\n\n### 2. B (core, 6 min)"))
    assert [(each.title, each.minutes) for each in found] == [("A", 5), ("B", 6)]
