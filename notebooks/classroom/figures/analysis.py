"""The figures of lesson 06: all rows side by side, Pareto fronts, and differences with their intervals.

Each function returns a figure with its words in ``look.alt_text``. Importing this module does not import torch.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from classroom.figures.common import fronts_figure, intervals
from course_lib import look, report
from course_lib.profiles import Profile

__all__ = ["differences_figure", "fronts_figure", "intervals_figure", "rows_figure"]
# Marker, face, place above or below the network's line, and name of the rows of Tables I to IV.
MARKS = {
    1: ("o", look.BLUE, 0.0, "alone"),
    2: ("s", "none", 0.22, "one teacher"),
    3: ("^", "none", -0.22, "assistants"),
    4: ("D", "none", -0.4, "ensemble"),
}


@look.styled()
def rows_figure(results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> Figure:
    """All rows of Tables I to IV, a line for each network: the paper's accuracies (percent) on the left, ours beside.

    The accuracy axis is shared only with the full profile: a smaller one is another experiment. ``results``:
    ``store.load_results()``; ``profile`` and ``recipe``: whose runs to show.
    """
    tables = {n: report.table(n, results, profile, recipe) for n in MARKS}
    name = profile.name if isinstance(profile, Profile) else profile
    order = tables[1][report.PAPER_ACCURACY].sort_values().index
    figure = look.figure(9, 5.2)
    left, right = figure.subplots(1, 2, sharey=True, sharex=name == "full")
    _draw_rows(left, tables, report.PAPER_ACCURACY, order, "Paper: best of 200 epochs, one seed")
    title = f"Ours: last epoch, {name} profile, recipe {recipe!r}"
    _draw_rows(right, tables, report.OUR_ACCURACY, order, title)
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
    look.dress(axes, "x")


def _left(deltas: pd.Series) -> str:
    known = deltas.dropna()
    return f"{(known < 0).sum()} of {len(known)} taught students" if len(known) else "no taught student has been run"


@look.styled()
def differences_figure(pairs: Mapping[int, np.ndarray], line: float) -> Figure:
    """Histograms of simulated differences of two equal networks, in points, a panel for each number of test images.

    ``pairs``: number of images -> differences (studies,); ``line``: where dashed lines stand, on both sides.
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


def intervals_figure(
    deltas: pd.Series, halves: pd.Series, *, interval: str, words: str, open_rows: Iterable[str] = ()
) -> Figure:
    """Differences and half of their intervals, in points, one below the other by the names in their common index.

    ``interval`` says what kind it is, ``words`` whose differences these are; ``open_rows`` are drawn as squares.
    """
    x = f"delta (points), {interval}"
    figure = intervals(deltas, deltas - halves, deltas + halves, open_rows, x)
    figure.axes[0].axvline(0, color=look.BLACK, linewidth=1)
    clear = deltas.index[deltas.abs() > halves]
    named = f" ({', '.join(clear)})." if len(clear) else "."
    figure.set_label(f"{words}: {len(deltas)} deltas, {interval}. {len(clear)} leave zero out{named}")
    return figure
