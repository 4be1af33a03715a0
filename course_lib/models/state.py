"""Putting stored weights into a network, or saying in one line how they differ."""

import re
from pathlib import Path

from torch import Tensor, nn

from course_lib.files import CheckpointError

WRAPPERS = re.compile(r"^((module|_orig_mod)\.)+")  # what DataParallel and torch.compile put before each name


def fill(model: nn.Module, state: dict[str, Tensor], source: Path | str) -> None:
    """Put the weights of ``state`` into ``model``, whichever of them was wrapped by DataParallel or torch.compile.

    Raises CheckpointError where they are of another network; the line says how they differ. ``source`` is where they
    lie.
    """
    own = {WRAPPERS.sub("", name): name for name in model.state_dict()}
    # Files from before 2018 have no counters, which nothing depends on.
    counters = {name: value for name, value in model.state_dict().items() if name.endswith("num_batches_tracked")}
    state = counters | {own.get(WRAPPERS.sub("", name), name): value for name, value in state.items()}
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    differing = [name for name, value in state.items() if name in shapes and tuple(value.shape) != shapes[name]]
    if differing:
        name = differing[-1]  # the classifier comes last: that other classes are meant is then seen
        reason = f"{name} is {tuple(state[name].shape)} there and {shapes[name]} here"
    elif other := sorted(shapes.keys() ^ state.keys()):
        reason = f"{other[0]} is only {'here' if other[0] in shapes else 'there'}"
    else:
        return model.load_state_dict(state) and None
    raise CheckpointError(f"{source} holds another architecture or other classes ({reason}): name another file")
