"""Instruments of the benchmark and of lesson 02: time, memory, and what a training step spends its time on."""

import contextlib
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from course_lib.models.cost import finish_pending_work
from course_lib.models.ghostnet import set_merging
from course_lib.models.zoo import create_model

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
        kind = next(
            (kind for kind, names in KINDS.items() if _is_named(event.key, names)),
            "everything else",
        )
        spent[kind] += event.self_cpu_time_total / 1e3
    return spent


@contextlib.contextmanager
def _silent_stderr():
    """Nothing reaches stderr inside: the profiler's C++ part writes when it starts and stops, asked or not."""
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


def median_seconds(work: Callable, repeats: int, device: torch.device) -> float:
    """The median time of ``work`` on ``device`` in seconds, after one call that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        finish_pending_work(device)
        started = time.perf_counter()
        work()
        finish_pending_work(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


class PeakMemory:
    """The most memory in megabytes while it is open: of the GPU, or of this process (which never gives back all)."""

    def __init__(self, device: torch.device):
        self.device, self.megabytes = device, math.nan

    def __enter__(self) -> "PeakMemory":
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            _reset_peak_of_process()
        return self

    def __exit__(self, *_) -> None:
        if self.device.type == "cuda":
            self.megabytes = torch.cuda.max_memory_allocated(self.device) / 1e6
        else:
            self.megabytes = _peak_of_process()


def _reset_peak_of_process() -> None:
    """On Linux the high-water mark can be set back to what is used now; elsewhere it stays."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak_of_process() -> float:
    """Megabytes of resident memory at the high-water mark; NaN where Linux's /proc is missing."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return math.nan
    return int(status.split("VmHWM:")[1].split()[0]) / 1e3


def machine(device: torch.device) -> dict:
    """What the numbers were measured on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    waiting = os.environ.get("OMP_WAIT_POLICY", "the system's default")
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "waiting": waiting,
        "torch": torch.__version__,
    }


def processor() -> str:
    """The CPU's name where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "CPU"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "CPU")
