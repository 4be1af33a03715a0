"""Executes the lessons, each on a fresh kernel and in order, and shows how far it is.

python -m course_lib.notebooks                  every lesson, into build/course/
python -m course_lib.notebooks 01 03            some of them
python -m course_lib.notebooks --in-place 01    refresh the committed notebook itself (for authors)
"""

import argparse
import asyncio
import contextlib
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

import nbformat
from nbformat import NotebookNode

from course_lib.errors import CourseError
from course_lib.files import atomic_write, repo_path
from course_lib.profiles import Profile

TIME_LIMIT_S = 1800.0  # a lesson that takes longer hangs; quick lessons are meant to end within two minutes
WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_NOTE = "(In JupyterLab a slider stands here once this cell has run. A picture nearby is its still view.)"


def lessons() -> list[Path]:
    """The notebooks of the course, in order. Raises CourseError where there is none."""
    found = sorted(repo_path("notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not found:
        remedy = "; unset COURSE_HOME, which names another folder" if "COURSE_HOME" in os.environ else ""
        raise CourseError(f"there are no lessons in {repo_path('notebooks')}{remedy}")
    return found


def find_lessons(names: Iterable[str]) -> list[Path]:
    """The lessons called ``names``: a number (``03``), a name (``03_knowledge_distillation``) or a path.

    Raises:
        CourseError: no lesson is called so.
    """
    known = {path.stem: path for path in lessons()}
    found = []
    for name in names:
        stem = Path(name).stem
        matches = [path for known_stem, path in known.items() if stem in (known_stem, known_stem[:2])]
        if not matches:
            raise CourseError(f"there is no lesson {name!r}: it is one of {', '.join(known) or 'none (yet)'}")
        found += matches
    return found


def execute(
    path: Path, *, out: Path | None = None, timeout_s: float = TIME_LIMIT_S, profile: str | None = None
) -> NotebookNode:
    """Run a notebook from top to bottom on a fresh kernel of this very interpreter, in the notebook's own folder.

    Args:
        path: the notebook; it is left as it is.
        out: where the executed copy goes; None keeps it in memory. It is written after a failure too, to look at.
        timeout_s: wall-clock limit for the whole notebook, in seconds.
        profile: ``COURSE_PROFILE`` in the kernel; default the one of this process.

    Returns:
        The executed notebook, without widget state and timing.

    Raises:
        CourseError: a cell failed, the time was over, or the kernel died; one line with lesson, cell and error.
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
        where = f"lesson {path.stem}"
        try:
            # The kernel's own log is not the lesson's output: it is kept aside and shown if the kernel dies.
            _in_a_thread(
                client.async_execute(
                    cwd=str(path.parent), env=_kernel_environment(profile, folder), stderr=log, cleanup_kc=True
                )
            )
        except CellExecutionError as error:
            reason = f"{error.ename}: {_first_line(error.evalue)}"
            raise CourseError(f"{where} stopped at code cell {progress.place}: {reason}") from error
        except CellTimeoutError as error:
            raise CourseError(
                f"{where} was stopped at code cell {progress.place}: it had {timeout_s:,.0f} s"
            ) from error
        except DeadKernelError as error:
            log.seek(0)
            said = [line for line in log.read().decode(errors="replace").splitlines() if "IPKernelApp" not in line]
            raise CourseError(
                f"{where}: the kernel died at code cell {progress.place}, often for want of memory"
                + (f" (its last words: {said[-1].strip()})" if said else "")
            ) from error


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
            loop.call_soon_threadsafe(_cancel_all, loop)  # nbclient then shuts the kernel down
            raise


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()


def _kernel_environment(profile: str | None, folder: str) -> dict[str, str]:
    """The environment of a lesson's kernel."""
    environment = os.environ | {
        "IPYTHONDIR": folder,  # no start-up files or settings of the user's
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # the debugger's remark on frozen modules concerns no reader
    }
    environment.pop("MPLBACKEND", None)  # the notebook's own backend, also when called from a script that sets one
    if profile is not None:
        environment["COURSE_PROFILE"] = profile
    return environment


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
    """Execute the lessons (default: all) one after the other.

    Args:
        in_place: write the committed notebooks themselves, and only where every cell ran; else build/course/.
        names: see ``find_lessons``.
        profile: see ``execute``.

    Returns:
        (name, seconds) of each lesson.

    Raises:
        CourseError: a lesson failed, or there is none.
    """
    chosen = lessons() if names is None else find_lessons(names)
    times = []
    for path in chosen:
        started = time.monotonic()
        if in_place:
            write(execute(path, profile=profile), path)
        else:
            execute(path, out=repo_path("build", "course", path.name), profile=profile)
        times.append((path.stem, time.monotonic() - started))
    return times


def run_course(profile: Profile, *, fresh: bool = False) -> int:
    """The whole course: the runs the store lacks, every lesson, Fig. 1 and Tables I-IV, and a summary of it all.

    Only the quick profile's missing runs are trained here: those of the others take hours and have a command of
    their own. ``fresh`` trains every run of the profile again, whichever it is.

    Returns:
        0, or 1 where a run failed (the lessons are executed all the same, on the results there are).

    Raises:
        CourseError: a lesson failed.
    """
    from course_lib import report
    from course_lib.study import queue as study
    from course_lib.study import store

    failures = []
    if fresh or profile.name == "quick":
        failures = study.run(profile=profile, fresh=fresh)
    times = run_lessons(profile=profile.name)
    frame = store.load_results()
    written = report.write_report(frame)
    print(f"\nThe course has run. Profile: {profile.label}")
    print("The lessons, executed:")
    for name, seconds in times:
        print(f"  {_shown(repo_path('build', 'course', name + '.ipynb')):<60} {seconds:4.0f} s")
    print("Fig. 1 and Tables I-IV, drawn from the results store (the tables also as .csv):")
    for path in written:
        if path.suffix in (".png", ".md"):
            print(f"  {_shown(path)}")
    print(f"In the store: {report.summary(frame)}")
    print("Read and change the lessons: make lab (or: python -m jupyterlab)")
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


class ProgressLine:
    """How far a lesson is: rewritten in place on a terminal, else a plain line now and then.

    Used as a context manager around the work; ``advance`` is called as each code cell starts.
    """

    def __init__(self, name: str, total: int, stream: TextIO | None = None, plain_every_s: float = 15.0):
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty()
        self.name, self.total, self.number = name, total, 0
        self.pause_s = 1.0 if self.live else plain_every_s
        self.started = time.monotonic()
        self.finished = threading.Event()
        self.ticker = threading.Thread(target=self._tick, daemon=True)  # one cell may train for half a minute

    @property
    def place(self) -> str:
        """``3 of 40``: the code cell that runs now."""
        return f"{self.number} of {self.total}"

    def advance(self) -> None:
        self.number += 1
        if self.live:
            self._show()

    def __enter__(self) -> "ProgressLine":
        self._show()
        self.ticker.start()
        return self

    def __exit__(self, kind, *_) -> None:
        self.finished.set()
        self.ticker.join()
        self._show("done" if kind is None else "stopped", end="\n")

    def _tick(self) -> None:
        while not self.finished.wait(self.pause_s):
            self._show()

    def _show(self, state: str = "", end: str | None = None) -> None:
        seconds = time.monotonic() - self.started
        text = f"{self.name:<28} cell {self.number:>3} of {self.total:<3} {seconds:5.0f} s  {state}"
        end = end or ("" if self.live else "\n")
        print(("\r" if self.live else "") + text, end=end, file=self.stream, flush=True)


def _first_line(text: str) -> str:
    """The first line of an error message, free of terminal colours."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).strip().splitlines()
    return lines[0] if lines else ""


def _shown(path: Path) -> str:
    """A path as a reader in the course's folder would type it."""
    path = Path(path)
    return str(path.relative_to(repo_path())) if path.is_relative_to(repo_path()) else str(path)


def main(arguments: list[str] | None = None) -> int:
    """The command line for authors; see the top of this file."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.notebooks", description="Execute lessons.")
    parser.add_argument("names", nargs="*", help="numbers or names; default: every lesson")
    parser.add_argument("--in-place", action="store_true", help="refresh the notebooks themselves")
    options = parser.parse_args(arguments)
    try:
        run_lessons(options.in_place, options.names or None)
    except CourseError as error:
        print(f"course: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ncourse: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
