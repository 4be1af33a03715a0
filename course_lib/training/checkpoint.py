"""Checkpoints: all that a run needs to go on where it was killed, and how one of another run is told."""

import dataclasses
import io
import zipfile
from pathlib import Path

import torch
from torch import nn

from course_lib.files import CheckpointError, atomic_write
from course_lib.models.state import fill
from course_lib.training.recipe import Recipe

CHECKPOINT_FORMAT = 1
CONTENTS = {"recipe": dict, "model": dict, "optimizer": dict, "history": list}


def save_checkpoint(
    path: Path | str, model: nn.Module, optimizer: torch.optim.Optimizer, recipe: Recipe, history: list[dict], **about
) -> None:
    """Write weights, optimizer, history and what else there is to say aside, then move them into place.

    Raises CourseError where the disk is full, or the like.
    """
    buffer, settings = io.BytesIO(), dataclasses.asdict(recipe)
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "history": history}
    torch.save({"format": CHECKPOINT_FORMAT, "recipe": settings} | state | about, buffer)
    atomic_write(Path(path), buffer.getvalue())


def read_checkpoint(path: Path | str) -> dict:
    """The contents of a checkpoint, on the CPU; settings that are newer than it have their defaults.

    Raises CheckpointError where it is missing, a folder, torn or foreign.
    """
    path = Path(path)
    foreign = f"{path} is not a checkpoint of this course"
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder: name a file for the checkpoint, for example {path / 'run.pt'}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint {path}: run the study that makes it") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # torn in the middle of a pickle, it can fail in any way there is
        if zipfile.is_zipfile(path):
            said = f"{foreign} (it holds more than numbers, or a damaged part): choose another name"
        else:
            said = f"{path} is damaged and cannot be read: delete it where it was a checkpoint, the run starts again"
        raise CheckpointError(said) from error
    sound = isinstance(state, dict) and state.get("format") == CHECKPOINT_FORMAT
    if not (sound and all(isinstance(state.get(part), kind) for part, kind in CONTENTS.items())):
        raise CheckpointError(f"{foreign}: choose another name")
    return state | {"recipe": dataclasses.asdict(Recipe()) | state["recipe"]}


def resume(
    path: Path | str, state: dict, model: nn.Module, optimizer: torch.optim.Optimizer, recipe: Recipe, made_of: dict
) -> list[dict]:
    """Put the weights and the optimizer of a checkpoint's ``state`` in place and return its history.

    Raises CheckpointError where it is of another architecture, recipe, teacher or other images; older ones tell less.
    """
    if state["recipe"] != dataclasses.asdict(recipe):
        raise CheckpointError(f"{path} was made with another recipe: delete it or choose another name")
    told = state.get("made_of", {})
    if other := [what for what, digest in made_of.items() if told.get(what, digest) != digest]:
        raise CheckpointError(f"{path} was made with other {' and '.join(other)}: delete it or choose another name")
    fill(model, state["model"], path)
    try:
        optimizer.load_state_dict(state["optimizer"])
    except ValueError as error:
        raise CheckpointError(f"{path} holds the state of another optimizer: choose another name") from error
    return state["history"]
