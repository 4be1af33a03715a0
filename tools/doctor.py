"""What this machine has for the course, in lines that say OK, WARN or FAIL, and what to do: ``course_lib doctor``.

OK: tried, and fine. WARN: works, with a limit that one should know. FAIL: the chosen profile will not work until it is
mended; a check that breaks is one FAIL line, and the others go on.
"""

import argparse
import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from course_lib.files import CourseError, path_in, problem_of_home, repo_path
from course_lib.profiles import PROFILES, active_profile, profile_option

GIB = 2**30
ITSELF = "knowledge-distillation-course"
IMPORTED_AS = {"pillow": "PIL", "ipython": "IPython"}  # others by their own name
MEASURED_S = 2.0  # how long the doctor trains to see how fast this machine is
SLOWEST = 20.0  # images a second; two old cores reach more, so below it the machine is busy and no forecast holds


def line(state: str, text: str) -> str:
    """``state`` is OK, WARN or FAIL; ``text`` says what was found and what to do."""
    return f"{state:<4}  {text}"


def examine() -> Iterator[str]:
    """Look at one thing after the other; nothing is downloaded. The profile is the active one (``COURSE_PROFILE``)."""
    for check in (basics, packages, device, memory, disk, sample, full_set, store, speed):
        try:
            yield from check()
        except Exception as error:  # whatever it is, the other checks go on
            yield line("FAIL", f"{check.__name__.replace('_', ' ')}: {_words(error)}")


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, CourseError | ValueError) else f"{type(error).__name__}: {error}"


def basics() -> Iterator[str]:
    """Python's version, and the folder that the course reads and writes."""
    state = "OK" if sys.version_info >= (3, 11) else "FAIL"
    yield line(state, f"Python {platform.python_version()} on {platform.system()} (3.11 or newer is needed)")
    problem = problem_of_home()
    yield line("FAIL", problem) if problem else line("OK", "the course's folder has what the lessons need")


def packages() -> Iterator[str]:
    """Each package that the installed course declares: can be imported, and is in its range."""
    from packaging.requirements import Requirement

    try:
        declared = map(Requirement, importlib.metadata.requires(ITSELF) or ())
    except importlib.metadata.PackageNotFoundError:
        yield line("WARN", "the course is not installed, so what it needs is not known here: `pip install -e .`")
        return
    yield from (package(wanted) for wanted in declared if not wanted.marker or wanted.marker.evaluate({"extra": ""}))


def package(wanted) -> str:
    """One package, imported as the course would."""
    try:
        version = importlib.metadata.version(wanted.name)
        importlib.import_module(IMPORTED_AS.get(wanted.name, wanted.name.replace("-", "_")))
    except importlib.metadata.PackageNotFoundError:
        return line("FAIL", f"{wanted.name} is not installed: run `make course`, or `pip install -e .`")
    except Exception as error:
        words = f"cannot be imported ({_words(error)}): `pip install --force-reinstall '{wanted}'`"
        return line("FAIL", f"{wanted.name} {version} is installed and {words}")
    if not wanted.specifier.contains(version, prereleases=True):
        return line("WARN", f"{wanted.name} {version} is not {wanted.specifier}: `pip install '{wanted}'`")
    return line("OK", f"{wanted.name} {version}")


def device() -> Iterator[str]:
    """The GPU, or the lack of one, and the profile that is chosen."""
    import torch

    has_gpu = torch.cuda.is_available()
    if has_gpu:
        found = torch.cuda.get_device_properties(0)
        yield line("OK", f"GPU {found.name}, {found.total_memory / GIB:.0f} GiB")
    else:
        yield line("OK", f"no CUDA GPU; {os.cpu_count()} CPU cores, torch uses {torch.get_num_threads()} of them")
    size = active_profile()
    slow = size.name == "full" and not has_gpu
    advice = ": weeks without a GPU; `COURSE_PROFILE=quick` fits" if slow else ""
    yield line("WARN" if slow else "OK", f"chosen: {size.label}{advice}")


