"""Figures of lesson 5: averages and their theory, soft targets, accuracies, and how alike networks are."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from classroom.figures.common import intervals, one_panel
from course_lib import look
from course_lib.look import BLACK, BLUE, CURVE_COLOURS, VERMILION

MARKERS = "os^D"


@look.styled()
def error_of_means(
    counts: Sequence[int], theory: Mapping[float, np.ndarray], drawn: Mapping[float, Mapping[int, float]]
) -> Figure:
    """The squared error of a mean of K estimates against K, a line and points for each correlation.

    Args:
        counts: (M,) the K of the lines, rising.
        theory: by correlation, the squared errors (M,) of the formula.
        drawn: by correlation, squared errors found by drawing estimates, by K.
    """
    figure, axes = one_panel(7, 2.8, "both")
    for (correlation, errors), colour, marker in zip(theory.items(), CURVE_COLOURS, MARKERS, strict=False):
        axes.plot(counts, errors, color=colour)
        axes.plot(*zip(*drawn[correlation].items(), strict=True), marker, color=colour, label=correlation)
    axes.set(xlabel="number of members K", ylabel="squared error", ylim=(0, None))
    axes.legend(frameon=False, ncols=len(theory), loc="upper right", title="correlation")
    words = "; ".join(
        f"correlation {correlation}: {errors[0]:.2f} for K = {counts[0]}, {errors[-1]:.2f} for K = {counts[-1]}"
        for correlation, errors in theory.items()
    )
    figure.set_label(f"Squared error of a mean of K estimates. {words}. Lines: the formula. Points: drawn at random.")
    return figure


@look.styled()
def soft_targets(image: np.ndarray, label: str, targets: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """An image (H, W, 3) with its label, and beside it the probabilities (C,) that each of ``targets`` gives.

    Names with "mean" in them stand out.
    """
    figure = look.figure(8.6, 3)
    ratios = [1.3] + [1] * len(targets)
    picture, *row = figure.subplots(1, len(ratios), width_ratios=ratios, squeeze=False)[0]
    picture.imshow(image)
    picture.set_title(f"label: {label}")
    picture.axis("off")
    for axes, (name, p) in zip(row, targets.items(), strict=True):
        axes.barh(range(len(p)), p, color=VERMILION if "mean" in name else BLUE)
        axes.set_yticks(range(len(p)), classes if axes is row[0] else [])
        axes.set(xlim=(0, 1), title=name)
        axes.invert_yaxis()
    said = "; ".join(f"{name}: {classes[int(p.argmax())]} {p.max():.2f}" for name, p in targets.items())
    figure.set_label(f"Soft targets for an image labelled {label}. {said}.")
    return figure


@look.styled()
def jensen(sure: float, unsure: float) -> Figure:
    """The curve -log p, what two members lose who give the right class ``sure`` and ``unsure``, and what their mean."""
    middle, chord = (sure + unsure) / 2, -(math.log(sure) + math.log(unsure)) / 2
    loss, curve = -math.log(middle), np.linspace(0.04, 1, 100)
    figure, axes = one_panel(6, 2.7, "both")
    axes.plot(curve, -np.log(curve), color=BLACK)
    axes.plot([unsure, sure], [-math.log(unsure), -math.log(sure)], "o--", color=BLUE)
    axes.plot(middle, chord, "s", color=BLUE, markersize=8)
    axes.plot(middle, loss, "D", color=VERMILION, markersize=8)
    axes.annotate(f"mean of the losses {chord:.2f}", (middle + 0.03, chord))
    axes.annotate(f"loss of the mean {loss:.2f}", (middle - 0.02, loss - 0.12), ha="right", va="top")
    axes.set(xlabel="probability of the right class", ylabel="- log p")
    figure.set_label(
        f"The curve - log p bends upwards. Members with {sure:g} and {unsure:g} have a mean loss of {chord:.2f}; "
        f"their mean, {middle:g}, has the smaller loss {loss:.2f}."
    )
    return figure


def accuracies(frame: pd.DataFrame, images: int) -> Figure:
    """Accuracies with their intervals, a line each: squares for ensembles, whose names hold a colon.

    Args:
        frame: a row for each network or ensemble: ``accuracy``, ``from`` and ``to`` in percent.
        images: how many test images they were counted on.
    """
    squares = [name for name in frame.index if ":" in name]
    figure = intervals(frame["accuracy"], frame["from"], frame["to"], squares, "test accuracy (%), 95 % interval")
    words = "; ".join(f"{name} {accuracy:.2f}" for name, accuracy in frame["accuracy"].items())
    figure.set_label(
        f"Accuracy in percent on {images:,} test images, each network once (n = 1), 95 % Wilson intervals. "
        f"Round: single networks. Square: ensembles. {words}."
    )
    return figure


@look.styled()
def likeness(pairs: Mapping[tuple[str, str], float], names: Sequence[str]) -> Figure:
    """Yule's Q of every two of ``names`` as a triangle of numbers; ``pairs`` has each two in the order of ``names``."""
    import seaborn  # here, since it takes a second

    square = np.full((len(names), len(names)), np.nan)
    for (first, second), q in pairs.items():
        square[names.index(second), names.index(first)] = q
    figure, axes = one_panel(7.4, 4)
    named = {"xticklabels": names[:-1], "yticklabels": names[1:], "cbar": False}
    seaborn.heatmap(square[1:, :-1], ax=axes, cmap="cividis", annot=True, fmt=".2f", **named)
    axes.set_xticks(axes.get_xticks(), names[:-1], rotation=35, ha="right")
    axes.tick_params(axis="y", labelrotation=0)
    most, least = max(pairs, key=pairs.get), min(pairs, key=pairs.get)
    ends = [f"{first} and {second} ({pairs[first, second]:.2f})" for first, second in (most, least)]
    figure.set_label(
        f"Yule's Q of all pairs; 0 would mean independent errors. Most alike: {ends[0]}; least: {ends[1]}."
    )
    return figure
