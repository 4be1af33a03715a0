"""The slider of lesson 06: how large a difference must be for so many seeds and test images to find it.

Formulas only. Two methods are trained with ``seeds`` seeds each and tested on the same ``images``. If they are alike
image by image, the difference of their mean accuracies has the variance

    (2 spread^2 + disagreement / images) / seeds

(accuracies as shares): ``spread`` is what seeds change in a network's accuracy on endlessly many images, and two
trained networks differ in being right on a share ``disagreement`` of the images. Every seed draws both afresh.
"""

import math
from statistics import NormalDist

import numpy as np
from matplotlib.axes import Axes

from classroom.sliders.controls import Choice, Slider
from classroom.sliders.drawing import ORANGE, SKY, Labels, Picture, moves
from course_lib import look
from course_lib.look import BLACK, BLUE, VERMILION
from course_lib.report import paper_table

SEEDS = range(1, 31)
IMAGES = (500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
WIDEST_SPREAD = 0.5  # points
DISAGREEMENT = 0.08  # of the images: two networks of 91 %, by the simulation of lesson 06
Z = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)
LOWEST, HIGHEST = 0.05, 5.0  # points, on the picture's axis


def difference_variance(
    seeds: int, images: int, spread: float, disagreement: float = DISAGREEMENT
) -> tuple[float, float]:
    """Variance of the difference of two mean accuracies, in points squared: the seeds' part and the test images'.

    ``seeds``: trainings of each method; ``spread``: their standard deviation in points, on endlessly many images;
    ``disagreement``: share of the images on which just one of two trained networks is right.
    """
    return 2 * spread**2 / seeds, 100**2 * disagreement / images / seeds


def detectable_difference(seeds: int, images: int, spread: float, disagreement: float = DISAGREEMENT) -> float:
    """The true difference, in points, that a two-sided test at 5 % finds with a probability of 80 %.

    The test takes the variance as known. With few seeds it must be estimated, and somewhat more are needed.
    """
    return Z * math.sqrt(sum(difference_variance(seeds, images, spread, disagreement)))


class Detectable(Picture):
    """Detectable difference against seeds, with the paper's deltas at its side; and what the variance is made of.

    Settings: ``seeds`` of each method, test ``images``, and the ``spread`` between seeds in points.
    """

    shows = "Detectable difference against the seeds, the paper's deltas beside it, and the parts of its variance."
    see = "How many seeds would it take to find most of the paper's differences?"
    controls = {
        "seeds": Slider(1, SEEDS[0], SEEDS[-1], 1, "seeds"),
        "images": Choice(10_000, IMAGES, "test images"),
        "spread": Slider(0.1, 0.0, WIDEST_SPREAD, 0.05, "spread", digits=2),
    }

    @look.styled()
    def __init__(self) -> None:
        super().__init__(8.4, 4.4)
        self.deltas = np.abs(np.concatenate([paper_table(n)["delta"] for n in (2, 3, 4)]))
        y = "found with 80 % power (points)"
        self._add_curve(self.panel((0.085, 0.12, 0.5, 0.74), x="seeds of each method", y=y))
        self._add_parts(self.panel((0.77, 0.42, 0.22, 0.28)))

    def _add_curve(self, axes: Axes) -> None:
        axes.set_yscale("log")
        axes.set(xlim=(0, SEEDS[-1] + 4), ylim=(LOWEST, HIGHEST))
        ticks = (0.05, 0.1, 0.2, 0.5, 1, 2, 5)
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_yticks([], minor=True)
        axes.set_xticks([1, 5, 10, 15, 20, 25, 30])
        look.dress(axes)
        side = np.full(len(self.deltas), SEEDS[-1] + 2.5)
        label = f"the paper's {len(self.deltas)} deltas, without sign"
        axes.plot(side, self.deltas, "o", color=VERMILION, fillstyle="none", markersize=5, label=label)
        (self.curve,) = moves(axes.plot([], [], color=BLUE, label="detectable difference"))
        (self.floor,) = moves(axes.plot([], [], color=BLACK, linestyle=":", label="with endlessly many images"))
        (self.line,) = moves(axes.plot([], [], color=BLUE, linewidth=0.8, linestyle="--"))
        (self.point,) = moves(axes.plot([], [], "o", color=BLUE, markersize=10))
        axes.legend(loc="upper right", frameon=False)

    def _add_parts(self, axes: Axes) -> None:
        self.bars = moves(axes.barh([0, 1], [0, 0], color=[ORANGE, SKY]))
        self.numbers = Labels(axes, [(0, 0), (0, 1)], axes.transData)
        axes.text(-0.62, 1.1, "What the variance is made of", transform=axes.transAxes)
        axes.set(xlim=(0, 1.35), ylim=(1.6, -0.6))
        axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
        axes.set_yticks([0, 1], ["spread of seeds", "test images"])
        words = f"80 % power, two-sided 5 % level;\ntwo networks disagree on {DISAGREEMENT:.0%}\nof the images"
        axes.text(-0.62, -0.95, words, transform=axes.transAxes)

    def draw(self, seeds: int, images: int, spread: float) -> str:
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
        counted = f"{seeds} seed{'s' if seeds > 1 else ''}"
        self.title.write([f"{counted}, {images:,} test images: {found:.2f} points can be found"])
        measured = math.sqrt(spread**2 + 100**2 * DISAGREEMENT / images / 2)
        return (
            f"{counted} of each method, {images:,} test images, spread {spread:.2f} points "
            f"(measured on these images: {measured:.2f}): a true difference of {found:.2f} points is found with "
            f"80 % probability. {shares[1]:.0%} of the variance comes from the test images. "
            f"As large, of the paper's {len(self.deltas)} deltas: {(self.deltas >= found).sum()}."
        )
