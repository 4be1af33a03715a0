"""Tables I to IV: what the paper prints, what its authors' logs say, and what the results store holds.

The paper prints the best epoch on the test set. Ours and the authors' stand here as of the last epoch, which nobody
chose by its test accuracy; our best one stands beside it. No number is written in this file.
"""

import html
from collections.abc import Sequence
from string import ascii_lowercase

import numpy as np
import pandas as pd

from course_lib.report.paper import LABELS_OF, TITLES, authors_runs, paper_table
from course_lib.report.runs import check_alike, own_rows, paired_deltas, provenance, runs_of, temperature_of
from course_lib.report.verdicts import LEAST_SEEDS, NONE, Verdict, verdict_of
from course_lib.study.experiments import ROWS, baseline_of, find
from course_lib.study.protocols import CONTROL, is_unshuffled

PAPER_PARAMETERS, OUR_PARAMETERS = "paper params (M)", "our params (M)"
PAPER_ACCURACY, AUTHORS_ACCURACY = "paper acc. (best epoch)", "authors' acc. (last epoch)"
OUR_ACCURACY, OUR_BEST, OUR_SD = "our acc. (last epoch)", "our acc. (best epoch)", "sd (last epoch)"
PAPER_DELTA, AUTHORS_DELTA = "paper delta (best epoch)", "authors' delta (last epoch)"
OUR_DELTA, DELTA_SD = "our delta (last epoch)", "delta sd"
HIDDEN = ("profile", "note")  # in the frame and the CSV; shown in the caption and below the table
LABELS = ("model", "width", "student", "teacher", "row")
DECIMALS = dict.fromkeys((PAPER_PARAMETERS, OUR_PARAMETERS), ".3f") | dict.fromkeys(("n", "pairs", "epochs"), ".0f")
DECIMALS |= dict.fromkeys((PAPER_DELTA, AUTHORS_DELTA, OUR_DELTA), "+.2f")
QUESTIONS = {2: "one teacher", 3: "a chain of assistants", 4: "an ensemble"}
OWN = "with published teachers; not in the paper"
SOFTENED = "at T = 4 recipe 'repaired'"
TEACHERS = {
    "resnet56": "ResNet56",
    "resnet20": "ResNet20",
    "resnet20-trained": "ResNet20, trained here",
    "resnet20<resnet56": "ResNet20, taught by ResNet56",
    "published": "the mean of four ResNets",
}


def table(n: int, results: pd.DataFrame, profile: str, recipe: str = "paper") -> pd.DataFrame:
    """Table ``n``, indexed by experiment key: the paper's rows and labels, its printed numbers, the authors' and ours.

    Ours are means over the seeds run, with their standard deviation and number ``n`` (NaN and 0 where not
    run). A delta is against the same network without a teacher; ours and the authors' take the last epoch, ours from
    the seeds that both have (``pairs``). The authors' are NaN where there is no log. ``style`` makes it readable.

    ``results`` are ``store.load_results()``; runs of other profiles and recipes never mix in. Raises ValueError where
    there is no such table, profile or recipe, ResultError where runs of this table differ in their profile's settings,
    epochs or data.
    """
    paper, logs = paper_table(n), authors_runs()["last_accuracy"].to_dict()
    alone = [baseline_of(find(key)) for key in paper.index]
    logged = pd.Series([logs.get(key, np.nan) for key in paper.index], paper.index)
    paper = paper.assign(logged=logged, logged_delta=logged - [logs.get(key, np.nan) for key in alone])
    frame = _rows(n, results, profile, [(key, recipe, printed.to_dict()) for key, printed in paper.iterrows()])
    runs = runs_of(results, profile, recipe, [*paper.index, *alone])
    note = "A delta is in points against the same network without a teacher; ours takes the last epoch, seed by seed."
    frame.attrs["caption"] = (
        f"{TITLES[n]}. Ours, {provenance(runs, profile, recipe)}; {(frame['n'] > 0).sum()} of {len(frame)} rows run. "
        "Paper and authors' logs: 200 epochs on 50,000 training images, one seed; the paper prints the best epoch on "
        "the test set. Accuracies in percent." + f" {note}" * (n > 1)
    )
    return frame


