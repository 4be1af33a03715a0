"""How fast the training loop is, against the loop that a good student would write.

The *plain reference* has torchvision's transforms image by image in a DataLoader with workers, branches computed one
by one, float32, NCHW, nothing compiled. Both train the same network on the same images in the same run, by turns, so
that whatever else the machine does falls on both; the table shows the median of the turns' ratios. ``--until PERCENT``
asks the reader's question: after how many minutes is a network that good, by the course's loop with a recipe for few
epochs, and by the plain loop with the paper's settings over as many?
"""

import argparse
import contextlib
import dataclasses
import functools
import json
import math
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from classroom.measure import latency_ms
from course_lib.data import Dataset, ImageSet, load_dataset
from course_lib.data.augment import MEAN, PADDING, STD, VIEWS
from course_lib.files import CourseError, atomic_write
from course_lib.models.cost import finish_pending_work
from course_lib.models.ghostnet import fold
from course_lib.models.zoo import create_model
from course_lib.training import loop
from course_lib.training.engine import choose_engine
from course_lib.training.losses import distillation_loss
from course_lib.training.recipe import SHORT, Recipe, learning_rate
from course_lib.training.teachers import Ensemble, RememberedTeacher, Teacher
from tools.split import split_validation

ENSEMBLE = ("resnet18", "resnet50", "vgg13")  # members that every machine can hold; the paper's has larger ones as well


@dataclass(frozen=True)
class Task:
    """One row of the table: ``student`` (and ``width``), taught by ``teachers``.

    Attributes:
        timm: name of timm's network, which takes the place of ours in the plain reference.
        known: share of the teachers' answers that earlier epochs have left behind (0 is a first epoch).
    """

    name: str
    student: str
    width: float | None = None
    teachers: tuple[str, ...] = ()
    timm: str = ""
    known: float = 0.0


def mean_known(epochs: int) -> float:
    """Share of the views of an epoch that were drawn in an earlier one already, on average over ``epochs``."""
    return 1 - VIEWS / epochs * (1 - (1 - 1 / VIEWS) ** epochs)


TASKS = (
    Task("train GN-S 1.0x", "gn-s", 1.0),
    Task("train GN-S 2.8x", "gn-s", 2.8),
    Task("train GN-D", "gn-d"),
    Task("train GN-D, timm's", "gn-d", timm="ghostnetv3_100"),
    Task("train ResNet-18", "resnet18"),
    Task("distil GN-S 1.0x from ResNet-50", "gn-s", 1.0, ("resnet50",), known=mean_known(200)),
    Task("distil GN-S 1.0x from ResNet-50, first epoch", "gn-s", 1.0, ("resnet50",)),
    Task("distil GN-S 1.0x from an ensemble", "gn-s", 1.0, ENSEMBLE, known=mean_known(200)),
)


def run(
    tasks=TASKS,
    *,
    batch_size: int | None = None,
    steps: int | None = None,
    turns: int = 3,
    together: int = 0,
    device: torch.device | None = None,
) -> dict:
    """Time every task and return the report: machine, settings, one row a task, folded inference.

    Args:
        tasks: rows of the table.
        batch_size: images a step; default the paper's 256 on a GPU and 128 on the CPU.
        steps: steps of one turn, after one that is not counted; default 100 on a GPU and 4 on the CPU.
        turns: how often engine and reference take turns.
        together: also time this many runs of the first task at once, against one alone.
        device: default the GPU where there is one.
    """
    device = device or loop.default_device()
    batch_size = batch_size or (256 if device.type == "cuda" else 128)
    steps = steps or (100 if device.type == "cuda" else 4)
    images = sample(batch_size * steps)
    rows = []
    for task in tasks:
        rows.append(time_task(task, images, batch_size, steps, turns, device))
        print(row_text(rows[-1]), flush=True)
    return {
        "machine": machine(device),
        "batch_size": batch_size,
        "steps": steps,
        "turns": turns,
        "tasks": rows,
        "augmentation": time_augmentation(images, batch_size, rows, device),
        "folded": [time_folded(size) for size in (1, 256)],
        "together": time_together(tasks[0], together, batch_size, steps, device) if together else None,
    }


def sample(count: int) -> ImageSet:
    """``count`` images: those of the sample, over and over where there are fewer."""
    images = load_dataset("cifar10", "sample").train
    return images[torch.arange(count) % len(images)]


