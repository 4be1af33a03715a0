"""Is the store sound, and does it say what is expected? Row by row, against the paper and against what is stated here.

Three questions. Is every result there that was accepted, byte for byte (``data/results/accepted.csv``)? Does each
agree with itself, with the registry, with its teachers' results and with the logits and weights kept of it? And does
the mean of each row lie where it should?
"""

import csv
import io
import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from course_lib import report
from course_lib.errors import ResultError
from course_lib.files import atomic_write, sha256_of
from course_lib.profiles import PROFILES
from course_lib.study import artefacts, store
from course_lib.study.artefacts import oversize
from course_lib.study.experiments import EXPERIMENTS, TABLES, baseline_of
from course_lib.study.material import IMAGENET, first_weights
from course_lib.study.plan import GROUPS, Run, settings_of
from course_lib.study.protocols import CONTROL, RECIPES, control_keys, fed_size, origin, teacher_sees_scraps

ROUNDING = 1e-4  # percent; results keep seven digits
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
    files, sound = _files()
    lines = [*files, *_accepted(sound), *(Line("size", problem, True) for problem in oversize())]
    rows = _by_run(sound)
    for row in rows.values():
        problem = wrong_with(row, rows)
        if problem:
            lines.append(Line(row["run"], problem, True))
    return lines + _rows(sound)


def _by_run(frame: pd.DataFrame) -> dict[str, dict]:
    return {row["run"]: row for row in frame.to_dict("records")}


def _files() -> tuple[list[Line], pd.DataFrame]:
    """A line for each file that is torn or edited, and the frame of all others."""
    lines = [Line(path.name, problem, True) for path, problem in store.check_store()]
    return lines, store.load_results(skip_damaged=True)


# --- what was accepted ------------------------------------------------------------------------------


def accept() -> list[str]:
    """Write down all results that are sound as accepted; returns a line for each that is new or has changed."""
    known, lines, rows = store.accepted(), [], _by_run(store.load_results(skip_damaged=True))
    for row in rows.values():
        if wrong_with(row, rows) is None:
            digest = sha256_of(Path(row["path"]))
            if known.get(row["run"]) != digest:
                lines.append(f"accepted {row['run']}")
            known[row["run"]] = digest
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([store.ACCEPTED_HEADER, *sorted(known.items())])
    atomic_write(store.accepted_path(), text.getvalue().encode("ascii"))
    return lines


def _accepted(sound: pd.DataFrame) -> list[Line]:
    """A line for each accepted result that is missing or another one now, and for each that nobody accepted yet."""
    known, path = store.accepted(), store.accepted_path()
    if not path.exists():  # of an empty store as well: the course ships one that is not
        remedy = "restore data/results, or `verify --accept` what is there (in a store that begins anew)"
        return [Line(path.name, f"{path} is missing: {remedy}", True)]
    lines = [Line(run, "not accepted yet (`verify --accept`)") for run in sound["run"] if run not in known]
    for run, digest in known.items():
        path = store.result_path(run, run.rsplit(".", 3)[1])
        if not path.exists():
            lines.append(Line(run, f"{path} is missing: restore it or run it again", True))
        elif sha256_of(path) != digest:
            lines.append(Line(run, f"{path} is not the accepted one: restore it, or `verify --accept` the new", True))
    return lines


# --- one result -------------------------------------------------------------------------------------


def wrong_with(row: dict, rows: dict[str, dict]) -> str | None:
    """The first thing in which a result (a row of the frame) contradicts the registry, the profile, itself, a teacher
    or what is kept of it.

    Args:
        rows: all results by run; its teachers are looked up there.
    """
    if row["key"] not in EXPERIMENTS:
        return f"no row of the study is called {row['key']}"
    if row["profile"] not in PROFILES:
        return f"there is no profile {row['profile']}"
    if row["recipe"] not in (*RECIPES, CONTROL) or origin(row["key"], row["recipe"]) != row["recipe"]:
        return f"the row {row['key']} is not run under the recipe {row['recipe']}"
    run = Run(row["key"], PROFILES[row["profile"]], row["recipe"], row["seed"], _is_pretrained(row))
    try:
        return (
            _wrong_counts(row, run)
            or _wrong_settings(row, run)
            or _wrong_conditions(row, run)
            or _wrong_teachers(row, run, rows)
            or _wrong_accuracy(row)
            or artefacts.wrong_with(run, row)
        )
    except ResultError as error:  # the labels or predictions cannot be read: the other rows are examined all the same
        return str(error)


def _is_pretrained(row: dict) -> bool:
    return first_weights(row) == IMAGENET


def _wrong_counts(row: dict, run: Run) -> str | None:
    parameters = parameter_count(run.experiment.student, run.experiment.width)
    if row["parameters"] != parameters:
        return f"it has {row['parameters']:,} parameters, the network {parameters:,}"
    if row["train_images"] != run.profile.train_images:
        return f"it was trained on {row['train_images']:,} images, the profile has {run.profile.train_images:,}"
    if row["test_images"] != run.profile.asked_images:
        return f"it was tested on {row['test_images']:,} images, the profile has {run.profile.asked_images:,}"
    if (row["dataset"], row["data_subset"]) != ("cifar10", run.profile.subset):
        return (
            f"its images are of {row['dataset']}, {row['data_subset']}; the profile's of cifar10, {run.profile.subset}"
        )
    return None


def _wrong_settings(row: dict, run: Run) -> str | None:
    recipe = settings_of(run)
    for name, value in row["training"].items():
        expected = getattr(recipe, name, value)  # what a later engine adds is no setting of the recipe
        if value != expected:
            return f"it was trained with {name} = {value}, the recipe {run.recipe} has {expected}"
    return None


