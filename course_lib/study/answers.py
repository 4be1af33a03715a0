"""What trained networks answered: the classes a result keeps packed, logits in ``data/logits``, and the true labels.

Importing this module does not import torch.
"""

import base64
import hashlib
import io
import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from course_lib.files import ResultError, repo_path

if TYPE_CHECKING:
    import torch

TEST_LABELS_SHA256 = "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5"  # of all 10,000, as uint8


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


@dataclass(frozen=True)
class Logits:
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
