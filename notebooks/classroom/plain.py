"""A small plain network that learns something in a minute without a GPU: the members and students of lesson 05.

It is in none of the paper's tables. Three convolutions, each with batch normalisation and ReLU, mean over the picture,
one linear layer.
"""

import json
from pathlib import Path

from torch import Tensor, nn

from course_lib.files import CheckpointError
from course_lib.models.weights import weights_path
from course_lib.models.zoo import initialise

# (channels, kernel, stride) of each convolution.
KINDS = {
    "plain": ((32, 5, 2), (64, 3, 2), (96, 3, 2)),
    "patches": ((64, 4, 4), (64, 3, 1), (96, 3, 2)),
    "grey": ((32, 5, 2), (64, 3, 2), (96, 3, 2)),
    "student": ((16, 5, 2), (32, 3, 2), (64, 3, 2)),
}


class PlainNet(nn.Module):
    """Logits (N, classes) for normalised images (N, 3, 32, 32).

    Args:
        kind: ``plain``; ``patches``, whose first layer cuts the picture into 4 x 4 squares; ``grey``, which sees the
            mean of the three colours; ``student``, half as wide as plain.
        num_classes: number of logits.
        seed: makes the first weights reproducible, as in ``create_model``.

    Raises:
        ValueError: there is no such kind.
    """

    def __init__(self, kind: str = "plain", num_classes: int = 10, seed: int | None = None):
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}: choose one of {', '.join(KINDS)}")
        self.grey = kind == "grey"
        layers, channels = [], 1 if self.grey else 3
        for out, kernel, stride in KINDS[kind]:
            padding = 0 if kernel == stride else kernel // 2
            convolution = nn.Conv2d(channels, out, kernel, stride, padding, bias=False)
            layers += [convolution, nn.BatchNorm2d(out), nn.ReLU()]
            channels = out
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, num_classes)
        initialise(self, seed)

    def forward(self, images: Tensor) -> Tensor:
        if self.grey:
            images = images.mean(dim=1, keepdim=True)
        return self.classifier(self.features(images).mean(dim=(2, 3)))


def load_plain(name: str, folder: Path | None = None) -> tuple[PlainNet, dict]:
    """The shipped plain network ``name`` in eval mode, and its ``meta``: kind, epochs, accuracy in percent.

    Raises:
        CheckpointError: the file is missing, torn, or holds another network.
    """
    from safetensors import SafetensorError, safe_open

    path = weights_path(name, folder)
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads(file.metadata()["course"])
            state = {key: file.get_tensor(key) for key in file.keys()}
        network = PlainNet(meta["kind"])
        network.load_state_dict({key: value.float() if value.is_floating_point() else value
                                 for key, value in state.items()})  # fmt: skip
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} is missing or no plain network: python data/make_members.py makes it") from error
    return network.eval(), meta
