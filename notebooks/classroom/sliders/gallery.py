"""The pictures of the sliders that show test images: which are chosen, and both networks' logits for Eq. 1."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from classroom.sliders.softening import entropy_bits, softened
from course_lib.models import DISPLAY_NAMES
from course_lib.study.store import Logits

if TYPE_CHECKING:
    import torch

PICTURES = 40  # on the slider


class Gallery(NamedTuple):
    """The chosen pictures: both networks' logits, labels, images (P, 32, 32, 3), and places in the test set."""

    teacher: np.ndarray
    student: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    places: np.ndarray
    classes: tuple[str, ...]
    networks: str


def choose(
    teacher: Logits,
    student: Logits,
    images: "torch.Tensor | np.ndarray",
    classes: Sequence[str],
    rows: "torch.Tensor | Sequence[int] | None" = None,
) -> Gallery:
    """As many pictures of each class, from the one that the teacher is surest of to the one that it doubts most.

    Args:
        teacher, student: ``store.load_logits(...)`` of two networks for the same test images.
        images, classes, rows: as :func:`aligned`.

    Raises:
        ValueError: logits, images, rows and class names do not fit one another.
    """
    labels = np.asarray(teacher.labels)
    if teacher.logits.shape != student.logits.shape or not np.array_equal(labels, student.labels):
        raise ValueError("teacher's and student's logits are not of the same images: load those of one test set")
    images, places = aligned(images, classes, rows, teacher.logits.shape)
    doubt = entropy_bits(softened(np.asarray(teacher.logits)[places], 1.0))
    order = np.argsort(doubt, kind="stable")
    chosen = []
    for label in range(len(classes)):
        members = order[labels[places[order]] == label]
        evenly = np.linspace(0, len(members) - 1, max(1, PICTURES // len(classes))).round().astype(int)
        chosen.extend(members[np.unique(evenly)] if len(members) else [])
    chosen = np.array(chosen)[np.argsort(doubt[chosen], kind="stable")]
    places = places[chosen]
    logits = [np.asarray(network.logits)[places] for network in (teacher, student)]
    named = f"teacher {network_name(teacher)}; student {network_name(student)}"
    return Gallery(*logits, labels[places], images[chosen], places, tuple(classes), named)


def aligned(
    images: "torch.Tensor | np.ndarray",
    classes: Sequence[str],
    rows: "torch.Tensor | Sequence[int] | None",
    logits: Sequence[int],
) -> tuple[np.ndarray, np.ndarray]:
    """The images (M, 32, 32, 3), and the row of the logits that belongs to each (M,).

    Args:
        images: uint8 (M, 3, 32, 32): all of the test images or some of them.
        classes: the name of every label.
        rows: (M,) the row of the logits of each image, as ``data.sample_test_rows()``; by default they are aligned.
        logits: their shape (N, C).

    Raises:
        ValueError: these do not fit one another.
    """
    images = np.asarray(images)
    n, labels = logits
    places = np.arange(n) if rows is None else np.asarray(rows)
    if images.ndim != 4 or images.shape[1] != 3 or images.dtype != np.uint8 or not len(images):
        raise ValueError(f"images must be uint8 (M, 3, 32, 32), not {images.dtype} {images.shape}")
    if places.shape != (len(images),) or places.min() < 0 or places.max() >= n:
        raise ValueError(f"{len(images)} images and {n} rows of logits: say with rows= which row belongs to each image")
    if labels != len(classes):
        raise ValueError(f"logits of {labels} classes do not fit {len(classes)} class names")
    return images.transpose(0, 2, 3, 1), places


def network_name(network: Logits) -> str:
    """``ResNet-18 (12 epochs, taught by VGG-13 at T = 4, 85.3 % right)``, as far as the logits say it."""
    meta = network.meta
    model = DISPLAY_NAMES.get(meta.get("model"), "of unknown kind")
    width = f" {meta['width']:.1f}x" if meta.get("width") else ""
    count = meta.get("epochs")
    said = [f"{count} epoch{'s' if count > 1 else ''}"] if count else []
    if taught := re.search(r"_from_(\w+)\.", meta.get("run", "")):  # the run's name, as experiments.run_id makes it
        said.append(f"taught by {DISPLAY_NAMES.get(taught[1], taught[1])} at T = {meta['recipe']['temperature']:g}")
    right = np.asarray(network.logits).argmax(axis=1) == np.asarray(network.labels)
    return f"{model}{width} ({', '.join([*said, f'{100 * right.mean():.1f} % right'])})"
