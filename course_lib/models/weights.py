"""The trained weights that ship with the course, in ``data/weights``: safetensors, a format that runs no code."""

import json
from pathlib import Path

from torch import nn

from course_lib.errors import CheckpointError
from course_lib.files import atomic_write, repo_path
from course_lib.models.ghostnet import fold
from course_lib.models.zoo import create_model


def weights_path(name: str, folder: Path | None = None) -> Path:
    """``data/weights/<name>.safetensors``."""
    return Path(folder or repo_path("data", "weights")) / f"{name}.safetensors"


def save_weights(name: str, model: nn.Module, meta: dict, folder: Path | None = None) -> Path:
    """Write a model's weights with ``meta`` (JSON-able; must hold ``model`` and ``width``) beside them.

    Raises:
        CourseError: the file cannot be written.
    """
    from safetensors.torch import save

    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    path = weights_path(name, folder)
    atomic_write(path, save(tensors, metadata={"course": json.dumps(meta)}))
    return path


def load_weights(name: str, folder: Path | None = None) -> tuple[nn.Module, dict]:
    """The shipped network ``name`` in eval mode, and its ``meta``: epochs, accuracy in percent, recipe, versions.

    Raises:
        CheckpointError: the file is missing, torn, or does not fit the network it names.
    """
    from safetensors import SafetensorError, safe_open

    path = weights_path(name, folder)
    if not path.exists():
        raise CheckpointError(f"there are no weights {path}: make them with python data/make_networks.py {name}")
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads(file.metadata()["course"])
            state = {key: file.get_tensor(key) for key in file.keys()}
        model = create_model(meta["model"], width=meta["width"])
        if meta.get("folded"):
            model = fold(model.eval())
        model.load_state_dict(state)  # float16 becomes the model's float32
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged or of another network: get it from the course again") from error
    return model.eval(), meta
