"""One training loop for baselines, distillation, assistants and ensembles.

What differs between them is only where the soft targets come from: nobody, one teacher, or the mean of several.
The loop follows the paper's recipe (data/paper/PROTOCOL.md, section 3): SGD with Nesterov momentum, linear warm-up
and cosine per step, evaluation after every epoch. All chance (order, crops, flips, dropout) follows from
``(seed, epoch)`` alone, so a run that was killed goes on from its checkpoint and ends, on the CPU, in the same weights
bit for bit.
"""

import dataclasses
import io
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.data import Dataset, ImageSet
from course_lib.data.augment import VIEWS, crop_and_flip, draw_views, normalise
from course_lib.errors import CheckpointError, TrainingError
from course_lib.files import atomic_write
from course_lib.training.engine import Engine, choose_engine, default_device
from course_lib.training.losses import LossTerms, distillation_loss
from course_lib.training.recipe import Recipe, learning_rate
from course_lib.training.teachers import RememberedTeacher, resize

CHECKPOINT_FORMAT = 1


class Evaluation(NamedTuple):
    """``accuracy`` in percent, mean cross-entropy ``loss`` and ``logits`` (N, classes) float32 on the CPU."""

    accuracy: float
    loss: float
    logits: Tensor


class TrainingRun(NamedTuple):
    """What a training leaves behind.

    ``history`` has one row an epoch (accuracies in percent, times in seconds), ``logits`` (N, classes) are the
    test logits after the last epoch, ``seconds`` is the wall time of all epochs with their evaluation.
    """

    history: list[dict]
    logits: Tensor
    seconds: float
    images_per_second: float


def train(
    model: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    *,
    teacher: nn.Module | RememberedTeacher | None = None,
    device: torch.device | str | None = None,
    engine: Engine | None = None,
    checkpoint: Path | str | None = None,
    name: str = "",
    progress: bool = True,
    input_size: int = 32,
    parameters: Callable[[nn.Module], Iterable] = nn.Module.parameters,
    after_epoch: Callable[[dict], None] | None = None,
) -> TrainingRun:
    """Train ``model`` on ``dataset.train`` in place and evaluate it on ``dataset.test`` after every epoch.

    Args:
        model: the network to train (the student, where there is a teacher).
        dataset: images and labels; moved to ``device`` as a whole.
        recipe: epochs, rates, seed; with a teacher also temperature and alpha.
        teacher: a ``distill`` Teacher, Ensemble or RememberedTeacher that has seen its training already; it is
            asked about the very views the student sees. Without one the loss is plain cross-entropy.
        device: default the GPU where there is one.
        engine: what makes it fast, default all that ``device`` offers; ``Engine(device)`` is the plain loop.
        checkpoint: file that is rewritten after every epoch. Where it exists, training goes on from it.
        name: what the progress line calls this run.
        progress: print one line an epoch.
        input_size: side in pixels the model wants its images resized to (224 for EfficientNetV2-S).
        parameters: what the optimizer trains; a group's ``lr_factor`` scales the rate for that group.
        after_epoch: called with the row of the history when the epoch is in the checkpoint. What it raises ends the
            training there; another call goes on with the next epoch.

    Raises:
        TrainingError: the loss is no longer finite, or the device's memory is full (the last good checkpoint stays).
        CheckpointError: ``checkpoint`` is damaged or belongs to another run.
    """
    device = torch.device(device) if device else default_device()
    engine = engine or choose_engine(device)
    network, dataset = Resized(model, input_size), dataset.to(device)
    forward = engine.for_training(network)
    if isinstance(teacher, nn.Module) and not getattr(teacher, "needs_rows", False):
        teacher = remembering(engine.for_answers(teacher.to(device)), dataset, device)
    for note in engine.notes if progress else ():
        print(f"note: {note}", flush=True)
    optimizer = make_optimizer(parameters(model), recipe, device)
    history = load_checkpoint(checkpoint, model, optimizer, recipe) if checkpoint else []
    if len(history) < recipe.epochs:
        engine.warm_up(forward, dataset.train.images[: recipe.batch_size])
    evaluation = None
    for epoch in range(len(history) + 1, recipe.epochs + 1):
        started = time.perf_counter()
        try:
            row = train_epoch(forward, optimizer, dataset.train, recipe, epoch, teacher, engine)
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"out of memory on {device} with batches of {recipe.batch_size} images: choose a smaller batch_size "
                "(another recipe, said so by the result) or stop what else runs there; the checkpoint stays"
            ) from error
        row["images_per_second"] = len(dataset.train) / (time.perf_counter() - started)
        evaluation = evaluate(engine.for_answers(forward), dataset.test, engine=engine)
        row |= {"test_loss": evaluation.loss, "test_accuracy": evaluation.accuracy}
        row["seconds"] = time.perf_counter() - started
        history.append(row)
        if checkpoint:
            save_checkpoint(checkpoint, model, optimizer, recipe, history)
        if progress:
            print_progress(name, row, recipe.epochs)
        if after_epoch:
            after_epoch(row)
    if evaluation is None:  # the checkpoint was of a finished run
        evaluation = evaluate(engine.for_answers(forward), dataset.test, engine=engine)
    seconds = sum(row["seconds"] for row in history)
    speeds = [row["images_per_second"] for row in history]
    return TrainingRun(history, evaluation.logits, seconds, statistics.median(speeds))


