"""The teachers whose logits a student learns from: one network, the mean of several, one whose answers are kept."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.data.augment import VIEWS, crop_and_flip, normalise, view_number


class Teacher(nn.Module):
    """A trained network that only answers: eval mode for good, no gradients, images resized where it needs that.

    Args:
        model: the network; its parameters stop requiring gradients.
        input_size: side in pixels of the images it was trained on (224 for EfficientNetV2-S).
    """

    def __init__(self, model: nn.Module, input_size: int = 32):
        super().__init__()
        self.model = model.requires_grad_(False)
        self.input_size = input_size
        self.eval()

    def train(self, mode: bool = True) -> "Teacher":
        """Stay in eval mode: a teacher's batch-norm statistics must not move while the student learns."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) for normalised images (N, 3, 32, 32)."""
        return self.model(resize(images, self.input_size))


class Ensemble(nn.Module):
    """Several teachers as one: the soft target is the softmax of the mean of their logits (PROTOCOL.md, 4.8)."""

    def __init__(self, teachers: list[Teacher]):
        super().__init__()
        if not teachers:
            raise ValueError("an ensemble needs at least one teacher")
        self.teachers = nn.ModuleList(teachers)

    def train(self, mode: bool = True) -> "Ensemble":
        """Stay in eval mode, as every member does."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Mean logits (N, classes) for normalised images (N, 3, 32, 32)."""
        return torch.stack([teacher(images) for teacher in self.teachers]).mean(dim=0)


def resize(images: Tensor, size: int) -> Tensor:
    """Images (N, C, H, W) brought to ``size`` x ``size`` pixels, bilinear; unchanged where they have that size."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)


class RememberedTeacher:
    """A teacher whose answers are kept: it is asked once about what it is shown, by however many epochs and students.

    Crop and flip can show an image in 162 ways. An answer is filed under (image, view), never under a place in
    the batch, so it cannot go stale when the order changes. Over 200 epochs an image is seen in 115 different views on
    average: a single student saves 42 % of the teacher's work, each further one nearly all of it.

    The training loop hands over an epoch's draws before its first step. What is new among them is answered in batches
    of one size, so that an answer never depends, not even in its last bit, on what happened to be known already.

    Args:
        teacher: a Teacher or an Ensemble, in eval mode (its answer for an image must not depend on the batch).
        images: how many training images there are; the memory takes ``images * 162 * classes * 4`` bytes.
        classes: number of classes.
        device: where the memory lies: with the images, so that no step waits for a copy.

    Attributes:
        batch_size: how many images the teacher is shown at a time; halved, after one line, where memory runs out.
    """

    needs_rows = True  # the training loop hands over which images a batch holds, and in which views

    def __init__(self, teacher: nn.Module, images: int, classes: int, device: torch.device | str = "cpu"):
        self.teacher = teacher
        self.memory = torch.full((images, VIEWS, classes), float("nan"), device=device)
        self.batch_size = 32 if torch.device(device).type == "cpu" else 512  # more gain nothing: measured on the CPU
        self.asked = self.computed = 0

    @torch.no_grad()
    def prepare(self, images: Tensor, rows: Tensor, views: Tensor) -> None:
        """Answer what is not known yet among images ``rows`` (N,) in ``views`` (N, 3).

        Args:
            images: all training images, uint8 (images, 3, H, W).
            rows, views: what an epoch will show.
        """
        places = view_number(views)
        unknown = self.memory[rows, places, 0].isnan().nonzero().flatten()
        self.asked += len(rows)
        self.computed += len(unknown)
        while len(unknown):
            new = unknown[: self.batch_size]
            full = torch.cat([new, new[:1].expand(self.batch_size - len(new))])  # the last batch is filled up
            try:
                answers = self.teacher(normalise(crop_and_flip(images[rows[full]], views[full])))
            except torch.OutOfMemoryError:
                if self.batch_size == 1:
                    raise
                self.batch_size //= 2
                print(f"note: out of memory, the teacher now answers {self.batch_size} images at a time", flush=True)
                continue
            self.memory[rows[new], places[new]] = answers[: len(new)].float()
            unknown = unknown[self.batch_size :]

    def __call__(self, images: Tensor, rows: Tensor, views: Tensor) -> Tensor:
        """Logits (N, classes) for training images ``rows`` (N,) in ``views`` (N, 3); NaN where not prepared."""
        return self.memory[rows, view_number(views)]
