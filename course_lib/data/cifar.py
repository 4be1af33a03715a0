"""CIFAR-10 (and CIFAR-100) as uint8 tensors in memory: the data sets, their splits, the sample on board."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from course_lib.data.augment import MEAN, STD
from course_lib.data.sources import find_arrays
from course_lib.errors import DataError
from course_lib.files import repo_path

__all__ = ["CLASSES", "MEAN", "STD", "Dataset", "ImageSet", "load_dataset", "sample_test_rows"]

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100_CLASSES = tuple(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
    camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
    dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
    leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
    otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
    road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
    sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
    """.split()
)
SHEET_COLUMNS = 25  # images side by side on a sheet of the sample
SPLIT_SEED = 0
GET_AGAIN = "get it from the course again, or make it: python data/make_sample.py"


@dataclass(frozen=True)
class ImageSet:
    """Images with their labels.

    Attributes:
        images: uint8 ``(N, 3, 32, 32)``, red, green, blue, 0..255, not normalised.
        labels: int64 ``(N,)``.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            got = f"{self.images.dtype} {tuple(self.images.shape)}"
            raise ValueError(f"images must be uint8 (N, 3, 32, 32), got {got}")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            got = f"{self.labels.dtype} {tuple(self.labels.shape)}"
            raise ValueError(f"labels must be int64 ({len(self.images)},), got {got}")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, which: Tensor | slice) -> "ImageSet":
        """The images that an index tensor or a slice picks."""
        return ImageSet(self.images[which], self.labels[which])

    def to(self, device: torch.device | str) -> "ImageSet":
        """The same images on another device."""
        return ImageSet(self.images.to(device), self.labels.to(device))

    def take(self, n: int) -> "ImageSet":
        """The first images of each class, ``n`` in all: even over the classes, in the order of this set.

        The choice is the same every time, and a smaller one is a part of a larger one.

        Raises:
            ValueError: ``n`` is not between 1 and the number of images.
        """
        if not 1 <= n <= len(self):
            raise ValueError(f"cannot take {n} of {len(self)} images")
        labels = self.labels.cpu().numpy()
        by_turns = np.lexsort((labels, _rank_in_class(labels)))  # one of each class, then the next
        return self[torch.from_numpy(np.sort(by_turns[:n])).to(self.images.device)]


@dataclass(frozen=True)
class Dataset:
    """A training and a test set.

    Attributes:
        name: ``cifar10``, ``cifar100`` or ``synthetic``.
        subset: ``full``, ``sample`` or ``synthetic``.
        train, test: the images.
        classes: what label 0, 1, ... means.
        source: in words, where the bytes came from.
    """

    name: str
    subset: str
    train: ImageSet
    test: ImageSet
    classes: tuple[str, ...]
    source: str

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    @property
    def label(self) -> str:
        """What to call these images beside every number and in every figure."""
        size = f"{len(self.train):,} training and {len(self.test):,} test images"
        if self.name == "synthetic":
            return f"SYNTHETIC images, made up by the course ({size})"
        title = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}[self.name]
        return f"{title}{' sample' if self.subset == 'sample' else ''} ({size})"

    def to(self, device: torch.device | str) -> "Dataset":
        """The same data set on another device."""
        return dataclasses.replace(self, train=self.train.to(device), test=self.test.to(device))

    def split_validation(self) -> tuple[ImageSet, ImageSet]:
        """Part the training images 9:1 for making choices, so that the test set is left for the end.

        The split is fixed: 45,000 and 5,000 of the full set (4,500 and 500 a class), 2,250 and 250 of the
        sample. It is a seeded draw within each class; the images keep their order.

        Returns:
            The images to fit on, and those to choose by.
        """
        labels = self.train.labels.cpu().numpy()
        shuffled = np.random.RandomState(SPLIT_SEED).permutation(len(labels))  # NumPy keeps this stream
        rank = np.empty(len(labels), dtype=np.int64)
        rank[shuffled] = _rank_in_class(labels[shuffled])
        held_out = torch.from_numpy(rank < np.bincount(labels)[labels] // 10).to(self.train.labels.device)
        return self.train[~held_out], self.train[held_out]


def load_dataset(name: str = "cifar10", subset: str = "full", *, root: Path | str | None = None) -> Dataset:
    """Load a data set, checked against its published checksums whatever the source.

    Args:
        name: ``cifar10``, ``cifar100``, or ``synthetic`` for made-up images, as many as the sample has.
        subset: ``full``, or ``sample`` for the 3,500 images of CIFAR-10 that come with the course
            (``synthetic`` has one size only).
        root: the folder with ``sample/`` and ``cache/``; the course's ``data/`` by default.

    Raises:
        ValueError: no data set or subset has that name.
        DataError: the data set is missing (the message lists what a person can do) or damaged.
        CourseError: what was downloaded cannot be written.
    """
    folder = Path(root) if root is not None else repo_path("data")
    if subset not in ("full", "sample"):
        raise ValueError(f"unknown subset {subset!r}: full or sample")
    if name == "synthetic":
        return _synthetic()
    if name not in ("cifar10", "cifar100"):
        raise ValueError(f"unknown data set {name!r}: cifar10, cifar100 or synthetic")
    if subset == "sample":
        if name != "cifar10":
            raise ValueError(f"there is no sample of {name}: take subset='full'")
        train, test = read_sample(folder / "sample")
        return Dataset(name, subset, train, test, CLASSES, "data/sample, which comes with the course")
    arrays, source = find_arrays(name, folder / "cache")
    train = _image_set(arrays["train_images"], arrays["train_labels"])
    test = _image_set(arrays["test_images"], arrays["test_labels"])
    return Dataset(name, subset, train, test, CLASSES if name == "cifar10" else CIFAR100_CLASSES, source)


def read_sample(folder: Path) -> tuple[ImageSet, ImageSet]:
    """Read the sample's sheets: training and test images, each sheet checked by the SHA-256 of its pixels.

    Raises:
        DataError: a file is missing or damaged; the message names it.
    """
    manifest = folder / "sample.json"
    try:
        splits = json.loads(manifest.read_text(encoding="utf-8"))["splits"]
        return tuple(_read_split(folder, splits[split]) for split in ("train", "test"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{manifest} is missing or damaged ({error}); {GET_AGAIN}") from error


def sample_test_rows(root: Path | str | None = None) -> Tensor:
    """Where the sample's test images stand in the full test set: int64 ``(1000,)``, in the sample's order.

    Logits stored for the full test set can so be shown beside the sample's images.

    Raises:
        DataError: the sample's list is missing or damaged.
    """
    manifest = (Path(root) if root is not None else repo_path("data")) / "sample" / "sample.json"
    try:
        return torch.tensor(json.loads(manifest.read_text(encoding="utf-8"))["splits"]["test"]["indices"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{manifest} is missing or damaged ({error}); {GET_AGAIN}") from error


def _read_split(folder: Path, split: dict) -> ImageSet:
    labels = np.array(split["labels"], dtype=np.uint8)
    if hashlib.sha256(labels).hexdigest() != split["labels_sha256"]:
        raise ValueError("the labels' SHA-256 differs")
    sheets = [_read_sheet(folder / name, sha256) for name, sha256 in split["sheets"].items()]
    return _image_set(np.concatenate(sheets), labels)


def _read_sheet(path: Path, sha256: str) -> np.ndarray:
    try:
        with Image.open(path) as sheet:
            images = cut_sheet(np.asarray(sheet.convert("RGB")))
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path} is missing or damaged ({error}); {GET_AGAIN}") from error
    if hashlib.sha256(images).hexdigest() != sha256:
        raise DataError(f"{path} is damaged (its SHA-256 differs); {GET_AGAIN}")
    return images


def lay_sheet(images: np.ndarray) -> np.ndarray:
    """Lay ``(N, 32, 32, 3)`` images out in rows of ``SHEET_COLUMNS``: one ``(H, W, 3)`` picture."""
    rows = images.reshape(-1, SHEET_COLUMNS, 32, 32, 3).transpose(0, 2, 1, 3, 4)
    return rows.reshape(-1, SHEET_COLUMNS * 32, 3)


def cut_sheet(sheet: np.ndarray) -> np.ndarray:
    """Undo :func:`lay_sheet`."""
    rows = sheet.reshape(-1, 32, SHEET_COLUMNS, 32, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(rows).reshape(-1, 32, 32, 3)


def _image_set(images: np.ndarray, labels: np.ndarray) -> ImageSet:
    """Tensors of ``(N, 32, 32, 3)`` images, channels first as the networks want them."""
    channels_first = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    return ImageSet(channels_first, torch.from_numpy(labels.astype(np.int64)))


def _rank_in_class(labels: np.ndarray) -> np.ndarray:
    """For each image, how many of its class come before it."""
    order = np.argsort(labels, kind="stable")
    starts = np.cumsum(np.bincount(labels)) - np.bincount(labels)
    rank = np.empty(len(labels), dtype=np.int64)
    rank[order] = np.arange(len(labels)) - starts[labels[order]]
    return rank


def _synthetic() -> Dataset:
    """Stripes whose colour and width go with the class, in noise: soon learned, plainly no photographs."""
    random = np.random.RandomState(0)

    def draw(n: int) -> ImageSet:
        labels = np.arange(n) % 10
        hue = 2 * np.pi * (labels[:, None] / 10 - np.arange(3) / 3)
        phase = random.uniform(0, 2 * np.pi, size=(n, 1))
        stripes = np.sin(phase + np.arange(32) * (0.2 + 0.1 * labels[:, None]))
        noise = random.randint(-80, 81, size=(n, 32, 32, 3), dtype=np.int16)
        pixels = 128 + 20 * np.cos(hue)[:, None, None, :] + 30 * stripes[:, None, :, None] + noise
        return _image_set(pixels.clip(0, 255).astype(np.uint8), labels)

    names = tuple(f"synthetic {i}" for i in range(10))
    source = "SYNTHETIC: made up by the course"
    return Dataset("synthetic", "synthetic", draw(2_500), draw(1_000), names, source)
