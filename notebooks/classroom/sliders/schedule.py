"""The schedule slider: warm-up and highest rate, and what they do to the expected loss of a noisy parabola.

The parabola stands in for a network, so that a move costs milliseconds: the loss is the sum of h x^2 / 2 over
directions of different curvature h, and every gradient carries noise, as that of a batch does. All of it is linear, so
that the *expected* loss after each step follows from means and covariances, without any chance (the noisy quadratic
model: Zhang et al., arXiv 1907.04164).
"""

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from classroom.sliders.drawing import LABEL_SIZE, explorer
from course_lib.look import BLACK, BLUE, VERMILION
from course_lib.training.recipe import Recipe, learning_rate

if TYPE_CHECKING:
    import ipywidgets

STEPS = 400
CURVATURES = np.geomspace(0.1, 40, 12)
NOISE = 1.0  # standard deviation of the gradient in every direction
LOWEST_PEAK, HIGHEST_PEAK = 0.001, 0.05
PAPER_STEPS = 39_200
LOSS_RANGE = (0.02, 200)


def expected_losses(rates: np.ndarray, momentum: float = 0.9) -> np.ndarray:
    """Expected loss of the noisy parabola before the first step and after each: (..., steps + 1) of (..., steps) rates.

    SGD with Nesterov momentum as in ``torch.optim.SGD``: with g = h x + noise, v <- momentum v + g and
    x <- x - rate (g + momentum v). Every direction starts with v = 0 and the same share of the loss.
    """
    h = CURVATURES
    rates = np.moveaxis(np.asarray(rates, dtype=float), -1, 0)[
        ..., None
    ]  # (steps, ..., 1): one axis for the directions
    with np.errstate(over="ignore", invalid="ignore"):
        keep, pull, push = (
            1 - rates * (1 + momentum) * h,
            -rates * momentum**2,
            -rates * (1 + momentum),
        )
        step = np.zeros((*keep.shape, 3, 4))  # next second moments xx, xv, vv from (xx, xv, vv, 1), for every step
        step[..., 0, :] = np.stack(np.broadcast_arrays(keep**2, 2 * keep * pull, pull**2, (push * NOISE) ** 2), -1)
        mixed = keep * h, keep * momentum + pull * h, pull * momentum, push * NOISE**2
        step[..., 1, :] = np.stack(np.broadcast_arrays(*mixed), -1)
        step[..., 2, :] = np.stack(np.broadcast_arrays(h**2, 2 * h * momentum, momentum**2, NOISE**2), -1)
        moments = np.zeros((*keep.shape[1:], 3, 1))
        moments[..., 0, 0] = 1 / h
        losses = [0.5 * moments[..., 0, 0] @ h]
        for matrix in step:
            moments = matrix[..., :3] @ moments + matrix[..., 3:]
            losses.append(0.5 * moments[..., 0, 0] @ h)
    return np.stack(losses, axis=-1)


def shrinking(peak: float, decay: float = 0.01, momentum: float = 0.9, steps: int = PAPER_STEPS) -> float:
    """What weight decay alone leaves of a weight over a whole run, about exp(-decay * sum of rates / (1 - momentum)).

    With a linear climb and a cosine the rates sum to half the highest one times the steps, whatever the warm-up.
    """
    return math.exp(-decay * peak * steps / 2 / (1 - momentum))


def schedule_explorer(*, warmup: float = 0.3, peak: float = 0.01) -> "ipywidgets.VBox":
    """Sliders over the warm-up's share and the highest rate: the schedule, and the noisy parabola's expected loss.

    Raises:
        ValueError: a slider has no such position.
    """
    from ipywidgets import FloatLogSlider, FloatSlider

    if not 0 <= warmup <= 0.9:
        raise ValueError(f"warmup={warmup} is no position of the slider: choose 0 to 0.9")
    if not LOWEST_PEAK <= peak <= HIGHEST_PEAK:
        raise ValueError(f"peak={peak} is no position of the slider: choose {LOWEST_PEAK} to {HIGHEST_PEAK}")
    share = FloatSlider(warmup, min=0, max=0.9, step=0.05, description="warm-up", readout_format=".2f")
    ends = {"min": math.log10(LOWEST_PEAK), "max": math.log10(HIGHEST_PEAK)}
    highest = FloatLogSlider(peak, base=10, **ends, step=0.05, description="peak rate", readout_format=".4f")
    for slider, name in ((share, "warmup"), (highest, "peak")):
        slider.add_class(f"course-{name}")
    return explorer(_SchedulePicture(), [share, highest])


