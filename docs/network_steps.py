"""A network as steps and weights that ``docs/web/network.js`` can compute: read off its graph, not written by hand."""

import operator
from collections.abc import Callable

import numpy as np
import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

SAME = {  # what torch calls a step, and what docs/web/network.js does
    **{name: name for name in ("relu", "sigmoid", "hardsigmoid", "add", "mean", "flatten")},
    "mul": "multiply",
    "cat": "concatenate",
}


def steps_of(model: nn.Module) -> tuple[list[dict], np.ndarray]:
    """A network for 32 x 32 images as steps that ``docs/web/network.js`` knows, and all weights in a row (float32).

    Each step names what it ``does`` and the values ``of`` which: 0 is the image, n the result of step n.

    Raises:
        ValueError: the network takes a step that the page does not know.
    """
    graph = fx.symbolic_trace(model)
    ShapeProp(graph).propagate(torch.zeros(1, 3, 32, 32))
    modules, steps, kept, places = dict(graph.named_modules()), [], [], {}

    def keep(tensor: torch.Tensor | None) -> int:
        """Where the tensor begins among the weights; -1 for none."""
        if tensor is None:
            return -1
        kept.append(tensor.detach().numpy().ravel())
        return sum(len(values) for values in kept[:-1])

    for node in graph.graph.nodes:
        module = modules.get(node.target) if node.op == "call_module" else None
        if node.op == "placeholder":
            places[node] = 0
        elif isinstance(module, nn.Identity):
            places[node] = places[node.args[0]]
        elif node.op != "output" and node.target not in (getattr, operator.getitem):  # sizes, which are known
            step = _step(node, module, keep)
            inputs = node.args[0] if step["does"] == "concatenate" else node.args[: len(node.all_input_nodes)]
            steps.append(step | {"of": [places[each] for each in inputs if each in places]})
            places[node] = len(steps)
    return steps, np.concatenate(kept)


def _step(node: fx.Node, module: nn.Module | None, keep: Callable) -> dict:
    """What a node of the graph does, without its inputs."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        out = {"out": module.weight.shape[0], "weight": keep(module.weight), "bias": keep(module.bias)}
        if isinstance(module, nn.Linear):
            return {"does": "linear"} | out
        names = {"kernel": module.kernel_size, "stride": module.stride, "padding": module.padding}
        return {"does": "convolution", "groups": module.groups} | names | out
    name = node.target if isinstance(node.target, str) else node.target.__name__
    if name == "avg_pool2d":
        return {"does": "pool", "size": node.args[1]}
    if name == "interpolate":
        return {"does": "resize", "size": list(node.meta["tensor_meta"].shape[-2:])}
    if name not in SAME:
        raise ValueError(f"the page of the reader's own picture does not know the step {name}: see docs/web/network.js")
    return {"does": SAME[name]}
