"""What this machine has for the course, and what to do where something is missing."""

import importlib.metadata
import os
import platform
import shutil
import sys
from typing import NamedTuple

from course_lib.errors import CourseError
from course_lib.files import repo_path
from course_lib.profiles import Profile

PACKAGES = ("torch", "torchvision", "jupyterlab", "ipywidgets", "matplotlib", "seaborn", "pandas", "nbclient")


class Finding(NamedTuple):
    """One line of the examination; ``fine`` is False where the reader has something to do."""

    fine: bool
    text: str

    def __str__(self) -> str:
        return f"{'OK  ' if self.fine else 'FAIL'}  {self.text}"


def examine(profile: Profile) -> list[Finding]:
    """Look at Python, packages, device, memory, disk, data and results; nothing is downloaded."""
    return [
        python(),
        *packages(),
        device(),
        disk(),
        sample(),
        full_set(profile),
        store(),
        Finding(True, profile.label),
    ]


def python() -> Finding:
    version = platform.python_version()
    return Finding(sys.version_info >= (3, 11), f"Python {version} on {platform.system()} (3.11 or newer is needed)")


def packages() -> list[Finding]:
    findings = []
    for name in PACKAGES:
        try:
            findings.append(Finding(True, f"{name} {importlib.metadata.version(name)}"))
        except importlib.metadata.PackageNotFoundError:
            findings.append(Finding(False, f"{name} is not installed: run `make course` or `pip install -e .`"))
    return findings


def device() -> Finding:
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Finding(True, f"GPU: {properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    return Finding(True, f"no CUDA GPU; {os.cpu_count()} CPU cores: the quick profile fits")


def disk() -> Finding:
    free = shutil.disk_usage(repo_path()).free / 2**30
    return Finding(free > 1, f"{free:.0f} GiB free disk (the full data set and checkpoints take about 1)")


def sample() -> Finding:
    from course_lib.data import load_dataset

    try:
        dataset = load_dataset("cifar10", "sample")
    except CourseError as error:
        return Finding(False, f"sample of CIFAR-10: {error}")
    return Finding(True, f"sample of CIFAR-10: {len(dataset.train):,} + {len(dataset.test):,} images, on board")


def full_set(profile: Profile) -> Finding:
    """The full data set is needed by the laptop and full profiles only."""
    needed = profile.subset == "full"
    named = os.environ.get("COURSE_DATA")
    if named or repo_path("data", "cache", "cifar10.npz").exists():
        return Finding(True, f"full CIFAR-10: {named or 'data/cache/cifar10.npz'}")
    return Finding(
        not needed,
        "full CIFAR-10: not here; `python -m course_lib data` fetches it (laptop and full profiles)",
    )


def store() -> Finding:
    from course_lib import report, results

    try:
        frame = results.load_results()
    except CourseError as error:
        return Finding(False, f"results store: {error}")
    return Finding(True, "results store: " + report.summary(frame).replace("\n", "; "))
