"""CIFAR-10 as uint8 tensors in memory: the whole set, and the sample on board."""

import hashlib
import json
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from course_lib.data.augment import require_images
from course_lib.data.fetch import find_cifar10
from course_lib.files import DataError, repo_path

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHEET_COLUMNS = 25  # images side by side on a sheet of the sample
GET_AGAIN = "get it from the course again, or make it: python -m tools.make_sample"


@dataclass(frozen=True)
class ImageSet:
    """Images with their labels. What is something else raises ValueError, which says what to do.

    Attributes:
        images: uint8 ``(N, 3, 32, 32)``, red, green, blue, 0..255, not normalised.
        labels: int64 ``(N,)``, 0 for the first class.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        require_images(self.images)
        n, labels = len(self.images), self.labels
        if not isinstance(labels, Tensor):
            raise ValueError(f"labels must be a tensor, got {type(labels).__name__}: write torch.as_tensor(labels)")
        if labels.ndim != 1 or labels.dtype != torch.int64:
            remedy = "labels.argmax(dim=1)" if labels.ndim == 2 and labels.shape[1] > 1 else "labels.flatten().long()"
            raise ValueError(f"labels must be int64 ({n},), got {labels.dtype} {tuple(labels.shape)}: write {remedy}")
        if len(labels) != n:
            raise ValueError(f"there are {n} images and {len(labels)} labels: each image needs one")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, which: Tensor | slice) -> "ImageSet":
        """The images that an index tensor or a slice picks."""
        return ImageSet(self.images[which], self.labels[which])

    def to(self, device: torch.device | str) -> "ImageSet":
        return ImageSet(self.images.to(device), self.labels.to(device))

    def take(self, n: int) -> "ImageSet":
        """The first images of each class, ``n`` in all: even over the classes, in the order of this set.

        The choice is the same every time, and a smaller one is a part of a larger one. Raises ValueError where ``n``
        is no whole number from 1 to the number of images.
        """
        if not isinstance(n, int | np.integer) or not 1 <= n <= len(self):
            raise ValueError(f"cannot take {n!r} of {len(self)} images: a whole number from 1 on is wanted")
        labels = pd.Series(self.labels.cpu().numpy())
        by_turns = np.lexsort((labels, labels.groupby(labels).cumcount()))  # one of each class, then the next
        return self[torch.from_numpy(np.sort(by_turns[:n])).to(self.images.device)]


@dataclass(frozen=True)
class Dataset:
    """A training and a test set.

    Attributes:
        name: ``cifar10``.
        subset: ``full`` or ``sample``.
        train, test: the images.
        classes: what label 0, 1, ... means; a label without a class raises ValueError.
        source: in words, where the bytes came from.
    """

    name: str
    subset: str
    train: ImageSet
    test: ImageSet
    classes: tuple[str, ...]
    source: str

    def __post_init__(self) -> None:
        for labels in (self.train.labels, self.test.labels):
            low, high = (0, 0) if labels.is_meta or not len(labels) else torch.stack(labels.aminmax()).tolist()
            if low < 0 or high >= self.num_classes:
                remedy = ": subtract 1" if (low, high) == (1, self.num_classes) else ""
                known = f"{self.num_classes} classes are numbered from 0 to {self.num_classes - 1}"
                raise ValueError(f"labels go from {low} to {high}, but {known}{remedy}")

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def label(self) -> str:
        """What to call these images beside every number and in every figure."""
        size = f"({len(self.train):,} training and {len(self.test):,} test images)"
        return f"CIFAR-10 {'sample ' if self.subset == 'sample' else ''}{size}"

    def to(self, device: torch.device | str) -> "Dataset":
        return replace(self, train=self.train.to(device), test=self.test.to(device))


def load_dataset(name: str = "cifar10", subset: str = "full") -> Dataset:
    """Load a data set, checked against its published checksums whatever the source.

    ``subset`` is ``full``, or ``sample`` for the 3,500 images that come with the course.

    Raises:
        ValueError: no data set or subset has that name.
        DataError: it is missing (the message lists what a person can do) or damaged.
        CourseError: what was downloaded cannot be written.
    """
    if name != "cifar10":
        raise ValueError(f"unknown data set {name!r}: the course has cifar10")
    if subset not in ("full", "sample"):
        raise ValueError(f"unknown subset {subset!r}: full or sample")
    if subset == "sample":
        train, test = map(_read_sample, ("train", "test"))
        return Dataset(name, subset, train, test, CLASSES, "data/sample, which comes with the course")
    arrays, source = find_cifar10(repo_path("data", "cache"))
    train, test = (_image_set(arrays[f"{split}_images"], arrays[f"{split}_labels"]) for split in ("train", "test"))
    return Dataset(name, subset, train, test, CLASSES, source)


def sample_test_rows() -> Tensor:
    """Where the sample's test images stand in the full test set: int64 ``(1000,)``, in the sample's order.

    Logits stored for the full test set can so be shown beside the sample's images. Raises DataError where the
    sample's list is missing or damaged.
    """
    return torch.tensor(_read_list("test")[1])


def _read_list(split: str) -> tuple[np.ndarray, list[int], dict[str, str]]:
    """What the sample's list says of a split: labels, places in the full set, the sheets with their SHA-256."""
    path = repo_path("data", "sample", "sample.json")
    try:
        said = json.loads(path.read_text(encoding="utf-8"))["splits"][split]
        labels = np.array(said["labels"], dtype=np.uint8)
        if hashlib.sha256(labels).hexdigest() != said["labels_sha256"]:
            raise ValueError("the labels' SHA-256 differs")
        return labels, said["indices"], dict(said["sheets"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is missing or damaged ({error}); {GET_AGAIN}") from error


def _read_sample(split: str) -> ImageSet:
    labels, _, listed = _read_list(split)
    sheets = []
    for name, sha256 in listed.items():
        path = repo_path("data", "sample", name)
        try:
            with Image.open(path) as sheet:
                rows = np.asarray(sheet.convert("RGB")).reshape(-1, 32, SHEET_COLUMNS, 32, 3)
            sheets.append(np.ascontiguousarray(rows.transpose(0, 2, 1, 3, 4)).reshape(-1, 32, 32, 3))
            if hashlib.sha256(sheets[-1]).hexdigest() != sha256:
                raise ValueError("the SHA-256 of its pixels differs")
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(f"{path} is missing or damaged ({error}); {GET_AGAIN}") from error
    return _image_set(np.concatenate(sheets), labels)


def _image_set(images: np.ndarray, labels: np.ndarray) -> ImageSet:
    channels_first = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    return ImageSet(channels_first, torch.from_numpy(labels.astype(np.int64)))
