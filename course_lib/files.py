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
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


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


def problem_of_home() -> str:
    """What is wrong with the folder that the course reads and writes, and what to do; empty where it is right."""
    if not repo_path().is_dir():
        return f"COURSE_HOME={repo_path()} is not there: correct it, or `unset COURSE_HOME`"
    whole = path_in("COURSE_HOME") or (CHECKOUT / "data" / "paper").is_dir()
    advice = "get the course's checkout, and run `pip install -e .` in it"
    return "" if whole else f"{CHECKOUT} has the library only, without lessons and data: {advice}"


def atomic_write(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` so that a reader sees the old file or the new one, never a half.

    Raises CourseError where the folder is read-only, the disk is full, or the like; the old file is untouched.
    """
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
        options = {"capture_output": True, "text": True, "timeout": 60, "stdin": subprocess.DEVNULL}
        return subprocess.run(command, check=True, **options).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", "") or getattr(error, "strerror", "") or str(error)).strip()
        raise DataError(f"{package}: npm cannot say where it is ({reason.splitlines()[0]})") from error


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
    for aside in path.parent.glob(f".{glob.escape(path.name)}.*"):
        aside.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Raise CourseError in one line where nothing can be written to ``folder``: better now than after an hour."""
    trial = folder / ".writable"
    atomic_write(trial, b"")
    trial.unlink(missing_ok=True)
