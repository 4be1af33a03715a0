"""Fig. 1, deltas and learning curves from the results store, and the report that writes all of them into files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from course_lib import look
from course_lib.errors import ResultError
from course_lib.files import atomic_write
from course_lib.look import (
    BLACK,
    BLUE,
    CURVE_COLOURS,
    CURVE_MARKERS,
    VERMILION,
    dress,
    figures_folder,
    png,
    say_not_run,
    write,
)
from course_lib.profiles import Profile
from course_lib.report.tables import (
    DELTA_SD,
    OUR_ACCURACY,
    OUR_DELTA,
    OUR_SD,
    PAPER_ACCURACY,
    PAPER_DELTA,
    TITLES,
    available,
    available_profiles,
    control_table,
    name_of,
    provenance,
    runs_of,
    style,
    table,
    verdicts_table,
)
from course_lib.study.experiments import baseline_of, find
from course_lib.study.protocols import CONTROL

# The learning curves of the report: the smallest student alone and with one teacher of each kind.
CURVES = ("gn-s-1.0x", "gn-s-1.0x<resnet50", "gn-s-1.0x<gn-s-2.8x", "gn-s-1.0x<ta", "gn-s-1.0x<ensemble", "gn-s-2.8x")


def _figure(title: str, height: float, origin: str, shared: bool = True) -> Figure:
    """An empty figure that says below where its numbers come from; ``height`` in inches."""
    figure = look.figure(8.4, height)
    figure.suptitle(title, fontsize=11)
    figure.supxlabel(origin + ("" if shared else "\nThe two panels have scales of their own."), fontsize=8)
    return figure


@look.styled()
def figure_1(results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> Figure:
    """Fig. 1: accuracy against GN-S's width, the paper's on the left, ours on the right; GN-D as a line.

    The accuracy axis is shared only with the full profile: a smaller one is another experiment.
    """
    frame = table(1, results, profile, recipe)
    origin = provenance(runs_of(results, name_of(profile), recipe, frame.index), name_of(profile), recipe)
    ghosts = frame[frame["model"] == "GN-S"]
    widths = np.array([find(key).width for key in ghosts.index])
    shared = name_of(profile) == "full"
    figure = _figure("Accuracy against width", 3.8, f"Ours, {origin}", shared)
    left, right = figure.subplots(1, 2, sharey=shared)
    _width_panel(left, widths, ghosts[PAPER_ACCURACY], frame.loc["gn-d", PAPER_ACCURACY], BLUE, "o")
    _width_panel(right, widths, ghosts[OUR_ACCURACY], frame.loc["gn-d", OUR_ACCURACY], VERMILION, "s", ghosts[OUR_SD])
    left.set_title("Paper: best of 200 epochs on the test set, one seed", fontsize=9)
    right.set_title(f"Ours: last epoch, {_seeds(frame['n'])}", fontsize=9)
    left.set_ylabel("test accuracy (%)")
    figure.set_label(
        f"Accuracy against the width of GN-S. Paper: {_width_words(frame, PAPER_ACCURACY)}. "
        f"Ours, {origin}: {_width_words(frame, OUR_ACCURACY)}."
    )
    return figure


def _width_panel(
    axes: Axes,
    widths: np.ndarray,
    accuracies: pd.Series,
    default: float,
    colour: str,
    marker: str,
    sd: pd.Series | None = None,
) -> None:
    """One curve with its values written above the points, and GN-D's accuracy as a dashed line."""
    dress(axes)
    axes.set_xlabel("width multiplier of GN-S")
    axes.set_xticks(widths, [f"{width:.1f}" for width in widths])
    axes.set_xlim(widths[0] - 0.25, widths[-1] + 0.25)
    axes.margins(y=0.15)
    bars = np.zeros(len(widths)) if sd is None else sd.fillna(0.0).to_numpy()
    if np.isfinite(default):
        axes.axhline(default, color=BLACK, linestyle="--", linewidth=1)
        write(axes, f"GN-D {default:.2f}", (widths[-1], default), (0, -11), "right")
    if accuracies.notna().any():
        spread = bars if bars.any() else None
        axes.errorbar(widths, accuracies, yerr=spread, color=colour, marker=marker, capsize=3)
        for width, accuracy, bar in zip(widths, accuracies, bars, strict=True):
            if np.isfinite(accuracy):
                write(axes, f"{accuracy:.2f}", (width, accuracy + bar), (0, 7), "center")
    else:
        say_not_run(axes, "y")