def own_table(n: int, results: pd.DataFrame, profile: str, recipe: str = "paper") -> pd.DataFrame:
    """What stands below Table ``n``, with its columns: our students of published teachers, at each T that was run.

    Indexed by experiment key; a label names teacher and T. Numbers of the paper and its authors are NaN; of Table I
    there are no rows. Raises as ``table`` does.
    """
    lines = []
    for key, each in own_rows(n, results, profile, recipe):
        student, teacher = own_label(key, each)
        labels = {"student": student, "teacher": teacher} if n == 2 else {"student": f"{student} from {teacher}"}
        lines.append((key, each, labels))
    return _rows(n, results, profile, lines)


def own_label(key: str, recipe: str) -> tuple[str, str]:
    """A row of our own in words: student; teacher and T."""
    student = f"{'GN-S' if ROWS[key].student == 'gn-s' else 'GN-D'} ({ROWS[key].width or 1.0:.1f}x)"
    return student, f"{TEACHERS[key.partition('<')[2]]}, T = {temperature_of(key, recipe):g}"


def _rows(n: int, results: pd.DataFrame, profile: str, lines: list[tuple[str, str, dict]]) -> pd.DataFrame:
    """A row for each (key, recipe, what the paper and its authors say of it)."""
    beside = {key: baseline_of(find(key)) for key, _, _ in lines}
    runs = {each: runs_of(results, profile, each, [*beside, *beside.values()]) for each in {line[1] for line in lines}}
    check_alike(pd.concat([results.iloc[:0], *runs.values()]), n)
    rows = []
    for key, recipe, printed in lines:
        own, alone = (runs[recipe][runs[recipe]["key"] == name] for name in (key, beside[key]))
        deltas, theirs = paired_deltas(own, alone), {"note": "", "epochs": own["epochs"].mean()} | printed
        row = {"key": key} | {label: printed[label] for label in LABELS_OF[n]}
        if n == 1:
            row |= {PAPER_PARAMETERS: printed["params_millions"], OUR_PARAMETERS: own["parameters"].mean() / 1e6}
        row |= {PAPER_ACCURACY: printed.get("accuracy", np.nan), AUTHORS_ACCURACY: printed.get("logged", np.nan)}
        row |= {OUR_ACCURACY: own["last_accuracy"].mean(), OUR_BEST: own["best_accuracy"].mean()}
        row |= {OUR_SD: own["last_accuracy"].std(), "n": len(own)}
        if n > 1:
            row |= {PAPER_DELTA: printed.get("delta", np.nan), AUTHORS_DELTA: printed.get("logged_delta", np.nan)}
            row |= {OUR_DELTA: deltas.mean(), DELTA_SD: deltas.std(), "pairs": len(deltas)}
        rows.append(row | {"epochs": theirs["epochs"], "profile": profile, "note": theirs["note"]})
    return pd.DataFrame(rows).set_index("key") if rows else pd.DataFrame()


