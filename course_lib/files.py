"""Where the course keeps its files, and how it writes them: aside first, then moved into place."""

import glob
import hashlib
import os
import tempfile
from pathlib import Path

from course_lib.errors import CourseError


def repo_path(*parts: str) -> Path:
    """A path under the course's folder (the one that holds ``data/``), or under ``COURSE_HOME`` where that is set."""
    home = os.environ.get("COURSE_HOME")
    root = Path(home) if home else Path(__file__).resolve().parent.parent
    return root.joinpath(*parts)


def atomic_write(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` so that a reader sees the old file or the new one, never a half.

    Raises:
        CourseError: the folder is read-only, the disk is full, or the like; the old file is untouched.
    """
    path = Path(path)
    aside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(aside, 0o644)  # mkstemp makes files private; the store is meant to be shared
        os.replace(aside, path)
    except OSError as error:
        if aside is not None:
            Path(aside).unlink(missing_ok=True)
        reason = error.strerror or error
        raise CourseError(f"cannot write {path}: {reason}; free some space or choose a writable folder") from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a small file's bytes, in hexadecimal digits."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def remove_leftovers(path: Path) -> None:
    """Delete what writers of ``path`` left aside when they were killed; only for who alone may write it now."""
    for aside in Path(path).parent.glob(f".{glob.escape(Path(path).name)}.*"):
        aside.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Raise CourseError in one line where nothing can be written to ``folder``: better now than after an hour."""
    trial = Path(folder) / ".writable"
    atomic_write(trial, b"")
    trial.unlink(missing_ok=True)
