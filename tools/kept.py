"""Writing what the course ships of trained networks: logits into ``data/logits``, weights into ``data/weights``."""

import io
import json
from pathlib import Path

import numpy as np
from safetensors.torch import save
from torch import Tensor, nn

from course_lib.files import CheckpointError, atomic_write
from course_lib.models.state import fill
from course_lib.models.weights import described, weights_path
from course_lib.study.store import logits_path


def save_logits(name: str, logits: Tensor, labels: Tensor, meta: dict) -> Path:
    """Write logits (N, C) and labels (N,) to ``data/logits/<name>.npz``.

    They are kept as float16, which is exact to 0.1 percent. Raises ValueError where the shapes do not fit, a logit is
    not finite in float16, or the name is no file name; CourseError where the file cannot be written.
    """
    path = logits_path(name)
    logits, labels = np.asarray(logits.cpu()), np.asarray(labels.cpu())
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"logits {logits.shape} and labels {labels.shape} must be (N, C) and (N,)")
    with np.errstate(over="ignore"):
        small = logits.astype(np.float16)
    if not np.isfinite(small).all():
        raise ValueError("a logit is not finite, or too large for float16")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, logits=small, labels=labels.astype(np.uint8), meta=np.array(json.dumps(meta)))
    atomic_write(path, buffer.getvalue())
    return path


def save_weights(name: str, model: nn.Module, meta: dict) -> Path:
    """Write a model's weights with ``meta`` (JSON-able; ``model``, and ``width`` where it has one) beside them.

    Raises:
        ValueError: ``meta`` describes another network than ``model``: it could not be read back.
        CourseError: the file cannot be written.
    """
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    path = weights_path(name)
    try:
        fill(described(meta), tensors, path)
    except (CheckpointError, KeyError) as error:
        raise ValueError(f"meta does not describe the network that is to be saved: {error}") from error
    atomic_write(path, save(tensors, metadata={"course": json.dumps(meta)}))
    return path