class ShownTable:
    """A table for people: HTML in a notebook, Markdown in a terminal and in a file.

    Args:
        cells: text, a column for each name.
        caption: stands above; ``notes`` below, as (a), (b) and so on.
        own: a second block with the same columns, below a line that says what it is.
    """

    def __init__(self, cells: pd.DataFrame, caption: str, notes: Sequence[str] = (), own: pd.DataFrame | None = None):
        self.cells, self.caption, self.own = cells, caption, own
        self.notes = [f"({letter}) {note}" for letter, note in zip(ascii_lowercase, notes, strict=False)]

    def _repr_html_(self) -> str:
        """No colour of its own, so that it reads on light and dark pages alike."""
        head = "".join(_html_cell(name, name, "col") for name in self.cells)
        bodies = f"<tbody>{_html_rows(self.cells)}</tbody>"
        if self.own is not None:
            wide = f'colspan="{len(self.cells.columns)}" scope="rowgroup" style="text-align:left;padding:8px 6px 2px"'
            bodies += f"<tbody><tr><th {wide}>{OWN.capitalize()}</th></tr>{_html_rows(self.own)}</tbody>"
        # Letters written out: Jupyter takes a list's own letters for numbers.
        notes = "<br>".join(map(html.escape, self.notes))
        caption = f'<caption style="caption-side:top;text-align:left">{html.escape(self.caption)}</caption>'
        shown = f'<table class="course-table">{caption}<thead><tr>{head}</tr></thead>{bodies}</table>'
        return shown + (f'<p class="course-notes">{notes}</p>' if notes else "")

    def to_markdown(self) -> str:
        notes = "\n".join(f"- {note}" for note in self.notes)
        own = "" if self.own is None else f"\n{OWN.capitalize()}:\n\n{_markdown(self.own)}"
        return f"{self.caption}\n\n{_markdown(self.cells)}{own}" + (f"\n{notes}\n" if notes else "")

    __repr__ = to_markdown


