"""Is the store sound, and does it say what is expected? A line for each: ``python -m course_lib verify``.

Four questions. Is every result there that was accepted, byte for byte (``data/results/accepted.csv``)? Does each agree
with itself, its row, its protocol, its profile, its teachers' results and the true labels? Does the mean of each
row lie where it should? And do pages and figures tell the store's numbers (``tools/told.py``)?
"""

import argparse
import csv
import math
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch

from course_lib.files import ResultError, atomic_write, repo_path, sha256_of
from course_lib.models.cost import count_parameters
from course_lib.models.zoo import create_model
from course_lib.profiles import PROFILES
from course_lib.study import store
from course_lib.study.experiments import PRETRAINED, ROWS, RUN_NAME, TABLES
from course_lib.study.protocols import PROTOCOLS, fed_size, origin, teacher_sees
from course_lib.study.runs import Run
from tools.lines import Line
from tools.told import check as told_by_pages

ACCEPTED_LINE = re.compile(RUN_NAME.pattern + r",[0-9a-f]{64}")
ROUNDING = 1e-4  # percent; results keep seven digits
OTHER_TRAINING = 5.0  # points; a teacher whose weights were gone is trained again, and not to the same last digit


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the store with the paper and what is expected: a line a row; 1 where something is broken."""
    options = argparse.ArgumentParser(prog="python -m course_lib verify", description=main.__doc__)
    words = "write down new, sound results as those to be expected"
    options.add_argument("--accept", action="store_true", help=words)
    taken = accept() if options.parse_args(arguments).accept else []
    lines = examine()
    broken = [line for line in lines if line.broken]
    print(*taken, *(line for line in lines if not line.broken), sep="\n", flush=True)
    print(*(f"{line}\n" for line in broken), sep="", end="", file=sys.stderr)
    return 1 if broken else 0


def examine() -> list[Line]:
    """Everything there is to say about the store, a line each."""
    results, lines = _read()
    problems = {name: problem(result, results) for name, result in results.items()}
    lines += _accepted(results) + [Line(name, words, True) for name, words in problems.items() if words]
    lines += _rows(results)
    if any(line.broken for line in lines):
        return lines  # what pages tell of a broken store is no question yet
    return lines + told_by_pages(store.load_results())


def _read() -> tuple[dict[str, dict], list[Line]]:
    """The whole results by run, and a line for each file that is torn, edited or a stranger."""
    files, strangers = store.result_files()
    results, lines = {}, [Line(path.name, f"{path} is not named as a run: left out") for path in strangers]
    for path in files:
        try:
            results[path.stem] = store.read_result(path)
        except ResultError as error:
            lines.append(Line(path.name, str(error), True))
    return results, lines


# --- what was accepted ------------------------------------------------------------------------------


def accepted_path() -> Path:
    """The list of results that somebody looked at and took (``verify --accept``): run, SHA-256 of the file."""
    return repo_path("data", "results", "accepted.csv")


def accepted() -> dict[str, str]:
    """SHA-256 of each accepted result's file, by run; empty without a list. Raises ResultError where that is torn."""
    path = accepted_path()
    try:
        lines = path.read_text(encoding="ascii").splitlines()[1:] if path.exists() else []
    except (OSError, ValueError) as error:
        raise ResultError(f"{path} cannot be read: restore it") from error
    for line in lines:
        if not ACCEPTED_LINE.fullmatch(line):
            raise ResultError(f"{path} cannot be read (line {line!r}): restore it")
    return dict(line.split(",") for line in lines)


def accept() -> list[str]:
    """Write down all results that are sound as accepted; returns a line for each that is new or has changed."""
    known, (results, _) = accepted(), _read()
    sound = (name for name, result in results.items() if problem(result, results) is None)
    new = {name: digest for name in sound if (digest := sha256_of(_file(name))) != known.get(name)}
    text = "".join(f"{name},{digest}\n" for name, digest in sorted((known | new).items()))
    atomic_write(accepted_path(), f"run,sha256\n{text}".encode("ascii"))
    return [f"accepted {name}" for name in new]


def _accepted(results: dict[str, dict]) -> list[Line]:
    """A line for each accepted result that is missing or another one now, and for each that nobody accepted yet."""
    known, path = accepted(), accepted_path()
    if not path.exists():  # of an empty store as well: the course ships one that is not
        remedy = "restore data/results, or `verify --accept` what is there (in a store that begins anew)"
        return [Line(path.name, f"{path} is missing: {remedy}", True)]
    lines = [Line(run, "not accepted yet (`verify --accept`)") for run in results if run not in known]
    for run, digest in known.items():
        if not (path := _file(run)).exists():
            lines.append(Line(run, f"{path} is missing: restore it or run it again", True))
        elif sha256_of(path) != digest:
            lines.append(Line(run, f"{path} is not the accepted one: restore it, or `verify --accept` the new", True))
    return lines


def _file(run: str) -> Path:
    return store.result_path(run, run.rsplit(".", 3)[1])


# --- each result against what else is known -----------------------------------------------------------


def problem(result: dict, others: dict[str, dict]) -> str | None:
    """The first thing wrong with ``result`` in one line, None where it is sound; ``others``: all results by run."""
    try:
        return store.contradiction(result) or next(_problems(result, others), None)
    except (ResultError, ValueError) as error:  # what it is compared with cannot be read
        return str(error)


