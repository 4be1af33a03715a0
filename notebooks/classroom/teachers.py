"""The published teachers of lessons 03 to 05, by what they answered: no download, no waiting.

``data/logits/<name>.npz`` has their logits for the test images (``store.load_logits``); the files here, those for the
2,500 training images on board in each of their 162 views. ``tools/make_answers.py`` made both.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course_lib.data import ImageSet, load_dataset
from course_lib.data.augment import view_number
from course_lib.files import ResultError, repo_path
from course_lib.training.teachers import Answering, digest_of

ON_BOARD = ("resnet56", "published")  # whose answers in every view are here; the second is the mean of the four
AS_IT_IS = 80  # the number of the view in the middle, not mirrored


class WrittenTeacher(Answering):
    """A teacher that is read, not run: its logits (N, 162, 10) for training images in every view."""

    def __init__(self, answers: Tensor):
        super().__init__()
        self.answers = answers

    def forward(self, images: Tensor) -> Tensor:
        """Raises ValueError: what is written down is about the training images on board only."""
        raise ValueError("this teacher is a list of answers about the training images: load_published has the network")

    def answer(self, images: Tensor, rows: Tensor, views: Tensor) -> Tensor:
        """Logits (N, 10) for training images ``rows`` (N,) in ``views`` (N, 3)."""
        return self.answers[rows, view_number(views)].float()

    def digest(self) -> str:
        """What tells these answers from others."""
        return digest_of({"answers": self.answers})


def written_teacher(name: str, images: ImageSet) -> WrittenTeacher:
    """The teacher ``name`` of ``ON_BOARD`` for training images of the sample: all of them, or some in any order.

    Raises:
        ValueError: no such teacher, or an image that is not among the 2,500.
        ResultError: the file is missing or damaged.
    """
    known = {image.tobytes(): row for row, image in enumerate(load_dataset("cifar10", "sample").train.images.numpy())}
    try:
        rows = [known[image.tobytes()] for image in images.images.numpy()]
    except KeyError:
        raise ValueError(
            "these are not training images of the sample on board: nothing is written about them"
        ) from None
    return WrittenTeacher(written_answers(name)[rows])


def written_answers(name: str) -> Tensor:
    """Logits float32 (2500, 162, 10) of the sample's training images; view ``AS_IT_IS`` is the image as it is.

    Raises:
        ValueError: no such teacher.
        ResultError: the file is missing or damaged.
    """
    if name not in ON_BOARD:
        raise ValueError(f"no answers of {name!r} are on board: choose one of {', '.join(ON_BOARD)}")
    path = answers_path(name)
    try:
        with np.load(path, allow_pickle=False) as file:
            return torch.from_numpy(file["answers"] * file["scale"])
    except Exception as error:  # of the file system, of zip, of NumPy
        raise ResultError(f"{path} cannot be read ({error}): restore it, or run tools/make_answers.py") from error


def answers_path(name: str) -> Path:
    return repo_path("data", "logits", "sample", f"{name}.npz")