def _markdown(cells: pd.DataFrame) -> str:
    lines = [cells.columns, ["---"] * len(cells.columns), *cells.itertuples(index=False)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _html_rows(cells: pd.DataFrame) -> str:
    scopes = ["row", *[""] * (len(cells.columns) - 1)]
    rows = (map(_html_cell, cells, row, scopes) for row in cells.itertuples(index=False))
    return "".join(f"<tr>{''.join(row)}</tr>" for row in rows)


def _html_cell(column: str, text: str, scope: str) -> str:
    """A cell of a table; what heads a row or a column (its ``scope``) says so."""
    look = f"text-align:{'left' if column in LABELS else 'right'};padding:2px 6px"
    look += ";white-space:nowrap" if scope == "row" else ""
    tag, scoped = ("th", f' scope="{scope}"') if scope else ("td", "")
    return f'<{tag}{scoped} style="{look}">{html.escape(text)}</{tag}>'


def _cell(name: str, row: pd.Series) -> str:
    """A number as it is shown; where there is none, why."""
    value = row[name]
    if isinstance(value, str):
        return value or "–"
    if pd.notna(value):
        return f"{value:{DECIMALS.get(name, '.2f')}}"
    if name == PAPER_ACCURACY:
        return "not in the paper"
    if name in (AUTHORS_ACCURACY, AUTHORS_DELTA) and pd.notna(row[PAPER_ACCURACY]):
        return "no log"
    if name in (OUR_ACCURACY, OUR_DELTA):
        return "no pair" if row["n"] else "not run"
    return "–"


def _cells(frame: pd.DataFrame) -> pd.DataFrame:
    shown = [name for name in frame if name not in HIDDEN]
    return pd.DataFrame({name: [_cell(name, row) for _, row in frame.iterrows()] for name in shown})


def style(frame: pd.DataFrame, own: pd.DataFrame | None = None) -> ShownTable:
    """A frame of ``table`` made readable, that of ``own_table`` below it: rounded, "not run" where it is so, notes."""
    notes = list(dict.fromkeys(note for note in frame["note"] if note))
    cells, caption = _cells(frame), frame.attrs.get("caption", "")
    marks = [f" ({ascii_lowercase[notes.index(note)]})" if note else "" for note in frame["note"]]
    cells.iloc[:, 0] = [label + mark for label, mark in zip(cells.iloc[:, 0], marks, strict=True)]
    if own is None or own.empty:
        return ShownTable(cells, caption, notes)
    caption += f" Second block, {OWN}: {(own['n'] > 0).sum()} of {len(own)} rows run; {SOFTENED}."
    return ShownTable(cells, caption, notes, _cells(own))


def show_table(n: int, results: pd.DataFrame, profile: str, recipe: str = "paper") -> ShownTable:
    """Table ``n`` and our own rows below it: the last line of a notebook's cell."""
    return style(table(n, results, profile, recipe), own_table(n, results, profile, recipe))


def judged(results: pd.DataFrame, profile: str, recipe: str = "paper") -> pd.DataFrame:
    """A line for each distilled student: ``question``, ``words``, the paper's deltas and its authors', our ``verdict``.

    Question by question: first the paper's rows, then our ``own``. What the published scripts train ``unshuffled``
    stands twice under ``as_run``: against the shuffled ``baseline``, as in the paper, and against an unshuffled one.
    Raises ValueError where there is no such profile or recipe, ResultError where the labels of the test images are not
    at hand, or stored predictions are damaged.
    """
    lines, seen = [], set()

    def add(key: str, recipe: str, baseline: str | None = None, **words) -> None:
        verdict = verdict_of(results, key, profile=profile, recipe=recipe, baseline_recipe=baseline)
        words |= {"question": QUESTIONS[n], "baseline": baseline or "shuffled"}
        lines.append(words | {"verdict": verdict, "n": verdict.seeds})

    for n, method in ((2, ""), (3, "assistants"), (4, "ensemble")):
        for key, row in table(n, results, profile, recipe).iterrows():
            line = {"words": f"{row['student']} from {method or row['teacher']}", "own": False}
            line |= {"unshuffled": is_unshuffled(find(key)), **row[[PAPER_DELTA, AUTHORS_DELTA]]}
            add(key, recipe, **line)
            if recipe == "as_run" and line["unshuffled"]:
                add(key, recipe, CONTROL, **line)
        for key, each in own_rows(n, results, profile, recipe):
            if (key, each) not in seen:
                add(key, each, words=" from ".join(own_label(key, each)), own=True, unshuffled=False)
            seen.add((key, each))
    return pd.DataFrame(lines)


def verdicts_table(results: pd.DataFrame, profile: str, recipe: str = "paper") -> ShownTable:
    """What can be said of each distilled row, question by question: three deltas, the interval of ours, n, verdict.

    Raises as ``judged`` does.
    """
    lines = judged(results, profile, recipe)
    cells = pd.DataFrame([_verdict_cells(line, line["verdict"]) for _, line in lines.iterrows()])
    if (lines["baseline"] == "shuffled").all():
        cells = cells.drop(columns="baseline")
    runs = runs_of(results, profile, recipe, [key for key, row in ROWS.items() if row.teachers])
    run = [f"{(part['n'] > 0).sum()} of {len(part)}" for part in (lines[~lines["own"]], lines[lines["own"]])]
    caption = (
        f"Verdicts. Ours, {provenance(runs, profile, recipe)}; {run[0]} lines of the paper run, {run[1]} {OWN}; "
        f"{SOFTENED}. Deltas in points against the same network without a teacher: the paper's of the best epoch and "
        "one seed, the authors' of the last, ours of the last epoch with a 95 % interval over seeds and test images. "
        "*: by the published scripts this student's batches were not shuffled, its baseline's were."
    )
    return ShownTable(cells, caption)


def _verdict_cells(line: pd.Series, verdict: Verdict) -> dict[str, str]:
    theirs = {name: f"{line[name]:+.2f}" if np.isfinite(line[name]) else "–" for name in (PAPER_DELTA, AUTHORS_DELTA)}
    if line["own"]:
        theirs[PAPER_DELTA] = "not in the paper"
    elif line["unshuffled"]:
        theirs[PAPER_DELTA] += " *"
    ours = {
        OUR_DELTA: f"{verdict.mean:+.2f}" if verdict.seeds else "not run",
        "interval": f"{verdict.low:+.2f} to {verdict.high:+.2f}" if verdict.seeds >= LEAST_SEEDS else "–",
        "n": str(verdict.seeds or "–"),
        "verdict": verdict.word if verdict.word != NONE else f"none: {verdict.reason}".replace("none: not run", "–"),
    }
    return {"question": line["question"], "row": line["words"], "baseline": line["baseline"]} | theirs | ours
