"""How a network is trained: epochs, rates, temperature, and the schedule of the learning rate."""

import math
from dataclasses import dataclass

from course_lib.training.losses import check_temperature_and_alpha

LOWEST_RATE = 1e-8  # the schedule starts and ends here (data/paper/PROTOCOL.md, 4.10)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; the defaults are the paper's (sections III.C and III.D).

    Attributes:
        epochs: passes over the training images.
        batch_size: images a step; the last batch of an epoch may be smaller.
        lr: highest learning rate, reached at the end of the warm-up.
        momentum: Nesterov momentum.
        weight_decay: L2 term, on all parameters.
        warmup: share of the steps in which the rate climbs linearly; a cosine follows.
        shuffle: a new order every epoch; without it, the same batches in the same order each time.
        seed: of the initial weights, order, crops, flips and dropout.
        temperature: T of Eq. 1, used with a teacher only.
        alpha: weight of the hard-label term of Eq. 1, used with a teacher only.
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

    def __post_init__(self):
        check_temperature_and_alpha(self.temperature, self.alpha)
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError(f"epochs and batch_size must be at least 1, not {self.epochs} and {self.batch_size}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup is a share of the steps, from 0 to below 1, not {self.warmup}")


def learning_rate(step: int, total_steps: int, recipe: Recipe) -> float:
    """Rate of step ``step`` (0-based): linear from 1e-8 to ``lr`` over the warm-up, then a cosine back to 1e-8."""
    warmup_steps = int(recipe.warmup * total_steps)
    if step < warmup_steps:
        return LOWEST_RATE + (recipe.lr - LOWEST_RATE) * step / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - 1 - warmup_steps)
    return LOWEST_RATE + (recipe.lr - LOWEST_RATE) * 0.5 * (1 + math.cos(math.pi * progress))
