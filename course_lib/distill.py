"""Distillation: the loss of Eq. 1 and the teachers whose logits it uses.

Eq. 1 of the paper, with ``alpha`` on the hard-label term::

    L = alpha * CE(labels, student) + (1 - alpha) * T^2 * KL(teacher_T || student_T)

where ``_T`` means softmax(logits / T). The KL divergence is summed over the classes and averaged over the
batch (``batchmean``); T^2 keeps the size of its gradient comparable when T changes (Hinton et al., 2015).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.augment import VIEWS, view_number


class LossTerms(NamedTuple):
    """The loss of one batch and its two parts, as scalars.

    ``total`` = alpha * ``hard`` + (1 - alpha) * ``soft``; ``soft`` holds T^2 already.
    """

    total: Tensor
    hard: Tensor
    soft: Tensor


def check_temperature_and_alpha(temperature: float, alpha: float) -> None:
    """Raise ValueError unless ``temperature`` > 0 and 0 <= ``alpha`` <= 1."""
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be a number above 0, not {temperature}: logits are divided by it")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie between 0 (soft targets only) and 1 (labels only), not {alpha}")


def distillation_loss(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float, alpha: float
) -> LossTerms:
    """Eq. 1 of the paper for one batch.

    Args:
        student_logits: (N, classes), with gradients.
        teacher_logits: (N, classes) for the very same images.
        labels: (N,) class numbers.
        temperature: T > 0, the same for teacher and student.
        alpha: weight of the hard-label term, 0 to 1.

    Raises:
        ValueError: shapes differ, T is not above 0 or alpha lies outside 0..1.
    """
    check_temperature_and_alpha(temperature, alpha)
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"logits differ in shape: student {tuple(student_logits.shape)}, teacher {tuple(teacher_logits.shape)}"
        )
    hard = F.cross_entropy(student_logits, labels)
    soft = temperature**2 * F.kl_div(
        F.log_softmax(student_logits / temperature, dim=1),
        F.log_softmax(teacher_logits / temperature, dim=1),
        reduction="batchmean",  # "mean" would divide by the number of classes as well
        log_target=True,
    )
    return LossTerms(alpha * hard + (1 - alpha) * soft, hard, soft)


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
    """A teacher whose answers are kept, so that several students of one study ask a dear teacher only once.

    Crop and flip can show an image in 162 ways. An answer is filed under (image, view), never under a place in
    the batch, so it cannot go stale when the order changes. A batch is looked up only when all of it is known;
    otherwise the whole batch is computed, as it would be without the memory.

    Args:
        teacher: a Teacher or an Ensemble, in eval mode (its answer for an image must not depend on the batch).
        images: how many training images there are; the memory takes ``images * 162 * classes * 4`` bytes.
        classes: number of classes.
    """

    needs_rows = True  # the training loop hands over which images a batch holds, and in which views

    def __init__(self, teacher: nn.Module, images: int, classes: int):
        self.teacher = teacher
        self.memory = torch.full((images, VIEWS, classes), float("nan"))
        self.asked = self.computed = 0

    def __call__(self, images: Tensor, rows: Tensor, views: Tensor) -> Tensor:
        """Logits (N, classes) for ``images``, which show training images ``rows`` (N,) in ``views`` (N, 3)."""
        self.asked += len(rows)
        place = (rows.cpu(), view_number(views).cpu())
        known = self.memory[place]
        if not known.isnan().any():
            return known.to(images.device)
        self.computed += len(rows)
        answer = self.teacher(images)
        self.memory[place] = answer.float().cpu()
        return answer
