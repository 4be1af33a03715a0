"""The lessons as files, and executing them, each on a fresh kernel: ``python -m course_lib lessons``."""

import argparse
import asyncio
import contextlib
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

import nbformat
from nbformat import NotebookNode

from course_lib.files import CourseError, atomic_write, repo_path
from course_lib.profiles import profile_option

TIME_LIMIT_S = 1800.0  # a lesson that takes longer hangs; lessons are meant to end within two minutes
WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_NOTE = "(In JupyterLab a slider stands here once this cell has run. A picture nearby is its still view.)"


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
    with Progress() as progress:
        return _in_a_thread(_execute(Path(path), progress, out, timeout_s, profile))


def run_lessons(
    in_place: bool = False, names: Iterable[str] | None = None, profile: str | None = None, at_once: int = 1
) -> list[tuple[str, float]]:
    """Execute the lessons (default: all); returns (name, seconds) of each. The first that fails stops the others.

    Args:
        in_place: write the committed notebooks themselves, and only where every cell ran; else build/course/.
        names, profile: see ``find_lessons`` and ``execute``.
        at_once: how many run side by side, sharing the cores.

    Raises:
        CourseError: a lesson failed, or there is none.
    """
    paths, copies, times = find_lessons(names) if names else lessons(), repo_path("build", "course"), {}
    threads = max(1, (os.cpu_count() or 1) // at_once) if at_once > 1 else None
    free = asyncio.Semaphore(at_once)

    async def run(path: Path) -> None:
        async with free:
            started, out = time.monotonic(), None if in_place else copies / path.name
            executed = await _execute(path, progress, out, TIME_LIMIT_S, profile, threads)
            if in_place:
                write(executed, path)
            times[path.stem] = time.monotonic() - started

    async def run_all() -> None:
        async with asyncio.TaskGroup() as group:
            for path in paths:
                group.create_task(run(path))

    try:
        with Progress() as progress:
            _in_a_thread(run_all())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    if not in_place:
        copy_pictures(copies)
    return [(path.stem, times[path.stem]) for path in paths]


def copy_pictures(folder: Path) -> None:
    """Put the drawings that the lessons show beside copies of them in ``folder``."""
    for picture in repo_path("notebooks", "pictures").glob("*.svg"):
        (folder / "pictures").mkdir(exist_ok=True)
        shutil.copy(picture, folder / "pictures")


async def _execute(
    path: Path,
    progress: "Progress",
    out: Path | None,
    timeout_s: float,
    profile: str | None,
    threads: int | None = None,
) -> NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    code_cells = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in notebook.cells)
    try:
        with progress.of(path.stem, code_cells) as lesson:
            await _run_cells(notebook, path.resolve(), timeout_s, _kernel_environment(profile, threads), lesson)
    finally:
        clean(notebook)
        if out is not None:
            write(notebook, out)
    return notebook


async def _run_cells(
    notebook: NotebookNode, path: Path, timeout_s: float, environment: dict[str, str], lesson: "Lesson"
) -> None:
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
        on_cell_execute=lambda cell, cell_index: lesson.advance(),
    )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, open(Path(folder, "log"), "w+b") as log:
        # The kernel's own log is not the lesson's output: it is kept aside and shown if the kernel dies. IPython finds
        # no start-up files or settings of the user's.
        settings = {"cwd": str(path.parent), "env": environment | {"IPYTHONDIR": folder}, "stderr": log}
        try:
            await client.async_execute(**settings, cleanup_kc=True)
        except CellExecutionError as error:
            reason = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.ename}: {error.evalue}").strip()  # without colours
            raise CourseError(f"{path.stem} stopped at code cell {lesson.place}: {reason}") from error
        except CellTimeoutError as error:
            place = f"code cell {lesson.place}: it had {timeout_s:,.0f} s"
            raise CourseError(f"{path.stem} was stopped at {place}") from error
        except DeadKernelError as error:
            log.seek(0)
            said = [line for line in log.read().decode(errors="replace").splitlines() if "IPKernelApp" not in line]
            words = f" (its last words: {said[-1].strip()})" if said else "; `doctor` says how much memory is free"
            raise CourseError(f"{path.stem}: the kernel died at code cell {lesson.place}{words}") from error


