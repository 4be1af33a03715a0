"""The slider "stop the authors' run at epoch N": how accurate it was then, and how high its rate.

Accuracies are read from the authors' logs (``data/paper``). No log has the rates: they are the paper's schedule.
"""

import math

import numpy as np

from classroom.sliders.controls import Choice, Slider
from classroom.sliders.drawing import Labels, Picture, moves
from course_lib import look
from course_lib.report import authors_histories
from course_lib.training.recipe import Recipe, learning_rate

PAPER = Recipe()
EPOCHS = np.arange(1, PAPER.epochs + 1)
BATCHES = math.ceil(50_000 / PAPER.batch_size)  # an epoch
WIDTHS = ("1.0", "1.3", "1.6", "1.9", "2.2", "2.8", "3.4")
NETWORKS = (*(f"gn-s-{width}x" for width in WIDTHS), "gn-d")  # those of Table I that have a log
SWING = 10  # epochs whose changes tell how far the accuracy swings


class StopAt(Picture):
    """Above the test accuracy after every epoch, below the rate, both up to the epoch of the stop.

    Settings: ``epoch``, 1 to 200; ``network``, by its experiment key.
    """

    shows = "A training run of the paper's authors, stopped after an epoch: test accuracy and learning rate."
    see = "For a hundred epochs the accuracy swings and hardly rises; it does as the rate goes to zero."
    controls = {
        "epoch": Slider(140, 1, PAPER.epochs, 1, "stop after epoch"),
        "network": Choice("gn-s-1.0x", NETWORKS, "network"),
    }

    @look.styled()
    def __init__(self) -> None:
        super().__init__(8.4, 4.4, "From the authors' own logs: 200 epochs on 50,000 images, one seed.")
        self.accuracies = authors_histories()["test_accuracy"].unstack("epoch")
        last_steps = BATCHES * EPOCHS - 1
        self.rates = np.array([learning_rate(int(step), BATCHES * PAPER.epochs, PAPER) for step in last_steps])
        upper = self.panel((0.085, 0.43, 0.895, 0.4), y="test accuracy (%)")
        lower = self.panel((0.085, 0.11, 0.895, 0.22), x="epoch", y="rate")
        self.lines = []
        for axes, limits in ((upper, (0, 100)), (lower, (0, 1.15 * PAPER.lr))):
            axes.set(xlim=(0, PAPER.epochs + 1), ylim=limits)
            look.dress(axes)
            self.lines.append(moves(axes.plot([], [], color=look.BLUE) + axes.plot([], [], "o", color=look.BLUE)))
        self.number = Labels(upper, [(0, 0)], upper.transData, size=11, bold=True, gap=0)

    def draw(self, epoch: int, network: str) -> str:
        accuracies = self.accuracies.loc[network].to_numpy()[:epoch]
        for (line, point), values in zip(self.lines, (accuracies, self.rates[:epoch]), strict=True):
            line.set_data(EPOCHS[:epoch], values)
            point.set_data([epoch], [values[-1]])
        self.number.write([f"{accuracies[-1]:.2f} %"], [(min(epoch, 180), max(8, accuracies[-1] - 30))])
        stopped = f"{network}, stopped after epoch {epoch} of {PAPER.epochs}: {accuracies[-1]:.2f} %"
        self.title.write([stopped])
        steps = np.abs(np.diff(accuracies[-SWING - 1 :]))
        swing = f"; the {len(steps)} epochs before changed it by {steps.mean():.1f} points each" if epoch > 1 else ""
        return f"{stopped} of the test images, the rate at {self.rates[epoch - 1]:.5f}{swing}."
