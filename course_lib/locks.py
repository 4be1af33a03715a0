"""One run, one worker: a lock that the operating system drops when its holder dies, however it dies.

The lock is taken on an open file (``flock``, on Windows a locked byte), so a file that a killed process left behind
locks nothing. What stands in the file is only for people: who holds it.
"""

import contextlib
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from course_lib.errors import CourseError
from course_lib.files import repo_path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class Held(CourseError):
    """Another process has the lock; the message says which."""


@contextlib.contextmanager
def run_lock(name: str) -> Iterator[None]:
    """Hold the lock of the run ``name`` for the length of a ``with`` block.

    Raises:
        Held: another process works on this run.
        CourseError: the lock's file cannot be made.
    """
    path = repo_path("data", "cache", "locks", f"{name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+", encoding="utf-8")
    except OSError as error:
        raise CourseError(f"cannot lock {path}: {error.strerror}; choose a writable folder") from error
    with file:
        if not _take(file):
            raise Held(f"{name} is being run by {holder(path)}")
        _write(file, {"pid": os.getpid(), "host": platform.node()})
        try:
            yield
        finally:
            _write(file, {})
            _release(file)


def holder(path: Path) -> str:
    """The process that wrote itself into a lock's file, in words."""
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        return f"process {told['pid']} on {told['host']}"
    except (OSError, ValueError, KeyError):  # it was about to write
        return "another process"


def _write(file: IO[str], told: dict) -> None:
    with contextlib.suppress(OSError):  # a full disk must not stop a run for the sake of this courtesy
        file.seek(0)
        file.truncate()
        file.write(json.dumps(told))
        file.flush()


def _take(file: IO[str]) -> bool:
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            _windows_lock(file, "LK_NBLCK")
    except OSError:
        return False
    return True


def _release(file: IO[str]) -> None:
    if fcntl:
        fcntl.flock(file, fcntl.LOCK_UN)
    else:
        _windows_lock(file, "LK_UNLCK")


def _windows_lock(file: IO[str], mode: str) -> None:
    import msvcrt

    file.seek(1 << 20)  # a byte far behind the text: Windows lets nobody else read what is locked
    msvcrt.locking(file.fileno(), getattr(msvcrt, mode), 1)
