"""The width slider: what each block of GN-S costs, and the accuracy where somebody measured it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from classroom.sliders.controls import Slider
from classroom.sliders.costs import SLIDER_WIDTHS, width_costs
from classroom.sliders.drawing import SKY, Labels, Picture, moves, room, stretch
from course_lib import look
from course_lib.look import BLACK, BLUE, GREEN, VERMILION
from course_lib.profiles import PROFILES
from course_lib.report import AUTHORS_ACCURACY, OUR_ACCURACY, PAPER_ACCURACY, table
from course_lib.study.experiments import find
from course_lib.study.store import load_results


class Width(Picture):
    """Bars for every block of GN-S, and accuracy against width where somebody measured it.

    Settings: ``width``.
    """

    shows = "Bars: parameters and MACs of each block; points: accuracy against width."
    see = "Compare how fast the bars grow with how slowly the accuracy does."
    controls = {"width": Slider(1.0, SLIDER_WIDTHS[0], SLIDER_WIDTHS[-1], 0.1, "width", digits=1)}

    @look.styled()
    def __init__(self, results: pd.DataFrame | None = None) -> None:
        """``results``: ``store.load_results()``; by default what is in the store."""
        note = "pale bar and number: training form; dark bar: folded"
        super().__init__(8.6, 6.2, note)
        self.series = _measured(load_results() if results is None else results)
        most = width_costs(SLIDER_WIDTHS[-1])
        left = self.panel((0.24, 0.09, 0.19, 0.72), "parameters", "square-root scale")
        right = self.panel((0.45, 0.09, 0.19, 0.72), "MACs", "square-root scale")
        self.bars = [_CostBars(left, "parameters", most), _CostBars(right, "macs", most)]
        self.channels = _name_blocks(left, most)
        reduced = [one for one in self.series if one.reduced]
        above = self.panel((0.69, 0.58, 0.295, 0.24), x="width")
        below = self.panel((0.69, 0.09, 0.295, 0.29), x="width")
        full = [one for one in self.series if not one.reduced]
        self.panels = [
            _AccuracyPanel(above, "Accuracy (%): 50,000 images,\n200 epochs", full),
            _AccuracyPanel(below, f"Accuracy (%): 50,000 images,\n{PROFILES['laptop'].student_epochs} epochs", reduced),
        ]

    def draw(self, width: float) -> str:
        costs = width_costs(width)
        self.channels.write([str(channels) for channels in costs["channels"]])
        for part in self.bars:
            part.draw(costs)
        for part in self.panels:
            part.draw(width)
        parameters, macs = costs["parameters"].sum(), costs["macs"].sum()
        self.title.write([f"GN-S at width {width:g}: {parameters:,} parameters, {_short(macs)} MACs"])
        return f"{_cost_words(width, costs)} {_accuracy_words(width, self.series)}"


def _name_blocks(axes: Axes, costs: pd.DataFrame) -> Labels:
    """Write names and sizes of the blocks left of the bars; returns the labels for their channels."""
    place = axes.get_yaxis_transform()  # x in widths of the axes, y in rows
    for x, word, ha in ((-1.2, "block", "left"), (-0.33, "pixels", "right"), (-0.04, "chan.", "right")):
        axes.text(x, -0.95, word, ha=ha, va="center", transform=place)
    for row, block in enumerate(costs.itertuples()):
        axes.text(-1.2, row, _block_name(block.block), ha="left", va="center", transform=place)
        axes.text(-0.33, row, f"{block.resolution}×{block.resolution}", ha="right", va="center", transform=place)
    return Labels(axes, [(-0.04, row) for row in range(len(costs))], place, right=True, gap=0)


class _CostBars:
    """A pale bar for each block in the training form, a dark one in it for the folded form, and the number."""

    def __init__(self, axes: Axes, column: str, most: pd.DataFrame) -> None:
        self.column, self.rows = column, range(len(most))
        self.pale = moves(axes.hlines(self.rows, 0, 0, color=SKY, linewidth=17))
        self.dark = moves(axes.hlines(self.rows, 0, 0, color=BLUE, linewidth=9))
        self.numbers = Labels(axes, [(0, row) for row in self.rows], axes.transData)
        top = most[column].max()
        # Cost grows with the square of the width: on this scale a bar grows with the width itself, and all are seen.
        axes.set_xscale("function", functions=(lambda cost: np.sqrt(np.maximum(cost, 0)), np.square))
        axes.set_xlim(0, 2.3 * top)  # room for the number beside the longest bar
        digit = 10 ** np.floor(np.log10(top))
        ticks = np.array([0, 0.25, 1]) * (top // digit) * digit
        axes.set_xticks(ticks, ["0", *(f"{tick / 1e6:g} M" for tick in ticks[1:])])
        axes.set_yticks([])
        axes.set_ylim(len(most) - 0.5, -0.5)

    def draw(self, costs: pd.DataFrame) -> None:
        for bars, column in ((self.pale, self.column), (self.dark, f"folded_{self.column}")):
            stretch(bars, 0, costs[column], self.rows)
        ends = [(count, row) for row, count in enumerate(costs[self.column])]
        self.numbers.write([_short(count) for count in costs[self.column]], ends)


class _Series(NamedTuple):
    """Accuracies (percent) of GN-S from one source, with the number of seeds, by width; its look in a plot."""

    name: str
    origin: str
    marks: str
    colour: str
    accuracy: dict[float, float]
    seeds: dict[float, int]
    reduced: bool = False


class _AccuracyPanel:
    """Measured accuracies against width; the present width is a line, and what was measured there is ringed."""

    def __init__(self, axes: Axes, title: str, series: Sequence[_Series]) -> None:
        self.series = series
        for one in series:
            axes.plot(one.accuracy.keys(), one.accuracy.values(), one.marks, color=one.colour, label=one.name)
        self.line = moves(axes.axvline(1.0, color=BLACK, linewidth=1))
        (self.rings,) = moves(axes.plot([], [], "o", color=BLACK, markersize=13, fillstyle="none"))
        self.words = Labels(axes, [(0, 1.08)], axes.transAxes, gap=0)
        axes.text(0, 1.17, title, transform=axes.transAxes)
        values = [value for one in series for value in one.accuracy.values()] or [0.0, 100.0]
        axes.set(xlim=(SLIDER_WIDTHS[0] - 0.1, SLIDER_WIDTHS[-1] + 0.1), ylim=room(values, 0.2, 0.2))
        look.dress(axes)
        if series:
            axes.legend(loc="lower right", framealpha=1)
        else:
            look.say_not_run(axes, "y")

    def draw(self, width: float) -> None:
        self.line.set_xdata([width, width])
        here = [one for one in self.series if width in one.accuracy]
        self.rings.set_data([width] * len(here), [one.accuracy[width] for one in here])
        found = [f"{one.name} {one.accuracy[width]:.2f}" for one in here]
        self.words.write(["; ".join(found) or ("not measured at this width" if self.series else "")])


def _measured(results: pd.DataFrame) -> list[_Series]:
    """The paper's, the authors' and ours of the laptop and full profiles, as far as there are any."""
    laptop, full = (table(1, results, name).query("model == 'GN-S'") for name in ("laptop", "full"))
    once = laptop.assign(n=1)
    sources = (
        ("printed", "paper, best of 200 epochs", "o:", BLUE, once, PAPER_ACCURACY),
        ("logged", "authors' log, last epoch", "s--", VERMILION, once, AUTHORS_ACCURACY),
        ("ours", f"ours, last epoch, {PROFILES['full'].label}", "^-", GREEN, full, OUR_ACCURACY),
        ("ours", f"ours, last epoch, {PROFILES['laptop'].label}", "^-", GREEN, laptop, OUR_ACCURACY),
    )
    series = []
    for name, origin, marks, colour, rows, column in sources:
        rows = rows[rows[column].notna()].rename(lambda key: find(key).width)
        found = _Series(name, origin, marks, colour, rows[column].to_dict(), rows["n"].to_dict(), "laptop" in origin)
        series += [found] if len(rows) else []
    return series


def _short(count: float) -> str:
    """``464``, ``13.5 k``, ``206 k``, ``1.06 M``: three digits."""
    for unit, name in ((1e6, " M"), (1e3, " k"), (1, "")):
        if count >= unit:
            scaled = count / unit
            return f"{scaled:.{0 if scaled >= 100 or unit == 1 else 1 if scaled >= 10 else 2}f}{name}"
    return "0"


def _block_name(name: str) -> str:
    """``stage3_block2`` as ``block 3.2``."""
    return name.replace("stage", "block ").replace("_block", ".")


def _cost_words(width: float, costs: pd.DataFrame) -> str:
    counted = costs.columns.drop(["block", "resolution", "channels"])
    totals = {column: costs[column].sum() for column in counted}  # the frame's own sum takes ten times as long
    most = []
    for column in ("parameters", "macs"):
        row = costs[column].to_numpy().argmax()
        most.append(f"{_block_name(costs['block'].iat[row])} ({costs[column].iat[row] / totals[column]:.0%})")
    return (
        f"Width {width:g}: {totals['parameters']:,} parameters ({totals['folded_parameters']:,} folded), "
        f"{_short(totals['macs'])} MACs ({_short(totals['folded_macs'])} folded), "
        f"{_short(totals['activations'])} activations ({_short(totals['folded_activations'])} folded). "
        f"Most parameters: {most[0]}; most MACs: {most[1]}."
    )


def _accuracy_words(width: float, series: Sequence[_Series]) -> str:
    found = [
        f"{one.accuracy[width]:.2f} % ({one.origin}; n = {one.seeds[width]})" for one in series if width in one.accuracy
    ]
    return f"Accuracy: {', '.join(found)}." if found else "Accuracy: not measured at this width."
