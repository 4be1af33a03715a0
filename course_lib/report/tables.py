"""Tables I to IV: what the paper prints, what its authors' logs say, and what the results store holds.

The paper prints the best epoch on the test set. Ours and the authors' stand here as of the last epoch, which nobody
chose by its test accuracy; our best one stands beside it. No number is written in this file.
Importing this module does not import torch.
"""

import html
from collections.abc import Sequence

import numpy as np
import pandas as pd

from course_lib.profiles import Profile
from course_lib.report.paper import TITLES, authors_runs, labels_of, paper_table
from course_lib.report.runs import (
    available,
    check_alike,
    name_of,
    paired_deltas,
    provenance,
    runs_of,
    set_name,
    words_for,
)
from course_lib.report.verdicts import NONE, Verdict, verdict_of
from course_lib.study.experiments import baseline_of, find
from course_lib.study.protocols import CONTROL, control_keys, is_unshuffled

PAPER_PARAMETERS = "paper params (M)"
OUR_PARAMETERS = "our params (M)"
PAPER_ACCURACY = "paper acc. (best epoch)"
AUTHORS_ACCURACY = "authors' acc. (last epoch)"
OUR_ACCURACY = "our acc. (last epoch)"
OUR_BEST = "our acc. (best epoch)"
OUR_SD = "sd (last epoch)"
PAPER_DELTA = "paper delta (best epoch)"
AUTHORS_DELTA = "authors' delta (last epoch)"
OUR_DELTA = "our delta (last epoch)"
DELTA_SD = "delta sd"
HIDDEN = ("profile", "note")  # in the frame and the CSV; shown in the caption and below the table
LABELS = ("model", "width", "student", "teacher", "row")
DECIMALS = dict.fromkeys((PAPER_PARAMETERS, OUR_PARAMETERS), ".3f")
DECIMALS |= dict.fromkeys((PAPER_DELTA, AUTHORS_DELTA, OUR_DELTA), "+.2f") | dict.fromkeys(
    ("n", "pairs", "epochs"), ".0f"
)


