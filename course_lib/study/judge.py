"""Is a stored result sound? One judge, for saving, for reading and for ``verify``.

``judge`` first asks whether a result agrees with itself: that is all that saving and reading need. Given the other
results of the store it also asks whether it agrees with its row, its protocol, its profile, its teachers' results, the
true labels, and what is kept of it. Importing this module does not import torch.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from course_lib.files import ResultError, repo_path
from course_lib.profiles import PROFILES
from course_lib.study.answers import known_test_labels, load_logits, predictions
from course_lib.study.experiments import PARAMETERS, ROWS, Experiment, baseline_of, run_id
from course_lib.study.protocols import PROTOCOLS, fed_size, origin, teacher_sees, training_recipe

FORMAT = 1
NUMBER = (int, float)
FIELDS = {
    **dict.fromkeys(("format", "seed", "best_epoch", "test_images", "parameters"), int),
    **dict.fromkeys(("last_accuracy", "best_accuracy", "wall_seconds", "images_per_second"), NUMBER),
    **dict.fromkeys(("run", "key", "recipe", "predictions", "predictions_sha256", "device", "revision"), str),
    **dict.fromkeys(("experiment", "profile", "training", "versions", "data"), dict),
    "finished": str,
    "history": list,
}
# What older results do without: how the network was fed, where its first weights came from, who taught it.
OPTIONAL = {"conditions": dict}
HISTORY_COLUMNS = (
    *("epoch", "lr", "train_loss", "hard_loss", "soft_loss", "train_accuracy"),
    *("test_accuracy", "test_loss", "seconds", "images_per_second"),
)
# The parts of a result that must themselves hold certain fields.
PARTS = {
    "experiment": ("key", "table", "student", "width", "teachers", "method", "temperature", "alpha"),
    "profile": ("name", "subset", "train_images", "student_epochs", "teacher_epochs", "batch_size"),
    "training": ("epochs", "batch_size", "temperature", "alpha"),
    "data": ("name", "subset", "train_images", "source"),
}

KEEPING = ("full", "laptop")  # profiles whose networks have learned something
FOLDED = ("gn-s-1.0x", "gn-s-2.8x")  # of the `paper` protocol
NOT_KEPT = "not_kept"  # in a result's conditions: numbers too large for float16
ROUNDING = 1e-4  # percent; results keep seven digits
SAME_ANSWERS = 0.9  # share of test images; float16 breaks ties, in a network that has hardly learned many of them
OTHER_TRAINING = 5.0  # points; a teacher whose weights were gone is trained again, and not to the same last digit


def judge(result: dict, path: Path | None = None, others: dict[str, dict] | None = None) -> str | None:
    """The first thing wrong with ``result`` in one line; None where it is sound.

    Args:
        path: the file it was read from, whose name and folder must be the run's.
        others: all results of the store by run: then it is compared with everything else the course knows of it.
    """
    try:
        return next(_problems(result, path, others), None)
    except (ResultError, ValueError) as error:  # what it is compared with cannot be read
        return str(error)


def _problems(result: dict, path: Path | None, others: dict[str, dict] | None) -> Iterator[str]:
    yield from _wrong_form(result)
    yield from _wrong_history(result["history"], result["training"]["epochs"])
    for name, value in derived(result).items():
        if result[name] != value:
            yield f"its {name} is {result[name]}, but the rest of it says {value}"
    if path and (path.stem, path.parent.name) != (result["run"], result["profile"]["name"]):
        yield f"it is the result of run {result['run']}, profile {result['profile']['name']}"
    if others is not None:
        yield from _against_row(result)
        yield from _against_teachers(result, others)
        yield from _against_labels(result)
        yield from _against_kept(result)


def derived(result: dict) -> dict:
    """What follows from the rest of a result: its run's name, last and best accuracy (the first best epoch), counts.

    Raises:
        ValueError: key, profile, recipe and seed make no run's name.
        ResultError: the predictions are damaged.
    """
    best = max(result["history"], key=lambda row: row["test_accuracy"])
    profile, recipe, seed = result["profile"]["name"], result["recipe"], result["seed"]
    return {
        "format": FORMAT,
        "key": result["experiment"]["key"],
        "run": run_id(result["key"], profile=profile, recipe=recipe, seed=seed),
        "last_accuracy": result["history"][-1]["test_accuracy"],
        "best_accuracy": best["test_accuracy"],
        "best_epoch": best["epoch"],
        "test_images": len(predictions(result)),
    }


def _wrong_form(result: dict) -> Iterator[str]:
    for name, kind in FIELDS.items():
        if name not in result:
            yield f"field {name} is missing"
        if not isinstance(result[name], kind) or isinstance(result[name], bool):
            yield f"field {name} has the wrong type"
    for name, value in result.items():
        if name not in FIELDS and not isinstance(value, OPTIONAL.get(name, ())):
            yield f"unknown field {name}, or one of the wrong type"
    for part, names in PARTS.items():
        for name in names:
            if name not in result[part]:
                yield f"{part} lacks {name}"


def _wrong_history(history: list, epochs: int) -> Iterator[str]:
    if not history or len(history) != epochs:
        yield f"history has {len(history)} epochs, the training {epochs}"
    for number, row in enumerate(history, start=1):
        if not isinstance(row, dict) or set(row) != set(HISTORY_COLUMNS):
            yield f"row {number} of the history does not have the columns {', '.join(HISTORY_COLUMNS)}"
        if not all(isinstance(value, NUMBER) and math.isfinite(value) for value in row.values()):
            yield f"row {number} of the history holds something that is not a finite number"
        if row["epoch"] != number:
            yield f"row {number} of the history is epoch {row['epoch']}"
        if not 0 <= row["test_accuracy"] <= 100:
            yield f"the accuracy in row {number} of the history is not between 0 and 100 percent"


# --- against what else is known -------------------------------------------------------------------------


def _against_row(result: dict) -> Iterator[str]:
    """Registry, profile, protocol, and the settings that follow from them."""
    key, name, recipe = result["key"], result["profile"]["name"], result["recipe"]
    if key not in ROWS or name not in PROFILES or recipe not in PROTOCOLS:
        yield f"there is no row {key} of profile {name} and recipe {recipe}"
    row, profile = ROWS[key], PROFILES[name]
    if origin(key, recipe) != recipe:
        yield f"the row {key} is not run under the recipe {recipe}"
    data, conditions, settings = result["data"], result.get("conditions", {}), result["training"]
    recipe_of_row = training_recipe(row, profile, result["seed"], recipe)
    compared = {
        "parameters": (result["parameters"], PARAMETERS[baseline_of(row)]),
        "teachers": (list(result["experiment"]["teachers"]), list(row.teachers)),
        "data set": (data["name"], "cifar10"),
        "subset": (data["subset"], profile.subset),
        "training images": (data["train_images"], profile.train_images),
        "test images": (result["test_images"], profile.asked_images),
        # What a later engine adds is no setting of the recipe.
        **{name: (value, getattr(recipe_of_row, name, value)) for name, value in settings.items()},
        "input_size": (conditions.get("input_size", size := fed_size(row)), size),
        "teacher_sees": (conditions.get("teacher_sees", sees := teacher_sees(row, recipe)), sees),
    }
    for what, (stored, expected) in compared.items():
        if stored != expected:
            yield f"its {what}: {stored}, where {key} of profile {name} and recipe {recipe} has {expected}"


def _against_teachers(result: dict, others: dict[str, dict]) -> Iterator[str]:
    """Whether those who taught it are the row's teachers, as they stand in the store; older results do not say."""
    told = result.get("conditions", {}).get("teachers")
    names = teacher_runs(ROWS[result["key"]], result["profile"]["name"], result["recipe"], result["seed"])
    if told is not None and [teacher.get("run") for teacher in told] != names:
        yield f"it was taught by {', '.join(str(teacher.get('run')) for teacher in told)}, not by {', '.join(names)}"
    for teacher in told or ():
        stored = others.get(teacher["run"])
        if stored is None:
            continue
        epochs, accuracy = teacher.get("epochs"), teacher.get("last_accuracy", math.inf)
        if epochs != len(stored["history"]):
            yield f"its teacher {teacher['run']} had {epochs} epochs, the stored one {len(stored['history'])}"
        if abs(accuracy - stored["last_accuracy"]) > OTHER_TRAINING:
            yield f"its teacher {teacher['run']} had {accuracy:.2f} %, the stored one {stored['last_accuracy']:.2f} %"


