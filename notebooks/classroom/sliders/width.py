"""The width slider: what each block of GN-S costs, and the accuracy where somebody measured it."""

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from classroom.sliders.costs import SLIDER_WIDTHS, width_costs
from classroom.sliders.drawing import LABEL_SIZE, SKY, Labels, explorer
from course_lib.look import BLACK, BLUE, GREEN, VERMILION
from course_lib.profiles import Profile
from course_lib.report import OUR_ACCURACY, available_profiles, paper_table, table
from course_lib.study.experiments import find
from course_lib.study.store import load_results

if TYPE_CHECKING:
    import ipywidgets

LOOKS = {
    "paper": (BLUE, "o", ":"),
    "our full profile": (VERMILION, "s", ":"),
    "our laptop profile": (GREEN, "^", ":"),
    "our quick profile": (BLACK, "D", "none"),  # near guessing: a line would make a curve of chance
}
GUESSING = 10.0  # percent, of ten classes


def width_explorer(results: pd.DataFrame | None = None, *, start: float = 1.0) -> "ipywidgets.VBox":
    """A slider over GN-S's width: what each block costs, and the accuracy where somebody measured it.

    Args:
        results: ``results.load_results()``; by default what is in the store.
        start: the width shown first, 0.5 to 4.0.

    Raises:
        ValueError: ``start`` is no position of the slider.
    """
    from ipywidgets import FloatSlider

    if start not in SLIDER_WIDTHS:
        raise ValueError(f"start={start!r} is no position of the slider: 0.5 to 4.0 in steps of 0.1")
    picture = _WidthPicture(results)
    low, high = SLIDER_WIDTHS[0], SLIDER_WIDTHS[-1]
    slider = FloatSlider(start, min=low, max=high, step=0.1, description="width", readout_format=".1f")
    slider.add_class("course-width")
    return explorer(picture, [slider])


def width_figure(width: float = 1.0, results: pd.DataFrame | None = None) -> Figure:
    """What :func:`width_explorer` shows at ``width``, as a figure with its words in ``report.alt_text``.

    Raises:
        ValueError: GN-S cannot have this width.
    """
    picture = _WidthPicture(results)
    picture.draw(width)
    return picture.figure


class _WidthPicture:
    """Bars for every block, and accuracy against width; ``draw`` moves them to another width."""

    def __init__(self, results: pd.DataFrame | None) -> None:
        self.series = [
            _paper_series(),
            *_our_series(load_results() if results is None else results),
        ]
        self.figure = Figure(figsize=(10, 5.6), dpi=100)
        note = "pale bar and number: training form.  Dark bar: folded, one convolution for all its branches."
        self.figure.text(0.012, 0.9, note, fontsize=LABEL_SIZE)
        left = self.figure.add_axes((0.185, 0.1, 0.215, 0.71))
        right = self.figure.add_axes((0.415, 0.1, 0.215, 0.71))
        most = width_costs(SLIDER_WIDTHS[-1])
        page = self.figure.transFigure  # outlines instead of Text: it is drawn in a tenth of the time
        self.title = Labels(left, [(0.012, 0.955)], page, size=11, bold=True, gap=0)
        self.bars = [_CostBars(left, "parameters", most), _CostBars(right, "MACs", most)]
        self.channels = _name_blocks(left, most)
        full_size = [one for one in self.series if one.full_size]
        reduced = [one for one in self.series if not one.full_size]
        above, below = (0.685, 0.58, 0.3, 0.32), (0.685, 0.1, 0.3, 0.32)
        self.panels = [
            _AccuracyPanel(self.figure.add_axes(above), "Accuracy (%), 50,000 images and 200 epochs", full_size),
            _AccuracyPanel(
                self.figure.add_axes(below),
                "Accuracy (%), reduced runs: not a reproduction",
                reduced,
            ),
        ]

    @property
    def moving(self) -> list[Artist]:
        parts = [artist for part in (*self.bars, *self.panels) for artist in part.moving]
        return [self.title.artist, self.channels.artist, *parts]

    def draw(self, width: float) -> str:
        """Show ``width``; returns the key numbers in words."""
        width = round(width, 2)  # the slider's steps add up to 1.2999999999999998
        costs = width_costs(width)
        self.channels.write([str(channels) for channels in costs["channels"]])
        for bars in self.bars:
            bars.draw(costs)
        for panel in self.panels:
            panel.draw(width)
        parameters, macs = costs["parameters"].sum(), costs["macs"].sum()
        self.title.write([f"GN-S at width {width:g}: {parameters:,} parameters, {_short(macs)} MACs"])
        words = f"{_cost_words(width, costs)} {_accuracy_words(width, self.series)}"
        self.figure.set_label(f"Bars: parameters and MACs of each block; points: accuracy against width. {words}")
        return words