def _in_a_thread(work: Coroutine) -> Any:
    """Wait for ``work`` on an event loop in a thread of its own.

    In the main thread nbclient would take Ctrl-C for itself, and a caller might have a running loop there already.
    """
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task]] = []

    async def told() -> Any:
        running.append((asyncio.get_running_loop(), asyncio.current_task()))
        return await work

    def run() -> Any:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            return runner.run(told())

    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(run)
        try:
            return outcome.result()
        except KeyboardInterrupt:
            for loop, task in running:
                loop.call_soon_threadsafe(task.cancel)  # nbclient then shuts the kernels down
            raise


def _kernel_environment(profile: str | None, threads: int | None) -> dict[str, str]:
    """The environment of a lesson's kernel; paths in it are absolute already (``files.path_in``)."""
    environment = os.environ | {
        "COURSE_PRINTED": "1",  # to be read: sliders stand still, answers to predictions are folded (classroom)
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # the debugger's remark on frozen modules concerns no reader
    }
    environment.pop("MPLBACKEND", None)  # the notebook's own backend, also when called from a script that sets one
    environment |= {"COURSE_PROFILE": profile} if profile else {}
    return environment | ({"OMP_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads)} if threads else {})


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


# --- how far they are -----------------------------------------------------------------------------


class Lesson:
    """How far one lesson is; ``advance`` is called as each of ``total`` code cells starts."""

    def __init__(self, name: str, total: int):
        self.name, self.total, self.number, self.started = name, total, 0, time.monotonic()

    def advance(self) -> None:
        self.number += 1

    @property
    def place(self) -> str:
        return f"{self.number} of {self.total}"

    def __str__(self) -> str:
        return f"{self.name:<28} cell {self.place:<9} {time.monotonic() - self.started:5.0f} s"


class Progress:
    """How far the lessons are, as a context manager: a line that a terminal sees rewritten, else one now and then."""

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream or sys.stdout
        self.live, self.running = self.stream.isatty(), []
        self.finished = threading.Event()
        self.ticker = threading.Thread(target=self._tick, daemon=True)  # one cell may train for half a minute

    def __enter__(self) -> "Progress":
        self.ticker.start()
        return self

    def __exit__(self, *_) -> None:
        self.finished.set()
        self.ticker.join()

    @contextlib.contextmanager
    def of(self, name: str, total: int) -> Iterator[Lesson]:
        """One lesson's part: it is named while it runs, and has a line of its own at its end."""
        lesson, state = Lesson(name, total), "stopped"
        self.running.append(lesson)
        self._show()
        try:
            yield lesson
            state = "done"
        finally:
            self.running.remove(lesson)
            print(f"{self._start}{f'{lesson}  {state}':<79}", file=self.stream, flush=True)

    @property
    def _start(self) -> str:
        return "\r" if self.live else ""

    def _tick(self) -> None:
        while not self.finished.wait(1 if self.live else 15):
            self._show()

    def _show(self) -> None:
        first, *others = [*self.running] or [""]
        line = f"{first}{''.join(f'; {other.name[:2]}: {other.place}' for other in others)}"
        print(f"{self._start}{line:<79}", end="" if self.live else "\n", file=self.stream, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute lessons into build/course/, each on a fresh kernel."""
    options = {"prog": "python -m course_lib lessons", "description": main.__doc__, "parents": [profile_option()]}
    parser = argparse.ArgumentParser(**options)
    parser.add_argument("names", nargs="*", metavar="NN", help="numbers or names; default: every lesson")
    parser.add_argument("--in-place", action="store_true", help="refresh the committed notebooks themselves")
    chosen = parser.parse_args(arguments)
    run_lessons(chosen.in_place, chosen.names)
    return 0