def schedule_figure(warmup: float = 0.3, peak: float = 0.01) -> Figure:
    """What :func:`schedule_explorer` shows at these settings, as a figure with its words in ``report.alt_text``.

    Raises:
        ValueError: the warm-up is no share from 0 to below 1, or the rate is not above 0.
    """
    picture = _SchedulePicture()
    picture.draw(warmup, peak)
    return picture.figure


class _SchedulePicture:
    """Left the rate of every step; right the expected loss under it, and under the peak rate throughout."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=(10, 4), dpi=100)
        self.title = self.figure.text(0.012, 0.93, "", fontsize=11, weight="bold")
        left = self.figure.add_axes((0.075, 0.13, 0.39, 0.67))
        right = self.figure.add_axes((0.56, 0.13, 0.42, 0.67))
        self.rate_line = left.plot([], [], color=BLUE, linewidth=2)[0]
        self.rate_top = left.plot([], [], color=VERMILION, linewidth=1.5, linestyle="--")[0]
        self.warm_end = left.axvline(0, color=BLACK, linewidth=1, linestyle=":")
        _dress(left, "rate of each step", (0, 1.05 * HIGHEST_PEAK))
        look = {"linewidth": 1.5, "linestyle": "--", "label": "peak rate at every step"}
        self.flat = right.plot([], [], color=VERMILION, **look)[0]
        self.loss = right.plot([], [], color=BLUE, linewidth=2, label="this schedule")[0]
        right.set_yscale("log")
        _dress(right, "expected loss of a noisy parabola (not a network)", LOSS_RANGE)
        right.legend(loc="upper right", frameon=False, fontsize=LABEL_SIZE)

    @property
    def moving(self) -> list[Artist]:
        return [self.title, self.rate_line, self.rate_top, self.warm_end, self.flat, self.loss]

    def draw(self, warmup: float, peak: float) -> str:
        """Show these settings; returns the key numbers in words.

        Raises:
            ValueError: the warm-up is no share from 0 to below 1, or the rate is not above 0.
        """
        if not peak > 0:
            raise ValueError(f"the highest rate must be above 0, not {peak}")
        recipe = Recipe(lr=peak, warmup=round(warmup, 4))
        rates = np.array([learning_rate(step, STEPS, recipe) for step in range(STEPS)])
        ours, flat = expected_losses(np.stack([rates, np.full(STEPS, peak)]))
        steps = np.arange(STEPS + 1)
        self.rate_line.set_data(steps[:-1], rates)
        self.rate_top.set_data([0, STEPS], [peak, peak])
        self.warm_end.set_xdata([recipe.warmup * STEPS] * 2)
        for line, losses in ((self.loss, ours), (self.flat, flat)):
            line.set_data(steps, np.clip(np.nan_to_num(losses, nan=np.inf), None, 100 * LOSS_RANGE[1]))
        self.title.set_text(
            f"warm-up {100 * warmup:.0f} % of the steps, peak rate {peak:.4f}: loss {_loss_words(ours, steps)}"
        )
        words = (
            f"Warm-up over {100 * warmup:.0f} % of {STEPS} steps to a peak rate of {peak:.4f}: the parabola's expected "
            f"loss starts at {ours[0]:.1f} and {_loss_words(ours, steps)}; with the peak rate at every step it "
            f"{_loss_words(flat, steps)}. Over the paper's {PAPER_STEPS:,} steps, weight decay 0.01 alone would leave "
            f"{shrinking(peak):.1e} of a weight."
        )
        self.figure.set_label(f"A learning-rate schedule, and the expected loss of a noisy parabola. {words}")
        return words


def _loss_words(losses: np.ndarray, steps: np.ndarray) -> str:
    last = losses[-1]
    if not np.isfinite(last) or last > losses[0]:
        return "diverges"
    top = losses.max()
    climbed = f" after a climb to {top:.3g}" if top > 1.5 * losses[0] else ""
    return f"ends at {last:.2f}{climbed}"


def _dress(axes: Axes, title: str, limits: tuple[float, float]) -> None:
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xlabel("step", fontsize=LABEL_SIZE + 1)
    axes.set_xlim(0, STEPS)
    axes.set_ylim(*limits)
    axes.tick_params(labelsize=LABEL_SIZE)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
