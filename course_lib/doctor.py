"""What this machine has for the course, in lines that say OK, WARN or FAIL, and what to do.

OK: fine. WARN: works, with a limit that one should know. FAIL: the chosen profile will not work until it is mended.
"""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from course_lib.errors import CourseError
from course_lib.files import repo_path
from course_lib.profiles import PROFILES, Profile

GIB = 2**30
OLDEST_PYTHON = (3, 11)
PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
BIG_DATA = "the full data set and checkpoints take about 1 GiB"
MEASURED_S = 2.0  # how long the doctor trains to see how fast this machine is
MEASURED_WITH = "gn-s-1.0x"
SLOWEST = 20.0  # images a second; two old cores reach 50, so below it the machine is busy and no forecast holds


class Finding(NamedTuple):
    """One line of the examination: ``state`` is OK, WARN or FAIL, ``text`` says what was found and what to do."""

    state: str
    text: str

    @property
    def fine(self) -> bool:
        """Whether the course runs like this; a warning is fine."""
        return self.state != "FAIL"

    def __str__(self) -> str:
        return f"{self.state:<4}  {self.text}"


def examine(profile: Profile) -> list[Finding]:
    """Look at Python, packages, device, memory, disk, data, results and speed; nothing is downloaded."""
    return [
        python(),
        *packages(),
        device(profile),
        compiler(),
        memory(),
        disk(),
        sample(),
        full_set(profile),
        *store(),
        Finding("OK", f"chosen: {profile.label}"),
        *minutes(),
    ]


def python() -> Finding:
    """Python's version against the one that the course needs."""
    state = "OK" if sys.version_info[:2] >= OLDEST_PYTHON else "FAIL"
    return Finding(state, f"Python {platform.python_version()} on {platform.system()} (3.11 or newer is needed)")


def packages() -> list[Finding]:
    """Each package of pyproject.toml: here, and in its range."""
    from packaging.requirements import Requirement

    declared = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
    return [package(Requirement(line)) for line in declared]


def package(wanted) -> Finding:
    """One package: here, and in its range."""
    try:
        version = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        return Finding("FAIL", f"{wanted.name} is not installed: run `make course`, or `pip install -e .`")
    if wanted.specifier.contains(version, prereleases=True):
        return Finding("OK", f"{wanted.name} {version}")
    return Finding("WARN", f"{wanted.name} {version} is not {wanted.specifier}: `pip install '{wanted}'`")


def device(profile: Profile) -> Finding:
    """The GPU, or the lack of one."""
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        bf16 = "with" if torch.cuda.is_bf16_supported() else "without"
        return Finding("OK", f"GPU {properties.name}, {properties.total_memory / GIB:.0f} GiB, {bf16} bfloat16")
    cores = f"no CUDA GPU; {os.cpu_count()} CPU cores, {torch.get_num_threads()} threads for torch"
    if profile.name == "full":
        return Finding("WARN", f"{cores}: the full profile's training takes weeks; `COURSE_PROFILE=quick` fits")
    return Finding("OK", f"{cores}: the quick profile fits")


def compiler() -> Finding:
    """Whether ``torch.compile`` would find what it needs. No lesson needs it."""
    import torch

    if torch.cuda.is_available():
        found = "triton" if importlib.util.find_spec("triton") else None
    else:
        found = next((name for name in ("c++", "g++", "clang++", "cl") if shutil.which(name)), None)
    if found:
        return Finding("OK", f"torch.compile can be used ({found}); no lesson needs it")
    return Finding("OK", "torch.compile cannot be used here (no compiler); no lesson needs it")


def memory() -> Finding:
    """Main memory; a lesson takes up to 3 GiB."""
    try:
        import psutil
    except ImportError:  # a bare machine for the study, without Jupyter
        return Finding("WARN", "memory: unknown, psutil is not installed (it comes with ipykernel)")
    now = psutil.virtual_memory()
    text = f"{now.total / GIB:.0f} GiB memory, {now.available / GIB:.0f} free (a lesson takes up to 3)"
    if now.total < 3 * GIB:
        return Finding("FAIL", f"{text}: take a machine with 4 GiB or more")
    if now.available < 3 * GIB:
        return Finding("WARN", f"{text}: close other notebooks and programs")
    return Finding("OK", text)


def disk() -> Finding:
    """Free disk where the course lies."""
    free = shutil.disk_usage(repo_path()).free / GIB
    text = f"{free:.1f} GiB free disk ({BIG_DATA})"
    if free < 0.1:
        return Finding("FAIL", f"{text}: make room")
    return Finding("OK" if free > 1 else "WARN", text)


