"""One training loop for baselines, distillation, assistants and ensembles.

What differs between them is only where the soft targets come from: nobody, one teacher, or the mean of several. The
loop follows the paper's recipe (data/paper/PROTOCOL.md, section 3): SGD with Nesterov momentum, linear warm-up and
cosine per step, evaluation after every epoch. All chance (order, crops, flips, dropout) follows from ``(seed, epoch)``
alone, so a run that was killed goes on from its checkpoint and ends, on the CPU, in the same weights bit for bit.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.data import Dataset, ImageSet
from course_lib.data.augment import PADDING, VIEWS, crop_and_flip, draw_views, normalise
from course_lib.files import TrainingError
from course_lib.models.cost import eval_mode
from course_lib.training.checkpoint import read_checkpoint, resume, save_checkpoint
from course_lib.training.engine import Engine, choose_engine, default_device, memory_is_full
from course_lib.training.losses import LossTerms, distillation_loss
from course_lib.training.recipe import Recipe, learning_rate
from course_lib.training.teachers import Answering, Ensemble, RememberedTeacher, Teacher, as_teacher, digest_of, resize


class Evaluation(NamedTuple):
    """``accuracy`` in percent, mean cross-entropy ``loss`` and ``logits`` (N, classes) float32 on the CPU."""

    accuracy: float
    loss: float
    logits: Tensor


class TrainingRun(NamedTuple):
    """One row of ``history`` an epoch (accuracies in percent, times in seconds), the test ``logits`` (N, classes) after
    the last one, and the wall time of all epochs with their evaluation.
    """

    history: list[dict]
    logits: Tensor
    seconds: float
    images_per_second: float


def train(
    model: nn.Module, dataset: Dataset, recipe: Recipe, *, teacher: nn.Module | None = None,
    device: torch.device | str | None = None, engine: Engine | None = None, checkpoint: Path | str | None = None,
    name: str = "", progress: bool = True, input_size: int = 32,
    parameters: Callable[[nn.Module], Iterable] = nn.Module.parameters,
    after_epoch: Callable[[dict], None] | None = None,
) -> TrainingRun:  # fmt: skip
    """Train ``model`` on ``dataset.train`` in place and evaluate it on ``dataset.test`` after every epoch.

    Args:
        model: the network to train (the student, where there is a teacher).
        dataset: images and labels; moved to ``device`` as a whole.
        recipe: epochs, rates, seed; with a teacher also temperature and alpha.
        teacher: a trained network, or one of ``teachers``: it is asked about the very views the student sees. Without
            one the loss is plain cross-entropy.
        device: default the GPU where there is one.
        engine: what makes it fast, default all that ``device`` offers; ``Engine(device)`` is the plain loop.
        checkpoint: file that is rewritten after every epoch, and from which training goes on; on a CPU with as many
            threads as it began with, since sums are taken thread by thread.
        name: what the line of ``progress``, one an epoch, calls this run.
        input_size: side in pixels the model wants its images resized to (224 for EfficientNetV2-S).
        parameters: what the optimizer trains; a group's ``lr_factor`` scales the rate for that group.
        after_epoch: called with the row of the history when the epoch is in the checkpoint; it may raise to end there.

    Raises:
        ValueError: there is nothing to train or to evaluate on, or first weights are not finite.
        TrainingError: the loss is no longer finite, or the device's memory is full (the last good checkpoint stays).
        CheckpointError: ``checkpoint`` is damaged or belongs to another run, teacher or other images.
    """
    _check(model, dataset)
    device = torch.device(device) if device else default_device()
    engine, teacher = engine or choose_engine(device), as_teacher(teacher)
    for note in engine.notes if progress else ():
        print(f"note: {note}", flush=True)
    with ExitStack() as stack:
        stack.enter_context(_told_in_one_line(device, recipe, len(dataset.train), dataset.num_classes))
        state = read_checkpoint(checkpoint) if checkpoint and Path(checkpoint).exists() else None
        before, began_with = torch.get_num_threads(), (state or {}).get("threads")  # an older checkpoint has none
        if device.type == "cpu" and began_with not in (None, before):
            if progress:
                print(f"note: this run began with {began_with} threads, not {before}, and so it goes on", flush=True)
            torch.set_num_threads(began_with)
            stack.callback(torch.set_num_threads, before)
        made_of = _made_of(dataset, teacher) if checkpoint else {}
        network, dataset = Resized(model, input_size), dataset.to(device)
        forward = engine.for_training(network)
        teacher = None if teacher is None else teacher.to(engine.device)
        if isinstance(teacher, Teacher | Ensemble):  # whose answer follows from image and view: folded and remembered
            teacher = remembering(engine.for_answers(teacher), dataset)
        optimizer = make_optimizer(parameters(model), recipe, device)
        history = resume(checkpoint, state, model, optimizer, recipe, made_of) if state else []
        if len(history) < recipe.epochs:
            engine.warm_up(forward, dataset.train.images[: recipe.batch_size])
        evaluation = None
        for epoch in range(len(history) + 1, recipe.epochs + 1):
            started = time.perf_counter()
            row = train_epoch(forward, optimizer, dataset.train, recipe, epoch, teacher, engine)
            row["images_per_second"] = len(dataset.train) / (time.perf_counter() - started)
            evaluation = evaluate(engine.for_answers(forward), dataset.test, engine=engine)
            row |= {"test_loss": evaluation.loss, "test_accuracy": evaluation.accuracy}
            row["seconds"] = time.perf_counter() - started
            history.append(row)
            if checkpoint:
                threads = torch.get_num_threads() if device.type == "cpu" else None
                save_checkpoint(checkpoint, model, optimizer, recipe, history, made_of=made_of, threads=threads)
            if progress:
                print_progress(name, row, recipe.epochs)
            if after_epoch:
                after_epoch(row)
        if evaluation is None:  # the checkpoint was of a finished run
            evaluation = evaluate(engine.for_answers(forward), dataset.test, engine=engine)
    seconds = sum(row["seconds"] for row in history)
    speeds = [row["images_per_second"] for row in history]
    return TrainingRun(history, evaluation.logits, seconds, statistics.median(speeds))


def _check(model: nn.Module, dataset: Dataset) -> None:
    """What would else end a training late, or not at all."""
    if not (len(dataset.train) and len(dataset.test)):
        counts = f"{len(dataset.train)} training and {len(dataset.test)} test images"
        raise ValueError(f"{counts}: there must be some of both, to train on and to evaluate")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("no parameter of the network may be trained: it has none, or has been made a Teacher")
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            raise ValueError(f"the network's first weights are not finite ({name}): take others")


@contextmanager
def _told_in_one_line(device: torch.device, recipe: Recipe, images: int, classes: int) -> Iterator[None]:
    """Turn what torch says in many words of a full memory, too small a batch or other classes into a TrainingError."""
    try:
        yield
    except (MemoryError, RuntimeError, ValueError, IndexError) as error:
        size, last = recipe.batch_size, images % recipe.batch_size or recipe.batch_size
        if memory_is_full(error):
            said = (f"out of memory on {device} with batches of {size} images: choose a smaller batch_size (another "
                    "recipe, said so by the result) or stop what else runs there; the checkpoint stays")  # fmt: skip
        elif "more than 1 value per channel" in str(error):
            said = ("a batch was too small for the network's batch norms, which need two values a channel: "
                    f"{images} images in batches of {size} leave {last} in the last; take another size")  # fmt: skip
        elif "is out of bounds" in str(error):
            said = f"the network answers with too few classes ({error}): create it with num_classes={classes}"
        else:
            raise
        raise TrainingError(said) from error


def _made_of(dataset: Dataset, teacher: Answering | None) -> dict[str, str]:
    """Digests by which a checkpoint of another teacher, or of other images, is told."""
    sets = {"train": dataset.train, "test": dataset.test}
    images = {f"{name} {part}": getattr(some, part) for name, some in sets.items() for part in ("images", "labels")}
    return {"images": digest_of(images), "teacher": "nobody" if teacher is None else teacher.digest()}


def remembering(
    teacher: Answering, dataset: Dataset, device: torch.device | None = None, folder: Path | None = None
) -> Answering:
    """``teacher`` with a memory for its answers beside the images, unless that takes more than 1 GB.

    On a CPU, ``folder`` is where the memory is kept for the next training with this teacher and these images.
    """
    count, classes = len(dataset.train), dataset.num_classes
    device = device or dataset.train.images.device
    if 4 * count * VIEWS * classes > 1e9:
        return teacher
    if folder is None or device.type != "cpu":
        return RememberedTeacher(teacher, count, classes, device)
    asked = digest_of({teacher.digest(): dataset.train.images})
    return RememberedTeacher(teacher, count, classes, file=Path(folder) / f"{asked[:32]}.float16")


def make_optimizer(parameters: Iterable, recipe: Recipe, device: torch.device) -> torch.optim.SGD:
    """The paper's SGD; fused, so that all parameters are updated by one kernel."""
    optimizer = torch.optim.SGD(
        parameters, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0, fused=device.type in ("cpu", "cuda"),
    )  # fmt: skip
    for group in () if recipe.decay_norms else tuple(optimizer.param_groups):
        single = [parameter for parameter in group["params"] if parameter.ndim <= 1]  # of batch norms, and biases
        group["params"] = [parameter for parameter in group["params"] if parameter.ndim > 1]
        optimizer.add_param_group(group | {"params": single, "weight_decay": 0.0})
    return optimizer


