"""Where the course keeps its files, how it writes them (aside first, then moved into place), fetches them; its errors.

Each error carries one line, or a few, that say what is wrong and what to do.
"""

import glob
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
MARK = ".made-by-the-course"  # lies in a folder that a command made, and lists what it made there
LITTER = {"__pycache__", ".DS_Store", "Thumbs.db", "desktop.ini"}  # made by machines, missed by nobody


class CourseError(Exception):
    """Something the reader can mend: the message is one clear line."""


class DataError(CourseError):
    """The data set is missing, half downloaded or damaged."""


class ResultError(CourseError):
    """A file of the results store is torn, edited or inconsistent."""


class CheckpointError(CourseError):
    """A checkpoint cannot be read or belongs to another run."""


class TrainingError(CourseError):
    """Training cannot go on, for example because the loss is no longer finite."""


def path_in(variable: str) -> Path | None:
    """The path that an environment variable names, None where it is not set.

    The variable is set to the absolute path, so that a kernel or a worker in another folder means the same place.
    """
    value = os.environ.get(variable)
    if not value:
        return None
    os.environ[variable] = os.path.abspath(os.path.expanduser(value))
    return Path(os.environ[variable])


for _variable in ("COURSE_HOME", "COURSE_DATA"):
    path_in(_variable)  # now, before anybody changes the folder or starts a process


def repo_path(*parts: str) -> Path:
    """A path under the course's folder (the one that holds ``data/``), or under ``COURSE_HOME`` where that is set."""
    return (path_in("COURSE_HOME") or CHECKOUT).joinpath(*parts)


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
    """The SHA-256 of a file's bytes, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(url: str, path: Path, sha256: str, *, timeout: float = 15.0) -> Path:
    """Get one published file to ``path`` and return that. Where it is there and whole, no network is asked.

    The bytes gather in ``path`` + ``.part``, which outlives a failure: the next call asks for the rest only. What turns
    out to be another file is thrown away, and the message says what it looks like.

    Args:
        url: where the file is; ``COURSE_MIRROR`` names another web folder that holds a file of that name.
        path: where it goes, once its digest is right.
        sha256: the published digest, in hexadecimal.
        timeout: seconds the host may stay silent, when connecting and in the middle alike.

    Raises:
        DataError: the host cannot be reached, has no such file, falls silent or sends another file.
        CourseError: the file cannot be written.
    """
    if path.is_file() and sha256_of(path) == sha256:
        return path
    mirror, part = os.environ.get("COURSE_MIRROR"), path.with_name(path.name + ".part")
    if mirror and not mirror.startswith(("http://", "https://")):
        raise DataError(f"COURSE_MIRROR={mirror} is no http(s) address: correct it, or copy the file to {path}")
    if mirror:
        url = f"{mirror.rstrip('/')}/{Path(url).name.removeprefix('npm:')}"
    elif url.startswith("npm:"):
        url = _npm_address(url)
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        resumed = part.exists()
        _download(url, part, timeout)
        if sha256_of(part) == sha256:
            return part.replace(path)
        looks = looks_like(part)
        part.unlink()
    except OSError as error:
        reason = error.strerror or error
        raise CourseError(f"cannot write {path}: {reason}; free some space or choose a writable folder") from error
    if resumed:  # what lay there may have been another file's
        return fetch(url, path, sha256, timeout=timeout)
    raise DataError(f"{url}: what came {looks}; it was thrown away")


def _npm_address(package: str) -> str:
    """Where npm has ``npm:NAME-VERSION.tgz``, by the machine's own npm, which knows its registry."""
    name, _, version = package.removeprefix("npm:").removesuffix(".tgz").rpartition("-")
    command = [shutil.which("npm") or "npm", "view", f"{name}@{version}", "dist.tarball", "--fetch-retries=0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"{package}: npm cannot be asked ({getattr(error, 'strerror', '') or error})") from error
    if done.returncode or not done.stdout.strip():
        reason = (done.stderr.strip() or "no answer").splitlines()[0]
        raise DataError(f"{package}: npm cannot say where it is ({reason})")
    return done.stdout.strip()


def _download(url: str, part: Path, timeout: float) -> None:
    """Add what is missing to ``part``, and go on after a broken connection as long as each brings something."""
    import requests
    from tqdm import tqdm

    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity", "Range": f"bytes={have}-"}
    try:
        with requests.get(url, stream=True, timeout=timeout, headers=headers) as answer:
            if have and answer.status_code == 416:  # nothing is left to send; the digest will tell
                return
            answer.raise_for_status()
            if answer.headers.get("Content-Type", "").startswith("text/html"):
                raise DataError(f"{url}: a web page, perhaps for a login, came in place of the file")
            had = have if answer.status_code == 206 else 0  # a server that knows no ranges sends all
            total = had + int(answer.headers.get("Content-Length", 0))
            often = 0.5 if sys.stderr.isatty() else 10.0  # a log gets a line now and then
            bar = tqdm(desc=part.stem, unit="B", unit_scale=True, initial=had, total=total, mininterval=often, delay=1)
            with bar, open(part, "ab" if had else "wb") as file:
                for chunk in answer.iter_content(1 << 16):
                    file.write(chunk)
                    bar.update(len(chunk))
    except requests.RequestException as error:
        if part.exists() and part.stat().st_size > have:
            return _download(url, part, timeout)
        cause: BaseException = error
        while cause.__context__:  # the system's own few words, which requests wraps in long ones
            cause = cause.__context__
        kept = f"; {have / 1e6:.1f} MB are kept in {part}" if have else ""
        raise DataError(f"{url}: cannot be fetched ({cause}){kept}") from error


def looks_like(path: Path) -> str:
    """What a file looks like that is not what it should be."""
    with open(path, "rb") as file:
        start = file.read(1000).strip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer in place of the file (`git lfs pull` brings that)"
    if b"<html" in start or start.startswith(b"<!doctype"):
        return "is a web page, perhaps for a login, in place of the file"
    return "is damaged, not whole or something else" if start else "is empty"


def remove_leftovers(path: Path) -> None:
    """Delete what writers of ``path`` left aside when they were killed; only for who alone may write it now."""
    for aside in Path(path).parent.glob(f".{glob.escape(Path(path).name)}.*"):
        aside.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Raise CourseError in one line where nothing can be written to ``folder``: better now than after an hour."""
    trial = Path(folder) / ".writable"
    atomic_write(trial, b"")
    trial.unlink(missing_ok=True)


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