def sample() -> Finding:
    """The images that come with the course; they are read and their checksums compared."""
    from course_lib.data import load_dataset

    try:
        dataset = load_dataset("cifar10", "sample")
    except CourseError as error:
        return Finding("FAIL", f"sample of CIFAR-10: {error}")
    return Finding("OK", f"sample of CIFAR-10: {len(dataset.train):,} + {len(dataset.test):,} images in data/sample")


def full_set(profile: Profile) -> Finding:
    """The full data set, which only the laptop and full profiles need."""
    named, cached = os.environ.get("COURSE_DATA"), repo_path("data", "cache", "cifar10.npz")
    if named and Path(named).exists():
        return Finding("OK", f"full CIFAR-10: COURSE_DATA={named}")
    if named:
        return Finding("FAIL", f"COURSE_DATA={named} is not there: correct it, or `unset COURSE_DATA`")
    if cached.exists():
        return Finding("OK", "full CIFAR-10: data/cache/cifar10.npz")
    if profile.subset == "full":
        return Finding("FAIL", "full CIFAR-10 is not here: `python -m course_lib data` fetches and checks it")
    return Finding("OK", "full CIFAR-10: not here, and not needed in the quick profile")


def store() -> list[Finding]:
    """The finished runs of each profile."""
    from course_lib import report
    from course_lib.study import store

    try:
        lines = report.summary(store.load_results()).splitlines()
    except CourseError as error:
        return [Finding("FAIL", f"results store: {error}")]
    return [Finding("OK", f"results store: {line}") for line in lines]


# --- how long things take -------------------------------------------------------------------------


def minutes(measure: Callable[[], float] | None = None) -> list[Finding]:
    """What a profile costs here: from a few seconds of training, and the stored runs' speeds beside it.

    Args:
        measure: gives GN-S 1.0x's images a second; by default it is measured.
    """
    from course_lib.study import store
    from course_lib.study.experiments import EXPERIMENTS

    speed = (measure or images_per_second)()
    text = f"speed: GN-S 1.0x learns from {speed:,.0f} images a second (fastest of the steps of {MEASURED_S:.0f} s)"
    if speed < SLOWEST:
        advice = "something else uses the processor, or the laptop saves power: plug in, close programs, run again"
        return [Finding("WARN", f"{text}; {advice}")]
    findings = [Finding("OK", text)]
    try:
        relative = relative_speeds(store.load_results())
    except CourseError:
        relative = {}
    for profile in PROFILES.values():
        one = profile.train_images * profile.student_epochs / speed
        text = f"{profile.name} profile: about {duration(one)} for one run of GN-S 1.0x"
        if all(key in relative for key in EXPERIMENTS):
            whole = sum(images_learned(profile, key) / (speed * relative[key]) for key in EXPERIMENTS)
            text += f", {duration(whole)} for all {len(EXPERIMENTS)} runs of Tables I-IV (rough)"
        findings.append(Finding("OK", text))
    return findings


def images_learned(profile: Profile, key: str) -> int:
    """Images that one run is shown, epochs counted."""
    from course_lib.study.experiments import EXPERIMENTS

    student = EXPERIMENTS[key].student.startswith("gn-")
    return profile.train_images * (profile.student_epochs if student else profile.teacher_epochs)


def relative_speeds(runs: pd.DataFrame) -> dict[str, float]:
    """Each experiment's images a second over those of GN-S 1.0x, where the store has both from CPUs."""
    import torch

    if torch.cuda.is_available() or runs.empty:
        return {}  # a GPU's ratios are others: launching small kernels costs it as much as arithmetic
    on_cpu = runs[runs["device"].astype(str).str.startswith("cpu") & (runs["profile"] == "quick")]
    speeds = on_cpu.groupby("key")["images_per_second"].median()
    return (speeds / speeds[MEASURED_WITH]).to_dict() if MEASURED_WITH in speeds else {}


def images_per_second() -> float:
    """Train GN-S 1.0x on noise for ``MEASURED_S`` seconds, after one step to warm up.

    The fastest step counts: other programs that run meanwhile slow the rest.
    """
    import torch

    from course_lib.data.augment import normalise
    from course_lib.models import create_model
    from course_lib.models.cost import finish_pending_work
    from course_lib.training.engine import default_device

    device = default_device()
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (64, 3, 32, 32), generator=generator, dtype=torch.uint8).to(device)
    labels = torch.randint(10, (64,), generator=generator).to(device)
    model = create_model("gn-s", seed=0).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(normalise(images)), labels).backward()
        optimizer.step()
        finish_pending_work(device)

    step()
    times, started = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - started < MEASURED_S:
        begun = time.perf_counter()
        step()
        times.append(time.perf_counter() - begun)
    return len(images) / min(times)


def duration(seconds: float) -> str:
    """Seconds in the unit that a reader would use."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} hours"
    if seconds < 700 * 86400:
        return f"{seconds / 86400:.0f} days"
    return f"{seconds / 86400 / 365:.0f} years"