def memory() -> Iterator[str]:
    """Main memory; a lesson takes up to 3 GiB."""
    import psutil

    now = psutil.virtual_memory()
    text = f"{now.total / GIB:.0f} GiB memory, {now.available / GIB:.0f} free (a lesson takes up to 3)"
    short = ("FAIL", "take a machine with 4 GiB or more") if now.total < 3 * GIB else ("WARN", "close other programs")
    yield line("OK", text) if now.available >= 3 * GIB else line(short[0], f"{text}: {short[1]}")


def disk() -> Iterator[str]:
    """Free disk where the course lies."""
    free = shutil.disk_usage(repo_path()).free / GIB
    state = "FAIL" if free < 0.1 else "WARN" if free < 1 else "OK"
    yield line(state, f"{free:.1f} GiB free disk (the full data set and checkpoints take about 1 GiB)")


def sample() -> Iterator[str]:
    """The images that come with the course; they are read and their checksums compared."""
    from course_lib.data import load_dataset

    dataset = load_dataset("cifar10", "sample")
    yield line("OK", f"sample of CIFAR-10: {len(dataset.train):,} + {len(dataset.test):,} images in data/sample")


def full_set() -> Iterator[str]:
    """The full data set, which only the laptop and full profiles need: read and checked, never fetched."""
    from course_lib.data.fetch import find_cifar10

    cache = repo_path("data", "cache")
    try:
        yield line("OK", f"full CIFAR-10: {find_cifar10(cache, offline=True)[1]}, read and checked")
    except CourseError as error:
        if active_profile().subset == "full" or path_in("COURSE_DATA"):
            yield line("FAIL", str(error))
        else:
            yield line("OK", "full CIFAR-10: not in data/cache, and not needed in the quick profile")


def store() -> Iterator[str]:
    """The finished runs of each profile."""
    from course_lib.study import store as results
    from tools.stored import summary

    for words in summary(results.load_results()).splitlines():
        yield line("OK", f"results store: {words}")


def speed() -> Iterator[str]:
    """How fast this machine trains, and what one run of each profile takes at that (its tests not counted)."""
    from course_lib.study.progress import in_words

    rate = images_per_second()
    text = f"speed: GN-S 1.0x learns from {rate:,.0f} images a second"
    if rate < SLOWEST:
        yield line("WARN", f"{text}, very few: close other programs, plug a laptop in, and run the doctor again")
        return
    costs = (f"{size.name} {in_words(size.train_images * size.student_epochs / rate)}" for size in PROFILES.values())
    yield line("OK", f"{text}; at that one run of it takes: {', '.join(costs)}. `study --list` estimates all rows")


def images_per_second() -> float:
    """Train GN-S 1.0x on noise as the training loop does, uncompiled; the fastest step waited for no other program."""
    import torch

    from course_lib.data.augment import normalise
    from course_lib.models.cost import finish_pending_work
    from course_lib.models.zoo import create_model
    from course_lib.training.engine import choose_engine, default_device

    engine = replace(choose_engine(default_device()), compiling=False)
    images = torch.randint(256, (128, 3, 32, 32), dtype=torch.uint8).to(engine.device)
    labels = torch.randint(10, (128,)).to(engine.device)
    network = engine.for_training(create_model("gn-s", seed=0).train())
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    times: list[float] = []
    while len(times) < 5 or sum(times[2:]) < MEASURED_S:
        started = time.perf_counter()
        optimizer.zero_grad()
        with engine.autocast():
            loss = torch.nn.functional.cross_entropy(network(normalise(images)), labels)
        loss.backward()
        optimizer.step()
        finish_pending_work(engine.device)
        times.append(time.perf_counter() - started)
    return len(images) / min(times[2:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was found, a line each, OK, WARN or FAIL, as it is found."""
    options = {"prog": "python -m course_lib doctor", "description": main.__doc__, "parents": [profile_option()]}
    argparse.ArgumentParser(**options).parse_args(arguments)
    status = 0
    for found in examine():
        print(found, flush=True)
        status |= found.startswith("FAIL")
    return status
