"""Is the store sound, and does it say what is expected? A line for each thing that is, and is not.

Three questions. Is every result there that was accepted, byte for byte (``data/results/accepted.csv``)? Does each agree
with itself, its row, its protocol, its profile, its teachers' results, the true labels, and what is kept of it? And
does the mean of each row lie where it should?
"""

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from course_lib.files import CourseError, ResultError, atomic_write, repo_path, sha256_of
from course_lib.models.cost import count_parameters
from course_lib.models.weights import load_weights
from course_lib.models.zoo import create_model
from course_lib.profiles import PROFILES
from course_lib.study import store
from course_lib.study.experiments import PRETRAINED, ROWS, TABLES, baseline_of
from course_lib.study.protocols import CONTROL, PROTOCOLS, control_keys, fed_size, origin, teacher_sees
from course_lib.study.runs import NOT_KEPT, Run, kept_parts

ACCEPTED_HEADER = "run,sha256"
ACCEPTED_LINE = re.compile(store.RUN_NAME.pattern + r",[0-9a-f]{64}")
ROUNDING = 1e-4  # percent; results keep seven digits
SAME_ANSWERS = 0.9  # share of test images; float16 breaks ties, in a network that has hardly learned many of them
OTHER_TRAINING = 5.0  # points; a teacher whose weights were gone is trained again, and not to the same last digit


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
    problems = {name: problem(result, results) for name, result in results.items()}
    lines += _accepted(results) + [Line(name, words, True) for name, words in problems.items() if words]
    return lines + _rows(results)


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
    """SHA-256 of each accepted result's file, by run; empty where there is no list.

    Raises:
        ResultError: the list cannot be read, or a line of it is torn.
    """
    path = accepted_path()
    try:
        lines = path.read_text(encoding="ascii").splitlines() if path.exists() else [ACCEPTED_HEADER]
    except (OSError, ValueError) as error:
        raise ResultError(f"{path} cannot be read: restore it") from error
    for number, line in enumerate(lines or [""]):
        if not (ACCEPTED_LINE.fullmatch(line) if number else line == ACCEPTED_HEADER):
            raise ResultError(f"{path} cannot be read (line {line!r}): restore it")
    return dict(line.split(",") for line in lines[1:])


def accept() -> list[str]:
    """Write down all results that are sound as accepted; returns a line for each that is new or has changed."""
    known, (results, _), lines = accepted(), _read(), []
    for name, result in results.items():
        if problem(result, results) is None:
            digest = sha256_of(store.result_path(name, result["profile"]["name"]))
            if known.get(name) != digest:
                lines.append(f"accepted {name}")
            known[name] = digest
    text = "\n".join([ACCEPTED_HEADER, *map(",".join, sorted(known.items()))])
    atomic_write(accepted_path(), f"{text}\n".encode("ascii"))
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


# --- each result against what else is known -----------------------------------------------------------


def problem(result: dict, others: dict[str, dict]) -> str | None:
    """The first thing wrong with ``result`` in one line, None where it is sound; ``others``: all results by run."""
    try:
        return store.contradiction(result) or next(_problems(result, others), None)
    except (CourseError, ValueError) as error:  # what it is compared with cannot be read
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
    answers = store.predictions(result)
    right = 100 * float((answers == store.known_test_labels(result["test_images"])).mean())
    if abs(right - result["last_accuracy"]) > ROUNDING:
        yield f"its last accuracy is {result['last_accuracy']:.2f} %, but its predictions are right in {right:.2f} %"
    yield from _against_kept(result, run)


