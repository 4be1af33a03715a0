"""The results store: one JSON file a finished run, read into a pandas frame; beside it, what ``data/logits`` keeps.

A result is evidence: it holds its whole specification, its history and its test predictions. Whether it contradicts
itself is asked when it is saved and by ``verify``; a digest of the content then guards it, and a file that was torn or
edited is refused by name. Importing this module does not import torch.
"""

import base64
import functools
import hashlib
import io
import json
import operator
import os
import platform
import re
import subprocess
import warnings
import zipfile
import zlib
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from course_lib.files import ResultError, atomic_write, repo_path
from course_lib.study.experiments import RUN_NAME, run_id
from course_lib.study.progress import counted

if TYPE_CHECKING:
    import torch

FORMAT = 1
REMEDY = "restore it, or delete it and run it again"
# Each column of the frame, and where a result has it.
PLACES = {
    **{name: (name,) for name in ("run", "key", "recipe", "seed", "history", "predictions", "predictions_sha256")},
    **{name: (name,) for name in ("last_accuracy", "best_accuracy", "best_epoch", "test_images", "parameters")},
    **{name: (name,) for name in ("wall_seconds", "images_per_second", "device", "versions", "revision", "finished")},
    **{name: ("experiment", name) for name in ("table", "student", "width", "teachers")},
    **{name: ("training", name) for name in ("temperature", "alpha", "epochs", "batch_size")},
    **{"profile": ("profile", "name"), "profile_spec": ("profile",), "training": ("training",)},
    **{"dataset": ("data", "name"), "data_subset": ("data", "subset"), "data_source": ("data", "source")},
    **{"train_images": ("data", "train_images"), "conditions": ("conditions",)},
}
COLUMNS = (*PLACES, "path")
TEST_LABELS_SHA256 = "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5"  # of all 10,000, as uint8


def derived(result: dict) -> dict:
    """What follows from the rest of a result: its run's name, last and best accuracy (the first best epoch), counts."""
    best = max(result["history"], key=lambda row: row["test_accuracy"])
    key, profile = result["experiment"]["key"], result["profile"]["name"]
    return {
        "format": FORMAT,
        "run": run_id(key, profile=profile, recipe=result["recipe"], seed=result["seed"]),
        "key": key,
        "last_accuracy": result["history"][-1]["test_accuracy"],
        "best_accuracy": best["test_accuracy"],
        "best_epoch": best["epoch"],
        "test_images": len(predictions(result)),
    }


def contradiction(result: dict) -> str | None:
    """What ``result`` lacks, or where it contradicts itself, in one line; None where it is sound."""
    try:
        _flat(result, Path())  # has all that the frame shows
        _to_text(result)  # and can be written
        epochs, wanted = [row["epoch"] for row in result["history"]], result["training"]["epochs"]
        if epochs != list(range(1, wanted + 1)):
            return f"its history has the epochs {epochs}, the training {wanted}"
        if not all(0 <= row["test_accuracy"] <= 100 for row in result["history"]):
            return "an accuracy of its history is not between 0 and 100 percent"
        for name, value in derived(result).items():
            if result[name] != value:
                return f"its {name} is {result[name]}, but the rest of it says {value}"
    except KeyError as error:
        return f"field {error.args[0]} is missing"
    except (ResultError, TypeError, ValueError) as error:
        return str(error)
    return None


