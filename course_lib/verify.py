"""Is the store sound, and does it say what is expected? Row by row, against the paper and against what is stated here.

Three questions. Is every result there that was accepted, byte for byte (``data/results/accepted.csv``)? Does each
agree with itself and with the registry: counts, settings, accuracy by its own predictions? And does the mean of each
row lie where it should?
"""

import csv
import hashlib
import io
import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from course_lib import report, results
from course_lib.artefacts import oversize
from course_lib.experiments import EXPERIMENTS, TABLES
from course_lib.files import atomic_write
from course_lib.plan import GROUPS, Run
from course_lib.profiles import PROFILES
from course_lib.recipes import CONTROL, RECIPES, origin, training_recipe

ROUNDING = 1e-4  # percent; results keep seven digits


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
    lines = [*files, *_accepted(), *(Line("size", problem, True) for problem in oversize())]
    for row in sound.to_dict("records"):
        problem = wrong_with(row)
        if problem:
            lines.append(Line(row["run"], problem, True))
    return lines + _rows(sound)


def _files() -> tuple[list[Line], pd.DataFrame]:
    """A line for each file that is torn or edited, and the frame of all others."""
    problems = results.check_store()
    lines = [Line(Path(problem.split(" ")[0]).name, problem, True) for problem in problems]
    return lines, results.load_results(skip_damaged=True)


# --- what was accepted ------------------------------------------------------------------------------


def accept() -> list[str]:
    """Write down all results that are sound as accepted; returns a line for each that is new or has changed."""
    known, lines = results.accepted(), []
    for row in results.load_results(skip_damaged=True).to_dict("records"):
        if wrong_with(row) is None:
            digest = _sha256(Path(row["path"]))
            if known.get(row["run"]) != digest:
                lines.append(f"accepted {row['run']}")
            known[row["run"]] = digest
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([results.ACCEPTED_HEADER, *sorted(known.items())])
    atomic_write(results.accepted_path(), text.getvalue().encode("ascii"))
    return lines


def _accepted() -> list[Line]:
    """A line for each accepted result that is missing or another one now."""
    lines = []
    for run, digest in results.accepted().items():
        path = results.result_path(run, run.rsplit(".", 3)[1])
        if not path.exists():
            lines.append(Line(run, f"{path} is missing: restore it or run it again", True))
        elif _sha256(path) != digest:
            lines.append(Line(run, f"{path} is not the accepted one: restore it, or `verify --accept` the new", True))
    return lines


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- one result -------------------------------------------------------------------------------------


def wrong_with(row: dict) -> str | None:
    """The first thing in which a result (a row of the frame) contradicts the registry, the profile or itself."""
    if row["key"] not in EXPERIMENTS:
        return f"no row of the study is called {row['key']}"
    if row["profile"] not in PROFILES:
        return f"there is no profile {row['profile']}"
    if row["recipe"] not in (*RECIPES, CONTROL) or origin(row["key"], row["recipe"]) != row["recipe"]:
        return f"the row {row['key']} is not run under the recipe {row['recipe']}"
    run = Run(row["key"], PROFILES[row["profile"]], row["recipe"], row["seed"], _is_pretrained(row))
    return _wrong_counts(row, run) or _wrong_settings(row, run) or _wrong_accuracy(row)


def _is_pretrained(row: dict) -> bool:
    return "ImageNet" in str(row["conditions"].get("initial_weights", ""))


def _wrong_counts(row: dict, run: Run) -> str | None:
    parameters = parameter_count(run.experiment.student, run.experiment.width)
    if row["parameters"] != parameters:
        return f"it has {row['parameters']:,} parameters, the network {parameters:,}"
    if row["train_images"] != run.profile.train_images:
        return f"it was trained on {row['train_images']:,} images, the profile has {run.profile.train_images:,}"
    if run.profile.test_images and row["test_images"] != run.profile.test_images:
        return f"it was tested on {row['test_images']:,} images, the profile has {run.profile.test_images:,}"
    return None


def _wrong_settings(row: dict, run: Run) -> str | None:
    recipe = training_recipe(run.experiment, run.profile, run.seed, run.recipe, pretrained=run.pretrained)
    for name, value in row["training"].items():
        expected = getattr(recipe, name, value)  # what a later engine adds is no setting of the recipe
        if value != expected:
            return f"it was trained with {name} = {value}, the recipe {run.recipe} has {expected}"
    return None


def _wrong_accuracy(row: dict) -> str | None:
    labels = results.known_test_labels(row["test_images"])
    right = 100 * float(np.mean(results.predictions(row) == labels))
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
    wide, as nobody has measured it elsewhere. full: around what the paper prints for the row (its figures are of the
    best epoch, one seed): 1.5 points to either side for its own recipe, 4 for the others. EfficientNetV2-S has two
    ways of being trained, and both must fit.
    """
    if profile == "quick":
        return 5.0, 60.0
    if profile == "laptop":
        return 25.0, 92.0
    printed = printed_accuracy(key)
    if key == "efficientnetv2_s":
        return 85.0, 99.0
    if math.isnan(printed):  # the assistants: between a student and its teacher
        return 90.0, 97.0
    margin = 1.5 if recipe == "paper" else 4.0
    return printed - margin, printed + margin


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
                if origin(key, recipe) != recipe or (recipe == CONTROL and EXPERIMENTS[key].teachers):
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
