"""Finds the exercises in the lessons: ``python -m course_lib exercises`` lists them.

An exercise stands below the heading ``## Exercises``: a text cell that opens with its number, as
``### 3. Fold a branch (core, 10 minutes)`` or ``**3. Fold a branch** (core, 10 minutes)``, then the task and a hint in
``<details>``. The code cell after it holds the stub, and ends with the call of a checker.
"""

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat

from tools.lessons import lessons

LEVELS = ("warm-up", "core", "stretch")
OPENING = re.compile(r"^(#{3,6} +|\*\*)(?:Exercise +)?(\d+)[.:)]? *(.*)$", re.IGNORECASE | re.MULTILINE)
LEVEL = re.compile(r"\b(warm-up|core|stretch)\b", re.IGNORECASE)
MINUTES = re.compile(r"(\d+) *min", re.IGNORECASE)
CHECKER = re.compile(r"\b(check_\w+)\s*\(")
BUG = re.compile(r"\bfind the (?:\w+ )?bugs?\b", re.IGNORECASE)
BRACKETS = re.compile(r"\([^()]*(?:warm-up|core|stretch|\bmin)[^()]*\)", re.IGNORECASE)


@dataclass(frozen=True)
class Exercise:
    """One exercise as it stands in ``lesson``; what is missing is empty or 0.

    ``heading`` is the text of its heading, for links; empty where it opens with bold words.
    """

    lesson: Path
    heading: str
    number: int
    title: str
    level: str  # one of LEVELS
    minutes: int
    bug: bool  # "find the bug"
    hint: bool
    checker: str  # the name of the function that judges the answer


def exercises(paths: Iterable[Path] | None = None) -> list[Exercise]:
    """The exercises of these notebooks (default: all lessons), in order."""
    found = []
    for path in lessons() if paths is None else paths:
        below: list[list[str]] = []  # words and code of each exercise
        for kind, source in _below_exercises(path):
            if kind == "markdown" and OPENING.match(source):
                below.append([source, ""])
            elif below:
                below[-1][kind == "code"] += "\n" + source
        found += [_exercise(path, words, code) for words, code in below]
    return found


def _below_exercises(path: Path) -> Iterator[tuple[str, str]]:
    """(kind, source) of the cells in the section "Exercises", text cut where a section or an exercise opens."""
    inside = False
    for cell in nbformat.read(path, as_version=4).cells:
        is_text = cell.cell_type == "markdown"
        marks = [*re.finditer(r"^## ", cell.source, re.MULTILINE), *OPENING.finditer(cell.source)] if is_text else []
        cuts = sorted({0, len(cell.source), *(mark.start() for mark in marks)})
        for start, end in zip(cuts, cuts[1:], strict=False):
            piece = cell.source[start:end]
            if is_text and piece.startswith("## "):
                inside = piece.lower().startswith("## exercises")
            if inside:
                yield cell.cell_type, piece


def _exercise(path: Path, words: str, code: str) -> Exercise:
    mark, number, rest = OPENING.match(words).groups()
    opening = "\n".join(words.splitlines()[:4])  # level and minutes stand in the heading or just below it
    level, minutes, checkers = LEVEL.search(opening), MINUTES.search(opening), CHECKER.findall(code)
    title = BRACKETS.sub("", BUG.sub("", rest.partition("**")[0] if mark == "**" else rest, count=1))
    title = title.strip(" .:,;*") or rest
    return Exercise(
        lesson=path,
        heading=words.splitlines()[0].lstrip("# ") if mark.startswith("#") else "",
        number=int(number),
        title=title[:1].upper() + title[1:],
        level=level[1].lower() if level else "",
        minutes=int(minutes[1]) if minutes else 0,
        bug=bool(BUG.search(opening)),
        hint="<details>" in words,
        checker=checkers[-1] if checkers else "",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the exercises, a line each."""
    argparse.ArgumentParser(prog="python -m course_lib exercises", description=main.__doc__).parse_args(arguments)
    for each in exercises():
        bug = "find the bug" if each.bug else ""
        print(f"{each.lesson.stem[:2]}.{each.number:<3} {each.level:<8} {each.minutes:>3} min  {bug:<13} {each.title}")
    return 0
