"""What a network costs: parameters, multiply-accumulates and activations.

One convention for all of it: MACs and activations are those of the convolutions and linear layers, for one image.
Normalisation, activation functions, pooling, sums and products of feature maps do not count, as is usual in papers;
nor would the products of attention, which no network here has. The counts are of the form that the model has: of a
GhostNet in training form, all branches count. They are read off one forward pass in eval mode, which leaves the model
as it was; a model on the "meta" device, without weights, will do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn

LAYERS = (nn.Conv2d, nn.Linear)


def count_parameters(model: nn.Module) -> int:
    """Number of weights and biases, in the form that the model has: the folded form has fewer."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: nn.Module, size: int = 32) -> int:
    """Multiply-accumulates of all convolutions and linear layers for one ``size`` x ``size`` image."""
    return _add_up(_trace(model, size))[0]


def count_activations(model: nn.Module, size: int = 32) -> int:
    """Numbers put out for one ``size`` x ``size`` image by all convolutions and linear layers together."""
    return _add_up(_trace(model, size))[1]


def block_costs(model: nn.Module, size: int = 32) -> pd.DataFrame:
    """What each block costs for one ``size`` x ``size`` image, in the order of the forward pass.

    A block is a direct part of the model that has parameters; a sequence of parts (the bottlenecks of a GhostNet, a
    stage of a ResNet) is listed part by part. The frame's columns are ``block`` (name), ``resolution`` (height of the
    output in pixels), ``channels`` (of the output), ``parameters``, ``macs`` and ``activations``; the last three add up
    to the counts of the whole model.
    """
    calls, rows = _trace(model, size), []
    outputs = {path: shape for path, _, shape in calls}
    for path, block in _blocks(model):
        output, costs = outputs[path], _add_up(calls, within=f"{path}.")
        resolution, channels = output[2] if len(output) == 4 else 1, output[1]
        rows.append((path.removeprefix("blocks."), resolution, channels, count_parameters(block), *costs))
    return pd.DataFrame(rows, columns=["block", "resolution", "channels", "parameters", "macs", "activations"])


def finish_pending_work(device: torch.device) -> None:
    """Wait until ``device`` has done all that was asked of it; before and after whatever is timed."""
    if device.type == "cuda":  # a GPU works on while Python goes on
        torch.cuda.synchronize(device)


def _trace(model: nn.Module, size: int) -> list[tuple[str, nn.Module, torch.Size]]:
    """Path, module and output shape of each call of a layer or a block, while one black image passes the model."""
    calls = []

    def note(path: str, part: nn.Module, _inputs, output: Tensor) -> None:
        calls.append((path, part, output.shape))

    noted = dict(_blocks(model)) | {path: part for path, part in model.named_modules() if isinstance(part, LAYERS)}
    hooks = [part.register_forward_hook(partial(note, path)) for path, part in noted.items()]
    weight = next(model.parameters())
    try:
        with eval_mode(model), torch.no_grad():
            model(torch.zeros(1, 3, size, size, device=weight.device, dtype=weight.dtype))
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def _add_up(calls: list[tuple[str, nn.Module, torch.Size]], within: str = "") -> tuple[int, int]:
    """MACs and activations of the layers, all of them or those in one part of the model."""
    layers = [(part, shape.numel()) for path, part, shape in calls if isinstance(part, LAYERS)
              and f"{path}.".startswith(within)]  # fmt: skip
    # Each output number is a dot product as long as one filter: in / groups * kh * kw, or in_features
    return sum(count * layer.weight[0].numel() for layer, count in layers), sum(count for _, count in layers)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode for a while; then every part of the model is back in the mode it had."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield model.eval()
    finally:
        for module, training in modes:
            module.training = training


def _blocks(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Path and module of every block: direct children, with sequences of them opened one level."""
    for name, child in model.named_children():
        parts = [(name, child)]
        if isinstance(child, nn.Sequential):
            parts = [(f"{name}.{inner}", part) for inner, part in child.named_children()]
        yield from ((path, part) for path, part in parts if any(True for _ in part.parameters()))
