"""The slider of lesson 06: how large a difference must be for so many seeds and test images to find it.

Formulas only. Two methods are trained with ``seeds`` seeds each and tested on the same ``images``. If they are alike
image by image, the difference of their mean accuracies has the variance

    (2 spread^2 + disagreement / images) / seeds

(accuracies as shares): ``spread`` is what seeds change in a network's accuracy on endlessly many images, and two
trained networks differ in being right on a share ``disagreement`` of the images. Every seed draws both afresh.
"""

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from classroom.sliders.drawing import LABEL_SIZE, ORANGE, SKY, Labels, explorer
from course_lib.look import BLACK, BLUE, VERMILION
from course_lib.report import paper_table

if TYPE_CHECKING:
    import ipywidgets

SEEDS = range(1, 31)
IMAGES = (500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
WIDEST_SPREAD = 0.5  # points
DISAGREEMENT = 0.08  # of the images: two networks of 91 %, by the simulation of lesson 06
LOWEST, HIGHEST = 0.05, 5.0  # points, on the picture's axis


def difference_variance(
    seeds: int, images: int, spread: float, disagreement: float = DISAGREEMENT
) -> tuple[float, float]:
    """Variance of the difference of two mean accuracies, in points squared: the seeds' part and the test images'.

    Args:
        seeds: trainings of each method.
        images: test images, the same for all.
        spread: standard deviation over seeds in points, of the accuracy on endlessly many images.
        disagreement: share of the images on which just one of two trained networks is right.

    Raises:
        ValueError: fewer than one seed or image, a negative spread, or a share outside 0..1.
    """
    if not seeds >= 1 or not images >= 1:
        raise ValueError(f"{seeds} seeds and {images} test images: at least one of each is needed")
    if not spread >= 0 or not 0 <= disagreement <= 1:
        raise ValueError(f"spread {spread} must not be negative, and disagreement {disagreement} lies between 0 and 1")
    return 2 * spread**2 / seeds, 100**2 * disagreement / images / seeds


def detectable_difference(
    seeds: int,
    images: int,
    spread: float,
    disagreement: float = DISAGREEMENT,
    *,
    power: float = 0.8,
    level: float = 0.05,
) -> float:
    """The true difference, in points, that a two-sided test at ``level`` finds with probability ``power``.

    The test takes the variance as known. With few seeds it must be estimated, and somewhat more are needed.

    Raises:
        ValueError: as ``difference_variance``; or power and level do not lie between 0 and 1.
    """
    if not 0 < power < 1 or not 0 < level < 1:
        raise ValueError(f"power {power} and level {level} lie between 0 and 1")
    normal = NormalDist()
    z = normal.inv_cdf(1 - level / 2) + normal.inv_cdf(power)
    return z * math.sqrt(sum(difference_variance(seeds, images, spread, disagreement)))


def detectable_explorer(*, seeds: int = 1, images: int = 10_000, spread: float = 0.1) -> "ipywidgets.VBox":
    """Sliders over seeds, test images and the spread between seeds: the difference that can be found.

    Args:
        seeds, images, spread: where the sliders stand first; spread in points.

    Raises:
        ValueError: a slider has no such position.
    """
    from ipywidgets import FloatSlider, IntSlider, SelectionSlider

    if seeds not in SEEDS or images not in IMAGES or not 0 <= spread <= WIDEST_SPREAD:
        raise ValueError(
            f"seeds={seeds}, images={images}, spread={spread} is no position of the sliders: 1 to {SEEDS[-1]} seeds, "
            f"{', '.join(map(str, IMAGES))} images, a spread of 0 to {WIDEST_SPREAD} points"
        )
    number = IntSlider(seeds, min=SEEDS[0], max=SEEDS[-1], description="seeds")
    size = SelectionSlider(options=[(f"{n:,}", n) for n in IMAGES], value=images, description="test images")
    wobble = FloatSlider(spread, min=0, max=WIDEST_SPREAD, step=0.05, description="spread", readout_format=".2f")
    for slider, name in ((number, "seeds"), (size, "images"), (wobble, "spread")):
        slider.add_class(f"course-{name}")
    return explorer(_DetectablePicture(), [number, size, wobble])


def detectable_figure(seeds: int = 1, images: int = 10_000, spread: float = 0.1) -> Figure:
    """What :func:`detectable_explorer` shows at these settings, as a figure with its words in ``report.alt_text``.

    Raises:
        ValueError: as ``difference_variance``.
    """
    picture = _DetectablePicture()
    picture.draw(seeds, images, spread)
    return picture.figure


class _DetectablePicture:
    """Detectable difference against seeds, with the paper's deltas at its side; and what the variance is made of."""

    def __init__(self) -> None:
        self.deltas = np.abs(np.concatenate([paper_table(n)["delta"] for n in (2, 3, 4)]))
        self.figure = Figure(figsize=(10, 4.4), dpi=100)
        self.title = self.figure.text(0.012, 0.93, "", fontsize=11, weight="bold")
        self._add_curve(self.figure.add_axes((0.075, 0.13, 0.52, 0.7)))
        self._add_parts(self.figure.add_axes((0.76, 0.4, 0.21, 0.28)))

    @property
    def moving(self) -> list[Artist]:
        return [
            self.curve,
            self.floor,
            self.point,
            self.line,
            *self.bars,
            self.numbers.artist,
            self.title,
        ]

    def _add_curve(self, axes: Axes) -> None:
        axes.set_xlim(0, SEEDS[-1] + 4)
        axes.set_yscale("log")
        axes.set_ylim(LOWEST, HIGHEST)
        ticks = (0.05, 0.1, 0.2, 0.5, 1, 2, 5)
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_yticks([], minor=True)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=LABEL_SIZE)
        axes.set_xticks([1, 5, 10, 15, 20, 25, 30])
        axes.set_xlabel("seeds of each method", fontsize=9)
        axes.set_ylabel("difference found with 80 % power (points)", fontsize=9)
        side = np.full(len(self.deltas), SEEDS[-1] + 2.5)
        label = "the paper's 15 deltas, without sign"
        axes.plot(side, self.deltas, "o", color=VERMILION, fillstyle="none", markersize=5, label=label)
        (self.curve,) = axes.plot([], [], color=BLUE, label="detectable difference")
        (self.floor,) = axes.plot([], [], color=BLACK, linestyle=":", label="the same with endlessly many images")
        (self.line,) = axes.plot([], [], color=BLUE, linewidth=0.8, linestyle="--")
        (self.point,) = axes.plot([], [], "o", color=BLUE, markersize=10)
        axes.legend(fontsize=LABEL_SIZE, loc="upper right", frameon=False)

    def _add_parts(self, axes: Axes) -> None:
        self.bars = axes.barh([0, 1], [0, 0], color=[ORANGE, SKY])
        self.numbers = Labels(axes, [(0, 0), (0, 1)], axes.transData)
        axes.text(-0.42, 1.12, "What the variance is made of", transform=axes.transAxes, fontsize=9)
        axes.set_xlim(0, 1.25)
        axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
        axes.set_yticks([0, 1], ["spread of seeds", "test images"])
        axes.set_ylim(1.6, -0.6)
        axes.tick_params(labelsize=LABEL_SIZE)
        axes.spines[["top", "right"]].set_visible(False)
        words = f"80 % power, two-sided 5 % level; two networks\ndisagree on {DISAGREEMENT:.0%} of the images"
        axes.text(-0.42, -0.75, words, transform=axes.transAxes, fontsize=LABEL_SIZE)

    def draw(self, seeds: int, images: int, spread: float) -> str:
        """Show these settings; returns the key numbers in words."""
        spread = round(spread, 2)  # the slider's steps add up to 0.15000000000000002
        found = detectable_difference(seeds, images, spread)
        by_seeds, by_images = difference_variance(seeds, images, spread)
        self.curve.set_data(SEEDS, [detectable_difference(n, images, spread) for n in SEEDS])
        self.floor.set_data(SEEDS, [detectable_difference(n, images, spread, 0) for n in SEEDS])
        self.point.set_data([seeds], [found])
        self.line.set_data([0, SEEDS[-1] + 4], [found, found])
        shares = np.array([by_seeds, by_images]) / (by_seeds + by_images)
        for bar, share in zip(self.bars, shares, strict=True):
            bar.set_width(share)
        self.numbers.write([f"{share:.0%}" for share in shares], [(share, row) for row, share in enumerate(shares)])
        plural = "s" if seeds > 1 else ""
        self.title.set_text(f"{seeds} seed{plural}, {images:,} test images: {found:.2f} points can be found")
        words = self._words(seeds, images, spread, found, shares[1])
        self.figure.set_label(
            f"Detectable difference against the number of seeds, with the paper's deltas beside it, and the parts of "
            f"its variance. {words}"
        )
        return words

    def _words(self, seeds: int, images: int, spread: float, found: float, by_images: float) -> str:
        measured = math.sqrt(spread**2 + 100**2 * DISAGREEMENT / images / 2)
        plural = "s" if seeds > 1 else ""
        return (
            f"{seeds} seed{plural} of each method, {images:,} test images, spread {spread:.2f} points "
            f"(measured on these images: {measured:.2f}): a true difference of {found:.2f} points is found with "
            f"80 % probability. {by_images:.0%} of the variance comes from the test images. "
            f"As large, of the paper's {len(self.deltas)} deltas: {(self.deltas >= found).sum()}."
        )
