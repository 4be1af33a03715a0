"""The figures of lesson 06: all rows side by side, Pareto fronts, and differences with their intervals.

Each function returns a figure with its words in ``look.alt_text``. Importing this module does not import torch.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib import look, report
from course_lib.profiles import Profile

PALE = "#8fb8d6"  # of the palette's blue, for what belongs to a point and is not the point
# Marker, face, place above or below the network's line, and name of the rows of Tables I to IV.
MARKS = {
    1: ("o", look.BLUE, 0.0, "alone"),
    2: ("s", "none", 0.22, "one teacher"),
    3: ("^", "none", -0.22, "assistants"),
    4: ("D", "none", -0.4, "ensemble"),
}
NEAR = (
    0.12,
    0.06,
)  # of the axes: where a point of the front is nearer than this, its name changes sides


@look.styled()
def rows_figure(results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> Figure:
    """All rows of Tables I to IV, a line for each network: the paper's accuracies (percent) on the left, ours beside.

    The accuracy axis is shared only with the full profile: a smaller one is another experiment.

    Args:
        results: ``store.load_results()``.
        profile, recipe: whose runs to show.
    """
    tables = {n: report.table(n, results, profile, recipe) for n in MARKS}
    name = profile.name if isinstance(profile, Profile) else profile
    order = tables[1][report.PAPER_ACCURACY].sort_values().index
    figure = look.figure(9, 5.2)
    left, right = figure.subplots(1, 2, sharey=True, sharex=name == "full")
    _draw_rows(left, tables, report.PAPER_ACCURACY, order, "Paper: best of 200 epochs, one seed")
    _draw_rows(
        right,
        tables,
        report.OUR_ACCURACY,
        order,
        f"Ours: last epoch, {name} profile, recipe {recipe!r}",
    )
    left.set_yticks(range(len(order)), order)
    left.legend(loc="lower right")
    taught = pd.concat([tables[n] for n in (2, 3, 4)])
    figure.set_label(
        f"All {sum(map(len, tables.values()))} rows, a line for each network. Left of their own baseline: in the paper "
        f"{_left(taught[report.PAPER_DELTA])}; ours, {report.words_for(results, profile, recipe)}: "
        f"{_left(taught[report.OUR_DELTA])}."
    )
    return figure


def _draw_rows(axes: Axes, tables: Mapping[int, pd.DataFrame], column: str, order: pd.Index, title: str) -> None:
    """Every row at its accuracy, on the line of the network that was trained."""
    for n, (marker, face, shift, label) in MARKS.items():
        lines = [order.get_loc(key.split("<")[0]) + shift for key in tables[n].index]
        axes.plot(tables[n][column], lines, marker, mec=look.BLUE, mfc=face, ms=5, label=label)
    axes.set_title(title)
    axes.set_xlabel("test accuracy (%)")
    axes.grid(axis="x", alpha=0.3)


def _left(deltas: pd.Series) -> str:
    known = deltas.dropna()
    return f"{(known < 0).sum()} of {len(known)} taught students" if len(known) else "no taught student has been run"


@look.styled()
def fronts_figure(costs: pd.DataFrame, accuracy: pd.Series, fronts: Mapping[str, Sequence[str]], title: str) -> Figure:
    """Accuracy against each cost, with the front as a staircase and its networks by name.

    Args:
        costs: a row a network, a column for each kind of cost, named with its unit.
        accuracy: in percent, one for each row of ``costs``.
        fronts: of each column the keys on its front, from cheap to dear.
        title: whose accuracies these are.
    """
    figure = look.figure(10, 4.2)
    figure.suptitle(title)
    own = costs.index.str.startswith("gn-")
    panels = np.atleast_1d(figure.subplots(1, len(fronts), sharey=True))
    kinds = (
        (own, "o", look.BLUE, look.BLUE, "the paper's recipe (numbers: GN-S widths)"),
        (~own, "s", "none", look.VERMILION, "other recipes (zoo, fine-tuned)"),
    )
    for axes, (name, front) in zip(panels, fronts.items(), strict=True):
        for rows, marker, face, edge, label in kinds:
            axes.plot(costs[name][rows], accuracy[rows], marker, mfc=face, mec=edge, label=label)
        axes.step(costs[name][front], accuracy[front], where="post", color=look.BLACK, lw=0.8)
        axes.set_xscale("log")
        axes.set_xlabel(name + ", logarithmic")
        axes.margins(x=0.25, y=0.12)
        _name_front(axes, costs[name], accuracy, front)
    panels[0].set_ylabel("test accuracy (%)")
    figure.legend(*panels[0].get_legend_handles_labels(), ncols=2, loc="outside lower center")
    words = "; ".join(f"{name}: {', '.join(front)}" for name, front in fronts.items())
    figure.set_label(f"{title}. Accuracy against each cost. Nobody beats, by {words}.")
    return figure


def _name_front(axes: Axes, cost: pd.Series, accuracy: pd.Series, front: Sequence[str]) -> None:
    """Of networks that lie close together the first has its name left above, the others theirs right below the last."""
    axes.autoscale_view()
    to_axes = axes.transData - axes.transAxes  # both axes run from 0 to 1
    groups, before = [], np.array([-1.0, -1.0])
    for key in front:
        place = to_axes.transform((cost[key], accuracy[key]))
        if (np.abs(place - before) < NEAR).all():
            groups[-1].append(key)
        else:
            groups.append([key])
        before = place
    for first, *others in groups:
        side = "right" if others or first != front[0] else "center"  # the very first has the axis on its left
        _name(axes, [first], (cost[first], accuracy[first]), (-4 if side == "right" else 0, 5), side)
        if others:
            _name(axes, others, (cost[others[-1]], accuracy[others[-1]]), (5, -11), "left")


def _name(axes: Axes, keys: Sequence[str], place: tuple, offset: tuple, side: str) -> None:
    words = ", ".join(key.removeprefix("gn-s-") for key in keys)
    axes.annotate(words, place, offset, textcoords="offset points", ha=side)


@look.styled()
def differences_figure(pairs: Mapping[int, np.ndarray], line: float) -> Figure:
    """Histograms of simulated differences of two equal networks, in points, a panel for each number of test images.

    Args:
        pairs: number of images -> differences (studies,) in points.
        line: where dashed lines stand, on both sides, in points.
    """
    figure = look.figure(8.4, 2.6)
    panels = np.atleast_1d(figure.subplots(1, len(pairs), sharex=True))
    for axes, (images, differences) in zip(panels, pairs.items(), strict=True):
        axes.hist(differences, bins=np.arange(-4, 4.1, 0.2) + 0.1, fc="#cfe3f1", ec=look.BLUE)
        for side in (-line, line):
            axes.axvline(side, color=look.VERMILION, linestyle="--")
        axes.set_title(f"{images:,} test images")
        axes.set_xlabel("difference of two equal networks (points)")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    words = "; ".join(f"{images:,} images: sd {values.std():.2f}" for images, values in pairs.items())
    figure.set_label(f"Simulated differences of two equal networks, in points. {words}. Dashed: {line}.")
    return figure


@look.styled()
def intervals_figure(
    deltas: pd.Series,
    halves: pd.Series,
    *,
    interval: str,
    words: str,
    open_rows: Iterable[str] = (),
) -> Figure:
    """Differences with their intervals, one below the other by the names in the index.

    Args:
        deltas, halves: difference and half of its interval, in points, with one index.
        interval: what kind of interval it is, for the axis and the words.
        words: whose differences these are.
        open_rows: names whose point is drawn as an open square.
    """
    figure = look.figure(8.4, 1.0 + 0.2 * max(1, len(deltas)))
    axes = figure.subplots()
    axes.axvline(0, color=look.BLACK, linewidth=1)
    is_open = deltas.index.isin(list(open_rows))
    for chosen, marker, face in ((~is_open, "o", look.BLUE), (is_open, "s", "white")):
        rows = np.flatnonzero(chosen)
        style = {"fmt": marker, "mec": look.BLUE, "mfc": face, "ecolor": PALE, "capsize": 2}
        axes.errorbar(deltas.to_numpy()[rows], rows, xerr=halves.to_numpy()[rows], **style)
    axes.set_yticks(range(len(deltas)), deltas.index)
    axes.set_ylim(max(1, len(deltas)) - 0.5, -0.5)
    axes.set_xlabel(f"delta (points), {interval}")
    clear = deltas.index[deltas.abs() > halves]
    figure.set_label(
        f"{words}: {len(deltas)} deltas, {interval}. {len(clear)} leave zero out"
        + (f" ({', '.join(clear)})." if len(clear) else ".")
    )
    return figure
