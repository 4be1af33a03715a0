"""Figures of lesson 02: photographs side by side, a live run, the ladder of recipes, and accuracy against its price.

Each function returns a figure with its words in the label, where ``look.show`` finds them.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from torch import Tensor
from torchvision.utils import make_grid

from classroom.figures.common import one_panel
from course_lib import look
from course_lib.look import BLACK, BLUE, VERMILION

TILE = 34  # pixels from one photograph to the next: 32 and a white gap
GUESSING = {"loss": math.log(10), "accuracy": 10.0}  # of ten classes alike


def mosaic(rows: Sequence[Sequence[Tensor]]) -> Tensor:
    """Rows of photographs (3, 32, 32), bytes, as one picture (height, width, 3) with white gaps."""
    return make_grid([one for row in rows for one in row], nrow=len(rows[0]), pad_value=255).permute(1, 2, 0)


@look.styled()
def gallery(
    rows: Sequence[Sequence[Tensor]],
    words: str,
    *,
    below: Sequence[str] = (),
    beside: Sequence[str] = (),
    size: tuple[float, float] = (8.4, 3.2),
) -> Figure:
    """Photographs (3, 32, 32) in rows, with a name below every column and beside every row; none where empty.

    ``words`` are the figure's, ``size`` its width and height in inches.
    """
    figure, axes = one_panel(*size)
    figure.set_label(words)
    axes.imshow(mosaic(rows).numpy())
    axes.set_xticks(18 + TILE * np.arange(len(below)), list(below))
    axes.set_yticks(18 + TILE * np.arange(len(beside)), list(beside))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


@look.styled()
def live_curves(history: Sequence[dict], epochs: int) -> Figure:
    """Loss and accuracy (percent) after every epoch so far, on training and test images, beside guessing.

    Args:
        history: a row an epoch with train_loss, train_accuracy, test_loss and test_accuracy; may be empty.
        epochs: how many there will be.
    """
    figure = look.figure(8.4, 3, label="The live run begins: no epoch yet")
    for axes, (what, guess) in zip(figure.subplots(1, 2), GUESSING.items(), strict=True):
        for name, marker, colour in (("train", "o", BLUE), ("test", "s", VERMILION)):
            values = [row[f"{name}_{what}"] for row in history]
            axes.plot(range(1, len(values) + 1), values, color=colour, marker=marker, label=name)
        axes.axhline(guess, color=BLACK, linestyle="--", label="guessing")
        unit = " (%)" if what == "accuracy" else ""
        axes.set(xlabel="epoch", ylabel=what + unit, xlim=(0.7, epochs + 0.3), xticks=range(1, epochs + 1))
        look.dress(axes)
    figure.axes[1].legend(loc="center right")
    if history:
        last = history[-1]
        figure.set_label(
            f"Live run, epoch {len(history)} of {epochs}: training loss {last['train_loss']:.2f}, accuracy "
            f"{last['train_accuracy']:.1f} %; test loss {last['test_loss']:.2f}, accuracy {last['test_accuracy']:.1f} %"
        )
    return figure


@look.styled()
def ladder(rows: pd.DataFrame) -> Figure:
    """The last epoch of each rung, best above: a dot at its accuracy, and the number beside it.

    ``rows``: those of ``data/ladder.csv``, an epoch of a rung and seed each.
    """
    ends = rows[rows["epoch"] == rows["epochs"]].sort_values("validation_accuracy")
    shorter = {"alternating": "alt.", "crops of 24 pixels for": "24 pixels in", " of the classifier": ""}
    names = ends["rung"].replace(shorter, regex=True) + ends["seed"].map(lambda seed: f", seed {seed}" if seed else "")
    few = ends["epochs"].min()
    figure, axes = one_panel(8.4, 0.8 + 0.3 * len(ends), "x")
    for place, (accuracy, epochs) in enumerate(zip(ends["validation_accuracy"], ends["epochs"], strict=True)):
        style = {"marker": "o", "mfc": BLUE} if epochs == few else {"marker": "s", "mfc": "white"}
        axes.plot(accuracy, place, mec=BLUE, **style)
        words = f"{accuracy:.1f}" + (f" ({epochs} epochs)" if epochs > few else "")
        axes.annotate(words, (accuracy, place), (8, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(ends)), names)
    axes.set_xlabel(f"accuracy on 5,000 training images kept apart, after {few} epochs (%)")
    axes.margins(x=0.2, y=0.05)
    said = "; ".join(f"{name} {value:.1f}" for name, value in zip(names, ends["validation_accuracy"], strict=True))
    figure.set_label(f"The ladder, accuracy in percent after {few} epochs where nothing else is said: {said}.")
    return figure


@look.styled()
def fronts(costs: pd.DataFrame, accuracy: pd.Series, best: Mapping[str, Sequence[str]]) -> Figure:
    """Accuracy (percent) against each cost, with its front as a staircase; two GN-S and GN-D have names.

    ``costs``: a row a network, a column a kind of cost; ``best``: of each column the keys on its front, cheap to dear.
    """
    figure = look.figure(8.4, 3.8)
    own = costs.index.str.startswith("gn-")
    kinds = (
        (own, "o", BLUE, BLUE, "the paper's recipe"),
        (~own, "s", "white", VERMILION, "other recipes (model zoo, fine-tuned)"),
    )
    panels = np.atleast_1d(figure.subplots(1, len(best), sharey=True))
    for axes, (name, keys) in zip(panels, best.items(), strict=True):
        axes.step(costs[name][list(keys)], accuracy[list(keys)], where="post", color=BLACK, linewidth=0.8, zorder=1)
        for rows, marker, face, edge, label in kinds:
            axes.plot(costs[name][rows], accuracy[rows], marker, mfc=face, mec=edge, label=label)
        for key, words, offset, side in (
            ("gn-s-1.0x", "1.0x", (-5, 5), "right"),
            ("gn-s-2.8x", "2.8x", (-5, 5), "right"),
            ("gn-d", "GN-D", (0, -15), "center"),
        ):
            if key in costs.index:
                place = (costs[name][key], accuracy[key])
                axes.annotate(words, place, offset, textcoords="offset points", ha=side)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # an exponent would be too small to read
        axes.xaxis.set_minor_formatter("")
        axes.set_xlabel(name)
        axes.margins(x=0.25, y=0.12)
    panels[0].set_ylabel("test accuracy (%)")
    figure.legend(*panels[0].get_legend_handles_labels(), ncols=2, loc="outside lower center")
    words = "; ".join(f"{name}: {', '.join(front)}" for name, front in best.items())
    figure.set_label(f"Accuracy against three costs. Nobody beats, by {words}.")
    return figure