def time_task(task: Task, images: ImageSet, batch_size: int, steps: int, turns: int, device: torch.device) -> dict:
    """Images a second and peak memory of engine and plain reference, and the median of the turns' ratios."""
    with PeakMemory(device) as making:
        engine_epoch = engine_run(task, images, batch_size, device)
    plain_epoch = plain_run(task, images, batch_size, device)
    for epoch in (engine_epoch, plain_epoch):
        epoch(steps)  # memory is allocated, kernels are chosen
    speeds = {"engine": [], "plain": []}
    memory = {"engine": making.megabytes}  # a CUDA graph takes its memory when it is recorded, and keeps it
    for _ in range(turns):
        for name, epoch in (("engine", engine_epoch), ("plain", plain_epoch)):
            with PeakMemory(device) as peak:
                started = time.perf_counter()
                seen = epoch(steps)
                finish_pending_work(device)
                speeds[name].append(seen / (time.perf_counter() - started))
            memory[name] = max(memory.get(name, 0), peak.megabytes)
    ratios = [fast / slow for fast, slow in zip(speeds["engine"], speeds["plain"], strict=True)]
    return {
        "task": task.name,
        "engine_images_per_second": round(statistics.median(speeds["engine"]), 1),
        "plain_images_per_second": round(statistics.median(speeds["plain"]), 1),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
        "engine_megabytes": round(memory["engine"]),
        "plain_megabytes": round(memory["plain"]),
    }


def engine_run(task: Task, images: ImageSet, batch_size: int, device: torch.device) -> Callable[[int], int]:
    """A function that trains ``steps`` batches by the course's loop and returns how many images it has seen."""
    engine = dataclasses.replace(choose_engine(device), strict=True)
    recipe = Recipe(epochs=10_000, batch_size=batch_size)
    network = engine.for_training(loop.Resized(create_model(task.student, width=task.width, seed=0), 32))
    optimizer = loop.make_optimizer(network.parameters(), recipe, device)
    images = images.to(device)
    engine.warm_up(network, images.images[:batch_size])
    epochs = iter(range(1, 10_000))

    @functools.cache
    def prepared(steps: int):
        some = images.take(min(len(images), steps * batch_size))
        if not task.teachers:
            return some, None, None
        asked = engine.for_answers(make_teacher(task.teachers).to(device))
        teacher = RememberedTeacher(asked, len(some), 10, device)
        teacher.memory[torch.rand(len(some), VIEWS, device=device) < task.known] = 0  # speed asks for no true answer
        return some, teacher, teacher.memory.clone()

    def epoch(steps: int) -> int:
        some, teacher, before = prepared(steps)
        if teacher is not None:
            teacher.memory.copy_(before)  # no turn knows more than the one before
        loop.train_epoch(network, optimizer, some, recipe, next(epochs), teacher, engine)
        return len(some)

    return epoch


def plain_run(
    task: Task, images: ImageSet, batch_size: int, device: torch.device, recipe: Recipe | None = None
) -> Callable[[int], int]:
    """The same by the plain reference, at one rate or by the schedule of ``recipe``; the network is its ``model``."""
    model = timm_model(task.timm) if task.timm else create_model(task.student, width=task.width, seed=0)
    model.to(device)
    done, total = 0, (recipe.epochs if recipe else 0) * math.ceil(len(images) / batch_size)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=0.01, nesterov=True)
    teacher = make_teacher(task.teachers).to(device) if task.teachers else None

    @functools.cache  # its workers start in the turn that is not counted: an epoch of 390 steps would not feel them
    def prepared(count: int):
        return plain_loader(images.take(count), batch_size)

    def epoch(steps: int) -> int:
        nonlocal done
        loader = prepared(min(len(images), steps * batch_size))
        model.train()
        for batch, labels in loader:
            if recipe:
                optimizer.param_groups[0]["lr"], done = learning_rate(done, total, recipe), done + 1
            batch, labels = batch.to(device), labels.to(device)
            logits = model(batch)
            loss = F.cross_entropy(logits, labels)
            if teacher is not None:
                loss = distillation_loss(logits, teacher(batch), labels, 1.0, 0.5).total
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()  # the running loss that a progress bar shows
        return len(loader.dataset)

    epoch.model = model
    return epoch


