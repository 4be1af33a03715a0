"""The exercises of the lessons, found in the notebooks: for the site, for teachers, and for the test that counts them.

They stand below the heading ``## Exercises``. Each is a text cell that opens with its number, as ``### 3. Fold a branch
(core, 10 minutes)`` or ``**3. Fold a branch** (core, 10 minutes)``, then the task and a hint in ``<details>``. The code
cell after it holds the stub, and ends with the call of a checker.

python -m course_lib.exercises        lists them
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from course_lib.errors import CourseError
from course_lib.notebooks import lessons

LEVELS = ("warm-up", "core", "stretch")
OPENING = re.compile(r"^(#{3,6} +|\*\*)(?:Exercise +)?(\d+)[.:)]? *(.*)$", re.IGNORECASE | re.MULTILINE)
LEVEL = re.compile(r"\b(warm-up|core|stretch)\b", re.IGNORECASE)
MINUTES = re.compile(r"(\d+) *min", re.IGNORECASE)
CHECKER = re.compile(r"\b(check_\w+)\s*\(")
BUG = re.compile(r"\bfind the (?:\w+ )?bugs?\b", re.IGNORECASE)
BRACKETS = re.compile(r"\([^()]*(?:warm-up|core|stretch|\bmin)[^()]*\)", re.IGNORECASE)


@dataclass(frozen=True)
class Exercise:
    """One exercise as it stands in a lesson; what is missing is empty or 0.

    Attributes:
        lesson: the notebook.
        heading: the text of its heading, for links; empty where it opens with bold words.
        number: within the lesson.
        title: what it is called.
        level: one of ``LEVELS``.
        minutes: how long it should take.
        bug: whether it is a "find the bug" exercise.
        hint: whether it has one.
        checker: the name of the function that judges the answer.
    """

    lesson: Path
    heading: str
    number: int
    title: str
    level: str
    minutes: int
    bug: bool
    hint: bool
    checker: str


def exercises(paths: list[Path] | None = None) -> list[Exercise]:
    """The exercises of these notebooks (default: all lessons), in order."""
    return [
        _exercise(path, text, code)
        for path in (lessons() if paths is None else paths)
        for text, code in _texts_with_code(path)
    ]


def _texts_with_code(path: Path) -> Iterator[tuple[str, str]]:
    """The words of each exercise and the code that follows them."""
    text, code = "", ""
    for kind, piece in _pieces_below_exercises(path):
        if kind == "code":
            code += piece + "\n"
        elif OPENING.match(piece):
            if text:
                yield text, code
            text, code = piece, ""
        elif text:
            text += "\n" + piece
    if text:
        yield text, code


def _pieces_below_exercises(path: Path) -> Iterator[tuple[str, str]]:
    """("code" or "markdown", source) of the section "Exercises", text cells cut where an exercise opens."""
    inside = False
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            if inside:
                yield "code", source
            continue
        for part in re.split(r"^(?=## )", source, flags=re.MULTILINE):
            if part.startswith("## "):
                inside = part.lower().startswith("## exercises")
            if inside:
                yield from (("markdown", piece) for piece in _cut(part))


def _cut(source: str) -> list[str]:
    starts = [match.start() for match in OPENING.finditer(source)]
    ends = [*starts, None]
    return [source[start:end] for start, end in zip([0, *starts], ends, strict=True) if source[start:end].strip()]


def _exercise(path: Path, text: str, code: str) -> Exercise:
    mark, number, rest = OPENING.match(text).groups()
    opening = "\n".join(text.splitlines()[:4])  # level and minutes stand in the heading or just below it
    level, minutes = LEVEL.search(opening), MINUTES.search(opening)
    checkers = CHECKER.findall(code)
    title = BRACKETS.sub("", BUG.sub("", rest.partition("**")[0] if mark == "**" else rest, count=1))
    title = title.strip(" .:,;*") or rest
    return Exercise(
        lesson=path,
        heading=text.splitlines()[0].lstrip("# ") if mark.startswith("#") else "",
        number=int(number),
        title=title[:1].upper() + title[1:],
        level=level[1].lower() if level else "",
        minutes=int(minutes[1]) if minutes else 0,
        bug=bool(BUG.search(opening)),
        hint="<details>" in text,
        checker=checkers[-1] if checkers else "",
    )


def main(arguments: list[str] | None = None) -> None:
    """Print them, a line each."""
    form = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser(
        prog="python -m course_lib.exercises", description=__doc__, formatter_class=form
    ).parse_args(arguments)
    try:
        found = exercises()
    except CourseError as error:
        sys.exit(f"course: {error}")
    for each in found:
        bug = "find the bug" if each.bug else ""
        print(f"{each.lesson.stem[:2]}.{each.number:<3} {each.level:<8} {each.minutes:>3} min  {bug:<13} {each.title}")


if __name__ == "__main__":
    main()
