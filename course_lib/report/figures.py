"""Fig. 1, deltas and seeds from the results store, and the report that writes all tables and figures into files.

Every function returns a figure with its words in the label, where ``look.show`` finds them.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib import look
from course_lib.files import ResultError, atomic_write
from course_lib.look import BLACK, BLUE, CURVE_COLOURS, CURVE_MARKERS, VERMILION, dress, say_not_run, write
from course_lib.profiles import Profile
from course_lib.report.curves import learning_curves
from course_lib.report.paper import TITLES
from course_lib.report.runs import available, available_profiles, name_of, provenance, runs_of, seeds_in_words
from course_lib.report.tables import (
    AUTHORS_ACCURACY,
    DELTA_SD,
    OUR_ACCURACY,
    OUR_DELTA,
    OUR_SD,
    PAPER_ACCURACY,
    PAPER_DELTA,
    control_table,
    style,
    table,
    verdicts_table,
)
from course_lib.report.verdicts import t_quantile
from course_lib.study.experiments import EXPERIMENTS, baseline_of, find
from course_lib.study.protocols import CONTROL, STUDENTS, check_recipe

# The learning curves of the report: the smallest student alone and with one teacher of each kind.
CURVES = ("gn-s-1.0x", "gn-s-1.0x<resnet50", "gn-s-1.0x<gn-s-2.8x", "gn-s-1.0x<ta", "gn-s-1.0x<ensemble", "gn-s-2.8x")
METHODS = {"baseline": "alone", "kd": "one teacher", "assistant": "assistants", "ensemble": "ensemble"}


@look.styled()
def figure_1(results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> Figure:
    """Fig. 1: accuracy against GN-S's width, the paper's and its authors' on the left, ours on the right; GN-D a line.

    The accuracy axis is shared only with the full profile: a smaller one is another experiment.
    """
    frame = table(1, results, profile, recipe)
    origin = provenance(runs_of(results, profile, recipe, frame.index), profile, recipe)
    ghosts = frame[frame["model"] == "GN-S"]
    widths = np.array([find(key).width for key in ghosts.index])
    shared = name_of(profile) == "full"
    figure = look.titled("Accuracy against width", 3.8, f"Ours, {origin}", shared)
    left, right = figure.subplots(1, 2, sharey=shared)
    _width_panel(left, widths, ghosts[PAPER_ACCURACY], frame.loc["gn-d", PAPER_ACCURACY], BLUE, "o")
    _width_panel(right, widths, ghosts[OUR_ACCURACY], frame.loc["gn-d", OUR_ACCURACY], VERMILION, "s", ghosts[OUR_SD])
    left.plot(widths, ghosts[AUTHORS_ACCURACY], "^", color=BLACK, markersize=5, label="authors' logs, last epoch")
    left.legend(fontsize=8, frameon=False, loc="upper left")
    left.set_title("Paper: best of 200 epochs on the test set, one seed", fontsize=9)
    right.set_title(f"Ours: last epoch, {seeds_in_words(frame['n'])}", fontsize=9)
    left.set_ylabel("test accuracy (%)")
    figure.set_label(
        f"Accuracy against the width of GN-S. Paper: {_width_words(frame, PAPER_ACCURACY)}. "
        f"Its authors' logs, last epoch: {_width_words(frame, AUTHORS_ACCURACY)}. "
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


@look.styled()
def deltas_figure(results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> Figure:
    """What each method of Tables II to IV changed against its baseline: the paper's deltas, and ours."""
    tables = [table(n, results, profile, recipe) for n in (2, 3, 4)]
    frame = pd.concat(tables)
    keys = [*frame.index, *(baseline_of(find(key)) for key in frame.index)]
    origin = provenance(runs_of(results, profile, recipe, keys), profile, recipe)
    frame.index = [_pair_label(key, row) for key, row in frame.iterrows()]
    shared = name_of(profile) == "full"
    figure = look.titled("Accuracy against the baseline, in points", 5.6, f"Ours, {origin}", shared)
    left, right = figure.subplots(1, 2, sharex=shared, sharey=True)
    _delta_panel(left, frame[PAPER_DELTA], BLUE, "o")
    _delta_panel(right, frame[OUR_DELTA], VERMILION, "s", frame[DELTA_SD])
    left.set_title("Paper: best epochs, one seed", fontsize=9)
    right.set_title(f"Ours: last epochs, {seeds_in_words(frame['pairs'])}", fontsize=9)
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
def seeds_figure(results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> Figure:
    """Every GhostNet that was run: a pale point for each seed, and their mean with its 95 % interval (Student's t)."""
    import seaborn  # here, since it takes a second

    rows = sorted((row for row in EXPERIMENTS.values() if row.student in STUDENTS), key=lambda row: baseline_of(row))
    runs = runs_of(results, profile, recipe, [row.key for row in rows])
    origin = provenance(runs, profile, recipe)
    order = [row.key for row in rows if row.key in set(runs["key"])]
    figure = look.titled("Accuracy of every seed", 1.4 + 0.25 * max(4, len(order)), f"Ours, {origin}")
    axes = figure.subplots()
    dress(axes, grid="x")
    if order:
        runs = runs.assign(method=runs["key"].map(lambda key: METHODS[find(key).method]))
        methods = [name for name in METHODS.values() if name in set(runs["method"])]
        same = {"data": runs, "x": "last_accuracy", "y": "key", "order": order, "ax": axes}
        same |= {"hue": "method", "hue_order": methods, "palette": [*CURVE_COLOURS[: len(methods)]]}
        seaborn.stripplot(**same, jitter=False, alpha=0.5, legend=False)
        marks = [*CURVE_MARKERS[: len(methods)]]
        seaborn.pointplot(
            **same, errorbar=_interval, linestyle="none", markers=marks, markersize=6, err_kws={"lw": 1.5}
        )
        axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    else:
        say_not_run(axes, "both")
    axes.set(xlabel="test accuracy after the last epoch (%)", ylabel="")
    means = runs.groupby("key")["last_accuracy"].agg(["mean", "size"])
    words = [f"{key} {means.loc[key, 'mean']:.2f} (n = {means.loc[key, 'size']})" for key in order]
    figure.set_label(f"Mean test accuracy in percent: {'; '.join(words) or 'nothing has run yet'}. Ours, {origin}.")
    return figure


def _interval(values: pd.Series) -> tuple[float, float]:
    if len(values) < 2:
        return np.nan, np.nan
    half = t_quantile(0.975, len(values) - 1) * values.sem()
    return values.mean() - half, values.mean() + half


# --- all of it ------------------------------------------------------------------------------------


def write_report(results: pd.DataFrame, folder: Path | None = None, recipe: str | None = None) -> list[Path]:
    """Draw figures, Tables I to IV and verdicts of every profile and recipe that has runs.

    They go to ``figures/<profile>/``, those of other recipes than ``paper`` to ``figures/<profile>/<recipe>/``; tables
    as CSV and Markdown. The baselines without shuffling are ``figures/<profile>/unshuffled.md``. Everything is drawn
    before the first file is written.

    Args:
        recipe: only this one; default all.

    Returns:
        The files written.

    Raises:
        ValueError: there is no such recipe.
        ResultError: the store has no run of this recipe, or runs of one table do not belong together.
        CourseError: a file cannot be written.
    """
    files: dict[Path, bytes] = {}
    if recipe is not None:
        check_recipe(recipe)
    for profile, name in available(results):
        if recipe in (None, name):
            place = look.figures_folder(folder) / profile / ("" if name == "paper" else name)
            files |= {place / file: content for file, content in _report_of(results, profile, name).items()}
    for profile in available_profiles(results, CONTROL) if recipe in (None, CONTROL) else ():
        shown = control_table(results, profile).to_markdown()
        files[look.figures_folder(folder) / profile / f"{CONTROL}.md"] = shown.encode()
    if not files:
        raise ResultError(f"no results of recipe {recipe or 'paper'!r} yet: run python -m course_lib study first")
    for path, content in files.items():
        atomic_write(path, content)
    return list(files)


def _report_of(results: pd.DataFrame, profile: str, recipe: str) -> dict[str, bytes]:
    """The files of one profile and recipe by name."""
    files = {
        "fig1.png": look.png(figure_1(results, profile, recipe)),
        "deltas.png": look.png(deltas_figure(results, profile, recipe)),
        "seeds.png": look.png(seeds_figure(results, profile, recipe)),
        "curves.png": look.png(learning_curves(results, CURVES, profile, recipe)),
    }
    for n in TITLES:
        frame = table(n, results, profile, recipe)
        files[f"table{n}.csv"] = frame.to_csv(float_format="%.4f", lineterminator="\n").encode()
        files[f"table{n}.md"] = style(frame).to_markdown().encode()
    files["verdicts.md"] = verdicts_table(results, profile, recipe).to_markdown().encode()
    return files
