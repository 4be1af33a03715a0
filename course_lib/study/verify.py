"""Is the store sound, and does it say what is expected? A line for each thing that is, and is not.

Three questions. Is every result there that was accepted, byte for byte (``data/results/accepted.csv``)? What does the
judge (``judge.py``) say of each? And does the mean of each row lie where it should?
"""

import csv
import io
import math
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from course_lib.files import ResultError, atomic_write, repo_path, sha256_of
from course_lib.profiles import PROFILES
from course_lib.study import store
from course_lib.study.experiments import PRETRAINED, ROWS, TABLES, baseline_of
from course_lib.study.judge import judge
from course_lib.study.protocols import CONTROL, PROTOCOLS, control_keys, origin

ACCEPTED_HEADER = ["run", "sha256"]
ACCEPTED_LINE = re.compile(store.RUN_NAME.pattern + r",[0-9a-f]{64}")
FOLDERS = ("data/results", "data/logits", "data/weights")
LARGEST_FILE, LARGEST_ALL = 6_000_000, 40_000_000  # bytes that git should carry


class Line(NamedTuple):
    """One thing examined: its name, what was found, and whether that is broken."""

    name: str
    words: str
    broken: bool = False

    def __str__(self) -> str:
        return f"{'BROKEN' if self.broken else 'ok    '}  {self.name}: {self.words}"


def examine() -> list[Line]:
    """Everything there is to say about the store, a line each."""
    results, lines = _read()
    lines += _accepted(results) + [Line("size", problem, True) for problem in oversize()]
    problems = {name: judge(result, others=results) for name, result in results.items()}
    return [*lines, *(Line(name, words, True) for name, words in problems.items() if words), *_rows(results)]


def _read() -> tuple[dict[str, dict], list[Line]]:
    """The sound results by run, and a line for each file that is torn, edited or a stranger."""
    files, strangers = store.result_files()
    results, lines = {}, [Line(path.name, f"{path} is not named as a run: left out") for path in strangers]
    for path in files:
        try:
            results[path.stem] = store.read_result(path)
        except ResultError as error:
            lines.append(Line(path.name, str(error), True))
    return results, lines


def oversize(limit_file: int = LARGEST_FILE, limit_all: int = LARGEST_ALL) -> list[str]:
    """What is larger than git should carry, one line each; empty where all is well."""
    found = (path for folder in FOLDERS for path in repo_path(folder).rglob("[!.]*"))
    sizes = {path.relative_to(repo_path()): path.stat().st_size for path in sorted(found) if path.is_file()}
    large = {path: size for path, size in sizes.items() if size > limit_file}
    lines = [f"{path} has {size / 1e6:.1f} MB, {limit_file / 1e6:g} are allowed" for path, size in large.items()]
    if sum(sizes.values()) > limit_all:
        total = sum(sizes.values()) / 1e6
        lines.append(f"{', '.join(FOLDERS)} hold {total:.1f} MB, {limit_all / 1e6:g} are allowed in all")
    return lines


# --- what was accepted ------------------------------------------------------------------------------


def accepted_path() -> Path:
    """The list of results that somebody looked at and took (``verify --accept``): run, SHA-256 of the file."""
    return repo_path("data", "results", "accepted.csv")


def accepted() -> dict[str, str]:
    """SHA-256 of each accepted result's file, by run; empty where there is no list.

    Raises:
        ResultError: the list cannot be read, or a line of it is torn.
    """
    try:
        with open(accepted_path(), newline="", encoding="ascii") as file:
            header, *rows = csv.reader(file)
    except FileNotFoundError:
        return {}
    except (ValueError, OSError, csv.Error) as error:
        raise ResultError(f"{accepted_path()} cannot be read: restore it") from error
    torn = [row for row in rows if len(row) != 2 or not ACCEPTED_LINE.fullmatch(",".join(row))]
    if header != ACCEPTED_HEADER or torn:
        raise ResultError(f"{accepted_path()} cannot be read (line {','.join((*torn, header)[0])!r}): restore it")
    return dict(rows)


def accept() -> list[str]:
    """Write down all results that are sound as accepted; returns a line for each that is new or has changed."""
    known, (results, _), lines = accepted(), _read(), []
    for name, result in results.items():
        if judge(result, others=results) is None:
            digest = sha256_of(store.result_path(name, result["profile"]["name"]))
            if known.get(name) != digest:
                lines.append(f"accepted {name}")
            known[name] = digest
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([ACCEPTED_HEADER, *sorted(known.items())])
    atomic_write(accepted_path(), text.getvalue().encode("ascii"))
    return lines


