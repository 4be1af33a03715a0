"""Numbers of ours that pages tell: written from the store, and checked against it.

A number of ours stands in a page between two comments that nobody sees, the first of which says what it is:

    The recipe brings GN-S 1.0x to <!-- told mean gn-s-1.0x -->77.8 % (mean of 3 seeds)<!-- end --> in three epochs.

``python -m course_lib report`` draws figures, tables and verdicts, and writes what stands between such comments.
``python -m course_lib verify`` fails where it is something else, where a table of ``figures/`` is, and where a number
that looks like one of ours stands outside: nobody would correct it when the next seed comes in.
"""

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from os.path import commonprefix
from pathlib import Path

import nbformat
import pandas as pd

from course_lib import report
from course_lib.files import atomic_write, repo_path
from course_lib.report.paper import authors_runs, paper_table
from course_lib.report.runs import paired_deltas, runs_of
from course_lib.report.tables import PAPER_DELTA, judged
from course_lib.report.verdicts import LEAST_SEEDS, Verdict, verdict_of
from course_lib.study import store
from course_lib.study.experiments import PUBLISHED, ROWS, baseline_of, find
from tools.drawn import place_of, tables_of, write_report
from tools.lines import Line

PROFILE = "laptop"
INSTEAD = {  # what a student without a teacher may have in its place, and under which protocol
    "seven epochs in place of three": "seven_epochs",
    "five epochs in place of three": "five_epochs",
    "twice the rate": "twice_the_rate",
    "labels smoothed by 0.1": "smoothed_labels",
}
PAGES = ("README.md", "docs/hypotheses.md", "docs/study.md", "data/README.md", "notebooks/README.md")
LESSONS = ("notebooks/[0-9][0-9]_*.ipynb", "notebooks/solutions/*.ipynb")
MARKED = re.compile(r"(<!-- told ([^>]+?) -->)(.*?)(<!-- end -->)", re.DOTALL)
# An accuracy or a difference of accuracies, and the words that make it one of ours.
NUMBER = re.compile(r"(?<![\w.])(?:[6-9]\d\.\d(?= ?%| to )|[6-9]\d\.\d\d|[-+−±]\d\.\d+|\d\.\d+(?= points))(?![\w.]*\w)")
OURS = re.compile(r"three epochs|laptop|GN-S 1\.0x|\bours\b|\bour (own )?(\w+ )?(runs?|students?)\b", re.IGNORECASE)
# Numbers that look so and are in no store, by page.
OTHERS = {
    "docs/hypotheses.md": ("79.3", "72.5", "+8.4", "+2.4"),  # known before the first run
    "notebooks/02_baselines.ipynb": ("0.12",),  # the authors' best epoch against their last
    "notebooks/03_knowledge_distillation.ipynb": ("4.0",),  # the paper's teachers above its students
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw Fig. 1, Tables I-IV and verdicts from the store into figures/, and write the numbers that pages tell."""
    argparse.ArgumentParser(prog="python -m course_lib report", description=main.__doc__).parse_args(arguments)
    results = store.load_results()
    print(*write_report(results), *write(results), sep="\n")
    return 0


# --- what can be told -----------------------------------------------------------------------------


def mean(results: pd.DataFrame, key: str, recipe: str = "paper") -> str:
    """``77.8 % (mean of 3 seeds)``."""
    reached = runs_of(results, PROFILE, recipe, [key])["last_accuracy"]
    seeds = f"mean of {len(reached)} seeds" if len(reached) > 1 else "one seed"
    return f"{reached.mean():.1f} % ({seeds})" if len(reached) else "not run"


def came(results: pd.DataFrame, *rows: str) -> str:
    """What came of rows, ``gn-s-1.3x`` or ``gn-s-1.0x<resnet56@repaired``: accuracies; of taught students verdicts."""
    told = {}
    for row in rows:
        key, _, recipe = row.partition("@")
        said = _verdict if find(key).teachers else _accuracies
        told[f"`{key}`" + (f" ({recipe})" if recipe else "")] = said(results, key, recipe or "paper")
    if len(rows) == 1 or set(told.values()) == {"not run"}:
        return next(iter(told.values()))
    return "; ".join(f"{row}: {words}" for row, words in told.items())


def _accuracies(results: pd.DataFrame, key: str, recipe: str) -> str:
    """Every seed's; mean and standard deviation where there are several."""
    reached = runs_of(results, PROFILE, recipe, [key])["last_accuracy"]
    if len(reached) < 2:
        return f"{reached.iloc[0]:.2f} % (one seed)" if len(reached) else "not run"
    seeds = ", ".join(f"{each:.2f}" for each in reached)
    return f"{seeds} %; mean {reached.mean():.2f}, sd {reached.std():.2f} (n = {len(reached)})"


def _verdict(results: pd.DataFrame, key: str, recipe: str) -> str:
    """What can be said of a student and its teacher, and the difference of each seed."""
    found = verdict_of(results, key, profile=PROFILE, recipe=recipe)
    own, alone = (runs_of(results, PROFILE, recipe, [name]) for name in (key, baseline_of(find(key))))
    deltas = ", ".join(f"{delta:+.2f}" for delta in paired_deltas(own, alone))
    return (str(found) if found.seeds else found.reason) + (f" (seed by seed {deltas} points)" if deltas else "")


def logits(_results: pd.DataFrame, *names: str) -> str:
    """Between which accuracies stored networks lie (all published ones without a name), or that of one: ``93.39 %``."""
    labels = store.known_test_labels(10_000)
    answers = [store.load_logits(name).logits.numpy().argmax(axis=1) for name in names or PUBLISHED]
    reached = sorted(100 * (answer == labels).mean() for answer in answers)
    return f"{reached[0]:.2f} %" if len(reached) == 1 else f"{reached[0]:.1f} to {reached[-1]:.1f} %"


def questions(results: pd.DataFrame) -> str:
    """A table of the questions: what the paper prints, and each of our own students that were run with its verdict."""
    lines = judged(results, PROFILE).query("baseline == 'shuffled'")
    rows = ["| does it help? | students | points, 95 % interval | n | verdict |", "|---|---|---|---|---|"]
    for question, group in lines.groupby("question", sort=False):
        printed = group.loc[~group["own"], PAPER_DELTA]
        words = f"{printed.min():+.2f} to {printed.max():+.2f}, {(printed < 0).sum()} below zero"
        rows.append(
            f"| **{question}** | the paper's {len(printed)}, as printed | {words} | 1 each | no test over seeds |"
        )
        ours = [_cells(line["words"], line["verdict"]) for _, line in group[group["n"] > 0].iterrows()]
        rows += ours or ["| | ours | not run yet | | |"]
    rows.append("| **something else instead** | the paper | not asked | | |")
    for words, recipe in INSTEAD.items():
        found = verdict_of(results, "gn-s-1.0x", profile=PROFILE, recipe=recipe, baseline_recipe="paper")
        rows += [_cells(f"GN-S (1.0x) alone, {words}", found)] if found.seeds else []
    return "\n\n" + "\n".join(rows) + "\n\n"


def _cells(words: str, found: Verdict) -> str:
    enough = found.seeds >= LEAST_SEEDS
    interval = f" ({found.low:+.2f} to {found.high:+.2f})" if enough else ""
    word = found.word if enough else f"none: {found.reason}"
    return f"| | ours: {words} | {found.mean:+.2f}{interval} | {found.seeds} | {word} |"


def besides(results: pd.DataFrame) -> str:
    """What came of calibration and of spoilt images, a student each: from ``data/robustness.csv``."""
    path = repo_path("data", "robustness.csv")
    if not path.exists():
        return "not run"
    kept = pd.read_csv(path).dropna(subset="recipe")
    kept = kept.assign(clean=kept["condition"] == "as it is", over=kept["confidence"] - kept["accuracy"])
    words = []
    for (key, recipe), rows in kept.groupby(["key", "recipe"]):
        whole, spoilt = rows[rows["clean"]], rows[~rows["clean"]]
        lost = whole["accuracy"].mean() - spoilt["accuracy"].mean()
        sure = (
            f"confidence {whole['over'].mean():+.1f} points from accuracy, calibration error {whole['ece'].mean():.1f}"
        )
        words.append(f"`{key}` ({recipe}, n = {len(whole)}): {sure}; spoilt images cost {lost:.1f} points on average")
    return "; ".join(words)


TELLERS: dict[str, Callable[..., str]] = {each.__name__: each for each in (mean, came, logits, questions, besides)}


def tell(results: pd.DataFrame, call: str) -> str:
    """What the store says to the words of a comment, ``mean gn-s-1.0x``. Raises ValueError where nobody can say."""
    name, *arguments = call.split()
    if name not in TELLERS:
        raise ValueError(f"nobody can tell {call!r}: it begins with one of {', '.join(TELLERS)}")
    return TELLERS[name](results, *arguments)


# --- pages ----------------------------------------------------------------------------------------


def write(results: pd.DataFrame) -> list[Path]:
    """Write what the store says into the pages; lessons are only checked. Returns the pages that changed."""
    changed = []
    for path in pages():
        text = path.read_text(encoding="utf-8")
        new = MARKED.sub(lambda found: found[1] + tell(results, found[2]) + found[4], text)
        if new != text and path.suffix == ".md":
            atomic_write(path, new.encode())
            changed.append(path)
    return changed


def check(results: pd.DataFrame) -> list[Line]:
    """A line for each told number or table that is not the store's, and for each number that is marked as nobody's."""
    lines, told = [], 0
    for path in pages():
        name, text = path.relative_to(repo_path()).as_posix(), prose(path)
        for found in MARKED.finditer(text):
            told += 1
            if found[3] != (now := tell(results, found[2])):
                before, after = differing(found[3].strip(), now.strip())
                words = f"tells {found[2]!r} as {before!r}, the store says {after!r}"
                lines.append(Line(name, f"{words}: run `python -m course_lib report`", True))
        for number, where in strays(name, text):
            words = f"{number!r} looks like a number of ours and is not marked as told ({where!r})"
            lines.append(Line(name, f"{words}: tools/told.py says how", True))
    remedy = "is not what the store says: run `python -m course_lib report`"
    lines += [Line(name, remedy, True) for name in old(results)]
    fine = Line("told", f"{told} numbers in pages, and the tables of figures/, are the store's")
    return lines or [fine] * bool(told)


def differing(one: str, other: str) -> tuple[str, str]:
    """Two texts, long ones without what both begin and end with, to the word: of a list only what has changed in it."""
    if len(one + other) < 160:
        return one, other
    ones, others = one.split(), other.split()
    start = len(commonprefix([ones, others]))
    end = len(commonprefix([ones[start:][::-1], others[start:][::-1]]))
    return tuple(" ".join(words[max(0, start - 3) : len(words) - end]) for words in (ones, others))


def pages() -> list[Path]:
    """The pages and lessons that are here."""
    lessons = [path for pattern in LESSONS for path in sorted(repo_path().glob(pattern))]
    return [path for path in map(repo_path, PAGES) if path.exists()] + lessons


def prose(path: Path) -> str:
    """A page's text, of a lesson the cells of words."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def strays(name: str, text: str) -> Iterator[tuple[str, str]]:
    """Numbers outside of comments that look like ours, with their sentence; none that is printed or known otherwise."""
    allowed = {*printed_numbers(), *OTHERS.get(name, ())}
    for part in re.split(r"\n\s*\n|\n\|", MARKED.sub("", text)):  # a paragraph, or a row of a table
        for sentence in re.split(r"(?<=[.:;])\s+", part):
            for found in NUMBER.finditer(sentence) if OURS.search(part) else ():
                if found[0].replace("−", "-") not in allowed:
                    yield found[0], " ".join(sentence.split())[:80]


def printed_numbers() -> set[str]:
    """What the paper prints and its authors' logs say: accuracies, and differences from the same network alone."""
    tables, logs = [paper_table(n) for n in (1, 2, 3, 4)], authors_runs()
    known = [each["accuracy"] for each in tables] + [logs["best_accuracy"], logs["last_accuracy"]]
    taught = [key for key in logs.index if key in ROWS and baseline_of(find(key)) in logs.index]
    beside = logs.loc[[baseline_of(find(key)) for key in taught], "best_accuracy"].to_numpy()
    deltas = pd.concat([each["delta"] for each in tables[1:]] + [logs.loc[taught, "best_accuracy"] - beside])
    return {f"{each:.2f}" for each in pd.concat(known)} | {f"{each:+.2f}" for each in deltas}


def old(results: pd.DataFrame) -> list[str]:
    """Tables and verdicts of ``figures/`` that are not what the store says."""
    differ = []
    for chosen in report.available(results):
        folder = place_of(*chosen)
        for name, content in tables_of(results, *chosen).items() if folder.exists() else ():
            if not (folder / name).exists() or (folder / name).read_bytes() != content:
                differ.append((folder / name).relative_to(repo_path()).as_posix())
    return differ
