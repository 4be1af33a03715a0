"""The schedule slider: warm-up and highest rate, and what they do to the expected loss of a noisy parabola.

The parabola stands in for a network, so that a move costs milliseconds: the loss is the sum of h x^2 / 2 over
directions of different curvature h, and every gradient carries noise, as that of a batch does. All of it is linear, so
that the *expected* loss after each step follows from means and covariances, without any chance (the noisy quadratic
model: Zhang et al., arXiv 1907.04164).
"""

from collections.abc import Sequence

import numpy as np

from classroom.sliders.controls import Slider
from classroom.sliders.drawing import Picture, moves
from course_lib import look
from course_lib.training.recipe import Recipe, learning_rate

STEPS = 400
CURVATURES = np.geomspace(0.1, 40, 12)
NOISE = 1.0  # standard deviation of the gradient in every direction
LOWEST_PEAK, HIGHEST_PEAK = 0.001, 0.05
LOSS_RANGE = (0.02, 200)


def expected_losses(rates: Sequence[float], momentum: float = 0.9) -> np.ndarray:
    """Expected loss of the noisy parabola before the first step and after each: (steps + 1,) of so many rates.

    SGD with Nesterov momentum as in ``torch.optim.SGD``: with g = h x + noise, v <- momentum v + g and
    x <- x - rate (g + momentum v). Every direction starts with v = 0 and the same share of the loss.
    """
    h, m = CURVATURES, momentum
    xx, xv, vv = 1 / h, 0 * h, 0 * h
    losses = [0.5 * xx @ h]
    with np.errstate(over="ignore", invalid="ignore"):
        for rate in rates:
            keep, pull, push = 1 - rate * (1 + m) * h, -rate * m**2, -rate * (1 + m)
            xx, xv, vv = (
                keep**2 * xx + 2 * keep * pull * xv + pull**2 * vv + (push * NOISE) ** 2,
                keep * h * xx + (keep * m + pull * h) * xv + pull * m * vv + push * NOISE**2,
                h**2 * xx + 2 * h * m * xv + m**2 * vv + NOISE**2,
            )
            losses.append(0.5 * xx @ h)
    return np.array(losses)


class Schedule(Picture):
    """Left the rate of every step; right the expected loss under it, and under the peak rate throughout.

    Settings: ``warmup``, its share of the steps; ``peak``, the highest rate.
    """

    shows = "A learning-rate schedule, and the expected loss of a noisy parabola."
    see = "How high can the peak rate be before the loss climbs, and what does a warm-up change?"
    controls = {
        "warmup": Slider(0.3, 0.0, 0.9, 0.05, "warm-up", digits=2),
        "peak": Slider(0.01, LOWEST_PEAK, HIGHEST_PEAK, 0.05, "peak rate", digits=4, log=True),
    }

    @look.styled()
    def __init__(self) -> None:
        super().__init__(8.4, 3.6)
        left = self.panel((0.075, 0.14, 0.39, 0.66), "rate of each step", "step")
        right = self.panel((0.565, 0.14, 0.42, 0.66), "expected loss of the noisy parabola", "step")
        (self.rate_line,) = moves(left.plot([], [], color=look.BLUE, linewidth=2))
        (self.rate_top,) = moves(left.plot([], [], color=look.VERMILION, linestyle="--"))
        self.warm_end = moves(left.axvline(0, color=look.BLACK, linewidth=1, linestyle=":"))
        (self.flat,) = moves(right.plot([], [], color=look.VERMILION, linestyle="--", label="peak rate at every step"))
        (self.loss,) = moves(right.plot([], [], color=look.BLUE, linewidth=2, label="this schedule"))
        right.set_yscale("log")
        right.yaxis.set_major_formatter("{x:g}")  # an exponent would be too small to read
        for axes, limits in ((left, (0, 1.05 * HIGHEST_PEAK)), (right, LOSS_RANGE)):
            axes.set(xlim=(0, STEPS), ylim=limits)
            look.dress(axes)
        right.legend(loc="upper right", frameon=False)

    def draw(self, warmup: float, peak: float) -> str:
        recipe = Recipe(lr=peak, warmup=warmup)
        rates = np.array([learning_rate(step, STEPS, recipe) for step in range(STEPS)])
        ours, flat = expected_losses(rates), expected_losses([peak] * STEPS)
        steps = np.arange(STEPS + 1)
        self.rate_line.set_data(steps[:-1], rates)
        self.rate_top.set_data([0, STEPS], [peak, peak])
        self.warm_end.set_xdata([warmup * STEPS] * 2)
        for line, losses in ((self.loss, ours), (self.flat, flat)):
            line.set_data(steps, np.clip(np.nan_to_num(losses, nan=np.inf), None, 100 * LOSS_RANGE[1]))
        self.title.write([f"warm-up {100 * warmup:.0f} % of the steps, peak rate {peak:.4f}: loss {_loss_words(ours)}"])
        return (
            f"Warm-up over {100 * warmup:.0f} % of {STEPS} steps to a peak rate of {peak:.4f}: the parabola's expected "
            f"loss starts at {ours[0]:.1f} and {_loss_words(ours)}; with the peak rate at every step it "
            f"{_loss_words(flat)}."
        )


def _loss_words(losses: np.ndarray) -> str:
    last = losses[-1]
    if not np.isfinite(last) or last > losses[0]:
        return "diverges"
    top = losses.max()
    climbed = f" after a climb to {top:.3g}" if top > 1.5 * losses[0] else ""
    return f"ends at {last:.2f}{climbed}"
