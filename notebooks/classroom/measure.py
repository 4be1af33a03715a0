"""What the lessons measure: time of an answer, time of a training step by kind, and what folding changes in GN-S."""

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Sequence

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.models.cost import count_macs, count_parameters, eval_mode, finish_pending_work
from course_lib.models.ghostnet import fold
from course_lib.models.merging import set_merging
from course_lib.models.zoo import create_model

WARM_UP_RUNS = 3  # untimed: the first runs choose algorithms and allocate memory
ROUNDS = 5  # of timing in the table of folding
TOLERANCE = 1e-4  # largest difference of a logit, as a part of the largest logit (of 1 where that is smaller)
KINDS = {  # what the profiler calls an operation, by the kind a reader knows
    "batch norm": ("batch_norm",),
    "convolution": ("convolution",),
    "merging": ("MergedOnCPU", "aten::mm", "addmm_", "aten::bmm"),
    "additions": ("aten::add", "aten::add_"),
}


def step_by_kind(merging: bool, batch_size: int = 32, width: float = 1.0) -> dict[str, float]:
    """Milliseconds that one training step of GN-S spends in each of :data:`KINDS`, and in everything else.

    Args:
        merging: with merged branches, or branch by branch.
        batch_size: images of the step (noise: speed does not look at them).
        width: of the GN-S.
    """
    from torch.profiler import ProfilerActivity, profile

    model = create_model("gn-s", width=width, seed=0).to(memory_format=torch.channels_last).train()
    set_merging(model, merging)
    images = torch.randn(batch_size, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(batch_size, dtype=torch.long)
    for _ in range(2):  # the first step compiles and allocates
        F.cross_entropy(model(images), labels).backward()
    with _silent_stderr(), profile(activities=[ProfilerActivity.CPU]) as recorded:
        F.cross_entropy(model(images), labels).backward()
    spent = dict.fromkeys([*KINDS, "everything else"], 0.0)
    for event in recorded.key_averages():
        kind = next((kind for kind, names in KINDS.items() if _is_named(event.key, names)), "everything else")
        spent[kind] += event.self_cpu_time_total / 1e3
    return spent


@contextlib.contextmanager
def _silent_stderr():
    """Nothing reaches stderr inside: the profiler's C++ part writes to it, asked or not."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _is_named(operation: str, names: tuple[str, ...]) -> bool:
    """Whether the profiler's name of an operation is one of ``names``: whole with a prefix, else in part."""
    return any(operation == name if name.startswith("aten::") else name in operation for name in names)


def latency_ms(model: nn.Module, batch: int = 1, size: int = 32, repeats: int = 30) -> float:
    """Median time in milliseconds of a forward pass in eval mode, for a batch on the model's device.

    The model's mode is put back afterwards. On a CPU the figure holds for the present number of threads
    (``torch.get_num_threads()``) and for a machine that does nothing else.
    """
    device = next(model.parameters()).device
    images = torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    with eval_mode(model), torch.inference_mode():
        times = [_timed(model, images) for _ in range(WARM_UP_RUNS + repeats)]
    return 1000 * statistics.median(times[WARM_UP_RUNS:])


def fastest_ms(models: Sequence[nn.Module], *, rounds: int = 2, **how: int) -> list[float]:
    """For each model the smallest of ``rounds`` results of :func:`latency_ms`, called with ``how``.

    The models take turns, so that another program that disturbs the clock for a while does not hit one alone.
    """
    turns = [[latency_ms(model, **how) for model in models] for _ in range(rounds)]
    return [min(times) for times in zip(*turns, strict=True)]


def _timed(model: nn.Module, images: Tensor) -> float:
    """Seconds of one forward pass."""
    finish_pending_work(images.device)
    start = time.perf_counter()
    model(images)
    finish_pending_work(images.device)
    return time.perf_counter() - start


@torch.no_grad()
def lived_in(width: float, images: Tensor) -> nn.Module:
    """A fresh GN-S in eval mode whose batch norms are not idle: random gamma and beta, statistics of ``images``.

    ``images`` are normalised, (N, 3, H, W) with N of at least 2.
    """
    model = create_model("gn-s", width=width, seed=0)
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.copy_(0.5 + torch.rand(len(module.weight), generator=generator))
            module.bias.copy_(0.1 * torch.randn(len(module.bias), generator=generator))
            module.momentum = 1.0  # take this batch's statistics as they are
    model.train()(images)
    return model.eval()


@torch.no_grad()
def fold_costs(widths: Sequence[float], images: Tensor, repeats: int = 3) -> pd.DataFrame:
    """Fold GN-S at each of ``widths`` and compare: logits, parameters, MACs, and milliseconds for one image.

    Half of the normalised ``images`` (N, 3, H, W) give the batch norms their statistics, half are tested. The fastest
    of ``ROUNDS`` rounds of ``repeats`` timed passes counts.

    Returns:
        A row a width: ``width``, ``difference`` (the largest of a logit), and of the training form and the folded one
        ``parameters`` and ``folded``, ``MACs (M)`` and ``folded (M)``, ``ms`` and ``folded (ms)``.

    Raises:
        ArithmeticError: folding changed a logit by more than :data:`TOLERANCE`.
    """
    half, rows, networks = len(images) // 2, [], []
    for width in widths:
        model = lived_in(width, images[:half])
        folded = fold(model)
        logits = model(images[half:])
        difference, largest = (folded(images[half:]) - logits).abs().max().item(), logits.abs().max().item()
        if difference > TOLERANCE * max(1, largest):
            raise ArithmeticError(f"folding changed a logit by {difference:.1e}; the largest logit is {largest:.1e}")
        counts = {"parameters": count_parameters(model), "folded": count_parameters(folded)}
        macs = {"MACs (M)": count_macs(model) / 1e6, "folded (M)": count_macs(folded) / 1e6}
        rows.append({"width": width, "difference": difference} | counts | macs)
        networks += [model, folded]
    times = fastest_ms(networks, repeats=repeats, rounds=ROUNDS)
    return pd.DataFrame(rows).assign(**{"ms": times[::2], "folded (ms)": times[1::2]})