def _against_row(result: dict, run: Run) -> Iterator[str]:
    """Registry, profile, protocol, and the settings that follow; of what older results do not say nothing is asked."""
    row, data, conditions = run.experiment, result["data"], result.get("conditions", {})
    runs = [teacher["run"] for teacher in conditions["teachers"]] if "teachers" in conditions else None
    stored = (
        result["training"]
        | conditions
        | {
            **{"data set": data["name"], "subset": data["subset"], "training images": data["train_images"]},
            **{"test images": result["test_images"], "parameters": result["parameters"]},
            **{"teachers": result["experiment"]["teachers"], "teachers' runs": runs},
        }
    )
    expected = asdict(run.settings) | {
        **{"data set": "cifar10", "subset": run.profile.subset, "training images": run.profile.train_images},
        **{"test images": run.profile.asked_images, "parameters": _parameters(row.student, row.width)},
        **{"teachers": list(row.teachers), "teachers' runs": [teacher.name for teacher in run.teachers]},
        **{"input_size": fed_size(row), "teacher_sees": teacher_sees(row, run.recipe)},
    }
    for what, value in expected.items():
        if stored.get(what) not in (None, value):
            words = f"{run.key} of profile {run.profile.name} and recipe {run.recipe}"
            yield f"its {what}: {stored[what]}, where {words} has {value}"


@cache
def _parameters(student: str, width: float | None) -> int:
    with torch.device("meta"):
        return count_parameters(create_model(student, width=width))


def _against_kept(result: dict, run: Run) -> Iterator[str]:
    for part in kept_parts(run):
        if part in result.get("conditions", {}).get(NOT_KEPT, ()):
            continue
        folder = repo_path("data", part, run.profile.name)
        if part == "weights":
            meta = load_weights(run.key, folder)[1]
        else:
            logits, stored = store.load_logits(run.name, folder), store.predictions(result)
            meta, answers = logits.meta, logits.logits.argmax(dim=1).numpy()
            if answers.shape != stored.shape or (answers == stored).mean() < SAME_ANSWERS:
                yield "its kept logits do not give its predictions: restore them or run it again"
        if (meta.get("run"), meta.get("accuracy")) != (result["run"], result["last_accuracy"]):
            yield f"its kept {part} are of {meta.get('run')} with {meta.get('accuracy')} %: restore or run it again"


# --- rows against the paper and against what is expected ----------------------------------------------


def expected(key: str, profile: str, recipe: str) -> tuple[float, float]:
    """Between which two accuracies (percent, mean of the last epochs over seeds) a row must lie to be believed.

    quick: networks that have learned next to nothing lie near guessing (10 %); far above it something leaked. laptop:
    wide, as nobody has measured it elsewhere. full: under the recipe by which the printed number came about (that of
    ``as_run``), 1.5 points to either side of it (it is of the best epoch, one seed); under another, from 4 points below
    to 2 above what the paper prints for the same network alone. EfficientNetV2-S has two ways of being trained.
    """
    if profile != "full":
        return (5.0, 60.0) if profile == "quick" else (25.0, 99.0 if key == PRETRAINED else 92.0)
    if key in ("efficientnetv2_s", PRETRAINED):
        return 85.0, 99.0
    printed = printed_accuracy(key)
    if math.isnan(printed) and ROWS[key].table == "assistants":  # between a student and its teacher
        return 90.0, 97.0
    if recipe == origin(key, "as_run") and not math.isnan(printed):
        return printed - 1.5, printed + 1.5
    alone = printed_accuracy(baseline_of(ROWS[key]))
    return (85.0, 97.0) if math.isnan(alone) else (alone - 4.0, alone + 2.0)  # the paper has no ResNets of CIFAR-10


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
    own: dict[tuple[str, str, str], list[float]] = {}
    for result in results.values():
        row = (result["profile"]["name"], result["recipe"], result["key"])
        own.setdefault(row, []).append(result["last_accuracy"])
    lines, begun = [], {row[:2] for row in own}
    for profile in PROFILES:
        for recipe in PROTOCOLS if any(name == profile for name, _ in begun) else ():
            keys = control_keys() if recipe == CONTROL else [key for key in ROWS if origin(key, recipe) == recipe]
            # Other protocols, and rows of our own, are only spoken of where they were begun.
            for key in keys if recipe == "paper" or (profile, recipe) in begun else ():
                ran = own.get((profile, recipe, key), [])
                if ran or ROWS[key].table != "ours":
                    lines.append(_row(key, profile, recipe, ran))
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
