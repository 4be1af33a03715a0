"""The lessons as files: executing them, each on a fresh kernel, and finding the exercises in them.

An exercise stands below the heading ``## Exercises``: a text cell that opens with its number, as
``### 3. Fold a branch (core, 10 minutes)`` or ``**3. Fold a branch** (core, 10 minutes)``, then the task and a hint in
``<details>``. The code cell after it holds the stub, and ends with the call of a checker.
"""

import asyncio
import contextlib
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import nbformat
from nbformat import NotebookNode

from course_lib.files import CourseError, atomic_write, repo_path

TIME_LIMIT_S = 1800.0  # a lesson that takes longer hangs; lessons are meant to end within two minutes
WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_NOTE = "(In JupyterLab a slider stands here once this cell has run. A picture nearby is its still view.)"

LEVELS = ("warm-up", "core", "stretch")
OPENING = re.compile(r"^(#{3,6} +|\*\*)(?:Exercise +)?(\d+)[.:)]? *(.*)$", re.IGNORECASE | re.MULTILINE)
LEVEL = re.compile(r"\b(warm-up|core|stretch)\b", re.IGNORECASE)
MINUTES = re.compile(r"(\d+) *min", re.IGNORECASE)
CHECKER = re.compile(r"\b(check_\w+)\s*\(")
BUG = re.compile(r"\bfind the (?:\w+ )?bugs?\b", re.IGNORECASE)
BRACKETS = re.compile(r"\([^()]*(?:warm-up|core|stretch|\bmin)[^()]*\)", re.IGNORECASE)


def lessons() -> list[Path]:
    """The notebooks of the course, in order. Raises CourseError where there is none."""
    if found := sorted(repo_path("notebooks").glob("[0-9][0-9]_*.ipynb")):
        return found
    remedy = "; unset COURSE_HOME, which names another folder" if "COURSE_HOME" in os.environ else ""
    raise CourseError(f"there are no lessons in {repo_path('notebooks')}{remedy}")


def find_lessons(names: Iterable[str]) -> list[Path]:
    """The lessons called ``names``: numbers (``03``), stems or paths. Raises CourseError where none is called so."""
    known = {path.stem: path for path in lessons()}
    known |= {stem[:2]: path for stem, path in known.items()}
    for name in names:
        if Path(name).stem not in known:
            raise CourseError(f"there is no lesson {name!r}: it is one of {', '.join(path.stem for path in lessons())}")
    return [known[Path(name).stem] for name in names]


# --- executing ------------------------------------------------------------------------------------


def execute(
    path: Path, *, out: Path | None = None, timeout_s: float = TIME_LIMIT_S, profile: str | None = None
) -> NotebookNode:
    """Run a notebook on a fresh kernel of this very interpreter, in its own folder; returned without widget state.

    Args:
        path: the notebook; it is left as it is.
        out: where the executed copy goes; None keeps it in memory. It is written after a failure too, to look at.
        timeout_s: wall-clock limit for the whole notebook, in seconds.
        profile: ``COURSE_PROFILE`` in the kernel; default the one of this process.

    Raises:
        CourseError: a cell failed, the time was over, or the kernel died; with lesson, cell and error.
    """
    path = Path(path).resolve()
    notebook = nbformat.read(path, as_version=4)
    code_cells = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in notebook.cells)
    try:
        with ProgressLine(path.stem, code_cells) as progress:
            _run_cells(notebook, path, timeout_s, profile, progress)
    finally:
        clean(notebook)
        if out is not None:
            write(notebook, out)
    return notebook


