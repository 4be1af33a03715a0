"""The loss of Eq. 1 of the paper, with ``alpha`` on the hard-label term::

    L = alpha * CE(labels, student) + (1 - alpha) * T^2 * KL(teacher_T || student_T)

where ``_T`` means softmax(logits / T). The KL divergence is summed over the classes and averaged over the
batch (``batchmean``); T^2 keeps the size of its gradient comparable when T changes (Hinton et al., 2015).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.training.recipe import check_temperature_and_alpha


class LossTerms(NamedTuple):
    """The loss of one batch and its two parts, as scalars.

    ``total`` = alpha * ``hard`` + (1 - alpha) * ``soft``; ``soft`` holds T^2 already.
    """

    total: Tensor
    hard: Tensor
    soft: Tensor


def distillation_loss(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: float, alpha: float,
    label_smoothing: float = 0.0,
) -> LossTerms:  # fmt: skip
    """Eq. 1 of the paper for one batch.

    Args:
        student_logits: (N, classes), with gradients.
        teacher_logits: (N, classes) for the very same images; -inf for a class that it rules out.
        labels: (N,) class numbers.
        temperature: T > 0, the same for teacher and student.
        alpha: weight of the hard-label term, 0 to 1.
        label_smoothing: of the hard-label term, 0 to 1; the paper has none.

    Raises:
        ValueError: shapes differ, labels are no class numbers, T is not above 0 or alpha lies outside 0..1.
    """
    check_temperature_and_alpha(temperature, alpha)
    student, teacher = tuple(student_logits.shape), tuple(teacher_logits.shape)
    if student != teacher:
        raise ValueError(f"logits differ in shape: student {student}, teacher {teacher}")
    if labels.shape != student[:1] or labels.is_floating_point():
        raise ValueError(f"labels are class numbers ({student[0]},), not {labels.dtype} {tuple(labels.shape)}")
    hard = F.cross_entropy(student_logits, labels, label_smoothing=label_smoothing)
    student, teacher = (F.log_softmax(logits / temperature, dim=1) for logits in (student_logits, teacher_logits))
    ruled_out = teacher == -torch.inf  # 0 log 0 is 0: such a class adds nothing
    soft = temperature**2 * F.kl_div(
        student.masked_fill(ruled_out, 0),
        teacher.clamp_min(torch.finfo(teacher.dtype).min),
        reduction="batchmean",  # "mean" would divide by the number of classes as well
        log_target=True,
    )
    return LossTerms(alpha * hard + (1 - alpha) * soft, hard, soft)