def _wrong_conditions(row: dict, run: Run) -> str | None:
    """What the network and its teacher were shown; older results do not say it."""
    expected = {
        "input_size": fed_size(run.experiment.student, run.profile, pretrained=run.pretrained),
        "teacher_sees": "scraps" if teacher_sees_scraps(run.key, run.recipe) else "the whole picture",
    }
    for name, value in expected.items():
        if row["conditions"].get(name, value) != value:
            return f"its {name} is {row['conditions'][name]}, the recipe {run.recipe} has {value}"
    return None


def _wrong_teachers(row: dict, run: Run, rows: dict[str, dict]) -> str | None:
    """Whether those who taught it are the row's teachers, as they stand in the store."""
    if tuple(row["teachers"]) != run.experiment.teachers:
        return f"its teachers are {', '.join(row['teachers'])}, the row has {', '.join(run.experiment.teachers)}"
    told = row["conditions"].get("teachers")
    if told is None:  # an older result
        return None
    names = [teacher.name for teacher in run.teachers]
    if [teacher.get("run") for teacher in told] != names:
        return f"it was taught by {', '.join(str(teacher.get('run')) for teacher in told)}, not by {', '.join(names)}"
    for teacher in told:
        stored = rows.get(teacher["run"])
        if stored is None:
            continue
        epochs, accuracy = teacher.get("epochs"), teacher.get("last_accuracy", math.inf)
        if epochs != stored["epochs"]:
            return f"its teacher {teacher['run']} had {epochs} epochs, the stored one {stored['epochs']}"
        if abs(accuracy - stored["last_accuracy"]) > OTHER_TRAINING:
            return f"its teacher {teacher['run']} had {accuracy:.2f} %, the stored one {stored['last_accuracy']:.2f} %"
    return None


def _wrong_accuracy(row: dict) -> str | None:
    labels = store.known_test_labels(row["test_images"])
    right = 100 * float(np.mean(store.predictions(row) == labels))
    if abs(right - row["last_accuracy"]) > ROUNDING:
        return f"its last accuracy is {row['last_accuracy']:.2f} %, but its predictions are right in {right:.2f} %"
    return None


@cache
def parameter_count(student: str, width: float | None) -> int:
    """Parameters of a network in training form, with ten classes."""
    import torch

    from course_lib.models.cost import count_parameters
    from course_lib.models.zoo import create_model

    with torch.device("meta"):
        return count_parameters(create_model(student, width=width))


# --- rows against the paper and against what is expected ----------------------------------------------


def expected(key: str, profile: str, recipe: str) -> tuple[float, float]:
    """Between which two accuracies (percent, mean of the last epochs over seeds) a row must lie to be believed.

    quick: networks that have learned next to nothing lie near guessing (10 %); far above it something leaked. laptop:
    wide, as nobody has measured it elsewhere. full: under the recipe by which the printed number came about (that of
    ``as_run``), 1.5 points to either side of it (it is of the best epoch, one seed); under another, from 4 points below
    to 2 above what the paper prints for the same network alone. EfficientNetV2-S has two ways of being trained, and
    both must fit.
    """
    if profile == "quick":
        return 5.0, 60.0
    if profile == "laptop":
        return 25.0, 92.0
    if key == "efficientnetv2_s":
        return 85.0, 99.0
    printed = printed_accuracy(key)
    if math.isnan(printed):  # the assistants: between a student and its teacher
        return 90.0, 97.0
    if recipe == origin(key, "as_run"):
        return printed - 1.5, printed + 1.5
    alone = printed_accuracy(baseline_of(EXPERIMENTS[key]))
    return alone - 4.0, alone + 2.0


def printed_accuracy(key: str) -> float:
    """What the paper prints for a row, in percent; NaN for the assistants."""
    table = EXPERIMENTS[key].table
    if table not in TABLES:
        return math.nan
    return float(_paper(int(table[-1])).loc[key, "accuracy"])


@cache
def _paper(n: int) -> pd.DataFrame:
    return report.paper_table(n)


def _rows(frame: pd.DataFrame) -> list[Line]:
    """A line a row, profile by profile that has runs: ours beside the paper's, and the interval."""
    lines = []
    for profile in (name for name in PROFILES if (frame["profile"] == name).any()):
        for recipe in dict.fromkeys(recipe for recipe, _ in GROUPS):
            for key in EXPERIMENTS:
                if origin(key, recipe) != recipe or (recipe == CONTROL and key not in control_keys()):
                    continue
                line = _row(frame, key, profile, recipe)
                if line:
                    lines.append(line)
    return lines


def _row(frame: pd.DataFrame, key: str, profile: str, recipe: str) -> Line | None:
    chosen = frame[(frame["key"] == key) & (frame["profile"] == profile) & (frame["recipe"] == recipe)]
    name = f"{profile}, {recipe}, {key}"
    if chosen.empty:
        # Other recipes are only spoken of where they were begun.
        begun = recipe == "paper" or ((frame["profile"] == profile) & (frame["recipe"] == recipe)).any()
        return Line(name, "not run") if begun else None
    mean = float(chosen["last_accuracy"].astype(float).mean())
    low, high = expected(key, profile, recipe)
    words = f"{mean:.2f} % (n = {len(chosen)}), expected {low:.2f} to {high:.2f}"
    if profile == "full" and not math.isnan(printed_accuracy(key)):  # smaller profiles are no reproduction
        words += f"; paper {printed_accuracy(key):.2f}, delta {mean - printed_accuracy(key):+.2f}"
    if low <= mean <= high:
        return Line(name, words)
    return Line(name, f"{words}: outside", True)