def train_epoch(
    network: nn.Module, optimizer: torch.optim.Optimizer, images: ImageSet, recipe: Recipe, epoch: int,
    teacher: nn.Module | None = None, engine: Engine | None = None,
) -> dict:  # fmt: skip
    """One pass over ``images``; returns the history row with mean losses and training accuracy in percent.

    Raises TrainingError where the loss is no longer finite.
    """
    device = images.images.device
    engine, teacher = engine or Engine(device), as_teacher(teacher)
    order, views, dropout_seed = draw_epoch(len(images), recipe, epoch)
    order, views = order.to(device), views.to(device)  # a whole epoch's draws at once: no copy in a step
    steps = math.ceil(len(images) / recipe.batch_size)
    sums = torch.zeros(4, device=device)  # total, hard, soft, right answers: kept on the device, no wait in a step
    if teacher is not None:
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
                answer = None if teacher is None else teacher.answer(batch, rows, shown)
                terms = loss_of_batch(logits, labels, recipe, answer)
            terms.total.backward()
            optimizer.step()
            right = (logits.detach().argmax(dim=1) == labels).sum()
            sums += torch.stack([*(term.detach() * len(rows) for term in terms), right])
        total, hard, soft, right = (sums / len(images)).tolist()
        if not math.isfinite(total):
            with engine.autocast():
                cause = _why_not_finite(teacher, images.images, order.split(recipe.batch_size), views, recipe)
            raise TrainingError(f"the loss became {total} in epoch {epoch}: {cause}; no checkpoint of it was written")
    losses = {"train_loss": total, "hard_loss": hard, "soft_loss": soft}
    return {"epoch": epoch, "lr": rate, **losses, "train_accuracy": 100 * right}