def _accepted(results: dict[str, dict]) -> list[Line]:
    """A line for each accepted result that is missing or another one now, and for each that nobody accepted yet."""
    known, path = accepted(), accepted_path()
    if not path.exists():  # of an empty store as well: the course ships one that is not
        remedy = "restore data/results, or `verify --accept` what is there (in a store that begins anew)"
        return [Line(path.name, f"{path} is missing: {remedy}", True)]
    lines = [Line(run, "not accepted yet (`verify --accept`)") for run in results if run not in known]
    for run, digest in known.items():
        path = store.result_path(run, run.rsplit(".", 3)[1])
        if not path.exists():
            lines.append(Line(run, f"{path} is missing: restore it or run it again", True))
        elif sha256_of(path) != digest:
            lines.append(Line(run, f"{path} is not the accepted one: restore it, or `verify --accept` the new", True))
    return lines


# --- rows against the paper and against what is expected ----------------------------------------------


def expected(key: str, profile: str, recipe: str) -> tuple[float, float]:
    """Between which two accuracies (percent, mean of the last epochs over seeds) a row must lie to be believed.

    quick: networks that have learned next to nothing lie near guessing (10 %); far above it something leaked. laptop:
    wide, as nobody has measured it elsewhere. full: under the recipe by which the printed number came about (that of
    ``as_run``), 1.5 points to either side of it (it is of the best epoch, one seed); under another, from 4 points below
    to 2 above what the paper prints for the same network alone. EfficientNetV2-S has two ways of being trained.
    """
    if profile == "quick":
        return 5.0, 60.0
    if profile == "laptop":
        return 25.0, 92.0
    if key in ("efficientnetv2_s", PRETRAINED):
        return 85.0, 99.0
    printed = printed_accuracy(key)
    if math.isnan(printed) and ROWS[key].table == "assistants":  # between a student and its teacher
        return 90.0, 97.0
    if recipe == origin(key, "as_run") and not math.isnan(printed):
        return printed - 1.5, printed + 1.5
    alone = printed_accuracy(baseline_of(ROWS[key]))
    if math.isnan(alone):  # the ResNets of CIFAR-10, which the paper does not have
        return 85.0, 97.0
    return alone - 4.0, alone + 2.0


def printed_accuracy(key: str) -> float:
    """What the paper prints for a row, in percent; NaN for a row that it does not have.

    Raises:
        ResultError: the file with the paper's numbers cannot be read.
    """
    return _printed(ROWS[key].table)[key] if ROWS[key].table in TABLES else math.nan


@cache
def _printed(table: str) -> dict[str, float]:
    path = repo_path("data", "paper", f"{table}.csv")
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return {row["key"]: float(row["accuracy"]) for row in csv.DictReader(file)}
    except (OSError, KeyError, ValueError) as error:
        raise ResultError(f"cannot read the paper's numbers in {path}: restore it") from error


def _rows(results: dict[str, dict]) -> list[Line]:
    """A line a row, profile by profile that has runs: ours beside the paper's, and the interval."""
    lines = []
    for profile in PROFILES:
        of_profile = [result for result in results.values() if result["profile"]["name"] == profile]
        for recipe in PROTOCOLS:
            begun = [result for result in of_profile if result["recipe"] == recipe]
            keys = control_keys() if recipe == CONTROL else [key for key in ROWS if origin(key, recipe) == recipe]
            # Other protocols, and rows of our own, are only spoken of where they were begun.
            for key in keys if begun or (of_profile and recipe == "paper") else ():
                own = [result["last_accuracy"] for result in begun if result["key"] == key]
                if own or ROWS[key].table != "ours":
                    lines.append(_row(key, profile, recipe, own))
    return lines


def _row(key: str, profile: str, recipe: str, own: list[float]) -> Line:
    name = f"{profile}, {recipe}, {key}"
    if not own:
        return Line(name, "not run")
    mean, (low, high) = math.fsum(own) / len(own), expected(key, profile, recipe)
    words = f"{mean:.2f} % (n = {len(own)}), expected {low:.2f} to {high:.2f}"
    if profile == "full" and not math.isnan(printed_accuracy(key)):  # smaller profiles are no reproduction
        words += f"; paper {printed_accuracy(key):.2f}, delta {mean - printed_accuracy(key):+.2f}"
    return Line(name, words) if low <= mean <= high else Line(name, f"{words}: outside", True)