def remembering(teacher: nn.Module, dataset: Dataset, device: torch.device) -> nn.Module | RememberedTeacher:
    """``teacher`` with a memory for its answers on ``device``, unless that takes more than 1 GB (CIFAR-100 does)."""
    count, classes = len(dataset.train), dataset.num_classes
    if 4 * count * VIEWS * classes > 1e9:
        return teacher
    return RememberedTeacher(teacher, count, classes, device)


def make_optimizer(parameters: Iterable, recipe: Recipe, device: torch.device) -> torch.optim.SGD:
    """The paper's SGD; fused, so that all parameters are updated by one kernel."""
    return torch.optim.SGD(
        parameters, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0, fused=device.type in ("cpu", "cuda"),
    )  # fmt: skip


def train_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: ImageSet,
    recipe: Recipe,
    epoch: int,
    teacher=None,
    engine: Engine | None = None,
) -> dict:
    """One pass over ``images``; returns the history row with mean losses and training accuracy in percent.

    Raises:
        TrainingError: the loss is no longer finite.
    """
    device = images.images.device
    engine = engine or Engine(device)
    order, views, dropout_seed = draw_epoch(len(images), recipe, epoch)
    order, views = order.to(device), views.to(device)  # a whole epoch's draws at once: no copy in a step
    steps = math.ceil(len(images) / recipe.batch_size)
    sums = torch.zeros(4, device=device)  # total, hard, soft, right answers: kept on the device, no wait in a step
    if isinstance(teacher, RememberedTeacher):
        with engine.autocast():
            teacher.prepare(images.images, order, views)
    network.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(dropout_seed)
        for step in range(steps):
            torch.compiler.cudagraph_mark_step_begin()  # a CUDA graph may now overwrite what the last step left
            place = slice(step * recipe.batch_size, (step + 1) * recipe.batch_size)
            rows, shown = order[place], views[place]
            batch, labels = normalise(crop_and_flip(images.images[rows], shown)), images.labels[rows]
            for group in optimizer.param_groups:
                rate = learning_rate((epoch - 1) * steps + step, recipe.epochs * steps, recipe)
                group["lr"] = rate * group.get("lr_factor", 1.0)
            optimizer.zero_grad(set_to_none=True)  # before the forward pass: its graph may lie where gradients lay
            with engine.autocast():
                logits = network(batch)
                terms = loss_of_batch(logits, labels, recipe, teacher, batch, rows, shown)
            terms.total.backward()
            optimizer.step()
            right = (logits.detach().argmax(dim=1) == labels).sum()
            sums += torch.stack([*(term.detach() * len(rows) for term in terms), right])
    total, hard, soft, right = (sums / len(images)).tolist()
    if not math.isfinite(total):
        raise TrainingError(
            f"the loss became {total} in epoch {epoch}: try a lower learning rate than {recipe.lr}; "
            "the checkpoint of the epoch before is untouched"
        )
    losses = {"train_loss": total, "hard_loss": hard, "soft_loss": soft}
    return {"epoch": epoch, "lr": rate, **losses, "train_accuracy": 100 * right}


