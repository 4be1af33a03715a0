"""Fig. 1 and Tables I to IV: the paper's printed numbers beside what the results store holds.

The paper's numbers come from ``data/paper/*.csv``, ours from ``results.load_results()``; none stands here.
The paper reports the best epoch on the test set. Ours are of the last epoch, which nobody chose by its test
accuracy, and the best one stands beside it.
Importing this module does not import torch.
"""

import html
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from course_lib.errors import ResultError
from course_lib.files import repo_path
from course_lib.profiles import Profile
from course_lib.report.verdicts import Verdict, verdict_of
from course_lib.study.experiments import EXPERIMENTS, TABLES, baseline_of, find, table_rows
from course_lib.study.protocols import CONTROL, RECIPES, control_keys, is_unshuffled, origin

if TYPE_CHECKING:
    pass

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
PROFILE_ORDER = ("full", "laptop", "quick")
DATASET_NAMES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "synthetic": "SYNTHETIC images"}


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
    name = name_of(profile)
    runs = runs_of(results, name, recipe, [*paper.index, *(baseline_of(find(key)) for key in paper.index)])
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
            deltas = paired_deltas(own, runs[runs["key"] == baseline_of(find(key))])
            row |= {PAPER_DELTA: printed["delta"], OUR_DELTA: deltas.mean()}
            row |= {DELTA_SD: deltas.std(), "pairs": len(deltas)}
        rows.append(row | {"epochs": own["epochs"].mean(), "profile": name, "note": printed["note"]})
    frame = pd.DataFrame(rows).set_index("key")
    frame.attrs["caption"] = _caption(n, frame, runs, name, recipe)
    return frame


def _labels(n: int) -> tuple[str, ...]:
    """The columns that say what a row is."""
    return {1: ("model", "width"), 2: ("student", "teacher")}.get(n, ("student",))


def name_of(profile: str | Profile) -> str:
    return profile.name if isinstance(profile, Profile) else profile


def runs_of(results: pd.DataFrame, profile: str, recipe: str, keys: Iterable[str]) -> pd.DataFrame:
    """The runs of ``keys``; floats where there are none too, so that means are NaN and not errors.

    A row that the recipe trains as another does is that one's run.
    """
    origins = {key: origin(key, recipe) for key in keys}
    chosen = (results["profile"] == profile) & (results["recipe"] == results["key"].map(origins))
    numbers = ("last_accuracy", "best_accuracy", "parameters", "epochs")
    return results[chosen].astype(dict.fromkeys(numbers, float)).sort_values(["key", "seed"])


def paired_deltas(own: pd.DataFrame, baseline: pd.DataFrame) -> pd.Series:
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
        f"{TITLES[n]}. Ours, {provenance(runs, profile, recipe)}; {done}. Paper: 200 epochs on 50,000 "
        "training images, one seed, the best epoch on the test set. Accuracies in percent."
    )
    if n > 1:
        words += (
            " A delta is in points against the same network without a teacher; ours takes the last epoch, seed by seed."
        )
    return words


def provenance(runs: pd.DataFrame, profile: str, recipe: str) -> str:
    """The words that stand beside our numbers: the profile as it really ran, the data, the recipe."""
    if runs.empty:
        return f"{profile} profile, recipe {recipe!r}: none of these rows has been run"
    run = runs.iloc[-1]
    data = f"{DATASET_NAMES.get(run['dataset'], run['dataset'])}, {int(run['test_images']):,} test images"
    shared = sorted(set(runs["recipe"]) - {recipe})
    same = f" (rows that it trains alike are those of {', '.join(map(repr, shared))})" if shared else ""
    return f"{label_of(run['profile_spec'])}; {data}; recipe {recipe!r}{same}"


def _profile(spec: dict) -> Profile:
    """The profile as a result holds it; what an older one does not know is left at its default."""
    return Profile(**{field.name: spec[field.name] for field in fields(Profile) if field.name in spec})


def label_of(spec: dict) -> str:
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
    name, lines = name_of(profile), []
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
    origin_words = provenance(runs_of(results, name, recipe, keys), name, recipe)
    caption = (
        f"Verdicts. Ours, {origin_words}. Deltas in points against the same network without a teacher: the paper's of "
        "the best epoch and one seed, ours of the last epoch with a 95 % interval over seeds and test images."
    )
    return ShownTable(pd.DataFrame(lines), caption, ())


def control_table(results: pd.DataFrame, profile: str | Profile) -> ShownTable:
    """The baselines of the rows that ``as_run`` trains without shuffling, with and without it.

    Accuracies are means of the last epochs in percent; the delta, in points, is over the seeds that both have.
    """
    name, keys, lines = name_of(profile), control_keys(), []
    shuffled, control = runs_of(results, name, "paper", keys), runs_of(results, name, CONTROL, keys)
    for key in keys:
        own, other = control[control["key"] == key], shuffled[shuffled["key"] == key]
        deltas = paired_deltas(own, other)
        means = (other["last_accuracy"].mean(), own["last_accuracy"].mean())
        shown = ["not run" if np.isnan(value) else f"{value:.2f}" for value in means]
        delta = f"{deltas.mean():+.2f}" if len(deltas) else "–"
        numbers = {"acc. shuffled": shown[0], "acc. unshuffled": shown[1], "delta": delta, "pairs": str(len(deltas))}
        lines.append({"model": key} | numbers)
    caption = (
        f"The control of the recipe 'as_run': its baselines without shuffling. Ours, "
        f"{provenance(control, name, CONTROL)}. Accuracies of the last epoch in percent, deltas in points."
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


# --- showing and saving ---------------------------------------------------------------------------


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
                f"{label_of(runs.iloc[-1]['profile_spec'])}; recipe {recipe!r}: "
                f"{len(rows.intersection(runs['key']))} of {len(rows)} table rows run, "
                f"{seeds} seed{'s' if seeds > 1 else ''}"
            )
    return "\n".join(lines) or "no finished runs"


def words_for(results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> str:
    """A few words to stand beside our numbers: the size of the runs as they were made, and their recipe."""
    runs = runs_of(results, name_of(profile), recipe, EXPERIMENTS)
    size = f"{name_of(profile)} profile: not run" if runs.empty else label_of(runs.iloc[-1]["profile_spec"])
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