def plain_loader(images: ImageSet, batch_size: int):
    """torchvision's transforms, image by image, in a DataLoader with as many workers as there are cores, at most 8."""
    from torch.utils.data import DataLoader
    from torchvision import transforms

    transform = transforms.Compose(
        [
            transforms.ToPILImage(),
            transforms.RandomCrop(32, padding=PADDING),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    pairs = [(image, int(label)) for image, label in zip(images.images, images.labels, strict=True)]
    samples = _Transformed(pairs, transform)
    workers = min(8, os.cpu_count() or 1)
    return DataLoader(samples, batch_size, shuffle=True, num_workers=workers, persistent_workers=True)


class _Transformed(torch.utils.data.Dataset):
    """Image and label pairs behind a transform."""

    def __init__(self, pairs, transform):
        self.pairs, self.transform = pairs, transform

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int):
        image, label = self.pairs[index]
        return self.transform(image), label


def make_teacher(names: tuple[str, ...]) -> nn.Module:
    """One teacher or an ensemble, with random weights: speed does not ask what they know."""
    teachers = [Teacher(create_model(name, seed=0)) for name in names]
    return teachers[0] if len(teachers) == 1 else Ensemble(teachers)


def timm_model(name: str) -> nn.Module:
    """timm's network of that name for ten classes, its stem without stride as ours has it for 32 x 32 images.

    Raises:
        CourseError: timm is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise CourseError(
            "timm is not installed, the peer of one row: pip install timm, or name other tasks"
        ) from error
    model = timm.create_model(name, num_classes=10)
    model.conv_stem.stride = (1, 1)
    return model


def time_augmentation(images: ImageSet, batch_size: int, rows: list[dict], device: torch.device) -> dict:
    """Seconds to cut, flip and normalise a batch, and its share in a step of the first task."""
    views = loop.draw_views(batch_size, torch.Generator().manual_seed(0), device)
    batch = images.images[torch.arange(batch_size) % len(images)].to(device)
    seconds = median_seconds(lambda: loop.normalise(loop.crop_and_flip(batch, views)), 20, device)
    step = batch_size / rows[0]["engine_images_per_second"]
    return {"seconds": seconds, "share_of_a_step": seconds / step, "step_of": rows[0]["task"]}


def time_together(task: Task, copies: int, batch_size: int, steps: int, device: torch.device) -> dict:
    """Images a second of one run alone and of ``copies`` at once: a process each, as the study's workers are."""
    alone = sum(_speeds_of_processes(task, 1, batch_size, steps, device))
    at_once = _speeds_of_processes(task, copies, batch_size, steps, device)
    return {
        "task": task.name,
        "copies": copies,
        "alone": round(alone, 1),
        "at_once": [round(speed, 1) for speed in at_once],
        "ratio": round(sum(at_once) / alone, 2),
    }


def _speeds_of_processes(task: Task, copies: int, batch_size: int, steps: int, device: torch.device) -> list[float]:
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(copies, mp_context=context) as pool:
        start = manager.Barrier(copies, timeout=900)  # compiling takes minutes; a copy that died must not be awaited
        threads = max(1, torch.get_num_threads() // copies)
        runs = [pool.submit(_speed_from, start, task, batch_size, steps, str(device), threads) for _ in range(copies)]
        return [run.result() for run in runs]


def _speed_from(start, task: Task, batch_size: int, steps: int, device: str, threads: int) -> float:
    """Images a second of a run whose timed steps begin when all copies have warmed up; in a process of its own."""
    torch.set_num_threads(threads)
    place = torch.device(device)
    images = sample(batch_size * steps)
    epoch = engine_run(task, images, batch_size, place)
    epoch(steps)
    start.wait()
    started = time.perf_counter()
    seen = sum(epoch(steps) for _ in range(3))
    finish_pending_work(place)
    return seen / (time.perf_counter() - started)


def time_folded(batch_size: int) -> dict:
    """Seconds of a forward pass of GN-S 1.0x in eval mode on the CPU: training form as written, and folded."""
    model = create_model("gn-s", width=1.0, seed=0).eval()
    folded = fold(model).to(memory_format=torch.channels_last)
    repeats = 20 if batch_size == 1 else 3
    pairs = [[latency_ms(form, batch_size, repeats=repeats) / 1000 for form in (model, folded)] for _ in range(3)]
    plain, fast = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(slow / quick for slow, quick in pairs)
    return {"batch_size": batch_size, "training_form": plain, "folded": fast, "ratio": round(ratio, 2)}


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


class _Reached(Exception):
    """The accuracy is there: nothing more is trained."""


def until(percent: float, recipe: Recipe, dataset: Dataset, task: Task = TASKS[0], device=None) -> dict:
    """Minutes until ``task``'s student answers ``percent`` of ``dataset.test`` rightly after an epoch, by both loops.

    The course's loop has ``recipe``; the plain one the paper's settings over as many epochs. Returns for each
    ``minutes`` (None where it never got there) and ``epochs``: accuracy and minutes from the start after each.
    """
    device = device or loop.default_device()
    rows: dict[str, list] = {"engine": [], "plain": []}

    def note(name: str, accuracy: float, minutes: float) -> None:
        rows[name].append([round(accuracy, 2), round(minutes, 2)])
        print(f"{name:<7} epoch {len(rows[name])}: {accuracy:.2f} % after {minutes:.2f} min", flush=True)
        if accuracy >= percent:
            raise _Reached

    def by_engine() -> None:
        started, student = time.perf_counter(), create_model(task.student, width=task.width, seed=recipe.seed)
        minutes = lambda: (time.perf_counter() - started) / 60  # noqa: E731
        show = lambda row: note("engine", row["test_accuracy"], minutes())  # noqa: E731
        loop.train(student, dataset, recipe, device=device, progress=False, after_epoch=show)

    def by_plain() -> None:
        started, paper = time.perf_counter(), Recipe(epochs=recipe.epochs, seed=recipe.seed)
        epoch = plain_run(task, dataset.train, paper.batch_size, device, paper)
        for _ in range(paper.epochs):
            epoch(len(dataset.train))
            accuracy = loop.evaluate(epoch.model, dataset.test.to(device)).accuracy
            note("plain", accuracy, (time.perf_counter() - started) / 60)

    for train in (by_engine, by_plain):
        with contextlib.suppress(_Reached):
            train()
    reached = {name: next((at for accuracy, at in row if accuracy >= percent), None) for name, row in rows.items()}
    about = {"percent": percent, "recipe": dataclasses.asdict(recipe), "images": dataset.label}
    return about | {name: {"minutes": reached[name], "epochs": rows[name]} for name in rows}


def row_text(row: dict) -> str:
    """One line of the table."""
    low, high = row["ratio_range"]
    return (
        f"{row['task']:<45} {row['engine_images_per_second']:>9,.0f} {row['plain_images_per_second']:>9,.0f}"
        f"   {row['ratio']:>5.2f}x ({low:.2f} to {high:.2f})"
        f"   {row['engine_megabytes']:>7,} {row['plain_megabytes']:>7,} MB"
    )


def show(report: dict) -> None:
    """Print what stands below the table."""
    share = report["augmentation"]["share_of_a_step"]
    print(f"augmentation: {100 * share:.2f} % of a step of {report['augmentation']['step_of']}")
    for row in report["folded"]:
        times = f"{1e3 * row['training_form']:.1f} ms, folded {1e3 * row['folded']:.1f} ms"
        print(f"GN-S 1.0x answers a batch of {row['batch_size']}: {times}: {row['ratio']:.2f}x")
    if at_once := report["together"]:
        speeds = f"{at_once['alone']:,.0f} images/s alone, {sum(at_once['at_once']):,.0f} together"
        print(f"{at_once['copies']} runs at once, {at_once['task']}: {speeds}: {at_once['ratio']:.2f}x")


def tasks_named(names: list[str]) -> tuple[Task, ...]:
    """The tasks whose name holds one of ``names``. Raises ValueError where none does."""
    found = tuple(task for task in TASKS if any(name.lower() in task.name.lower() for name in names))
    if not found:
        raise ValueError(f"no task is called {', '.join(names)}: they are {'; '.join(task.name for task in TASKS)}")
    return found


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line. Raises ValueError where a number is out of range."""
    parser = argparse.ArgumentParser(prog="python -m course_lib bench", description=__doc__)
    parser.add_argument("tasks", nargs="*", help="words of the tasks' names, e.g. 1.0x; default: all")
    parser.add_argument("--turns", type=int, default=3, metavar="N", help="how often both loops take turns (default 3)")
    parser.add_argument("--steps", type=int, metavar="N", help="steps of a turn (default 100 on a GPU, 4 on the CPU)")
    parser.add_argument("--together", type=int, default=0, metavar="N", help="also time N runs at once")
    parser.add_argument("--batch-size", type=int, metavar="N", help="default 256 on a GPU, 128 on the CPU")
    parser.add_argument("--until", type=float, metavar="PERCENT", help="time both loops to this accuracy instead")
    parser.add_argument("--recipe", type=json.loads, default={}, metavar="JSON", help="what --until changes in SHORT")
    parser.add_argument("--test", action="store_true", help="--until asks the test images, not 5,000 held-out ones")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there as well")
    options = parser.parse_args(arguments)
    if min(options.turns, options.steps or 1, options.batch_size or 1) < 1 or options.together < 0:
        raise ValueError("--turns, --steps and --batch-size take a number from 1 on, --together one from 0 on")
    if options.until is not None and not 0 < options.until <= 100:
        raise ValueError(f"--until takes an accuracy in percent, above 0 and up to 100, not {options.until:g}")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Time what the command line asks for, print it as it grows, and write the JSON where ``--json`` says."""
    options = options_of(arguments)
    tasks = tasks_named(options.tasks) if options.tasks else TASKS
    if options.until is not None:
        dataset = load_dataset("cifar10", "full")
        if not options.test:
            fit, choose = split_validation(dataset)
            dataset = dataclasses.replace(dataset, train=fit, test=choose)
        report = {"machine": machine(loop.default_device())}
        report |= until(options.until, dataclasses.replace(SHORT, **options.recipe), dataset, tasks[0])
    else:
        print(f"{'':<45} {'engine':>9} {'plain':>9}   images a second; peak memory of each", flush=True)
        settings = {name: getattr(options, name) for name in ("turns", "steps", "batch_size", "together")}
        report = run(tasks, **settings)
        show(report)
    if options.json is not None:
        atomic_write(options.json, json.dumps(report, indent=1).encode())
        print(f"written to {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
