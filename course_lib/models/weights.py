"""Trained weights: those in ``data/weights`` (safetensors, which runs no code), and those of published teachers."""

import json
from pathlib import Path

import torch
from torch import nn

from course_lib.data.fetch import fetch
from course_lib.files import CheckpointError, repo_path
from course_lib.models.cifar_resnet import PUBLISHED
from course_lib.models.state import fill
from course_lib.models.zoo import create_model

PUBLISHED_AT = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models"


def weights_path(name: str) -> Path:
    """``data/weights/<name>.safetensors``; ``tools/kept.py`` writes it."""
    return repo_path("data", "weights", f"{name}.safetensors")


def load_weights(name: str) -> tuple[nn.Module, dict]:
    """The shipped network ``name`` in eval mode, and its ``meta``: epochs, accuracy in percent, recipe, versions.

    Raises CheckpointError where the file is missing, torn, or does not fit the network it names.
    """
    from safetensors import SafetensorError, safe_open

    path = weights_path(name)
    if not path.exists():
        raise CheckpointError(f"there are no weights {path}: the course ships gn-s-1.0x")
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {})["course"])
            state = {key: file.get_tensor(key) for key in file.keys()}
        model = described(meta)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged, or no weights file of ours: get it from the course again") from error
    fill(model, state, path)  # float16 becomes the model's float32
    return model.eval(), meta


def described(meta: dict) -> nn.Module:
    """The network that ``meta`` tells of, freshly initialised."""
    return create_model(meta["model"], width=meta.get("width"))


def published_path(name: str) -> Path:
    """Where the published weights of ``name`` lie once they have been fetched."""
    return repo_path("data", "cache", "teachers", PUBLISHED[name][0])


def fetch_published(name: str) -> Path:
    """Fetch the published weights of ``name``, unless they are here; raises as :func:`load_published` does."""
    if name not in PUBLISHED:
        raise ValueError(f"no weights of {name!r} are published: choose one of {', '.join(PUBLISHED)}")
    file, sha256 = PUBLISHED[name]
    return fetch(f"{PUBLISHED_AT}/{file}", published_path(name), sha256)


def load_published(name: str) -> nn.Module:
    """A published teacher (``resnet20``, ``32``, ``44`` or ``56``), trained on CIFAR-10 by others, in eval mode.

    From akamaster/pytorch_resnet_cifar10 (BSD-2-Clause), the best epoch on the test set: fetched once, and checked by
    SHA-256. Raises ValueError where nobody has published that network, CourseError where the file cannot be had.
    """
    path, model = fetch_published(name), create_model(name)
    fill(model, torch.load(path, map_location="cpu", weights_only=True)["state_dict"], path)
    return model.eval()
