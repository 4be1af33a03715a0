"""A problem in the plane, small enough to train whole chains of teachers in seconds and to draw what each has learned.

Points lie in the unit disc; three classes wind around each other like the arms of a galaxy. A label is drawn from
probabilities that are known exactly, so that no network is always right and soft targets have something to tell.
The networks are MLPs with one hidden layer. ``seeds`` of them, each with its own training points and its own first
weights, are trained side by side as one :class:`Stack`: a mean and its spread cost little more than one network.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_lib.training.losses import distillation_loss

CLASSES = 3
TWIST = 4.0  # radians by which the arms turn between the centre and the rim
SHARPNESS = 4.0  # the largest logit of the truth: how sharp the borders between the arms are
STEPS = 600  # of Adam, over all points at once
RATE = 0.02  # Adam's, at the first step; a cosine brings it to 0


class Points(NamedTuple):
    """Places ``x`` (..., N, 2) in the unit disc and their ``labels`` (..., N)."""

    x: Tensor
    labels: Tensor


def true_logits(x: Tensor) -> Tensor:
    """Logits (..., 3) whose softmax are the true probabilities of the classes at ``x`` (..., 2)."""
    angle = torch.atan2(x[..., 1], x[..., 0]) - TWIST * x.norm(dim=-1)
    arms = torch.arange(CLASSES) * (2 * torch.pi / CLASSES)
    return SHARPNESS * torch.cos(angle.unsqueeze(-1) - arms)


def draw_points(n: int, seed: int) -> Points:
    """``n`` points, spread evenly over the disc, with labels drawn from the truth; the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    radius, angle = torch.rand(2, n, generator=generator)
    radius, angle = radius.sqrt(), 2 * torch.pi * angle
    x = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=-1)
    return Points(x, torch.multinomial(true_logits(x).softmax(dim=-1), 1, generator=generator).squeeze(1))


def training_points(n: int, seeds: int) -> Points:
    """``n`` points of its own for each of ``seeds`` networks: x (seeds, n, 2), labels (seeds, n)."""
    drawn = zip(*(draw_points(n, seed) for seed in range(seeds)), strict=True)
    return Points(*(torch.stack(part) for part in drawn))


class Stack(nn.Module):
    """``seeds`` MLPs 2 - hidden - 3 with ReLU, side by side: x (seeds, N, 2) or (N, 2) to logits (seeds, N, 3).

    The first weights of network s follow from ``hidden`` and s alone, however many stand beside it.

    Raises:
        ValueError: ``hidden`` or ``seeds`` is below 1.
    """

    def __init__(self, hidden: int, seeds: int):
        super().__init__()
        if hidden < 1 or seeds < 1:
            raise ValueError(f"hidden and seeds must be at least 1, not {hidden} and {seeds}")
        self.hidden, self.seeds = hidden, seeds
        drawn = [_first_weights(hidden, seed) for seed in range(seeds)]
        self.weights = nn.ParameterList(torch.stack(parts) for parts in zip(*drawn, strict=True))

    def forward(self, x: Tensor) -> Tensor:
        w1, b1, w2, b2 = self.weights
        features = torch.baddbmm(b1, x.expand(self.seeds, -1, -1), w1).relu()
        return torch.baddbmm(b2, features, w2)


def _first_weights(hidden: int, seed: int) -> list[Tensor]:
    """Weights and biases of both layers, drawn as nn.Linear draws them, from a generator of their own."""
    generator = torch.Generator().manual_seed(1_000_000 + seed)
    layers = ((2, hidden), (hidden, CLASSES))
    shapes = [(n_in, shape) for n_in, n_out in layers for shape in ((n_in, n_out), (1, n_out))]
    return [(2 * torch.rand(shape, generator=generator) - 1) / n_in**0.5 for n_in, shape in shapes]


Answerer = Callable[[Tensor], Tensor]  # a Stack, or true_logits: logits (seeds, N, 3) for x (seeds, N, 2)


def teach(
    hidden: int,
    points: Points,
    teacher: Answerer | None = None,
    *,
    temperature: float = 1.0,
    alpha: float = 0.0,
    steps: int = STEPS,
) -> Stack:
    """A fresh stack of MLPs, trained on ``points``: by their labels, or by Eq. 1 where there is a teacher.

    Args:
        hidden: units of the hidden layer.
        points: x (seeds, N, 2), labels (seeds, N): as many networks are trained as there are sets of points.
        teacher: what gives logits (seeds, N, 3) for x: a Stack, or :func:`true_logits`.
        temperature, alpha: of Eq. 1. The default listens to the teacher alone.
        steps: of Adam over all points at once.
    """
    student = Stack(hidden, len(points.x))
    optimizer = torch.optim.Adam(student.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    labels = points.labels.flatten()
    with torch.no_grad():  # the teacher does not change: one answer serves all steps
        answers = None if teacher is None else teacher(points.x).flatten(0, 1)
    for _ in range(steps):
        logits = student(points.x).flatten(0, 1)
        if answers is None:
            loss = nn.functional.cross_entropy(logits, labels)
        else:
            loss = distillation_loss(logits, answers, labels, temperature, alpha).total
        optimizer.zero_grad()
        (loss * student.seeds).backward()  # the sum over the networks, which share no weight
        optimizer.step()
        schedule.step()
    optimizer.zero_grad()
    return student.requires_grad_(False)


class Scores(NamedTuple):
    """One value for each network of a stack, (seeds,).

    ``accuracy`` in percent of the labels. Against a reference network: ``agreement``, the percentage of points that
    both put in the same class, and ``kl``, the mean KL(reference || network) in nats; NaN without one.
    """

    accuracy: Tensor
    agreement: Tensor
    kl: Tensor


@torch.no_grad()
def scores(network: Stack, points: Points, reference: Answerer | None = None) -> Scores:
    """How often a stack is right on ``points``, and how near it is to ``reference``."""
    log_q = network(points.x).log_softmax(dim=-1)
    accuracy = 100 * (log_q.argmax(dim=-1) == points.labels).double().mean(dim=1)
    if reference is None:
        nothing = torch.full_like(accuracy, float("nan"))
        return Scores(accuracy, nothing, nothing)
    log_p = reference(points.x).log_softmax(dim=-1).expand_as(log_q)
    agreement = 100 * (log_p.argmax(dim=-1) == log_q.argmax(dim=-1)).double().mean(dim=1)
    return Scores(accuracy, agreement, (log_p.exp() * (log_p - log_q)).sum(dim=-1).mean(dim=1).double())