def teacher_runs(row: Experiment, profile: str, recipe: str, seed: int) -> list[str]:
    """The names of the runs that a run of ``row`` learns from."""
    return [run_id(key, profile=profile, recipe=origin(key, recipe), seed=seed) for key in row.teachers]


def _against_labels(result: dict) -> Iterator[str]:
    right = 100 * float(np.mean(predictions(result) == known_test_labels(result["test_images"])))
    if abs(right - result["last_accuracy"]) > ROUNDING:
        yield f"its last accuracy is {result['last_accuracy']:.2f} %, but its predictions are right in {right:.2f} %"


def kept_parts(result: dict) -> list[str]:
    """What such a run leaves for the lessons besides its result: test ``logits``; two students folded ``weights``."""
    if result["profile"]["name"] not in KEEPING or result["seed"]:
        return []
    return ["logits", *(["weights"] if result["key"] in FOLDED and result["recipe"] == "paper" else [])]


def _against_kept(result: dict) -> Iterator[str]:
    from safetensors import SafetensorError, safe_open

    profile, kept = result["profile"]["name"], {}
    parts = [part for part in kept_parts(result) if part not in result.get("conditions", {}).get(NOT_KEPT, ())]
    if "logits" in parts:
        kept["logits"] = (logits := load_logits(result["run"], repo_path("data", "logits", profile))).meta
        answers, stored = logits.logits.argmax(dim=1).numpy(), predictions(result)
        if answers.shape != stored.shape or (answers == stored).mean() < SAME_ANSWERS:
            yield "its kept logits do not give its predictions: restore them or run it again"
    if "weights" in parts:
        path = repo_path("data", "weights", profile, f"{result['key']}.safetensors")
        try:
            with safe_open(path, framework="np") as file:
                kept["weights"] = json.loads(file.metadata()["course"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            yield f"its kept weights {path} are missing or damaged: restore them or run it again"
    for part, meta in kept.items():
        if (meta.get("run"), meta.get("accuracy")) != (result["run"], result["last_accuracy"]):
            yield f"its kept {part} are of {meta.get('run')} with {meta.get('accuracy')} %: restore or run it again"
