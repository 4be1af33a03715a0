"""Fig. 1 and Tables I to IV: the paper's printed numbers beside what the results store holds.

The paper's numbers come from ``data/paper/*.csv``, ours from ``results.load_results()``; none stands here.
The paper reports the best epoch on the test set. Ours are of the last epoch, which nobody chose by its test
accuracy, and the best one stands beside it.
Importing this module does not import torch.
"""

import base64
import html
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from course_lib.errors import ResultError
from course_lib.experiments import EXPERIMENTS, TABLES, baseline_of, find, table_rows
from course_lib.files import atomic_write, repo_path
from course_lib.profiles import Profile
from course_lib.recipes import CONTROL, RECIPES, control_keys, is_unshuffled, origin
from course_lib.verdicts import Verdict, verdict_of

if TYPE_CHECKING:
    from IPython.display import HTML

PAPER_PARAMETERS = "paper params (M)"
OUR_PARAMETERS = "our params (M)"
PAPER_ACCURACY = "paper acc. (best epoch)"
OUR_ACCURACY = "our acc. (last epoch)"
OUR_BEST = "our acc. (best epoch)"
OUR_SD = "sd (last epoch)"
PAPER_DELTA = "paper delta (best epoch)"
OUR_DELTA = "our delta (last epoch)"
DELTA_SD = "delta sd"
HIDDEN = ("profile", "note")  # in the frame and the CSV; shown in the caption and below the table
LABELS = ("model", "width", "student", "teacher")
DECIMALS = {PAPER_PARAMETERS: ".3f", OUR_PARAMETERS: ".3f", PAPER_DELTA: "+.2f", OUR_DELTA: "+.2f"}
COUNTS = ("n", "pairs", "epochs")

TITLES = {
    1: "Table I. Networks trained without a teacher",
    2: "Table II. One teacher",
    3: "Table III. A chain of teacher assistants: ResNet50, ResNet34, ResNet18, student",
    4: "Table IV. An ensemble of four teachers: ResNet50, DenseNet161, VGG13, InceptionV3",
}
# The learning curves of the report: the smallest student alone and with one teacher of each kind.
CURVES = ("gn-s-1.0x", "gn-s-1.0x<resnet50", "gn-s-1.0x<gn-s-2.8x", "gn-s-1.0x<ta", "gn-s-1.0x<ensemble", "gn-s-2.8x")
PROFILE_ORDER = ("full", "laptop", "quick")
DATASET_NAMES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "synthetic": "SYNTHETIC images"}

# Okabe and Ito's palette, which readers with any colour vision can tell apart; always with a second cue.
BLACK, BLUE, VERMILION, GREEN = "#000000", "#0072B2", "#D55E00", "#009E73"
CURVE_COLOURS = (BLUE, VERMILION, GREEN, "#CC79A7", BLACK, "#E69F00", "#56B4E9")
CURVE_MARKERS = "osD^vPX"


# --- tables ---------------------------------------------------------------------------------------


def paper_table(n: int) -> pd.DataFrame:
    """Table ``n`` (1 to 4) as the paper prints it, indexed by experiment key; accuracies in percent.

    ``note`` says where the printed row needs a word of care.

    Raises:
        ValueError: there is no such table.
        ResultError: the file cannot be read, or lacks a row or a column.
    """
    if n not in TITLES:
        raise ValueError(f"unknown table {n!r}: choose 1, 2, 3 or 4")
    path = repo_path("data", "paper", f"table{n}.csv")
    texts, numbers = (*_labels(n), "note"), ("accuracy", "params_millions" if n == 1 else "delta")
    types = dict.fromkeys(texts, str) | dict.fromkeys(numbers, float)
    try:
        frame = pd.read_csv(path, index_col="key", dtype=types)
    except (OSError, ValueError) as error:
        raise ResultError(f"cannot read the paper's numbers in {path}: {error}") from error
    rows = (row.key for row in table_rows(f"table{n}"))
    lost = [name for name in types if name not in frame] + [key for key in rows if key not in frame.index]
    if lost:
        raise ResultError(f"{path} lacks {', '.join(lost)}: restore it")
    return frame.fillna(dict.fromkeys(texts, ""))


