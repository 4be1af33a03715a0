"""One run, one worker: a lock that the operating system drops when its holder dies, however it dies.

The lock is taken on an open file (``flock``, on Windows a locked byte), so a file that a killed process left behind
locks nothing. What stands in the file decides nothing: it says who holds it.
"""

import contextlib
import errno
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


NOBODY = "another process"  # what is said of a lock's file that names no process
BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)  # what a taken lock answers; the rest is trouble


class Held(CourseError):
    """Another process has the lock; the message says which."""


@contextlib.contextmanager
def run_lock(name: str) -> Iterator[None]:
    """Hold the lock of the run ``name`` for the length of a ``with`` block.

    Raises:
        Held: another process works on this run.
        CourseError: the lock's file cannot be made, or its folder knows no locks.
    """
    path = _path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+", encoding="utf-8")
    except OSError as error:
        raise CourseError(f"cannot lock {path}: {error.strerror}; choose a writable folder") from error
    with file:
        if not _take(file, path):
            raise Held(f"{name} is being run by {holder(path)}")
        _write(file, {"pid": os.getpid(), "host": platform.node()})
        try:
            yield
        finally:
            _write(file, {})
            _release(file)


def is_held(name: str) -> bool:
    """Whether another process works on the run ``name``.

    The lock itself is tried only where its file names a holder, who may be dead: whoever takes it for a look turns
    away a study that wants to begin the run at that moment.

    Raises:
        CourseError: the lock's folder knows no locks.
    """
    path = _path(name)
    if holder(path) == NOBODY:
        return False
    try:
        with open(path, "a+", encoding="utf-8") as file:
            if not _take(file, path):
                return True
            _release(file)
    except OSError:  # a folder that is only for reading has no running runs
        pass
    return False


def _path(name: str) -> Path:
    return repo_path("data", "cache", "locks", f"{name}.lock")


def holder(path: Path) -> str:
    """The process that wrote itself into a lock's file, in words."""
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        return f"process {told['pid']} on {told['host']}"
    except (OSError, ValueError, KeyError):  # it was about to write
        return NOBODY


def _write(file: IO[str], told: dict) -> None:
    with contextlib.suppress(OSError):  # a full disk must not stop a run for the sake of this courtesy
        file.seek(0)
        file.truncate()
        file.write(json.dumps(told))
        file.flush()


def _take(file: IO[str], path: Path) -> bool:
    """Whether the lock is ours now. Raises CourseError where the file system has no locks, as some networks' lack."""
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            _windows_lock(file, "LK_NBLCK")
    except OSError as error:
        if error.errno in BUSY:
            return False
        reason = error.strerror or error
        raise CourseError(f"cannot lock {path}: {reason}; put data/cache on a disk that has locks") from error
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
