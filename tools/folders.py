"""Folders that a command makes and may make anew: only what it made itself, and can prove it made."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from course_lib.files import CHECKOUT, CourseError, repo_path, sha256_of

MARK = ".made-by-the-course"  # lies in a folder that a command made, and lists what it made there
LITTER = {"__pycache__", ".DS_Store", "Thumbs.db", "desktop.ini"}  # made by machines, missed by nobody


@contextmanager
def replace_folder(place: Path, made_by: str) -> Iterator[Path]:
    """Make a folder anew: fill the empty one that this gives; it takes the place of ``place`` at the end.

        with replace_folder(Path("build/site"), "make site") as new:
            (new / "index.html").write_text(...)

    The new folder carries a list of its files. That is how the next call knows what it may replace: an existing
    ``place`` must be empty or hold what this function put there, unchanged, and nothing else. When the body
    raises, ``place`` stays as it was.

    Args:
        place: the folder to make or to replace.
        made_by: the command, for the list's first line.

    Raises:
        CourseError: ``place`` holds files of somebody's own, the checkout or the current folder, is no folder or
            cannot be written. Nothing is touched then.
    """
    place = Path(place).resolve()
    _check_replaceable(place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
    except OSError as error:
        raise CourseError(f"cannot write {place}: {error.strerror or error}; choose a writable folder") from error
    new, old = aside / "new", aside / "old"
    try:
        new.mkdir()
        yield new
        lines = [f"{_digest(path)}  {path.relative_to(new).as_posix()}\n" for path in _files(new)]
        (new / MARK).write_text(f"made by: {made_by}\n{''.join(lines)}", encoding="utf-8", newline="\n")
        _check_replaceable(place)  # again: making the new one may have taken an hour
        _exchange(new, place, old)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if not old.exists():  # else it could not be put back, and is somebody's to look at
            shutil.rmtree(aside, ignore_errors=True)


def _exchange(new: Path, place: Path, old: Path) -> None:
    try:
        if place.exists():
            os.rename(place, old)
        try:
            os.rename(new, place)
        except OSError:
            if old.exists():
                os.rename(old, place)
            raise
    except OSError as error:
        raise CourseError(f"cannot replace {place}: {error.strerror or error}; choose another folder") from error


def _check_replaceable(place: Path) -> None:
    for kept, what in (
        (CHECKOUT, "the course itself"),
        (repo_path(), "COURSE_HOME"),
        (Path.cwd(), "the current folder"),
    ):
        if kept.resolve().is_relative_to(place):
            raise CourseError(f"{place} is or holds {what} and would be replaced: choose another folder")
    if not place.exists():
        return
    if not place.is_dir():
        raise CourseError(f"{place} is a file: choose another folder")
    made = _list(place / MARK)
    for path in _files(place):
        if made.get(path.relative_to(place).as_posix()) != _digest(path):
            raise CourseError(f"{place} holds {path.relative_to(place)}, not as the course made it: move it away first")
    if not made and any(path.name not in LITTER for path in place.iterdir()):
        raise CourseError(f"{place} is not empty, and not made by the course: choose another folder")


def _list(mark: Path) -> dict[str, str]:
    """What a folder's list says: the digest of each file."""
    if not mark.is_file():
        return {}
    lines = mark.read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _files(folder: Path) -> list[Path]:
    """All files and links under ``folder``, but for litter and the list itself."""
    found = sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return [p for p in found if p != folder / MARK and LITTER.isdisjoint(p.relative_to(folder).parts)]


def _digest(path: Path) -> str:
    return f"link to {os.readlink(path)}" if path.is_symlink() else sha256_of(path)