def table(n: int, results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> pd.DataFrame:
    """Table ``n`` with the paper's rows and labels, its printed numbers and ours, indexed by experiment key.

    Ours are means over the seeds run, with their standard deviation and number ``n`` (NaN and 0 where not
    run). A delta is against the same network without a teacher; ours takes the last epoch, from the seeds
    that both have (``pairs``). ``style`` makes it readable.

    Args:
        results: ``results.load_results()``.
        profile, recipe: whose runs to show; rows of others never mix.

    Raises:
        ValueError: there is no such table.
        ResultError: runs of this table differ in their profile's settings, epochs or data.
    """
    paper = paper_table(n)
    name = _name(profile)
    runs = _runs(results, name, recipe, [*paper.index, *(baseline_of(find(key)) for key in paper.index)])
    _check_alike(runs, n)
    rows = []
    for key, printed in paper.iterrows():
        own = runs[runs["key"] == key]
        row = {"key": key} | {label: printed[label] for label in _labels(n)}
        if n == 1:
            row |= {PAPER_PARAMETERS: printed["params_millions"]}
            row |= {OUR_PARAMETERS: own["parameters"].mean() / 1e6}
        row |= {PAPER_ACCURACY: printed["accuracy"], OUR_ACCURACY: own["last_accuracy"].mean()}
        row |= {OUR_BEST: own["best_accuracy"].mean(), OUR_SD: own["last_accuracy"].std(), "n": len(own)}
        if n > 1:
            deltas = _paired_deltas(own, runs[runs["key"] == baseline_of(find(key))])
            row |= {PAPER_DELTA: printed["delta"], OUR_DELTA: deltas.mean()}
            row |= {DELTA_SD: deltas.std(), "pairs": len(deltas)}
        rows.append(row | {"epochs": own["epochs"].mean(), "profile": name, "note": printed["note"]})
    frame = pd.DataFrame(rows).set_index("key")
    frame.attrs["caption"] = _caption(n, frame, runs, name, recipe)
    return frame


def _labels(n: int) -> tuple[str, ...]:
    """The columns that say what a row is."""
    return {1: ("model", "width"), 2: ("student", "teacher")}.get(n, ("student",))


def _name(profile: str | Profile) -> str:
    return profile.name if isinstance(profile, Profile) else profile


def _runs(results: pd.DataFrame, profile: str, recipe: str, keys: Iterable[str]) -> pd.DataFrame:
    """The runs of ``keys``; floats where there are none too, so that means are NaN and not errors.

    A row that the recipe trains as another does is that one's run.
    """
    origins = {key: origin(key, recipe) for key in keys}
    chosen = (results["profile"] == profile) & (results["recipe"] == results["key"].map(origins))
    numbers = ("last_accuracy", "best_accuracy", "parameters", "epochs")
    return results[chosen].astype(dict.fromkeys(numbers, float)).sort_values(["key", "seed"])


def _paired_deltas(own: pd.DataFrame, baseline: pd.DataFrame) -> pd.Series:
    """Last-epoch accuracy minus the baseline's, in points, one value for each seed that both have."""
    return (own.set_index("seed")["last_accuracy"] - baseline.set_index("seed")["last_accuracy"]).dropna()


def _check_alike(runs: pd.DataFrame, n: int) -> None:
    """Refuse to set runs side by side that were not trained alike."""
    students = runs["student"].astype(str)
    big = sorted(set(students[~students.str.startswith("gn-")]))
    data = runs["dataset"].astype(str) + ", " + runs["data_subset"].astype(str)
    kinds = (
        ("the profile's settings", runs["profile_spec"].map(lambda spec: str(_profile(spec)))),
        ("the data", data + ", " + runs["test_images"].astype(str) + " test images"),
        ("the epochs of the GhostNets", runs["epochs"][students.str.startswith("gn-")]),
        *((f"the epochs of {name}", runs["epochs"][students == name]) for name in big),
    )
    for what, values in kinds:
        if values.nunique() > 1:
            pair = values.drop_duplicates().index[:2]
            words = " and ".join(f"{runs.loc[index, 'run']} ({values[index]})" for index in pair)
            raise ResultError(f"table {n} cannot be drawn: {what} differ between {words}; run the older one afresh")


def _caption(n: int, frame: pd.DataFrame, runs: pd.DataFrame, profile: str, recipe: str) -> str:
    done = f"{(frame['n'] > 0).sum()} of {len(frame)} rows run"
    words = (
        f"{TITLES[n]}. Ours, {_provenance(runs, profile, recipe)}; {done}. Paper: 200 epochs on 50,000 "
        "training images, one seed, the best epoch on the test set. Accuracies in percent."
    )
    if n > 1:
        words += (
            " A delta is in points against the same network without a teacher; ours takes the last epoch, seed by seed."
        )
    return words


def _provenance(runs: pd.DataFrame, profile: str, recipe: str) -> str:
    """The words that stand beside our numbers: the profile as it really ran, the data, the recipe."""
    if runs.empty:
        return f"{profile} profile, recipe {recipe!r}: none of these rows has been run"
    run = runs.iloc[-1]
    data = f"{DATASET_NAMES.get(run['dataset'], run['dataset'])}, {int(run['test_images']):,} test images"
    shared = sorted(set(runs["recipe"]) - {recipe})
    same = f" (rows that it trains alike are those of {', '.join(map(repr, shared))})" if shared else ""
    return f"{_label(run['profile_spec'])}; {data}; recipe {recipe!r}{same}"


def _profile(spec: dict) -> Profile:
    """The profile as a result holds it; what an older one does not know is left at its default."""
    return Profile(**{field.name: spec[field.name] for field in fields(Profile) if field.name in spec})


def _label(spec: dict) -> str:
    return _profile(spec).label


class ShownTable:
    """A table for people: HTML in a notebook, Markdown in a terminal and in a file."""

    def __init__(self, cells: pd.DataFrame, caption: str, notes: Sequence[str]):
        self.cells, self.caption, self.notes = cells, caption, notes

    def _repr_html_(self) -> str:
        """No colour of its own, so that it reads on light and dark pages alike."""
        head = "".join(_html_cell("th", name, name, "col") for name in self.cells)
        body = "".join(f"<tr>{self._html_row(row)}</tr>" for row in self.cells.itertuples(index=False))
        notes = "".join(f"<li>{_escape(note)}</li>" for note in self.notes)
        return (
            '<table class="course-table">'
            f'<caption style="caption-side:top;text-align:left">{_escape(self.caption)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            + (f'<ol class="course-notes" type="a">{notes}</ol>' if notes else "")
        )

    def _html_row(self, row: tuple[str, ...]) -> str:
        (first, label), *rest = zip(self.cells, row, strict=True)
        return _html_cell("th", first, label, "row") + "".join(_html_cell("td", *pair) for pair in rest)

    def to_markdown(self) -> str:
        lines = [self.cells.columns, ["---"] * len(self.cells.columns), *self.cells.itertuples(index=False)]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        notes = "\n".join(f"- ({_letter(number)}) {note}" for number, note in enumerate(self.notes))
        return f"{self.caption}\n\n{table}\n" + (f"\n{notes}\n" if notes else "")

    __repr__ = to_markdown


def style(frame: pd.DataFrame) -> ShownTable:
    """A frame of ``table`` made readable: rounded, "not run" where it is so, notes below."""
    notes = list(dict.fromkeys(note for note in frame["note"] if note))
    cells = pd.DataFrame(
        {name: [_cell(name, row) for _, row in frame.iterrows()] for name in frame if name not in HIDDEN}
    )
    marks = [f" ({_letter(notes.index(note))})" if note else "" for note in frame["note"]]
    cells.iloc[:, 0] = [label + mark for label, mark in zip(cells.iloc[:, 0], marks, strict=True)]
    return ShownTable(cells, frame.attrs.get("caption", ""), notes)


def verdicts_table(results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> ShownTable:
    """What can be said of each distilled row: the paper's delta, ours with its interval, n, and the verdict's word.

    Rows that ``as_run`` trains without shuffling stand twice: against the shuffled baseline, as in the paper, and
    against one without shuffling.

    Raises:
        ResultError: the labels of the test images are not at hand, or stored predictions are damaged.
    """
    name, lines = _name(profile), []
    for n in (2, 3, 4):
        for key, printed in paper_table(n).iterrows():
            twice = recipe == "as_run" and is_unshuffled(find(key))
            for baseline in ("shuffled", CONTROL) if twice else ("shuffled",):
                verdict = verdict_of(
                    results,
                    key,
                    profile=name,
                    recipe=recipe,
                    baseline_recipe=CONTROL if baseline == CONTROL else None,
                )
                lines.append(_verdict_line(key, printed, baseline, verdict))
    keys = [key for n in (2, 3, 4) for key in paper_table(n).index]
    origin_words = _provenance(_runs(results, name, recipe, keys), name, recipe)
    caption = (
        f"Verdicts. Ours, {origin_words}. Deltas in points against the same network without a teacher: the paper's of "
        "the best epoch and one seed, ours of the last epoch with a 95 % interval over seeds and test images."
    )
    return ShownTable(pd.DataFrame(lines), caption, ())


def control_table(results: pd.DataFrame, profile: str | Profile) -> ShownTable:
    """The baselines of the rows that ``as_run`` trains without shuffling, with and without it.

    Accuracies are means of the last epochs in percent; the delta, in points, is over the seeds that both have.
    """
    name, keys, lines = _name(profile), control_keys(), []
    shuffled, control = _runs(results, name, "paper", keys), _runs(results, name, CONTROL, keys)
    for key in keys:
        own, other = control[control["key"] == key], shuffled[shuffled["key"] == key]
        deltas = _paired_deltas(own, other)
        means = (other["last_accuracy"].mean(), own["last_accuracy"].mean())
        shown = ["not run" if np.isnan(value) else f"{value:.2f}" for value in means]
        delta = f"{deltas.mean():+.2f}" if len(deltas) else "–"
        numbers = {"acc. shuffled": shown[0], "acc. unshuffled": shown[1], "delta": delta, "pairs": str(len(deltas))}
        lines.append({"model": key} | numbers)
    caption = (
        f"The control of the recipe 'as_run': its baselines without shuffling. Ours, "
        f"{_provenance(control, name, CONTROL)}. Accuracies of the last epoch in percent, deltas in points."
    )
    return ShownTable(pd.DataFrame(lines), caption, ())


def _verdict_line(key: str, printed: pd.Series, baseline: str, verdict: Verdict) -> dict[str, str]:
    known = bool(verdict.seeds)
    interval = f"{verdict.low:+.2f} to {verdict.high:+.2f}" if np.isfinite(verdict.low) else "–"
    return {
        "row": key,
        "baseline": baseline,
        PAPER_DELTA: f"{printed['delta']:+.2f}",
        OUR_DELTA: f"{verdict.mean:+.2f}" if known else "not run",
        "interval": interval,
        "n": str(verdict.seeds) if known else "–",
        "verdict": verdict.word if verdict.word != "none" else f"none: {verdict.reason}",
    }


def show_table(n: int, results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> ShownTable:
    """``style(table(...))``: the last line of a notebook's cell."""
    return style(table(n, results, profile, recipe))


def _cell(name: str, row: pd.Series) -> str:
    value = row[name]
    if name == OUR_ACCURACY and row["n"] == 0:
        return "not run"
    if isinstance(value, str):
        return value or "–"
    if pd.isna(value):
        return "–"
    return f"{value:.0f}" if name in COUNTS else f"{value:{DECIMALS.get(name, '.2f')}}"


def _html_cell(tag: str, column: str, text: str, scope: str | None = None) -> str:
    look = f"text-align:{'left' if column in LABELS else 'right'};padding:2px 6px"
    look += ";white-space:nowrap" if scope == "row" else ""
    scoped = f' scope="{scope}"' if scope else ""
    return f'<{tag}{scoped} style="{look}">{_escape(text)}</{tag}>'


def _letter(number: int) -> str:
    return "abcdefghijklmnopqrstuvwxyz"[number]


def _escape(text: str) -> str:
    return html.escape(str(text))


# --- figures --------------------------------------------------------------------------------------


def figure_1(results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> Figure:
    """Fig. 1: accuracy against GN-S's width, the paper's on the left, ours on the right; GN-D as a line.

    The accuracy axis is shared only with the full profile: a smaller one is another experiment.
    """
    frame = table(1, results, profile, recipe)
    origin = _provenance(_runs(results, _name(profile), recipe, frame.index), _name(profile), recipe)
    ghosts = frame[frame["model"] == "GN-S"]
    widths = np.array([find(key).width for key in ghosts.index])
    shared = _name(profile) == "full"
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


def _figure(title: str, height: float, origin: str, shared: bool = True) -> Figure:
    """An empty figure that says below where its numbers come from; ``height`` in inches."""
    figure = Figure(figsize=(8.4, height), dpi=100, layout="constrained")
    figure.suptitle(title, fontsize=11)
    figure.supxlabel(origin + ("" if shared else "\nThe two panels have scales of their own."), fontsize=8)
    return figure


def _dress(axes: Axes, grid: str = "both") -> None:
    axes.grid(axis=grid, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _say_not_run(axes: Axes, scale: str) -> None:
    """Words in place of data, and no numbers on the ``scale`` ("x", "y", "both") that would measure them."""
    blank = {"facecolor": "white", "edgecolor": "none"}
    axes.text(0.5, 0.5, "not run yet", transform=axes.transAxes, ha="center", va="center", bbox=blank)
    axes.tick_params(axis=scale, length=0, labelleft=False, labelbottom=False)


def _write(axes: Axes, words: str, place: tuple[float, float], offset: tuple[float, float], ha: str) -> None:
    """Small words beside a point, ``offset`` in points, with a white rim so that lines do not cross them."""
    rim = [patheffects.withStroke(linewidth=2.5, foreground="white")]
    axes.annotate(words, place, offset, textcoords="offset points", fontsize=8, ha=ha, path_effects=rim, zorder=5)


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
    _dress(axes)
    axes.set_xlabel("width multiplier of GN-S")
    axes.set_xticks(widths, [f"{width:.1f}" for width in widths])
    axes.set_xlim(widths[0] - 0.25, widths[-1] + 0.25)
    axes.margins(y=0.15)
    bars = np.zeros(len(widths)) if sd is None else sd.fillna(0.0).to_numpy()
    if np.isfinite(default):
        axes.axhline(default, color=BLACK, linestyle="--", linewidth=1)
        _write(axes, f"GN-D {default:.2f}", (widths[-1], default), (0, -11), "right")
    if accuracies.notna().any():
        spread = bars if bars.any() else None
        axes.errorbar(widths, accuracies, yerr=spread, color=colour, marker=marker, capsize=3)
        for width, accuracy, bar in zip(widths, accuracies, bars, strict=True):
            if np.isfinite(accuracy):
                _write(axes, f"{accuracy:.2f}", (width, accuracy + bar), (0, 7), "center")
    else:
        _say_not_run(axes, "y")


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


def deltas_figure(results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> Figure:
    """What each method of Tables II to IV changed against its baseline: the paper's deltas, and ours."""
    tables = [table(n, results, profile, recipe) for n in (2, 3, 4)]
    frame = pd.concat(tables)
    keys = [*frame.index, *(baseline_of(find(key)) for key in frame.index)]
    origin = _provenance(_runs(results, _name(profile), recipe, keys), _name(profile), recipe)
    frame.index = [_pair_label(key, row) for key, row in frame.iterrows()]
    shared = _name(profile) == "full"
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
    _dress(axes, grid="x")
    axes.axvline(0, color=BLACK, linewidth=1)
    axes.margins(x=0.15)
    if deltas.isna().all():
        _say_not_run(axes, "x")
        return
    spread = None if sd is None or sd.isna().all() else sd.fillna(0.0)
    rows = range(len(deltas))
    axes.errorbar(deltas, rows, xerr=spread, color=colour, marker=marker, linestyle="none", capsize=3)
    for row, delta in zip(rows, deltas, strict=True):
        if np.isfinite(delta):
            _write(axes, f"{delta:+.2f}", (delta, row), (0, 5), "center")


def _delta_words(deltas: pd.Series) -> str:
    known = deltas.dropna()
    if known.empty:
        return "not run yet"
    below = f"{(known < 0).sum()} of {len(known)} below zero"
    return f"{below}, from {known.min():+.2f} ({known.idxmin()}) to {known.max():+.2f} ({known.idxmax()})"


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
    runs = _runs(results, _name(profile), recipe, keys)
    origin = _provenance(runs, _name(profile), recipe)
    missing = [key for key in keys if key not in set(runs["key"])]
    figure = _figure("Test accuracy after every epoch", 3.8, origin)
    axes = figure.subplots()
    _dress(axes)
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
        _say_not_run(axes, "both")
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
            _write(axes, name, (epoch, accuracy), (0, 7), side)
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


# --- showing and saving ---------------------------------------------------------------------------


def alt_text(figure: Figure) -> str:
    """The figure in words, with its key numbers; the functions above leave it in the figure's label."""
    return figure.get_label()


def show(figure: Figure, alt: str | None = None, caption: str | None = None) -> "HTML":
    """The figure for a notebook, with ``alt`` (default ``alt_text``) for those who cannot see it.

    ``caption`` stands below it; without one, the alt text does.

    Raises:
        ValueError: there is no alt text.
    """
    from IPython.display import HTML

    alt = alt or alt_text(figure)
    if not alt:
        raise ValueError("a figure needs alt text: say in words what it shows, with the key number")
    source = base64.b64encode(_png(figure)).decode("ascii")
    return HTML(
        f'<figure style="margin:0"><img alt="{_escape(alt)}" src="data:image/png;base64,{source}" '
        f'style="max-width:100%"><figcaption>{_escape(caption or alt)}</figcaption></figure>'
    )


def save_figure(figure: Figure, name: str, folder: Path | None = None) -> Path:
    """Write ``figures/<name>.png``; the same figure gives the same bytes.

    Raises:
        ValueError: ``name`` is no plain name (a folder in front is allowed: ``quick/fig1``).
        CourseError: the file cannot be written.
    """
    if not re.fullmatch(r"[a-z0-9_-]+(/[a-z0-9_-]+)*", name):
        raise ValueError(f"cannot name a figure {name!r}: use a-z, 0-9, '-', '_' and '/' between folders")
    path = _figures(folder) / f"{name}.png"
    atomic_write(path, _png(figure))
    return path


def _figures(folder: Path | None) -> Path:
    return Path(folder) if folder is not None else repo_path("figures")


def _png(figure: Figure) -> bytes:
    """Small and repeatable: few colours (more where there are photographs), and no version or date inside."""
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    colours = 256 if any(axes.images for axes in figure.axes) else 64
    Image.open(drawn).convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return small.getvalue()


def available_profiles(results: pd.DataFrame, recipe: str = "paper") -> list[str]:
    """The profiles that have runs: full, laptop, quick, then any other."""
    names = set(results.loc[results["recipe"] == recipe, "profile"])
    return [name for name in PROFILE_ORDER if name in names] + sorted(names.difference(PROFILE_ORDER))


def available(results: pd.DataFrame, n: int | None = None) -> list[tuple[str, str]]:
    """Profile and recipe of all that may stand side by side: ``paper`` first, and profiles as above.

    With ``n``, other recipes only where a row of Table ``n`` that they train in their own way has been run: without
    one, all that the table shows is ``paper``'s.
    """
    found = []
    for recipe in RECIPES:
        rows = results if n is None or recipe == "paper" else results[results["table"] == f"table{n}"]
        found += [(profile, recipe) for profile in available_profiles(rows, recipe)]
    return found


def set_name(profile: str, recipe: str) -> str:
    """``laptop profile``; other recipes than ``paper`` are named."""
    return f"{profile} profile" + ("" if recipe == "paper" else f", recipe {recipe!r}")


def summary(results: pd.DataFrame) -> str:
    """The state of the store, a line for each profile and recipe."""
    lines = []
    for recipe in sorted(set(results["recipe"])):
        rows = {key for key, row in EXPERIMENTS.items() if row.table in TABLES and origin(key, recipe) == recipe}
        rows = set(control_keys()) if recipe == CONTROL else rows
        for profile in available_profiles(results, recipe):
            runs = results[(results["profile"] == profile) & (results["recipe"] == recipe)]
            seeds = runs["seed"].nunique()
            lines.append(
                f"{_label(runs.iloc[-1]['profile_spec'])}; recipe {recipe!r}: "
                f"{len(rows.intersection(runs['key']))} of {len(rows)} table rows run, "
                f"{seeds} seed{'s' if seeds > 1 else ''}"
            )
    return "\n".join(lines) or "no finished runs"


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
            place = _figures(folder) / profile / ("" if name == "paper" else name)
            files |= {place / file: content for file, content in _report_of(results, profile, name).items()}
    for profile in available_profiles(results, CONTROL) if recipe in (None, CONTROL) else ():
        shown = control_table(results, profile).to_markdown()
        files[_figures(folder) / profile / f"{CONTROL}.md"] = shown.encode()
    if not files:
        raise ResultError(f"no results of recipe {recipe or 'paper'!r} yet: run python -m course_lib study first")
    for path, content in files.items():
        atomic_write(path, content)
    return list(files)


def _report_of(results: pd.DataFrame, profile: str, recipe: str) -> dict[str, bytes]:
    """The files of one profile and recipe by name."""
    files = {
        "fig1.png": _png(figure_1(results, profile, recipe)),
        "deltas.png": _png(deltas_figure(results, profile, recipe)),
        "curves.png": _png(learning_curves(results, CURVES, profile, recipe)),
    }
    for n in TITLES:
        frame = table(n, results, profile, recipe)
        files[f"table{n}.csv"] = frame.to_csv(float_format="%.4f", lineterminator="\n").encode()
        files[f"table{n}.md"] = style(frame).to_markdown().encode()
    files["verdicts.md"] = verdicts_table(results, profile, recipe).to_markdown().encode()
    return files


def words_for(results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> str:
    """A few words to stand beside our numbers: the size of the runs as they were made, and their recipe."""
    runs = _runs(results, _name(profile), recipe, EXPERIMENTS)
    size = f"{_name(profile)} profile: not run" if runs.empty else _label(runs.iloc[-1]["profile_spec"])
    return f"{size}; recipe {recipe!r}"


def show_rows(results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> ShownTable:
    """Tables I to IV as one: the rows that were run, and in the caption how many were not; all where none was."""
    names = {1: "I", 2: "II", 3: "III", 4: "IV"}
    rows = pd.concat([table(n, results, profile, recipe).assign(table=name) for n, name in names.items()])
    done = rows["n"] > 0
    columns = ("table", PAPER_ACCURACY, OUR_ACCURACY, OUR_SD, "n", PAPER_DELTA, OUR_DELTA, "pairs")
    shown = rows[done | ~done.any()]
    cells = [{"row": key} | {name: _cell(name, row) for name in columns} for key, row in shown.iterrows()]
    caption = (
        f"Tables I to IV: {done.sum()} of {len(rows)} rows run, {(~done).sum()} not run. Accuracies in percent, deltas "
        f"in points. Paper: best of 200 epochs, one seed. Ours: {words_for(results, profile, recipe)}."
    )
    return ShownTable(pd.DataFrame(cells), caption, ())


def deltas_in_words(n: int, results: pd.DataFrame) -> str:
    """The deltas of Table ``n`` that were run, with their n, or ``not run``: a line for each that is ``available``."""
    lines = []
    for ours in available(results, n):
        rows = table(n, results, *ours)
        run = rows[rows["pairs"] > 0]
        deltas = [f"{key} {row[OUR_DELTA]:+.2f} (n = {row['pairs']})" for key, row in run.iterrows()]
        lines.append(f"Ours, {set_name(*ours)}: {', '.join(deltas) or 'not run'}")
    return "\n".join(lines) or "Ours: not run"
