"""The figures of lesson 03: what a teacher says, where a gradient points, how a race goes, and how honest doubt is.

Probabilities are shares of 1; images are bytes (height, width, 3). The first of several curves or bars is blue, the
second vermilion and hatched or dashed.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from classroom.figures.common import one_panel
from course_lib import look
from course_lib.look import BLACK, BLUE, CURVE_COLOURS, VERMILION

KINDS = (  # of bars: filled, then hatched
    {"color": BLUE},
    {"facecolor": "none", "edgecolor": VERMILION, "hatch": "/////"},
)
DASHES = ("-", "--", "-.", ":")


@look.styled()
def answers(
    images: np.ndarray, truths: Sequence[str], said: Mapping[str, np.ndarray], classes: Sequence[str]
) -> Figure:
    """N images with their true class, and below each the probabilities (N, classes) of one or two answers by name."""
    figure = look.figure(8.6, 4.6)
    panels, thick = figure.subplots(2, len(images), height_ratios=(1, 1.5), squeeze=False), 0.8 / len(said)
    rows = np.arange(len(classes))
    for number, (above, below) in enumerate(panels.T):
        above.imshow(images[number])
        above.set_title(truths[number])
        above.axis("off")
        for place, ((name, shares), kind) in enumerate(zip(said.items(), KINDS, strict=False)):
            offset = (place - (len(said) - 1) / 2) * thick
            below.barh(rows + offset, shares[number], thick, label=name, **kind)
        below.set_yticks(rows, classes)
        below.set(xlim=(0, 1), xlabel="probability", xticks=[0, 0.5, 1])
        below.tick_params(labelleft=number == 0)
        below.invert_yaxis()
    if len(said) > 1:
        figure.legend(*panels[1, 0].get_legend_handles_labels(), ncols=len(said), loc="outside lower center")
    highest = "; ".join(
        f"{name}: " + ", ".join(f"{p.max():.2f} for {classes[p.argmax()]}" for p in shares)
        for name, shares in said.items()
    )
    figure.set_label(f"{len(images)} images and the teacher's probabilities; its highest, {highest}")
    return figure


@look.styled()
def resemblance_map(means: np.ndarray, classes: Sequence[str]) -> Figure:
    """The mean probability of each wrong class (columns) for images of each class (rows): ``means`` (C, C)."""
    import seaborn  # here, since it takes a second

    figure, axes = one_panel(6, 4.8)
    others = np.where(np.eye(len(classes), dtype=bool), np.nan, means)  # the diagonal would outshine the rest
    named = {"xticklabels": classes, "yticklabels": classes, "cbar_kws": {"label": "mean probability"}}
    seaborn.heatmap(others, ax=axes, cmap="cividis", square=True, **named)
    axes.set(xlabel="class the teacher considers", ylabel="true class")
    axes.set_xticks(axes.get_xticks(), classes, rotation=45, ha="right")
    row, column = np.unravel_index(np.nanargmax(others), others.shape)
    highest = f"{others[row, column]:.2f}, for {classes[column]} where {classes[row]} is true"
    figure.set_label(f"Mean probability of each wrong class; the highest is {highest}")
    return figure


@look.styled()
def entropies(temperatures: Sequence[float], bits: Mapping[str, Sequence[float]], highest: float) -> Figure:
    """The mean entropy of soft targets against T, a curve for each name; ``highest``: that of saying nothing."""
    figure, axes = one_panel(7, 3.2)
    for (name, values), dash, mark, colour in zip(bits.items(), DASHES, "os^", CURVE_COLOURS, strict=False):
        axes.plot(temperatures, values, dash + mark, color=colour, label=name)
    axes.axhline(highest, color=BLACK, lw=0.8)
    axes.text(temperatures[0], highest + 0.07, "all classes alike: says nothing")
    axes.set_xscale("log", base=2)
    axes.set_xticks(temperatures, [f"{T:g}" for T in temperatures])
    axes.set(xlabel="temperature T", ylabel="entropy (bits)", ylim=(-0.1, highest + 0.5))
    axes.legend(loc="lower right")
    ends = f"from T = {temperatures[0]:g} to {temperatures[-1]:g}"
    words = "; ".join(f"{name} {values[0]:.3f} to {values[-1]:.2f} bits" for name, values in bits.items())
    figure.set_label(f"Mean entropy of the teacher's answers, {ends}: {words}")
    return figure


@look.styled()
def gradient_sizes(temperatures: np.ndarray, plain: np.ndarray, limit: float) -> Figure:
    """The mean size of KL's gradient against T, as it is (``plain``) and times T², which tends to ``limit``."""
    figure, axes = one_panel(7, 3.4, "both")
    scaled = plain * temperatures**2
    axes.plot(temperatures, plain, "s--", color=VERMILION, label="KL alone")
    axes.plot(temperatures, scaled, "o-", color=BLUE, label="T² · KL")
    axes.axhline(limit, color=BLACK, linestyle=":", label="limit: |z − v| / 10")
    axes.set(xlabel="temperature T", ylabel="mean gradient norm")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")  # an exponent would be too small to read
    axes.legend()
    figure.set_label(
        f"Gradient of the soft term against T. At T = {temperatures[-1]:g} it is {plain[-1]:.1e} for KL alone and "
        f"{scaled[-1]:.3f} for T² KL; the limit is {limit:.3f}"
    )
    return figure