def _why_not_finite(teacher: Answering | None, images: Tensor, batches, views: Tensor, recipe: Recipe) -> str:
    """The cause, as far as looking finds one: the teacher is asked once more about the epoch's ``batches`` of rows."""
    shown = views.split(recipe.batch_size)
    for rows, some in zip(batches, shown, strict=True) if teacher is not None else ():
        answer = teacher.answer(normalise(crop_and_flip(images[rows], some)), rows, some)
        if answer.isnan().any() or (answer == torch.inf).any() or (answer == -torch.inf).all(dim=1).any():
            return "the teacher's answers are not finite; look at its weights and at how it was trained"
    others = "the images" if teacher is None else "the images and the teacher's answers"
    return f"{others} are finite, so it comes from the network's own steps: try a lower rate than lr={recipe.lr:g}"


def loss_of_batch(logits: Tensor, labels: Tensor, recipe: Recipe, answer: Tensor | None) -> LossTerms:
    """Eq. 1 with a teacher's ``answer``, logits (N, classes) too; plain cross-entropy without one."""
    if answer is None:
        hard = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        return LossTerms(hard, hard, torch.zeros_like(hard))
    return distillation_loss(logits, answer, labels, recipe.temperature, recipe.alpha, recipe.label_smoothing)


def draw_epoch(count: int, recipe: Recipe, epoch: int) -> tuple[Tensor, Tensor, int]:
    """All chance of one epoch: order (count,), views (count, 3) by place in the order, and a seed for dropout."""
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
    order = torch.randperm(count, generator=generator) if recipe.shuffle else torch.arange(count)
    views = draw_views(count, generator)
    if recipe.shift < PADDING:
        offsets = torch.randint(2 * recipe.shift + 1, (count, 2), generator=generator)
        views[:, :2] = PADDING - recipe.shift + offsets
    if recipe.flips == "alternating":
        first = torch.randint(2, (count,), generator=torch.Generator().manual_seed(recipe.seed))
        views[:, 2] = (first[order] + epoch) % 2
    return order, views, int(torch.randint(2**31, (1,), generator=generator))


@torch.no_grad()
def evaluate(model: nn.Module, images: ImageSet, batch_size: int = 500, engine: Engine | None = None) -> Evaluation:
    """Accuracy, loss and logits of ``model`` on ``images``, in eval mode; the model's mode is put back after.

    Raises ValueError where there are no images.
    """
    if not len(images):
        raise ValueError("there are no images to evaluate on: take more, or another split")
    engine = engine or Engine(images.images.device)
    with eval_mode(model), engine.autocast():
        logits = torch.cat([model(normalise(chunk)).float() for chunk in images.images.split(batch_size)])
    loss = F.cross_entropy(logits, images.labels).item()
    accuracy = 100 * ((logits.argmax(dim=1) == images.labels).sum().item() / len(images))
    return Evaluation(accuracy, loss, logits.cpu())


class Resized(nn.Module):
    """``model`` behind a resize to ``size`` x ``size`` pixels, so that the loop can stay with 32 x 32."""

    def __init__(self, model: nn.Module, size: int):
        super().__init__()
        self.model, self.size = model, size

    def forward(self, images: Tensor) -> Tensor:
        return self.model(resize(images, self.size).contiguous(memory_format=torch.channels_last))


def print_progress(name: str, row: dict, epochs: int) -> None:
    """One line for the epoch just finished, with the time that is left at this pace."""
    left = (epochs - row["epoch"]) * row["seconds"]
    accuracies = f"train {row['train_accuracy']:5.2f} %  test {row['test_accuracy']:5.2f} %"
    pace = f"{row['images_per_second']:,.0f} images/s  {left:,.0f} s left"
    start = f"{name:<24} epoch {row['epoch']:>3}/{epochs}  loss {row['train_loss']:.3f}"
    print(f"{start}  {accuracies}  {pace}", flush=True)