def table(n: int, results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> pd.DataFrame:
    """Table ``n``, indexed by experiment key: the paper's rows and labels, its printed numbers, the authors' and ours.

    Ours are means over the seeds run, with their standard deviation and number ``n`` (NaN and 0 where not
    run). A delta is against the same network without a teacher; ours and the authors' take the last epoch, ours from
    the seeds that both have (``pairs``). The authors' are NaN where there is no log. ``style`` makes it readable.

    Args:
        results: ``store.load_results()``.
        profile, recipe: whose runs to show; rows of others never mix.

    Raises:
        ValueError: there is no such table, profile or recipe.
        ResultError: runs of this table differ in their profile's settings, epochs or data.
    """
    paper, logged = paper_table(n), authors_runs()["last_accuracy"]
    runs = runs_of(results, profile, recipe, [*paper.index, *(baseline_of(find(key)) for key in paper.index)])
    check_alike(runs, n)
    rows = []
    for key, printed in paper.iterrows():
        own, alone = runs[runs["key"] == key], baseline_of(find(key))
        row = {"key": key} | {label: printed[label] for label in labels_of(n)}
        if n == 1:
            row |= {PAPER_PARAMETERS: printed["params_millions"]}
            row |= {OUR_PARAMETERS: own["parameters"].mean() / 1e6}
        row |= {PAPER_ACCURACY: printed["accuracy"], AUTHORS_ACCURACY: logged.get(key, np.nan)}
        row |= {OUR_ACCURACY: own["last_accuracy"].mean(), OUR_BEST: own["best_accuracy"].mean()}
        row |= {OUR_SD: own["last_accuracy"].std(), "n": len(own)}
        if n > 1:
            deltas = paired_deltas(own, runs[runs["key"] == alone])
            theirs = logged.get(key, np.nan) - logged.get(alone, np.nan)
            row |= {PAPER_DELTA: printed["delta"], AUTHORS_DELTA: theirs, OUR_DELTA: deltas.mean()}
            row |= {DELTA_SD: deltas.std(), "pairs": len(deltas)}
        rows.append(row | {"epochs": own["epochs"].mean(), "profile": name_of(profile), "note": printed["note"]})
    frame = pd.DataFrame(rows).set_index("key")
    frame.attrs["caption"] = (
        f"{TITLES[n]}. Ours, {provenance(runs, profile, recipe)}; {(frame['n'] > 0).sum()} of {len(frame)} rows run. "
        "Paper and authors' logs: 200 epochs on 50,000 training images, one seed; the paper prints the best epoch on "
        "the test set. Accuracies in percent."
    )
    if n > 1:
        frame.attrs["caption"] += (
            " A delta is in points against the same network without a teacher; ours takes the last epoch, seed by seed."
        )
    return frame


# --- tables for people ----------------------------------------------------------------------------


class ShownTable:
    """A table for people: HTML in a notebook, Markdown in a terminal and in a file."""

    def __init__(self, cells: pd.DataFrame, caption: str, notes: Sequence[str] = ()):
        self.cells, self.caption = cells, caption
        self.notes = [f"({_letter(number)}) {note}" for number, note in enumerate(notes)]

    def _repr_html_(self) -> str:
        """No colour of its own, so that it reads on light and dark pages alike."""
        head = "".join(_html_cell("th", name, name, "col") for name in self.cells)
        body = "".join(f"<tr>{self._html_row(row)}</tr>" for row in self.cells.itertuples(index=False))
        # Letters written out: Jupyter takes a list's own letters for numbers.
        notes = "<br>".join(map(_escape, self.notes))
        return (
            '<table class="course-table">'
            f'<caption style="caption-side:top;text-align:left">{_escape(self.caption)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            + (f'<p class="course-notes">{notes}</p>' if notes else "")
        )

    def _html_row(self, row: tuple[str, ...]) -> str:
        (first, label), *rest = zip(self.cells, row, strict=True)
        return _html_cell("th", first, label, "row") + "".join(_html_cell("td", *pair) for pair in rest)

    def to_markdown(self) -> str:
        lines = [self.cells.columns, ["---"] * len(self.cells.columns), *self.cells.itertuples(index=False)]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        notes = "\n".join(f"- {note}" for note in self.notes)
        return f"{self.caption}\n\n{table}\n" + (f"\n{notes}\n" if notes else "")

    __repr__ = to_markdown


def _html_cell(tag: str, column: str, text: str, scope: str | None = None) -> str:
    look = f"text-align:{'left' if column in LABELS else 'right'};padding:2px 6px"
    look += ";white-space:nowrap" if scope == "row" else ""
    scoped = f' scope="{scope}"' if scope else ""
    return f'<{tag}{scoped} style="{look}">{_escape(text)}</{tag}>'


def _letter(number: int) -> str:
    return "abcdefghijklmnopqrstuvwxyz"[number]


def _escape(text: str) -> str:
    return html.escape(str(text))


def _cell(name: str, row: pd.Series) -> str:
    """A number as it is shown; where there is none, why."""
    value = row[name]
    if isinstance(value, str):
        return value or "–"
    if pd.notna(value):
        return f"{value:{DECIMALS.get(name, '.2f')}}"
    if name in (AUTHORS_DELTA, OUR_DELTA) and pd.isna(row[PAPER_DELTA]):
        return "–"  # a baseline has no delta
    if name in (AUTHORS_ACCURACY, AUTHORS_DELTA):
        return "no log"
    if name in (OUR_ACCURACY, OUR_DELTA):
        return "no pair" if row["n"] else "not run"
    return "–"


def style(frame: pd.DataFrame) -> ShownTable:
    """A frame of ``table`` made readable: rounded, "not run" where it is so, notes below."""
    notes = list(dict.fromkeys(note for note in frame["note"] if note))
    cells = pd.DataFrame(
        {name: [_cell(name, row) for _, row in frame.iterrows()] for name in frame if name not in HIDDEN}
    )
    marks = [f" ({_letter(notes.index(note))})" if note else "" for note in frame["note"]]
    cells.iloc[:, 0] = [label + mark for label, mark in zip(cells.iloc[:, 0], marks, strict=True)]
    return ShownTable(cells, frame.attrs.get("caption", ""), notes)


def show_table(n: int, results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> ShownTable:
    """``style(table(...))``: the last line of a notebook's cell."""
    return style(table(n, results, profile, recipe))


def show_rows(results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> ShownTable:
    """Tables I to IV as one: the rows that were run, and in the caption how many were not; all where none was."""
    names = {1: "I", 2: "II", 3: "III", 4: "IV"}
    rows = pd.concat([table(n, results, profile, recipe).assign(table=name) for n, name in names.items()])
    done = rows["n"] > 0
    columns = ("table", PAPER_ACCURACY, AUTHORS_ACCURACY, OUR_ACCURACY, OUR_SD, "n")
    columns += (PAPER_DELTA, AUTHORS_DELTA, OUR_DELTA, "pairs")
    shown = rows[done | ~done.any()]
    cells = [{"row": key} | {name: _cell(name, row) for name in columns} for key, row in shown.iterrows()]
    caption = (
        f"Tables I to IV: {done.sum()} of {len(rows)} rows run, {(~done).sum()} not run. Accuracies in percent, deltas "
        "in points. Paper: best of 200 epochs, one seed; authors' logs: the last of them. "
        f"Ours: {words_for(results, profile, recipe)}."
    )
    return ShownTable(pd.DataFrame(cells), caption)


def verdicts_table(results: pd.DataFrame, profile: str | Profile, recipe: str = "paper") -> ShownTable:
    """What can be said of each distilled row: the three deltas, ours with its interval, n, and the verdict's word.

    Rows that ``as_run`` trains without shuffling stand twice: against the shuffled baseline, as in the paper, and
    against one without shuffling.

    Raises:
        ValueError: there is no such profile or recipe.
        ResultError: the labels of the test images are not at hand, or stored predictions are damaged.
    """
    name, lines = name_of(profile), []
    rows = pd.concat([table(n, results, name, recipe) for n in (2, 3, 4)])
    for key, row in rows.iterrows():
        twice = recipe == "as_run" and is_unshuffled(find(key))
        for baseline in ("shuffled", CONTROL) if twice else ("shuffled",):
            control = CONTROL if baseline == CONTROL else None
            verdict = verdict_of(results, key, profile=name, recipe=recipe, baseline_recipe=control)
            lines.append({"row": key, "baseline": baseline} | _verdict_cells(row, verdict))
    caption = (
        f"Verdicts. Ours, {provenance(runs_of(results, name, recipe, rows.index), name, recipe)}. Deltas in points "
        "against the same network without a teacher: the paper's of the best epoch and one seed, the authors' of the "
        "last, ours of the last epoch with a 95 % interval over seeds and test images."
    )
    return ShownTable(pd.DataFrame(lines), caption)


def _verdict_cells(row: pd.Series, verdict: Verdict) -> dict[str, str]:
    known = verdict.seeds > 0
    return {
        PAPER_DELTA: _cell(PAPER_DELTA, row),
        AUTHORS_DELTA: _cell(AUTHORS_DELTA, row),
        OUR_DELTA: f"{verdict.mean:+.2f}" if known else "not run",
        "interval": f"{verdict.low:+.2f} to {verdict.high:+.2f}" if np.isfinite(verdict.low) else "–",
        "n": str(verdict.seeds) if known else "–",
        "verdict": verdict.word if verdict.word != NONE else f"none: {verdict.reason}",
    }


def control_table(results: pd.DataFrame, profile: str | Profile) -> ShownTable:
    """The baselines of the rows that ``as_run`` trains without shuffling, with and without it.

    Accuracies are means of the last epochs in percent; the delta, in points, is over the seeds that both have.
    """
    keys, lines = control_keys(), []
    shuffled, control = (runs_of(results, profile, recipe, keys) for recipe in ("paper", CONTROL))
    for key in keys:
        own, other = control[control["key"] == key], shuffled[shuffled["key"] == key]
        deltas, means = paired_deltas(own, other), (other["last_accuracy"].mean(), own["last_accuracy"].mean())
        shown = ["not run" if np.isnan(value) else f"{value:.2f}" for value in means]
        delta = f"{deltas.mean():+.2f}" if len(deltas) else "–"
        numbers = {"acc. shuffled": shown[0], "acc. unshuffled": shown[1], "delta": delta, "pairs": str(len(deltas))}
        lines.append({"model": key} | numbers)
    caption = (
        "The control of the recipe 'as_run': its baselines without shuffling. Ours, "
        f"{provenance(control, profile, CONTROL)}. Accuracies of the last epoch in percent, deltas in points."
    )
    return ShownTable(pd.DataFrame(lines), caption)


def deltas_in_words(n: int, results: pd.DataFrame) -> str:
    """The deltas of Table ``n`` that were run, with their n, or ``not run``: a line for each that is ``available``."""
    lines = []
    for ours in available(results, n):
        rows = table(n, results, *ours)
        run = rows[rows["pairs"] > 0]
        deltas = [f"{key} {row[OUR_DELTA]:+.2f} (n = {row['pairs']})" for key, row in run.iterrows()]
        lines.append(f"Ours, {set_name(*ours)}: {', '.join(deltas) or 'not run'}")
    return "\n".join(lines) or "Ours: not run"