def _name_blocks(axes: Axes, costs: pd.DataFrame) -> Labels:
    """Write names and sizes of the blocks left of the bars; returns the labels for their channels."""
    place = axes.get_yaxis_transform()  # x in widths of the axes, y in rows
    look = {"transform": place, "va": "center", "fontsize": LABEL_SIZE}
    for x, words, ha in (
        (-0.8, "block", "left"),
        (-0.24, "pixels", "right"),
        (-0.03, "chan.", "right"),
    ):
        axes.text(x, -0.9, words, ha=ha, **look)
    for row, block in enumerate(costs.itertuples()):
        axes.text(-0.8, row, _block_name(block.block), ha="left", **look)
        axes.text(-0.24, row, f"{block.resolution}×{block.resolution}", ha="right", **look)
    return Labels(axes, [(-0.03, row) for row in range(len(costs))], place, right=True)


class _CostBars:
    """A pale bar for each block in the training form, a dark one in it for the folded form, and the number."""

    def __init__(self, axes: Axes, unit: str, most: pd.DataFrame) -> None:
        self.column = unit.lower()
        rows = range(len(most))
        # Thick lines: one artist for all bars is drawn much faster than one for each.
        self.pale = axes.hlines(rows, 0, 0, color=SKY, linewidth=16)
        self.dark = axes.hlines(rows, 0, 0, color=BLUE, linewidth=9)
        self.numbers = Labels(axes, [(0, row) for row in rows], axes.transData)
        top = most[self.column].max()
        # Cost grows with the square of the width: on this scale a bar grows with the width itself, and all are seen.
        axes.set_xscale("function", functions=(_root, np.square))
        axes.set_xlim(0, 1.75 * top)  # room for the number beside the longest bar
        digit = 10 ** np.floor(np.log10(top))
        ticks = np.array([0, 0.25, 1]) * (top // digit) * digit
        axes.set_xticks(ticks, ["0", *(f"{tick / 1e6:g} M" for tick in ticks[1:])], fontsize=LABEL_SIZE)
        axes.set_xlabel("(square-root scale)", fontsize=LABEL_SIZE, labelpad=1)
        axes.set_yticks([])
        axes.set_ylim(len(most) - 0.5, -0.5)
        axes.set_title(unit, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)

    @property
    def moving(self) -> list[Artist]:
        return [self.pale, self.dark, self.numbers.artist]

    def draw(self, costs: pd.DataFrame) -> None:
        for bars, column in ((self.pale, self.column), (self.dark, f"folded_{self.column}")):
            bars.set_segments([[(0, row), (count, row)] for row, count in enumerate(costs[column])])
        ends = [(count, row) for row, count in enumerate(costs[self.column])]
        self.numbers.write([_short(count) for count in costs[self.column]], ends)


class _Series(NamedTuple):
    """Accuracies (percent) of GN-S from one source, with the number of seeds, by width.

    ``full_size`` where they may stand beside the paper's.
    """

    name: str
    origin: str
    full_size: bool
    accuracy: dict[float, float]
    seeds: dict[float, int]


class _AccuracyPanel:
    """Measured accuracies against width; the present width is a line, and what was measured there is ringed."""

    def __init__(self, axes: Axes, title: str, series: Sequence[_Series]) -> None:
        self.series = series
        for one in series:
            colour, marker, line = LOOKS.get(one.name, (BLACK, "x", ":"))
            look = {"color": colour, "marker": marker, "linestyle": line, "label": one.name}
            axes.plot(one.accuracy.keys(), one.accuracy.values(), **look)
        lowest = [] if all(one.full_size for one in series) else [GUESSING]
        for height in lowest:
            axes.axhline(height, color="0.5", linewidth=1, linestyle="--", label="guessing")
        self.line = axes.axvline(1.0, color=BLACK, linewidth=1)
        self.rings = axes.plot([], [], "o", color=BLACK, markersize=13, fillstyle="none")[0]
        axes.text(0, 1.13, title, transform=axes.transAxes, fontsize=9)
        self.words = Labels(axes, [(0, 1.053)], axes.transAxes, gap=0)
        axes.set_xlabel("width", fontsize=LABEL_SIZE, labelpad=1)
        axes.set_xlim(SLIDER_WIDTHS[0] - 0.1, SLIDER_WIDTHS[-1] + 0.1)
        axes.set_ylim(_room([*lowest, *(value for one in series for value in one.accuracy.values())]))
        axes.tick_params(labelsize=LABEL_SIZE)
        axes.grid(alpha=0.3)
        if series:
            place = {"loc": "center right", "bbox_to_anchor": (1, 0.55)} if lowest else {"loc": "lower right"}
            axes.legend(fontsize=LABEL_SIZE, **place)

    @property
    def moving(self) -> list[Artist]:
        return [self.line, self.rings, self.words.artist]

    def draw(self, width: float) -> None:
        self.line.set_xdata([width, width])
        here = [one for one in self.series if width in one.accuracy]
        self.rings.set_data([width] * len(here), [one.accuracy[width] for one in here])
        found = [f"{one.name} {one.accuracy[width]:.2f}" for one in here]
        nothing = "not measured at this width" if self.series else "none yet"
        self.words.write(["; ".join(found) or nothing])


def _paper_series() -> _Series:
    rows = paper_table(1).query("model == 'GN-S'")
    accuracy = {find(key).width: float(value) for key, value in rows["accuracy"].items()}
    return _Series("paper", "paper, best of 200 epochs", True, accuracy, dict.fromkeys(accuracy, 1))


def _our_series(results: pd.DataFrame) -> list[_Series]:
    """One for each profile that has runs of GN-S without a teacher: means of the last epochs."""
    found = []
    for profile in available_profiles(results):
        rows = table(1, results, profile).query("model == 'GN-S' and n > 0")
        if len(rows):
            spec = results[(results["profile"] == profile) & results["key"].isin(rows.index)].iloc[-1]["profile_spec"]
            known = {field.name: spec[field.name] for field in fields(Profile) if field.name in spec}
            label = Profile(**known).label  # what an older result does not know is left at its default
            accuracy = {find(key).width: float(value) for key, value in rows[OUR_ACCURACY].items()}
            seeds = {find(key).width: int(n) for key, n in rows["n"].items()}
            full_size = profile == "full"
            found.append(
                _Series(
                    f"our {profile} profile",
                    f"ours, last epoch, {label}",
                    full_size,
                    accuracy,
                    seeds,
                )
            )
    return found


def _room(values: Sequence[float]) -> tuple[float, float]:
    """Limits for an accuracy axis that leave room below for the legend."""
    if not values:
        return 0.0, 100.0
    spread = max(max(values) - min(values), 1.0)
    return min(values) - 0.5 * spread, max(values) + 0.2 * spread


def _root(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(values, 0))


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