def _problems(result: dict, others: dict[str, dict]) -> Iterator[str]:
    key, name, recipe = result["key"], result["profile"]["name"], result["recipe"]
    if key not in ROWS or name not in PROFILES or recipe not in PROTOCOLS:
        yield f"there is no row {key} of profile {name} and recipe {recipe}"
    if origin(key, recipe) != recipe:
        yield f"the row {key} is not run under the recipe {recipe}"
    run = Run(key, PROFILES[name], recipe, result["seed"])
    yield from _against_row(result, run)
    for told in result.get("conditions", {}).get("teachers", ()):
        teacher = others.get(told["run"])
        if teacher and told["epochs"] != (epochs := len(teacher["history"])):
            yield f"its teacher {told['run']} had {told['epochs']} epochs, the stored one {epochs}"
        if teacher and abs(told["last_accuracy"] - (now := teacher["last_accuracy"])) > OTHER_TRAINING:
            yield f"its teacher {told['run']} had {told['last_accuracy']:.2f} %, the stored one {now:.2f} %"
    right = 100 * float((store.predictions(result) == store.known_test_labels(result["test_images"])).mean())
    if abs(right - result["last_accuracy"]) > ROUNDING:
        yield f"its last accuracy is {result['last_accuracy']:.2f} %, but its predictions are right in {right:.2f} %"


def _against_row(result: dict, run: Run) -> Iterator[str]:
    """Registry, profile, protocol, and the settings that follow; of what older results do not say nothing is asked."""
    row, data, conditions = run.experiment, result["data"], result.get("conditions", {})
    runs = [teacher["run"] for teacher in conditions["teachers"]] if "teachers" in conditions else None
    stored = result["training"] | conditions
    stored |= {"data set": data["name"], "subset": data["subset"], "training images": data["train_images"]}
    stored |= {"test images": result["test_images"], "parameters": result["parameters"]}
    stored |= {"teachers": result["experiment"]["teachers"], "teachers' runs": runs}
    expected = asdict(run.settings) | {"data set": "cifar10", "subset": run.profile.subset}
    expected |= {"training images": run.images, "test images": run.profile.asked_images}
    expected |= {"parameters": _parameters(row.student, row.width), "teachers": list(row.teachers)}
    expected |= {"teachers' runs": [teacher.name for teacher in run.teachers]}
    expected |= {"input_size": fed_size(row), "teacher_sees": teacher_sees(row, run.recipe)}
    for what, value in expected.items():
        if stored.get(what) not in (None, value):
            words = f"{run.key} of profile {run.profile.name} and recipe {run.recipe}"
            yield f"its {what}: {stored[what]}, where {words} has {value}"


@cache
def _parameters(student: str, width: float | None) -> int:
    with torch.device("meta"):
        return count_parameters(create_model(student, width=width))


# --- rows against the paper and against what is expected ----------------------------------------------


def expected(key: str, profile: str) -> tuple[float, float]:
    """Between which two accuracies (percent, mean of the last epochs over seeds) a row must lie to be believed.

    quick: networks that have learned next to nothing lie near guessing (10 %); far above it something leaked. laptop:
    wide, as nobody has measured it elsewhere. full: from 4 points below to 2 above what the paper prints for the row,
    which is of the best epoch and one seed. EfficientNetV2-S has two ways of being trained.
    """
    if profile != "full":
        return (5.0, 60.0) if profile == "quick" else (25.0, 99.0 if key == PRETRAINED else 92.0)
    printed = _printed().get(key, math.nan)
    return (85.0, 99.0) if math.isnan(printed) or key == "efficientnetv2_s" else (printed - 4.0, printed + 2.0)


@cache
def _printed() -> dict[str, float]:
    """What the paper prints, in percent, by row. Raises ResultError where a file with its numbers cannot be read."""
    numbers: dict[str, float] = {}
    for path in (repo_path("data", "paper", f"{table}.csv") for table in TABLES):
        try:
            rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
            numbers |= {row["key"]: float(row["accuracy"]) for row in rows}
        except (OSError, KeyError, ValueError) as error:
            raise ResultError(f"cannot read the paper's numbers in {path}: restore it") from error
    return numbers


def _rows(results: dict[str, dict]) -> list[Line]:
    """A line for each row that was run: ours beside the paper's, and the interval."""
    own: dict[tuple[str, str, str], list[float]] = {}
    for result in results.values():
        row = (result["profile"]["name"], result["recipe"], result["key"])
        own.setdefault(row, []).append(result["last_accuracy"])
    lines = []
    for (profile, recipe, key), reached in own.items():
        if key not in ROWS:
            continue  # its line is broken already
        mean, (low, high) = math.fsum(reached) / len(reached), expected(key, profile)
        words = f"{mean:.2f} % (n = {len(reached)}), expected {low:.2f} to {high:.2f}"
        if profile == "full" and (printed := _printed().get(key)):  # smaller ones are no reproduction
            words += f"; paper {printed:.2f}, delta {mean - printed:+.2f}"
        outside = not low <= mean <= high
        lines.append(Line(f"{profile}, {recipe}, {key}", words + (": outside" if outside else ""), outside))
    return lines