def _run_cells(notebook: NotebookNode, path: Path, timeout_s: float, profile: str | None, progress) -> None:
    """Execute ``notebook`` in place; every trouble becomes one CourseError."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    deadline = time.monotonic() + timeout_s
    # Without folders to search, "python3" is this interpreter's own kernel, whatever else is installed for the user.
    own_kernel = KernelSpecManager(kernel_dirs=[])
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=own_kernel),
        timeout_func=lambda cell: max(1, round(deadline - time.monotonic())),
        store_widget_state=False,
        coalesce_streams=True,
        record_timing=False,
        on_cell_execute=lambda cell, cell_index: progress.advance(),
    )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, open(Path(folder, "log"), "w+b") as log:
        # The kernel's own log is not the lesson's output: it is kept aside and shown if the kernel dies.
        settings = {"cwd": str(path.parent), "env": _kernel_environment(profile, folder), "stderr": log}
        try:
            _in_a_thread(client.async_execute(**settings, cleanup_kc=True))
        except CellExecutionError as error:
            reason = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.ename}: {error.evalue}").strip()  # without colours
            raise CourseError(f"{path.stem} stopped at code cell {progress.place}: {reason}") from error
        except CellTimeoutError as error:
            place = f"code cell {progress.place}: it had {timeout_s:,.0f} s"
            raise CourseError(f"{path.stem} was stopped at {place}") from error
        except DeadKernelError as error:
            log.seek(0)
            said = [line for line in log.read().decode(errors="replace").splitlines() if "IPKernelApp" not in line]
            words = f" (its last words: {said[-1].strip()})" if said else "; `doctor` says how much memory is free"
            raise CourseError(f"{path.stem}: the kernel died at code cell {progress.place}{words}") from error


def _in_a_thread(work: Coroutine) -> None:
    """Wait for ``work`` on an event loop in a thread of its own.

    In the main thread nbclient would take Ctrl-C for itself, and a caller might have a running loop there already.
    """
    loop = asyncio.SelectorEventLoop()
    with contextlib.closing(loop), ThreadPoolExecutor(1) as pool:
        task = loop.create_task(work)
        try:
            pool.submit(loop.run_until_complete, task).result()
        except KeyboardInterrupt:
            loop.call_soon_threadsafe(task.cancel)  # nbclient then shuts the kernel down
            raise


def _kernel_environment(profile: str | None, folder: str) -> dict[str, str]:
    """The environment of a lesson's kernel; paths in it are absolute already (``files.path_in``)."""
    environment = os.environ | {
        "IPYTHONDIR": folder,  # no start-up files or settings of the user's
        "COURSE_PRINTED": "1",  # to be read: sliders stand still, answers to predictions are folded (classroom)
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # the debugger's remark on frozen modules concerns no reader
    }
    environment.pop("MPLBACKEND", None)  # the notebook's own backend, also when called from a script that sets one
    return environment | ({"COURSE_PROFILE": profile} if profile else {})


def clean(notebook: NotebookNode) -> None:
    """Remove what differs from run to run or needs a kernel: widget views and state, timing, Python's version."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if output.get("data", {}).pop(WIDGET, None) is not None:
                output.data["text/plain"] = WIDGET_NOTE


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook aside, then into place. Raises CourseError on a read-only folder or a full disk."""
    atomic_write(path, (nbformat.writes(notebook).rstrip("\n") + "\n").encode())


def run_lessons(
    in_place: bool = False, names: Iterable[str] | None = None, profile: str | None = None
) -> list[tuple[str, float]]:
    """Execute the lessons (default: all) one after the other; returns (name, seconds) of each.

    Args:
        in_place: write the committed notebooks themselves, and only where every cell ran; else build/course/.
        names, profile: see ``find_lessons`` and ``execute``.

    Raises:
        CourseError: a lesson failed, or there is none.
    """
    times, copies = [], repo_path("build", "course")
    for path in find_lessons(names) if names else lessons():
        started = time.monotonic()
        executed = execute(path, out=None if in_place else copies / path.name, profile=profile)
        if in_place:
            write(executed, path)
        times.append((path.stem, time.monotonic() - started))
    for picture in [] if in_place else repo_path("notebooks", "pictures").glob("*.svg"):
        (copies / "pictures").mkdir(exist_ok=True)
        shutil.copy(picture, copies / "pictures")
    return times


class ProgressLine:
    """How far a lesson is, as a context manager: rewritten in place on a terminal, else a line now and then.

    ``advance`` is called as each of ``total`` code cells starts.
    """

    def __init__(self, name: str, total: int, stream: TextIO | None = None):
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty()
        self.name, self.total, self.number = name, total, 0
        self.started = time.monotonic()
        self.finished = threading.Event()
        self.ticker = threading.Thread(target=self._tick, daemon=True)  # one cell may train for half a minute
        self.place = f"0 of {total}"

    def advance(self) -> None:
        self.number += 1
        self.place = f"{self.number} of {self.total}"
        if self.live:
            self._show()

    def __enter__(self) -> "ProgressLine":
        self._show()
        self.ticker.start()
        return self

    def __exit__(self, kind, *_) -> None:
        self.finished.set()
        self.ticker.join()
        self._show("done\n" if kind is None else "stopped\n")

    def _tick(self) -> None:
        while not self.finished.wait(1 if self.live else 15):
            self._show()

    def _show(self, state: str = "") -> None:
        text = f"{self.name:<28} cell {self.place:<9} {time.monotonic() - self.started:5.0f} s  {state}"
        print(f"\r{text}" if self.live else text.rstrip() + "\n", end="", file=self.stream, flush=True)


# --- exercises ------------------------------------------------------------------------------------


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