def _width_words(frame: pd.DataFrame, column: str) -> str:
    known = frame.loc[frame["model"] == "GN-S", column].dropna()
    if known.empty:
        return "GN-S not run yet"
    first, last, best = known.index[0], known.index[-1], known.idxmax()
    words = f"only width {find(first).width} run: {known[first]:.2f} %"
    if len(known) > 1:
        words = f"{known[first]:.2f} % at width {find(first).width}, {known[last]:.2f} % at {find(last).width}, "
        words += f"highest {known[best]:.2f} % at {find(best).width}"
    default = frame.loc["gn-d", column]
    return f"{words}; GN-D " + (f"{default:.2f} %" if np.isfinite(default) else "not run yet")


def _seeds(counts: pd.Series) -> str:
    """``n = 1 seed``, ``n = 3 seeds, bars ± 1 sd`` or ``n = 1 to 3 seeds, ...`` of the rows that ran."""
    counts = counts[counts > 0]
    if counts.empty:
        return "not run yet"
    low, high = counts.min(), counts.max()
    words = f"n = {high} seed{'s' if high > 1 else ''}" if low == high else f"n = {low} to {high} seeds"
    return words + (", bars ± 1 sd" if high > 1 else "")


@look.styled()
def deltas_figure(results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> Figure:
    """What each method of Tables II to IV changed against its baseline: the paper's deltas, and ours."""
    tables = [table(n, results, profile, recipe) for n in (2, 3, 4)]
    frame = pd.concat(tables)
    keys = [*frame.index, *(baseline_of(find(key)) for key in frame.index)]
    origin = provenance(runs_of(results, name_of(profile), recipe, keys), name_of(profile), recipe)
    frame.index = [_pair_label(key, row) for key, row in frame.iterrows()]
    shared = name_of(profile) == "full"
    figure = _figure("Accuracy against the baseline, in points", 5.6, f"Ours, {origin}", shared)
    left, right = figure.subplots(1, 2, sharex=shared, sharey=True)
    _delta_panel(left, frame[PAPER_DELTA], BLUE, "o")
    _delta_panel(right, frame[OUR_DELTA], VERMILION, "s", frame[DELTA_SD])
    left.set_title("Paper: best epochs, one seed", fontsize=9)
    right.set_title(f"Ours: last epochs, {_seeds(frame['pairs'])}", fontsize=9)
    left.set_yticks(range(len(frame)), frame.index, fontsize=8)
    left.invert_yaxis()
    for border in np.cumsum([len(part) for part in tables])[:-1]:
        for axes in (left, right):
            axes.axhline(border - 0.5, color=BLACK, linewidth=0.5)
    figure.set_label(
        f"Change against the baseline for {len(frame)} distilled students, in points. "
        f"Paper: {_delta_words(frame[PAPER_DELTA])}. Ours, {origin}: {_delta_words(frame[OUR_DELTA])}."
    )
    return figure


def _pair_label(key: str, row: pd.Series) -> str:
    methods = {"kd": row["teacher"], "assistant": "assistants", "ensemble": "ensemble"}
    return f"{row['student']} from {methods[find(key).method]}"


def _delta_panel(axes: Axes, deltas: pd.Series, colour: str, marker: str, sd: pd.Series | None = None) -> None:
    dress(axes, grid="x")
    axes.axvline(0, color=BLACK, linewidth=1)
    axes.margins(x=0.15)
    if deltas.isna().all():
        say_not_run(axes, "x")
        return
    spread = None if sd is None or sd.isna().all() else sd.fillna(0.0)
    rows = range(len(deltas))
    axes.errorbar(deltas, rows, xerr=spread, color=colour, marker=marker, linestyle="none", capsize=3)
    for row, delta in zip(rows, deltas, strict=True):
        if np.isfinite(delta):
            write(axes, f"{delta:+.2f}", (delta, row), (0, 5), "center")


def _delta_words(deltas: pd.Series) -> str:
    known = deltas.dropna()
    if known.empty:
        return "not run yet"
    below = f"{(known < 0).sum()} of {len(known)} below zero"
    return f"{below}, from {known.min():+.2f} ({known.idxmin()}) to {known.max():+.2f} ({known.idxmax()})"


@look.styled()
def learning_curves(
    results: pd.DataFrame, keys: Sequence[str], profile: str | Profile, recipe: str = "paper"
) -> Figure:
    """Test accuracy after every epoch of up to seven experiments: means over seeds, thin lines the seeds.

    Raises:
        ValueError: a key is unknown, or there are more keys than can be told apart.
    """
    if not 1 <= len(keys) <= len(CURVE_COLOURS):
        raise ValueError(f"learning_curves takes 1 to {len(CURVE_COLOURS)} experiments, not {len(keys)}")
    keys = [find(key).key for key in keys]
    runs = runs_of(results, name_of(profile), recipe, keys)
    origin = provenance(runs, name_of(profile), recipe)
    missing = [key for key in keys if key not in set(runs["key"])]
    figure = _figure("Test accuracy after every epoch", 3.8, origin)
    axes = figure.subplots()
    dress(axes)
    axes.set_xlabel("epoch")
    axes.set_ylabel("test accuracy (%)")
    axes.set_title(f"not run: {', '.join(missing)}" if missing else "", fontsize=8)
    ends = {}
    for number, key in enumerate(keys):
        seeds = [_curve(history) for history in runs.loc[runs["key"] == key, "history"]]
        if seeds:
            last = _draw_curves(axes, seeds, number)
            ends[f"{key} {last[1]:.2f} (n = {len(seeds)})"] = (*last, number)
    if ends:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _label_ends(axes, ends)
    else:
        say_not_run(axes, "both")
    words = "; ".join(ends) or "nothing has run yet"
    figure.set_label(f"Test accuracy in percent after the last epoch: {words}. {origin}.")
    return figure


def _curve(history: list[dict]) -> pd.Series:
    return pd.DataFrame(history).set_index("epoch")["test_accuracy"]


def _draw_curves(axes: Axes, seeds: list[pd.Series], number: int) -> tuple[int, float]:
    """The mean of ``seeds`` in the look of curve ``number``; returns where it ends."""
    colour, mean = CURVE_COLOURS[number], pd.concat(seeds, axis=1).mean(axis=1)
    if len(seeds) > 1:
        for curve in seeds:
            axes.plot(curve.index, curve, color=colour, linewidth=0.7, alpha=0.5)
    step = max(1, len(mean) // 10)
    every = (number * step // len(CURVE_COLOURS), step)  # markers of several curves beside one another
    axes.plot(mean.index, mean, color=colour, marker=CURVE_MARKERS[number], markevery=every)
    return mean.index[-1], mean.iloc[-1]


def _label_ends(axes: Axes, ends: dict[str, tuple[int, float, int]]) -> None:
    """Write each curve's name beside its own last epoch, apart from the other names."""
    last = max(epoch for epoch, _, _ in ends.values())
    _label_column(axes, {name: end for name, end in ends.items() if end[0] == last})
    for name, (epoch, accuracy, number) in ends.items():
        if epoch < last:  # a line drawn on to the edge would say that the run went on
            side = "right" if epoch - 1 > 0.3 * (last - 1) else "left"
            write(axes, name, (epoch, accuracy), (0, 7), side)
            axes.plot(epoch, accuracy, color=CURVE_COLOURS[number], marker=CURVE_MARKERS[number])


def _label_column(axes: Axes, ends: dict[str, tuple[int, float, int]]) -> None:
    """The names of the curves that go on to the right edge, each with its marker."""
    low, high = axes.get_ylim()
    names = sorted(ends, key=lambda name: ends[name][1])
    heights = [(ends[name][1] - low) / (high - low) for name in names]
    for name, height in zip(names, _apart(heights, 0.075), strict=True):
        epoch, accuracy, number = ends[name]
        look = {"color": CURVE_COLOURS[number], "marker": CURVE_MARKERS[number]}
        axes.plot(1.04, height, **look, transform=axes.transAxes, clip_on=False)
        axes.text(1.06, height, name, transform=axes.transAxes, fontsize=8, va="center")
        line = {"arrowstyle": "-", "color": look["color"], "linewidth": 0.7}
        axes.annotate("", (epoch, accuracy), (1.04, height), textcoords="axes fraction", arrowprops=line)


def _apart(heights: list[float], gap: float) -> list[float]:
    """Rising ``heights``, pushed up and then down until all are ``gap`` apart and none is above 1."""
    heights = list(heights)
    for number in range(1, len(heights)):
        heights[number] = max(heights[number], heights[number - 1] + gap)
    ceiling = 1.0
    for number in reversed(range(len(heights))):
        heights[number] = min(heights[number], ceiling)
        ceiling = heights[number] - gap
    return heights


def write_report(results: pd.DataFrame, folder: Path | None = None, recipe: str | None = None) -> list[Path]:
    """Draw Fig. 1, deltas, learning curves, Tables I to IV and verdicts of every profile and recipe that has runs.

    They go to ``figures/<profile>/``, those of other recipes than ``paper`` to ``figures/<profile>/<recipe>/``; tables
    as CSV and Markdown. The baselines without shuffling are ``figures/<profile>/unshuffled.md``. Everything is drawn
    before the first file is written.

    Args:
        recipe: only this one; default all.

    Returns:
        The files written.

    Raises:
        ResultError: the store has no run of this recipe, or runs of one table do not belong together.
        CourseError: a file cannot be written.
    """
    files: dict[Path, bytes] = {}
    for profile, name in available(results):
        if recipe in (None, name):
            place = figures_folder(folder) / profile / ("" if name == "paper" else name)
            files |= {place / file: content for file, content in _report_of(results, profile, name).items()}
    for profile in available_profiles(results, CONTROL) if recipe in (None, CONTROL) else ():
        shown = control_table(results, profile).to_markdown()
        files[figures_folder(folder) / profile / f"{CONTROL}.md"] = shown.encode()
    if not files:
        raise ResultError(f"no results of recipe {recipe or 'paper'!r} yet: run python -m course_lib study first")
    for path, content in files.items():
        atomic_write(path, content)
    return list(files)


def _report_of(results: pd.DataFrame, profile: str, recipe: str) -> dict[str, bytes]:
    """The files of one profile and recipe by name."""
    files = {
        "fig1.png": png(figure_1(results, profile, recipe)),
        "deltas.png": png(deltas_figure(results, profile, recipe)),
        "curves.png": png(learning_curves(results, CURVES, profile, recipe)),
    }
    for n in TITLES:
        frame = table(n, results, profile, recipe)
        files[f"table{n}.csv"] = frame.to_csv(float_format="%.4f", lineterminator="\n").encode()
        files[f"table{n}.md"] = style(frame).to_markdown().encode()
    files["verdicts.md"] = verdicts_table(results, profile, recipe).to_markdown().encode()
    return files
