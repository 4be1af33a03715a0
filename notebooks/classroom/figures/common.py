"""Figures that several lessons draw: rows of small pictures, intervals below one another.

Every function here and beside it returns a figure whose words, for ``look.show``, are in its label.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from course_lib import look
from course_lib.look import BLUE, VERMILION

WIDEST = 8.6  # inches; a page shows what is wider smaller, with letters below 10 pt
Panel = tuple[ArrayLike, str]  # a picture, (H, W) or (H, W, 3), and its title


@look.styled()
def one_panel(width: float, height: float, grid: str = "") -> tuple[Figure, Axes]:
    """An empty figure, sides in inches, with one pair of axes and the ``grid`` ("x", "y", "both") they are read by."""
    figure = look.figure(width, height)
    axes = figure.subplots()
    if grid:
        look.dress(axes, grid)
    return figure, axes


@look.styled()
def gallery(rows: Sequence[Sequence[Panel]], photo: Panel | None = None, size: float = 1.1, **style) -> Figure:
    """Rows of as many small pictures with titles; each picture is scaled by itself, unless ``style`` gives a range.

    Args:
        photo: stands in front of the first row.
        size: of one picture, in inches; less where they would not stand beside one another.
        style: further arguments of ``imshow``, as ``vmin`` and ``vmax``.
    """
    columns, lines = len(rows[0]) + (photo is not None), 1 + max(title.count("\n") for _, title in rows[0])
    size = min(size, WIDEST / columns)
    figure = look.figure(size * columns, (size + 0.05 + 0.17 * lines) * len(rows))
    for number, (places, panels) in enumerate(
        zip(figure.subplots(len(rows), columns, squeeze=False), rows, strict=True)
    ):
        front = [] if photo is None else [photo if number == 0 else None]
        for axes, panel in zip(places, [*front, *panels], strict=True):
            axes.axis("off")
            if panel is not None:
                axes.imshow(np.asarray(panel[0]), **{"cmap": "gray"} | style)
                axes.set_title(panel[1])
    return figure


@look.styled()
def intervals(middles: pd.Series, low: pd.Series, high: pd.Series, squares: Sequence[str], x: str) -> Figure:
    """Points with their intervals, one below the other by the names in the common index; ``squares`` are open ones."""
    figure, axes = one_panel(8.4, 1.0 + 0.22 * max(1, len(middles)), "x")
    square = middles.index.isin(list(squares))
    for chosen, marker, colour in ((~square, "o", BLUE), (square, "s", VERMILION)):
        rows, points = np.flatnonzero(chosen), middles[chosen]
        errors = [points - low[chosen], high[chosen] - points]
        style = {"mfc": "white" if marker == "s" else colour, "capsize": 2, "markersize": 5}
        axes.errorbar(points, rows, xerr=errors, fmt=marker, color=colour, **style)
    axes.set_yticks(range(len(middles)), middles.index)
    axes.set(xlabel=x, ylim=(max(1, len(middles)) - 0.5, -0.5))
    return figure