def loss_of_batch(logits, labels, recipe: Recipe, teacher, batch, rows, views) -> LossTerms:
    """Eq. 1 with a teacher; plain cross-entropy without one."""
    if teacher is None:
        hard = F.cross_entropy(logits, labels)
        return LossTerms(hard, hard, torch.zeros_like(hard))
    if getattr(teacher, "needs_rows", False):
        answer = teacher(batch, rows, views)
    else:
        answer = teacher(batch)
    return distillation_loss(logits, answer, labels, recipe.temperature, recipe.alpha)


def draw_epoch(count: int, recipe: Recipe, epoch: int) -> tuple[Tensor, Tensor, int]:
    """All chance of one epoch: order (count,), views (count, 3) by place in the order, and a seed for dropout."""
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
    order = torch.randperm(count, generator=generator) if recipe.shuffle else torch.arange(count)
    views = draw_views(count, generator)
    return order, views, int(torch.randint(2**31, (1,), generator=generator))


@torch.no_grad()
def evaluate(model: nn.Module, images: ImageSet, batch_size: int = 500, engine: Engine | None = None) -> Evaluation:
    """Accuracy, loss and logits of ``model`` on ``images``, in eval mode; the model's mode is put back after."""
    engine = engine or Engine(images.images.device)
    was_training = model.training
    model.eval()
    with engine.autocast():
        logits = torch.cat([model(normalise(chunk)).float() for chunk in images.images.split(batch_size)])
    model.train(was_training)
    loss = F.cross_entropy(logits, images.labels).item()
    accuracy = 100 * (logits.argmax(dim=1) == images.labels).double().mean().item()
    return Evaluation(accuracy, loss, logits.cpu())


class Resized(nn.Module):
    """``model`` behind a resize to ``size`` x ``size`` pixels, so that the loop can stay with 32 x 32."""

    def __init__(self, model: nn.Module, size: int):
        super().__init__()
        self.model, self.size = model, size

    def forward(self, images: Tensor) -> Tensor:
        return self.model(resize(images, self.size).contiguous(memory_format=torch.channels_last))


def save_checkpoint(path: Path | str, model, optimizer, recipe: Recipe, history: list[dict]) -> None:
    """Write weights, optimizer and history aside, then move them into place. Raises CourseError on a full disk."""
    buffer = io.BytesIO()
    torch.save(
        {
            "format": CHECKPOINT_FORMAT,
            "recipe": dataclasses.asdict(recipe),
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "history": history,
        },
        buffer,
    )
    atomic_write(Path(path), buffer.getvalue())


def load_checkpoint(path: Path | str, model, optimizer, recipe: Recipe) -> list[dict]:
    """Put a checkpoint's weights and optimizer state in place and return its history; [] where there is none.

    Raises:
        CheckpointError: the file is torn, of another architecture or of another recipe.
    """
    path = Path(path)
    if not path.exists():
        return []
    state = read_checkpoint(path)
    if state["recipe"] != dataclasses.asdict(recipe):
        raise CheckpointError(f"{path} was made with another recipe: delete it or choose another name")
    try:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path} holds another architecture: delete it or choose another name") from error
    return state["history"]


def read_checkpoint(path: Path | str) -> dict:
    """The contents of a checkpoint, on the CPU. Raises CheckpointError where it is missing, torn or foreign."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint {path}: run the study that makes it") from error
    except Exception as error:  # torn in the middle of a pickle, it can fail in any way there is
        raise CheckpointError(f"{path} is damaged and cannot be read: delete it, the run starts again") from error
    if not isinstance(state, dict) or state.get("format") != CHECKPOINT_FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of this course: delete it or choose another name")
    return state


def print_progress(name: str, row: dict, epochs: int) -> None:
    """One line for the epoch just finished, with the time that is left at this pace."""
    left = (epochs - row["epoch"]) * row["seconds"]
    print(
        f"{name:<24} epoch {row['epoch']:>3}/{epochs}  loss {row['train_loss']:.3f}  "
        f"train {row['train_accuracy']:5.2f} %  test {row['test_accuracy']:5.2f} %  "
        f"{row['images_per_second']:,.0f} images/s  {left:,.0f} s left",
        file=sys.stdout,
        flush=True,
    )
