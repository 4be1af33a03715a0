"""What a network costs: parameters, multiply-accumulates and activations.

One convention for all of it: MACs and activations are those of the convolutions and linear layers, for one image.
Normalisation, activation functions, pooling, sums and products of feature maps do not count, as is usual in papers;
where a network multiplies matrices elsewhere (attention does), a warning says how much that is. The counts are of the
form that the model has: of a GhostNet in training form, all branches count. They are read off one forward pass in eval
mode, which leaves the model as it was; a model on the "meta" device, without weights, will do.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(model: nn.Module) -> int:
    """Number of weights and biases, in the form that the model has: the folded form has fewer."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: nn.Module, size: int = 32) -> int:
    """Multiply-accumulates of all convolutions and linear layers for one ``size`` x ``size`` image."""
    return sum(layer.macs for layer in _trace(model, size).layers)


def count_activations(model: nn.Module, size: int = 32) -> int:
    """Numbers put out for one ``size`` x ``size`` image by all convolutions and linear layers together."""
    return sum(layer.activations for layer in _trace(model, size).layers)


def block_costs(model: nn.Module, size: int = 32) -> pd.DataFrame:
    """What each block costs for one ``size`` x ``size`` image, in the order of the forward pass.

    A block is a direct part of the model that has parameters; a sequence of parts (the bottlenecks of a GhostNet, a
    stage of a ResNet) is listed part by part. The columns add up to the counts of the whole model.

    Returns:
        A frame with the columns ``block`` (name), ``resolution`` (height of the output in pixels),
        ``channels`` (of the output), ``parameters``, ``macs`` and ``activations``.
    """
    trace, rows = _trace(model, size), []
    for path, block in _blocks(model):
        layers = [layer for layer in trace.layers if layer.path == path or layer.path.startswith(path + ".")]
        macs, activations = (sum(getattr(layer, what) for layer in layers) for what in ("macs", "activations"))
        output = trace.outputs[path]
        resolution, channels = output[2] if len(output) == 4 else 1, output[1]
        rows.append((path.removeprefix("blocks."), resolution, channels, count_parameters(block), macs, activations))
    return pd.DataFrame(rows, columns=["block", "resolution", "channels", "parameters", "macs", "activations"])


def finish_pending_work(device: torch.device) -> None:
    """Wait until ``device`` has done all that was asked of it; before and after whatever is timed."""
    if device.type == "cuda":  # a GPU works on while Python goes on
        torch.cuda.synchronize(device)


class _Layer(NamedTuple):
    path: str
    macs: int
    activations: int


class _Trace(NamedTuple):
    layers: list[_Layer]  # every call of a convolution or linear layer
    outputs: dict[str, torch.Size]  # output shape of every block


def _trace(model: nn.Module, size: int) -> _Trace:
    """Pass one black image through the model and note what its layers and blocks put out."""
    trace = _Trace([], {})

    def note_layer(path: str, layer: nn.Module, _inputs, output: Tensor) -> None:
        # Each output number is a dot product as long as one filter: in / groups * kh * kw, or in_features
        trace.layers.append(_Layer(path, output.numel() * layer.weight[0].numel(), output.numel()))

    def note_block(path: str, _block: nn.Module, _inputs, output: Tensor) -> None:
        trace.outputs[path] = (output[0] if isinstance(output, tuple) else output).shape  # attention gives two

    layers = [(path, part) for path, part in model.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(partial(note_layer, path)) for path, layer in layers]
    hooks += [block.register_forward_hook(partial(note_block, path)) for path, block in _blocks(model)]
    weight, fast_path = next(model.parameters()), torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)  # attention in one piece would hide its products
        with eval_mode(model), torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 3, size, size, device=weight.device, dtype=weight.dtype))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        for hook in hooks:
            hook.remove()
    seen, all_products = sum(layer.macs for layer in trace.layers), counter.get_total_flops() // 2
    if seen < all_products:
        warnings.warn(
            f"of {all_products:,} multiply-accumulates {seen:,} are in convolutions and linear layers and are counted; "
            f"the other {100 * (1 - seen / all_products):.0f} % are not (attention and the like)",
            stacklevel=3,
        )
    return trace


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
