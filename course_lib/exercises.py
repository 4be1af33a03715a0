"""The exercises of the lessons, found in the notebooks: for the site, for teachers, and for the test that counts them.

An exercise is a text cell with a heading such as ``### Exercise 3 (core, 10 minutes): Fold a branch``, the task and a
hint in ``<details>``; the code cell after it holds the stub, and ends with the call of a checker.

python -m course_lib.exercises        lists them
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from course_lib.lessons import lessons

LEVELS = ("warm-up", "core", "stretch")
HEADING = re.compile(r"^(?:#{2,6}\s+|\*\*)(.*\bexercise\b.*)$", re.IGNORECASE | re.MULTILINE)
NUMBER = re.compile(r"\bexercise\s+(?:\d+\.)?(\d+)", re.IGNORECASE)
LEVEL = re.compile(r"\b(warm-up|core|stretch)\b", re.IGNORECASE)
MINUTES = re.compile(r"(\d+)\s*min", re.IGNORECASE)
CHECKER = re.compile(r"\b(check_\w+)\s*\(")
BUG = re.compile(r"\bfind the bugs?\b", re.IGNORECASE)
LABELS = re.compile(
    r"\bexercise\s+[\d.]*\d\b|\b(?:warm-up|core|stretch)\b|\d+\s*min(?:utes?|\.)?|find the bugs?:?", re.IGNORECASE
)


@dataclass(frozen=True)
class Exercise:
    """One exercise as it stands in a lesson; what is missing is empty, 0 or None.

    Attributes:
        lesson: the notebook.
        heading: its heading, without the marks.
        number: within the lesson.
        level: one of ``LEVELS``.
        minutes: how long it should take.
        bug: whether it is a "find the bug" exercise.
        hint: whether it has one.
        checker: the name of the function that judges the answer.
    """

    lesson: Path
    heading: str
    number: int | None
    level: str
    minutes: int
    bug: bool
    hint: bool
    checker: str

    @property
    def title(self) -> str:
        """The heading without number, level and minutes."""
        return re.sub(r"\s*\([\s,;:·|-]*\)", "", LABELS.sub("", self.heading)).strip(" .:,;·|*–-") or self.heading


def exercises(paths: list[Path] | None = None) -> list[Exercise]:
    """The exercises of these notebooks (default: all lessons), in order."""
    return [found for path in paths or lessons() for found in _of_lesson(path)]


def _of_lesson(path: Path) -> list[Exercise]:
    found: list[tuple[str, str]] = []  # (text, code) of each exercise
    open_exercise = False
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and open_exercise:
            found[-1] = (found[-1][0], found[-1][1] + source + "\n")
        elif cell["cell_type"] == "markdown":
            pieces = _pieces(source)
            if pieces:
                found += [(piece, "") for piece in pieces]
                open_exercise = True
            elif re.match(r"#{1,2} ", source):
                open_exercise = False
            elif open_exercise:  # more words on the same exercise
                found[-1] = (found[-1][0] + "\n" + source, found[-1][1])
    return [_exercise(path, text, code) for text, code in found]


def _pieces(source: str) -> list[str]:
    """A text cell cut at the headings of its exercises; a heading like "## Exercises" is none."""
    starts = [match.start() for match in HEADING.finditer(source) if NUMBER.search(match[1])]
    return [source[start:end] for start, end in zip(starts, [*starts[1:], None], strict=False)]


def _exercise(path: Path, text: str, code: str) -> Exercise:
    heading = HEADING.match(text)[1].strip(" *#")
    opening = "\n".join(text.splitlines()[:4])  # level and minutes stand in the heading or just below it
    number, level, minutes = NUMBER.search(heading), LEVEL.search(opening), MINUTES.search(opening)
    checkers = CHECKER.findall(code)
    return Exercise(
        lesson=path,
        heading=heading,
        number=int(number[1]),
        level=level[1].lower() if level else "",
        minutes=int(minutes[1]) if minutes else 0,
        bug=bool(BUG.search(text)),
        hint="<details>" in text,
        checker=checkers[-1] if checkers else "",
    )


def main() -> None:
    """Print them, a line each."""
    for each in exercises():
        bug = "find the bug" if each.bug else ""
        print(f"{each.lesson.stem[:2]}.{each.number:<3} {each.level:<8} {each.minutes:>3} min  {bug:<13} {each.title}")


if __name__ == "__main__":
    main()
