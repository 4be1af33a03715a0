"""Figures of lesson 02: photographs side by side, descents, learning curves, and accuracy against its price.

Each function returns a figure with its words in the label, where ``look.show`` finds them.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from classroom.figures.common import fronts_figure
from course_lib import look
from course_lib.look import BLACK, BLUE, GREEN, VERMILION

__all__ = ["PRICES", "chosen_epochs", "fronts_figure", "gallery", "live_curves", "mosaic", "small_runs", "valley"]
TILE = 34  # pixels from one photograph to the next: 32 and a white gap
GUESSING = {"loss": math.log(10), "accuracy": 10.0}  # of ten classes alike
PRICES = {"used_parameters": "parameters", "used_macs": "MACs", "used_ms": "milliseconds"}


def mosaic(rows: Sequence[Sequence[Tensor]]) -> Tensor:
    """Rows of photographs (3, 32, 32), bytes, as one picture (height, width, 3) with white gaps."""
    framed = [torch.cat([F.pad(one, (1, 1, 1, 1), value=255) for one in row], 2) for row in rows]
    return torch.cat(framed, 1).permute(1, 2, 0)


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
    figure = look.figure(*size, label=words)
    axes = figure.subplots()
    axes.imshow(mosaic(rows).numpy())
    axes.set_xticks(16 + TILE * np.arange(len(below)), list(below))
    axes.set_yticks(16 + TILE * np.arange(len(beside)), list(beside))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


@look.styled()
def valley(paths: Mapping[str, Tensor], curvature: Tensor) -> Figure:
    """Descents into the parabola ``sum(curvature * w**2) / 2``: each a path (steps + 1, 2) that starts at w_0."""
    figure = look.figure(8.4, 3.4)
    axes = figure.subplots()
    flat, steep = curvature.tolist()
    x, y = np.meshgrid(np.linspace(-4.5, 1.8, 90), np.linspace(-1.7, 1.7, 60))
    axes.contour(x, y, (flat * x**2 + steep * y**2) / 2, levels=[0.2, 1, 3, 8, 16, 28], colors="0.8")
    ends = {kind: (curvature * path[-1] ** 2).sum().item() / 2 for kind, path in paths.items()}
    for number, (kind, path) in enumerate(paths.items()):
        style = {"color": (BLACK, VERMILION, BLUE)[number % 3], "marker": "^so"[number % 3], "markersize": 4}
        axes.plot(*path.T.numpy(), **style, label=f"{kind}: {ends[kind]:.3f}")
    steps = max((len(path) - 1 for path in paths.values()), default=0)
    axes.set(xlabel="x (flat direction)", ylabel="y (steep direction)")
    if paths:
        axes.legend(title=f"loss after {steps} steps", loc="lower right")
    ending = ", ".join(f"{kind} {loss:.3f}" for kind, loss in ends.items())
    figure.set_label(f"Descents into a narrow valley, loss after {steps} steps: {ending or 'none'}")
    return figure


@look.styled()
def live_curves(history: Sequence[dict], epochs: int) -> Figure:
    """Loss and accuracy (percent) after every epoch so far, on training and test images, beside guessing.

    Args:
        history: a row an epoch with train_loss, train_accuracy, test_loss and test_accuracy; may be empty.
        epochs: how many there will be.
    """
    figure = look.figure(8.4, 3)
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
    else:
        figure.set_label("The live run begins: no epoch yet")
    return figure


@look.styled()
def small_runs(runs: Mapping[str, pd.DataFrame]) -> Figure:
    """Accuracy (percent) of the fitted, validation and test images after every epoch, a panel for each run."""
    figure = look.figure(8.4, 3.2)
    looks = {"fit": (BLUE, "-"), "validation": (GREEN, "--"), "test": (VERMILION, "-.")}
    words = []
    panels = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
    for axes, (name, run) in zip(panels, runs.items(), strict=True):
        for part, (colour, dash) in looks.items():
            axes.plot(range(1, len(run) + 1), run[part], color=colour, linestyle=dash, label=part)
        axes.set(xlabel="epoch", ylabel="accuracy (%)", title=f"weight decay {name}")
        axes.label_outer()
        look.dress(axes)
        last = run.iloc[-1]
        words.append(f"weight decay {name}: " + ", ".join(f"{part} {last[part]:.0f} %" for part in looks))
    axes.legend()
    figure.set_label(f"Right answers after {len(run)} epochs. " + "; ".join(words))
    return figure


@look.styled()
def chosen_epochs(measured: np.ndarray, truth: np.ndarray) -> Figure:
    """One simulated run beside its truth, and what all of them report at the last and at their best epoch.

    ``measured``: accuracies in percent, (runs, epochs); ``truth``: of each epoch, the same for all runs.
    """
    last, best = measured[:, -1], measured.max(axis=1)
    figure = look.figure(8.4, 3.2)
    left, right = figure.subplots(1, 2)
    epochs = range(1, len(truth) + 1)
    left.plot(epochs, measured[0], color=BLUE, linewidth=0.8, label="measured")
    left.plot(epochs, truth, color=BLACK, linestyle="--", label="truth (mean of seeds)")
    left.plot(measured[0].argmax() + 1, best[0], "o", color=VERMILION, label="best epoch")
    left.set(xlabel="epoch", ylabel="accuracy (%)", title="one simulated run", ylim=(80, 93))
    left.legend(loc="lower right")
    right.hist(last - truth[-1], bins=60, color=BLUE, alpha=0.6, label="last epoch")
    right.hist(best - truth[-1], bins=60, color=VERMILION, alpha=0.6, label=f"best of {len(truth)}")
    right.axvline(0, color=BLACK, linestyle="--")
    right.set(xlabel="reported accuracy minus the truth (points)", ylabel="runs")
    right.set_title(f"{len(measured):,} simulated runs")
    right.legend()
    figure.set_label(
        f"A simulated run, and what {len(measured):,} of them report: the best epoch lies "
        f"{(best - last).mean():.2f} points above the last, though nothing was learned in between"
    )
    return figure