@functools.cache  # the code that was loaded, not what an editor makes of it while a study runs
def code_revision() -> str:
    """The code's short git hash, with ``-dirty`` where course_lib differs from it.

    Where the course is no git repository of its own, as in a copy on a rented machine or in a folder of somebody
    else's repository, what ``COURSE_REVISION`` says; else ``unknown``.
    """
    here = Path(__file__).resolve().parent.parent  # course_lib; the results beside it change while a study runs

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if os.path.samefile(git("rev-parse", "--show-toplevel"), here.parent):
            return git("rev-parse", "--short", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        pass
    stated = os.environ.get("COURSE_REVISION")
    return f"{stated} (stated)" if stated else "unknown"


def environment(device: Any = None) -> dict:
    """What a run's numbers depend on: ``device`` in words, ``versions`` and the code's ``revision``.

    ``device`` is a torch device or its name; None for the one training chooses, a CUDA GPU where there is one.
    """
    import torch

    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda":
        words = f"cuda, {torch.cuda.get_device_name(device)}"
    else:
        words = f"{device.type}, {counted(torch.get_num_threads(), 'thread')}"
    installed = [name for name in ("torch", "torchvision") if find_spec(name)]  # only some teachers need the second
    versions = {"python": platform.python_version()} | {name: metadata.version(name) for name in installed}
    return {"device": words, "versions": versions, "revision": code_revision()}


def result_path(run: str, profile: str, folder: Path | None = None) -> Path:
    """Where the result of ``run`` lies: ``data/results/<profile>/<run>.json``."""
    return (folder or repo_path("data", "results")) / profile / f"{run}.json"


def save_result(result: dict, folder: Path | None = None) -> Path:
    """Check ``result`` and write it to its place; an older file of the same run is replaced whole.

    Raises ResultError where it is incomplete or contradicts itself, CourseError where the file cannot be written.
    """
    if problem := contradiction(result):
        raise ResultError(f"the result of {result.get('run', 'a run')} was not saved: {problem}")
    path = result_path(result["run"], result["profile"]["name"], folder)
    atomic_write(path, _to_text(result).encode("utf-8"))
    return path


def read_result(path: Path) -> dict:
    """The result in one file. Raises ResultError where that is missing, torn, edited, or has another run's name."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["format"] != FORMAT:
            raise ValueError(f"unknown format {result['format']!r}, this course reads {FORMAT}")
        columns, rows = result["history"]["columns"], result["history"]["rows"]
        result["history"] = [dict(zip(columns, row, strict=True)) for row in rows]
        if result.pop("content_sha256") != _digest(result):
            raise ValueError("its content does not match content_sha256: it was edited")
        if path != result_path(result["run"], result["profile"]["name"], path.parent.parent):
            raise ValueError(f"it is the result of run {result['run']}, profile {result['profile']['name']}")
    except (OSError, KeyError, TypeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        reason = f"it has no {error}" if isinstance(error, KeyError) else reason
        raise ResultError(f"{path} cannot be read ({reason}): {REMEDY}") from error
    return result


def result_files(folder: Path | None = None) -> tuple[list[Path], list[Path]]:
    """The files of results, and the strangers among them (``x (1).json``); what begins with a dot is not looked at."""
    found = sorted((folder or repo_path("data", "results")).glob("[!.]*/[!.]*.json"))
    own = [path for path in found if RUN_NAME.fullmatch(path.stem)]
    return own, [path for path in found if path not in own]


def load_results(folder: Path | None = None) -> pd.DataFrame:
    """Every run in the store, one a row, with ``COLUMNS``; an empty store gives an empty frame.

    ``temperature``, ``alpha``, ``epochs`` and ``batch_size`` are those really trained with, and
    ``profile_spec`` is the profile as it was then. A file that is not named as a run is warned of and left out; one
    that is not sound raises ResultError (``verify`` lists all of them).
    """
    files, strangers = result_files(folder)
    for path in strangers:
        warnings.warn(f"{path} is not named as a run of the study and was left out", stacklevel=2)
    return pd.DataFrame([_flat(read_result(path), path) for path in files], columns=list(COLUMNS))


def _flat(result: dict, path: Path) -> dict:
    """One row of the frame: the parts of a result spread over columns."""
    result = {"conditions": {}} | result  # older ones do not say
    row = {column: functools.reduce(operator.getitem, place, result) for column, place in PLACES.items()}
    return row | {"teachers": tuple(row["teachers"]), "path": str(path)}


def _to_text(result: dict) -> str:
    """Indented JSON, but a line an epoch, so that 200 epochs stay small and a change shows as one line."""
    columns = list(result["history"][0])
    rows = [json.dumps([row[name] for name in columns], allow_nan=False) for row in result["history"]]
    whole = result | {"history": {"columns": "@columns", "rows": "@rows"}, "content_sha256": _digest(result)}
    text = json.dumps(whole, indent=1, allow_nan=False, ensure_ascii=False)
    text = text.replace('"@columns"', json.dumps(columns), 1)
    return text.replace('"@rows"', "[\n   " + ",\n   ".join(rows) + "\n  ]", 1) + "\n"


def _digest(result: dict) -> str:
    plain = json.dumps(result, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(plain.encode("utf-8")).hexdigest()


def pack_predictions(predictions: np.ndarray) -> dict:
    """The fields ``test_images``, ``predictions`` (base64 of zlib of uint8) and ``predictions_sha256``.

    Raises ValueError unless ``predictions`` are (N,) class numbers from 0 to 255, one at least.
    """
    array = np.asarray(predictions)
    in_bytes = np.issubdtype(array.dtype, np.integer) and array.size and 0 <= array.min() <= array.max() <= 255
    if array.ndim != 1 or not in_bytes:
        raise ValueError("predictions must be a list of class numbers from 0 to 255, one a test image")
    raw = array.astype(np.uint8).tobytes()
    return {
        "test_images": len(raw),
        "predictions": base64.b64encode(zlib.compress(raw, 9)).decode("ascii"),
        "predictions_sha256": hashlib.sha256(raw).hexdigest(),
    }


def predictions(row: Any) -> np.ndarray:
    """The (N,) uint8 class numbers that the run of ``row`` (of the frame, or a result) gave the test images.

    Raises ResultError where they are damaged.
    """
    try:
        raw = zlib.decompress(base64.b64decode(row["predictions"], validate=True))
    except (ValueError, zlib.error) as error:  # binascii.Error is a ValueError
        raise ResultError(f"the predictions of {row['run']} cannot be unpacked: {error}") from error
    if hashlib.sha256(raw).hexdigest() != row["predictions_sha256"]:
        raise ResultError(f"the predictions of {row['run']} do not match their SHA-256")
    return np.frombuffer(raw, dtype=np.uint8)


class Logits(NamedTuple):
    """A trained network's answers: ``logits`` float32 (N, C), ``labels`` int64 (N,), and ``meta``, where they come from
    (model, epochs, accuracy, ...).
    """

    logits: "torch.Tensor"
    labels: "torch.Tensor"
    meta: dict


def load_logits(name: str) -> Logits:
    """The logits saved under ``name``. Raises ResultError where there are none, or the file is damaged."""
    import torch

    logits, labels, meta = _read_logits(logits_path(name))
    return Logits(torch.from_numpy(logits.astype(np.float32)), torch.from_numpy(labels.astype(np.int64)), meta)


def known_test_labels(count: int) -> np.ndarray:
    """The (N,) labels of CIFAR-10's test images as they ship with the course: of all 10,000, or of the sample's 1,000.

    Raises ResultError where no set of ``count`` images is known, or the file with its labels is missing or was edited.
    """
    path, expected = repo_path("data", "sample", "sample.json"), TEST_LABELS_SHA256
    if count == 10_000:
        path = logits_path("resnet56")
        labels = _read_logits(path)[1]
    else:
        try:
            split = json.loads(path.read_text(encoding="utf-8"))["splits"]["test"]
            labels, expected = np.array(split["labels"], dtype=np.uint8), split["labels_sha256"]
        except (OSError, ValueError, KeyError) as error:
            raise ResultError(f"{path} with the sample's labels cannot be read: restore it") from error
    if hashlib.sha256(labels.tobytes()).hexdigest() != expected:
        raise ResultError(f"{path} does not hold the labels of CIFAR-10's test images: restore it")
    if len(labels) != count:
        raise ResultError(f"labels are known of 10,000 and {len(labels):,} test images, not of {count:,}")
    return labels


def _read_logits(path: Path) -> tuple[np.ndarray, np.ndarray, dict]:
    if not path.exists():
        stored = ", ".join(sorted(other.stem for other in path.parent.glob("[!.]*.npz"))) or "none"
        raise ResultError(f"no logits at {path}; stored are: {stored}")
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            logits, labels, meta = archive["logits"], archive["labels"], json.loads(str(archive["meta"]))
        if logits.ndim != 2 or labels.shape != logits.shape[:1]:
            raise ValueError(f"shapes {logits.shape} and {labels.shape}")
        return logits, labels, meta
    except (OSError, EOFError, KeyError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        raise ResultError(f"{path} is damaged ({error}): restore it or make it again") from error


def logits_path(name: str) -> Path:
    """``data/logits/<name>.npz``; ``tools/kept.py`` writes it. Raises ValueError where that is no file name."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise ValueError(f"cannot name logits {name!r}: use a-z, 0-9, '.', '-' and '_'")
    return repo_path("data", "logits", f"{name}.npz")
