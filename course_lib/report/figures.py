"""Fig. 1 and the evidence for each teacher, from the results store.

Every function returns a figure with its words in the label, where ``look.show`` finds them.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib import look
from course_lib.look import BLACK, BLUE, GREEN, VERMILION, dress, say_not_run, write
from course_lib.report import tables
from course_lib.report.runs import provenance, runs_of, seeds_in_words, temperature_of
from course_lib.report.verdicts import NONE
from course_lib.study.experiments import ROWS, find

# Beside the students alone stand in Fig. 1 those of one teacher: a recipe's mark, colour and place beside the width.
TEACHER = "resnet56"
TAUGHT = {"paper": ("D", GREEN, 0.05), "repaired": ("v", BLACK, 0.1)}


@look.styled()
def figure_1(results: pd.DataFrame, profile: str, recipe: str = "paper") -> Figure:
    """Fig. 1: accuracy against GN-S's width, the paper's and its authors' on the left, ours on the right; GN-D a line.

    Beside ours stand the students that ResNet56 taught, where they were run. The accuracy axis is shared only with the
    full profile: a smaller one is another experiment.
    """
    frame, shared = tables.table(1, results, profile, recipe), profile == "full"
    origin = provenance(runs_of(results, profile, recipe, frame.index), profile, recipe)
    keys = [key for key, row in ROWS.items() if row.teachers == (TEACHER,) and row.width]
    taught_by = {each: runs_of(results, profile, each, keys) for each in TAUGHT}
    origin += "" if taught_by["repaired"].empty else f"; {tables.SOFTENED}"
    ghosts = frame[frame["model"] == "GN-S"]
    figure = look.titled("Accuracy against width", 4.2, f"Ours, {origin}", shared)
    left, right = figure.subplots(1, 2, sharey=shared)
    _points(left, ghosts[tables.PAPER_ACCURACY], "printed: best of 200 epochs", ("o", BLUE, 0.0), offset=(0, 7))
    _points(left, ghosts[tables.AUTHORS_ACCURACY], "authors' logs: last epoch", ("^", BLACK, 0.0))
    _points(right, ghosts[tables.OUR_ACCURACY], "alone", ("s", VERMILION, 0.0), ghosts[tables.OUR_SD], offset=(-7, -3))
    words, counts = [f"Ours, {origin}: {_width_words(frame[tables.OUR_ACCURACY])}"], [frame["n"]]
    for each, marks in TAUGHT.items():
        taught = taught_by[each].groupby("key")["last_accuracy"].agg(["mean", "std", "size"])
        if len(taught):
            name = f"from ResNet56, T = {temperature_of(keys[0], each):g}"
            values = ", ".join(f"{mean:.2f}" for mean in taught["mean"])
            _points(right, taught["mean"], f"{name}: {values}", marks, taught["std"])
            words.append(f"{name}: {_width_words(taught['mean'])}")
            counts.append(taught["size"])
    for axes, column in ((left, tables.PAPER_ACCURACY), (right, tables.OUR_ACCURACY)):
        _finish_widths(axes, [find(key).width for key in ghosts.index], frame.loc["gn-d", column])
    counts = pd.concat(counts)
    left.set_title("The paper and its authors: one seed", fontsize=10)
    bars = ", bars ± 1 sd" if counts.max() > 1 else ""
    right.set_title(f"Ours: last epoch, {seeds_in_words(counts)}{bars}", fontsize=10)
    left.set_ylabel("test accuracy (%)")
    figure.set_label(
        f"Accuracy against the width of GN-S. Paper: {_width_words(frame[tables.PAPER_ACCURACY])}. "
        f"Its authors' logs, last epoch: {_width_words(frame[tables.AUTHORS_ACCURACY])}. {'. '.join(words)}."
    )
    return figure


def _points(
    axes: Axes, accuracies: pd.Series, label: str, marks: tuple[str, str, float], sd: pd.Series | None = None,
    offset: tuple[int, int] | None = None,
) -> None:  # fmt: skip
    """Accuracies by experiment key at their widths, joined where no teacher is in it, three with their number."""
    known, (marker, colour, shift) = accuracies.dropna(), marks
    if known.empty:
        return
    spread = None if sd is None or sd.isna().all() else sd[known.index].fillna(0.0)
    widths = [find(key).width + shift for key in known.index]
    line = "none" if shift or label.startswith("authors") else "-"
    axes.errorbar(widths, known, spread, color=colour, marker=marker, linestyle=line, capsize=3, label=label)
    places = {0, int(known.argmax()), len(known) - 1} if offset else ()  # first, highest, last: all would collide
    for width, accuracy in ((widths[place], known.iloc[place]) for place in places):
        write(axes, f"{accuracy:.2f}", (width, accuracy), offset, "right" if offset[0] else "center")


def _finish_widths(axes: Axes, widths: list[float], default: float) -> None:
    dress(axes)
    axes.set_xlabel("width multiplier of GN-S")
    axes.set_xticks(widths, [f"{width:.1f}" for width in widths])
    axes.set_xlim(widths[0] - 0.45, widths[-1] + 0.25)
    if np.isfinite(default):
        axes.axhline(default, color=BLACK, linestyle="--", linewidth=1)
        write(axes, f"GN-D {default:.2f}", (widths[-1], default), (0, -11), "right")
    axes.margins(y=0.15)
    if not axes.containers:
        return say_not_run(axes, "y")
    low, high = axes.get_ylim()
    room = max(high - low, 3.0)  # points: one run alone must not fill the panel with its own spread
    axes.set_ylim(high - room if high - low < 3 else low, high + 0.45 * room)
    axes.legend(fontsize=10, frameon=False, loc="upper left")


def _width_words(accuracies: pd.Series) -> str:
    ghosts = [key for key in accuracies.dropna().index if find(key).width]
    if not ghosts:
        return "GN-S not run yet"
    known, default = accuracies[ghosts].set_axis([find(key).width for key in ghosts]), accuracies.get("gn-d", np.nan)
    (first, low), (last, high) = known.iloc[[0, -1]].items()
    words = f"{low:.2f} % at width {first}, {high:.2f} % at {last}, highest {known.max():.2f} % at {known.idxmax()}"
    words = words if len(known) > 1 else f"only width {first} run: {low:.2f} %"
    return words + (f"; GN-D {default:.2f} %" if np.isfinite(default) else "")


@look.styled()
def evidence_figure(results: pd.DataFrame, profile: str, recipe: str = "paper") -> Figure:
    """What each teacher changed, in points: printed, in the authors' logs, ours with its verdict's interval.

    A line for each student of the paper; below them our own that were run.
    """
    lines = tables.judged(results, profile, recipe).query("baseline == 'shuffled'").sort_values("own", kind="stable")
    total, lines = lines["own"].sum(), lines[~lines["own"] | (lines["n"] > 0)].reset_index(drop=True)
    ours = lines[lines["n"] > 0]
    origin = provenance(runs_of(results, profile, recipe, [*ROWS]), profile, recipe)
    origin += f"; {tables.SOFTENED}" if ours["own"].any() else ""
    figure = look.titled(
        "A student with a teacher against the same student alone", 1.7 + 0.23 * len(lines), f"Ours, {origin}"
    )
    axes = figure.subplots()
    dress(axes, "x")
    axes.axvline(0, color=BLACK, linewidth=1)
    axes.axhline((~lines["own"]).sum() - 0.5, color=BLACK, linewidth=0.5)
    axes.plot(lines[tables.PAPER_DELTA], lines.index, "o", color=BLUE, markersize=5, label="printed: best epoch")
    axes.plot(lines[tables.AUTHORS_DELTA], lines.index, "^", color=BLACK, mfc="none", label="authors' logs: last epoch")
    means = [verdict.mean for verdict in ours["verdict"]]
    lows = [verdict.low if verdict.word != NONE else np.nan for verdict in ours["verdict"]]
    label = f"ours: last epoch, {seeds_in_words(ours['n'])}" + (", 95 % interval" if np.isfinite(lows).any() else "")
    spread = np.nan_to_num(np.subtract(means, lows))
    axes.errorbar(means, ours.index, xerr=spread, fmt="s", color=VERMILION, capsize=3, label=label)
    for mean, place in zip(means, ours.index, strict=True):
        write(axes, f"{mean:+.2f}", (mean, place), (0, -13), "center")
    axes.set_yticks(lines.index, lines["words"], fontsize=10)
    axes.set(ylim=(len(lines) + 0.1, -0.7), xlabel="difference in points of accuracy")
    axes.legend(fontsize=10, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, columnspacing=1, frameon=False)
    words = [f"{line['words']} {line['verdict'].mean:+.2f} ({line['verdict']})" for _, line in ours.iterrows()]
    figure.set_label(
        f"Change against the student alone, in points, of {(~lines['own']).sum()} students of the paper and "
        f"{lines['own'].sum()} of {total} {tables.OWN}. Printed: {_delta_words(lines[tables.PAPER_DELTA])}. Authors' "
        f"logs: {_delta_words(lines[tables.AUTHORS_DELTA])}. Ours, {origin}: {'; '.join(words) or 'not run yet'}."
    )
    return figure


def _delta_words(deltas: pd.Series) -> str:
    known = deltas.dropna()
    return f"{(known < 0).sum()} of {len(known)} below zero, from {known.min():+.2f} to {known.max():+.2f}"