@look.styled()
def arrows(panels: Mapping[str, Mapping[str, tuple[float, float]]]) -> Figure:
    """Gradients as arrows, a panel for each student: (length, cosine) by name, both against the label's gradient.

    The label's own gradient is the thick grey arrow of length 1 to the right.
    """
    figure = look.figure(8.6, 4.2)
    ends = [(length, (1 - cosine**2) ** 0.5) for each in panels.values() for length, cosine in each.values()]
    longest, highest = max(length for length, _ in ends), max(length * sine for length, sine in ends)
    rows = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axes, (student, gradients) in zip(rows, panels.items(), strict=True):
        axes.annotate("", (1, 0), (0, 0), arrowprops={"color": "0.75", "width": 7, "headwidth": 14})
        for (name, (length, cosine)), colour, dash in zip(gradients.items(), (BLUE, VERMILION), DASHES, strict=False):
            end = length * cosine, length * (1 - cosine**2) ** 0.5
            axes.annotate("", end, (0, 0), arrowprops={"color": colour, "arrowstyle": "->", "lw": 2, "ls": dash})
            beside = max(end[0], 1) + 0.12  # right of the grey one too
            axes.text(beside, end[1], f"{name}: {length:.2f} times", color=colour, va="center")
        axes.set(xlim=(0, longest + 2.4), ylim=(-0.35, 1.3 * highest + 0.4), yticks=[], title=student)
        axes.spines["left"].set_visible(False)
    axes.set_xlabel("length along the label's gradient (grey), which is 1")
    words = "; ".join(
        f"{student}: " + ", ".join(f"{name} {length:.2f} times as long, cosine {cosine:.2f}"
                                   for name, (length, cosine) in gradients.items())
        for student, gradients in panels.items()
    )  # fmt: skip
    figure.set_label(f"Gradients of Eq. 1 beside the label's. {words}")
    return figure


@look.styled()
def race(logged: pd.Series, rows: pd.DataFrame, last: int = 40) -> Figure:
    """Test accuracy by epoch, a column for each student: the whole run above, the ``last`` epochs below.

    ``logged``: accuracies in percent by experiment key and epoch; ``rows``: ``student`` and ``teacher`` by key.
    """
    curves = {}
    for key, row in rows.iterrows():
        runs = curves.setdefault(row["student"], {"alone": logged[key.split("<")[0]]})
        runs[row["teacher"]] = logged[key]
    figure = look.figure(8.6, 6)
    columns = figure.subplots(2, len(curves), squeeze=False).T
    for (whole, end), (student, runs) in zip(columns, curves.items(), strict=True):
        for number, (name, accuracy) in enumerate(runs.items()):
            kind = {"color": CURVE_COLOURS[number - 1], "ls": DASHES[number - 1], "lw": 1.3}
            for axes, shown in ((whole, accuracy), (end, accuracy.iloc[-last:])):
                axes.plot(shown, label=name, **(kind if number else {"color": BLACK, "lw": 2}))
        whole.set_title(student)
        whole.set(ylim=(30, 100))
        end.set(xlabel="epoch")
        end.legend(loc="lower right")
        low, high = end.get_ylim()
        end.set_ylim(low - 0.22 * len(runs) * (high - low), high)  # room for the legend
    for axes in columns[0]:
        axes.set_ylabel("test accuracy (%)")
    words = "; ".join(
        f"{student}: " + ", ".join(f"{name} {accuracy.iloc[-1]:.2f}" for name, accuracy in runs.items())
        for student, runs in curves.items()
    )
    figure.set_label(f"The authors' test accuracy over {len(accuracy)} epochs; after the last, {words}")
    return figure


@look.styled()
def reliability_bars(bins: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray, float]]) -> Figure:
    """The accuracy in each bin of confidence, a panel for each network; honest bars end on the dotted line.

    ``bins``: for each name the images, the accuracy and the mean confidence of every bin, (bins,) each, and the ECE.
    """
    figure = look.figure(8.6, 3.2)
    panels = figure.subplots(1, len(bins), sharey=True, squeeze=False)[0]
    for axes, (name, (n, accuracy, confidence, ece)) in zip(panels, bins.items(), strict=True):
        full = n > 0
        axes.bar(confidence[full], accuracy[full], width=0.06, color=BLUE)
        axes.plot([0, 1], [0, 1], ":", color=BLACK)
        axes.set(title=f"{name}\nECE {ece:.3f}", xlabel="confidence", xlim=(0, 1), ylim=(0, 1))
    panels[0].set_ylabel("accuracy")
    words = ", ".join(f"{name} {ece:.3f}" for name, (*_, ece) in bins.items())
    figure.set_label(f"Reliability of the teacher on the test images; ECE: {words}")
    return figure
