"""Figures that several lessons draw: rows of small pictures, Pareto fronts, intervals below one another.

Every function here and beside it returns a figure whose words, for ``look.show``, are in its label.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from course_lib import look
from course_lib.look import BLACK, BLUE, VERMILION

Panel = tuple[ArrayLike, str]  # a picture, (H, W) or (H, W, 3), and its title
NEAR = (0.12, 0.06)  # of the axes: where a point of the front is nearer than this, its name changes sides


@look.styled()
def gallery(rows: Sequence[Sequence[Panel]], photo: Panel | None = None, size: float = 1.1, **style) -> Figure:
    """Rows of as many small pictures with titles; each picture is scaled by itself, unless ``style`` gives a range.

    Args:
        photo: stands in front of the first row.
        size: of one picture, in inches.
        style: further arguments of ``imshow``, as ``vmin`` and ``vmax``.

    Raises:
        ValueError: there is nothing to draw.
    """
    if not rows or not rows[0]:
        raise ValueError("gallery needs at least one picture")
    columns, lines = len(rows[0]) + (photo is not None), 1 + max(title.count("\n") for _, title in rows[0])
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
def fronts_figure(costs: pd.DataFrame, accuracy: pd.Series, fronts: Mapping[str, Sequence[str]], title: str) -> Figure:
    """Accuracy against each cost, with the front as a staircase and its networks by name.

    Args:
        costs: a row a network, a column for each kind of cost, named with its unit.
        accuracy: in percent, one for each row of ``costs``.
        fronts: of each column the keys on its front.
        title: whose accuracies these are.
    """
    figure = look.figure(10, 4.2)
    figure.suptitle(title)
    own = costs.index.str.startswith("gn-")
    panels = np.atleast_1d(figure.subplots(1, len(fronts), sharey=True))
    kinds = (
        (own, "o", BLUE, BLUE, "the paper's recipe (numbers: GN-S widths)"),
        (~own, "s", "none", VERMILION, "other recipes (zoo, fine-tuned)"),
    )
    for axes, (name, keys) in zip(panels, fronts.items(), strict=True):
        for rows, marker, face, edge, label in kinds:
            axes.plot(costs[name][rows], accuracy[rows], marker, mfc=face, mec=edge, label=label)
        front = sorted(keys, key=costs[name].get)
        axes.step(costs[name][front], accuracy[front], where="post", color=BLACK, lw=0.8)
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
            _name(axes, others, (cost[others[-1]], accuracy[others[-1]]), (5, -13), "left")


def _name(axes: Axes, keys: Sequence[str], place: tuple, offset: tuple, side: str) -> None:
    words = ", ".join(key.removeprefix("gn-s-") for key in keys)
    axes.annotate(words, place, offset, textcoords="offset points", ha=side)


@look.styled()
def intervals(middles: pd.Series, low: pd.Series, high: pd.Series, squares: Sequence[str], x: str) -> Figure:
    """Points with their intervals, one below the other by the names in the common index; ``squares`` are open ones."""
    figure = look.figure(8.4, 1.0 + 0.22 * max(1, len(middles)))
    axes = figure.subplots()
    square = middles.index.isin(list(squares))
    for chosen, marker, colour in ((~square, "o", BLUE), (square, "s", VERMILION)):
        rows, points = np.flatnonzero(chosen), middles[chosen]
        errors = [points - low[chosen], high[chosen] - points]
        style = {"mfc": "white" if marker == "s" else colour, "capsize": 2, "markersize": 5}
        axes.errorbar(points, rows, xerr=errors, fmt=marker, color=colour, **style)
    axes.set_yticks(range(len(middles)), middles.index)
    axes.set(xlabel=x, ylim=(max(1, len(middles)) - 0.5, -0.5))
    look.dress(axes, "x")
    return figure


def powers_of_two(axes: Axes, values: Sequence[float], label: str) -> None:
    """A logarithmic x axis with a tick at each value."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.set_xlabel(label)
