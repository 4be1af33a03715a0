"""How a network is trained: epochs, rates, temperature, and the schedule of the learning rate."""

import math
from dataclasses import dataclass, fields
from numbers import Integral, Real

import numpy as np
from torch import Tensor

LOWEST_RATE = 1e-8  # the schedule starts and ends here (data/paper/PROTOCOL.md, 4.10)
CHOICES = {"decay": ("cosine", "linear"), "flips": ("random", "alternating")}
RANGES = {  # of each number, ends included; an epoch's draws come from seed * 1,000,003 + epoch, in 64 bits
    "epochs": (1, math.inf), "batch_size": (1, math.inf), "lr": (0, math.inf), "momentum": (0, 1),
    "weight_decay": (0, math.inf), "warmup": (0, 0.999), "seed": (-(2**42), 2**42), "label_smoothing": (0, 1),
    "shift": (0, 4),
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; the defaults are the paper's (sections III.C and III.D).

    Numbers of NumPy are taken and kept as plain ones.

    Attributes:
        epochs: passes over the training images.
        batch_size: images a step; the last batch of an epoch may be smaller.
        lr: highest learning rate, reached at the end of the warm-up.
        momentum: Nesterov momentum.
        weight_decay: L2 term.
        warmup: share of the steps in which the rate climbs linearly; ``decay`` follows.
        shuffle: a new order every epoch; without it, the same batches in the same order each time.
        seed: of the initial weights, order, crops, flips and dropout.
        temperature: T of Eq. 1, used with a teacher only.
        alpha: weight of the hard-label term of Eq. 1, used with a teacher only.
        decay: how the rate falls after the warm-up, ``cosine`` or ``linear``.
        decay_norms: the L2 term is on all parameters; False leaves out batch norms and biases.
        label_smoothing: of the hard-label term, 0 to 1.
        flips: ``random``, or ``alternating``: each image is mirrored in every second epoch.
        shift: how far a crop may lie off the middle, 0 to 4 pixels each way.

    Raises:
        ValueError: a field is of the wrong type or out of range.
    """

    epochs: int = 200
    batch_size: int = 256
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 0.01
    warmup: float = 0.3
    shuffle: bool = True
    seed: int = 0
    temperature: float = 1.0
    alpha: float = 0.5
    decay: str = "cosine"
    decay_norms: bool = True
    label_smoothing: float = 0.0
    flips: str = "random"
    shift: int = 4

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, _checked(field.name, type(field.default), value))
        check_temperature_and_alpha(self.temperature, self.alpha)


def check_temperature_and_alpha(temperature: float, alpha: float) -> None:
    """Raise ValueError unless ``temperature`` > 0 and 0 <= ``alpha`` <= 1, both numbers."""
    if not isinstance(temperature, Real | Tensor) or not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be a number above 0, not {temperature!r}: logits are divided by it")
    if not isinstance(alpha, Real | Tensor) or not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie between 0 (soft targets only) and 1 (labels only), not {alpha!r}")


def _checked(name: str, kind: type, value):
    """``value`` as a plain ``kind``, where it is one and in range."""
    wanted = {bool: "True or False", int: "a whole number", float: "a number", str: CHOICES.get(name)}[kind]
    accepted = {bool: bool | np.bool_, int: Integral, float: Real, str: str}[kind]
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name} must be {wanted}, not {value!r}")
    value = kind(value)
    if name in CHOICES and value not in CHOICES[name]:
        raise ValueError(f"{name} must be one of {', '.join(CHOICES[name])}, not {value!r}")
    low, high = RANGES.get(name, (None, None))
    if low is not None and not (low <= value <= high and math.isfinite(value)):
        limits = f"at least {low}" if high == math.inf else f"from {low} to {high:g}"
        raise ValueError(f"{name} must be {wanted} {limits}, not {value!r}")
    return value


# For few epochs: the best rung of a ladder of single changes, judged by 5,000 images that no rung trained on
# (tools/ladder.py, data/ladder.csv).
SHORT = Recipe(
    epochs=3, batch_size=64, lr=0.1, weight_decay=5e-4, warmup=0.25, decay="linear", flips="alternating", shift=2
)


def learning_rate(step: int, total_steps: int, recipe: Recipe) -> float:
    """Rate of step ``step`` (0-based): linear from 1e-8 to ``lr`` over the warm-up, then ``decay`` back to 1e-8."""
    warmup_steps = int(recipe.warmup * total_steps)
    if step < warmup_steps:
        return LOWEST_RATE + (recipe.lr - LOWEST_RATE) * step / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - 1 - warmup_steps)
    left = 1 - progress if recipe.decay == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
    return LOWEST_RATE + (recipe.lr - LOWEST_RATE) * left
