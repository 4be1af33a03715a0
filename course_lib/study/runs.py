"""What a run is, what it is made of (images, fresh network, trained teachers), and how it is trained.

A run's weights live in ``data/cache/checkpoints`` (not in git) and are written after every epoch: a student needs its
teacher's weights, and a teacher whose weights are missing is trained again.
"""

import functools
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from course_lib.data import Dataset, load_dataset
from course_lib.files import CheckpointError, CourseError, repo_path, sha256_of
from course_lib.models.cost import count_parameters
from course_lib.models.state import fill
from course_lib.models.weights import load_published, published_path
from course_lib.models.zoo import create_model
from course_lib.profiles import Profile
from course_lib.study import protocols, store
from course_lib.study.experiments import PRETRAINED, PUBLISHED, Experiment, find, run_id
from course_lib.study.progress import Budget, LiveLine
from course_lib.study.protocols import fed_size, linear_std, origin, teacher_sees, training_recipe
from course_lib.study.scraps import OwnCropTeacher, ScrapTeacher
from course_lib.training.engine import choose_engine, default_device
from course_lib.training.loop import TrainingRun, read_checkpoint, remembering, train
from course_lib.training.recipe import Recipe
from course_lib.training.teachers import Answering, Ensemble, Teacher

HEAD = "classifier"  # EfficientNetV2-S's last part: made anew for fine-tuning, and trained at the full rate
BACKBONE_FACTOR = 0.1  # PROTOCOL.md, 4.5
IMAGENET = "torchvision EfficientNet_V2_S_Weights.IMAGENET1K_V1, new classifier"
FROM_SCRATCH = "Kaiming-normal, fan-out"
# Steps from which on it pays to compile a network on a GPU, which takes a minute or more: a guess. None has tried it.
LONG = 5_000


@dataclass(frozen=True)
class Run:
    """One network to train: a row of a table under one protocol from one seed.

    Attributes:
        key: the row, see ``experiments.ROWS``.
        profile: how much is trained.
        recipe: the protocol it is trained and stored under (``protocols.origin``).
        seed: of weights, order, crops and flips; its teachers have the same one.
    """

    key: str
    profile: Profile
    recipe: str = "paper"
    seed: int = 0

    @property
    def experiment(self) -> Experiment:
        return find(self.key)

    @property
    def name(self) -> str:
        """The run's identity, and its file name."""
        return run_id(self.key, profile=self.profile.name, recipe=self.recipe, seed=self.seed)

    @property
    def teachers(self) -> tuple["Run", ...]:
        """The runs whose networks this one learns from."""
        keys = self.experiment.teachers
        return tuple(Run(key, self.profile, origin(key, self.recipe), self.seed) for key in keys)

    @property
    def settings(self) -> Recipe:
        """Epochs, rates, temperature, alpha and shuffling that it is trained with."""
        return training_recipe(self.experiment, self.profile, self.seed, self.recipe)

    @property
    def images(self) -> int:
        """How many different images it trains on."""
        return round(self.profile.train_images * protocols.PROTOCOLS[self.recipe].share)

    @property
    def result(self) -> Path:
        """Where its result lies in the store."""
        return store.result_path(self.name, self.profile.name)

    @property
    def is_long(self) -> bool:
        """Whether a GPU should compile the network first."""
        return self.settings.epochs * self.profile.train_images / self.settings.batch_size >= LONG

    @property
    def checkpoint(self) -> Path:
        """Where its weights lie on this machine."""
        file = repo_path("data", "cache", "checkpoints", f"{self.name}.pt")
        return published_path(self.key) if self.key in PUBLISHED else file

    def __str__(self) -> str:
        if self.key in PUBLISHED:
            return f"{self.key} (published)"
        recipe = "" if self.recipe == "paper" else f", {self.recipe}"
        return f"{self.key}{recipe}, seed {self.seed}"


def with_teachers(runs: Iterable[Run]) -> list[Run]:
    """``runs`` and every run they learn from, teachers first, none twice; networks that are published are no runs."""
    ordered: dict[Run, None] = {}
    for run in runs:
        ordered |= dict.fromkeys([*with_teachers(run.teachers), run])
    return [run for run in ordered if run.key not in PUBLISHED]


@functools.lru_cache(maxsize=1)
def study_data(profile: Profile, images: int) -> Dataset:
    """As many training and test images as the profile says, of its subset; of the former only ``images`` differ."""
    dataset = load_dataset("cifar10", profile.subset)
    train, test = dataset.train.take(images), dataset.test.take(profile.asked_images)
    if images < profile.train_images:
        train = train[torch.arange(profile.train_images) % images]
    return replace(dataset, train=train, test=test)


def new_student(run: Run, num_classes: int) -> tuple[nn.Module, str]:
    """The run's network before its first step, and in words where its weights come from.

    Those of ImageNet are fetched once, and checked against the SHA-256 in their name (OSError or RuntimeError if not).
    """
    row, std = run.experiment, linear_std(run.experiment)
    model = create_model(row.student, width=row.width, num_classes=num_classes, seed=run.seed, linear_std=std)
    if run.key == PRETRAINED:
        from torchvision.models import EfficientNet_V2_S_Weights

        state = EfficientNet_V2_S_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
        weights = {name: value for name, value in state.items() if not name.startswith(HEAD)}
        model.load_state_dict(weights, strict=False)
        return model, IMAGENET
    return model, FROM_SCRATCH + (f"; linear layers normal, s.d. {std:g}" if std else "")


def head_and_backbone(model: nn.Module) -> list[dict]:
    """What fine-tuning hands the optimizer: the head at the full rate, the backbone at a tenth of it."""
    parts: tuple[list, list] = ([], [])
    for name, value in model.named_parameters():
        parts[name.startswith(HEAD)].append(value)
    return [{"params": parts[True]}, {"params": parts[False], "lr_factor": BACKBONE_FACTOR}]


def is_trained(run: Run) -> bool:
    """Whether the run's weights lie on this machine, finished and trained with the run's own settings."""
    return run.key in PUBLISHED or len(epoch_seconds(run)) == run.settings.epochs


def epoch_seconds(run: Run) -> list[float]:
    """How long each epoch took that the run's checkpoint holds; [] where there is none of its settings."""
    return [epoch["seconds"] for epoch in _history(run.checkpoint, _changed(run), run.settings)]


def _changed(run: Run) -> int:
    """When its weights were written, in nanoseconds; 0 where there are none."""
    return run.checkpoint.stat().st_mtime_ns if run.checkpoint.exists() else 0


@functools.lru_cache(maxsize=1024)
def _history(path: Path, changed: int, settings: Recipe) -> list[dict]:
    """That of a checkpoint, read once as long as the file stays; [] where that is damaged, or of other settings."""
    try:
        state = read_checkpoint(path)
    except CourseError:
        return []
    return state["history"] if state["recipe"] == asdict(settings) else []


def load_teacher(run: Run, num_classes: int = 10) -> Teacher:
    """The last-epoch weights of a finished run, or those that are published, as a Teacher.

    Raises CheckpointError where there are none, or they are unfinished, damaged, of another network or other settings.
    """
    if run.key in PUBLISHED:
        return Teacher(load_published(run.key))
    state, row, path = read_checkpoint(run.checkpoint), run.experiment, run.checkpoint
    if state["recipe"] != asdict(run.settings):
        raise CheckpointError(f"{path} was trained with other settings than {run} has now: delete it and run it again")
    if len(state["history"]) < run.settings.epochs:
        raise CheckpointError(f"{path} is of an unfinished run: run the study for {run.key!r} first")
    model = create_model(row.student, width=row.width, num_classes=num_classes)
    fill(model, state["model"], path)
    return Teacher(model, fed_size(row))


def teacher_of(run: Run) -> Answering | None:
    """Whom the run learns from: nobody, one network, or the mean of several; on the device that trains.

    The last one is kept with what it has answered, for the next student of the same teachers. Raises CheckpointError
    as ``load_teacher`` does.
    """
    sees = teacher_sees(run.experiment, run.recipe)
    return _teacher(run.teachers, tuple(map(_changed, run.teachers)), sees, run.images) if run.teachers else None


@functools.lru_cache(maxsize=1)
def _teacher(runs: tuple[Run, ...], changed: tuple[int, ...], sees: str, images: int) -> Answering:
    dataset, device = study_data(runs[0].profile, images), default_device()
    teachers = [load_teacher(run, dataset.num_classes) for run in runs]
    teacher = (teachers[0] if len(teachers) == 1 else Ensemble(teachers)).to(device)
    if sees == protocols.SCRAPS:
        return ScrapTeacher(teacher)
    folder = None if dataset.subset == "sample" else repo_path("data", "cache", "answers")  # small sets pay nothing
    remembered = remembering(choose_engine(device).for_answers(teacher), dataset, device, folder)
    return OwnCropTeacher(remembered) if sees == protocols.OWN_CROP else remembered


def told_about(teacher: Run) -> dict:
    """What a student's result says of a teacher: run, epochs and last accuracy in percent, or whose weights it has."""
    if teacher.key in PUBLISHED:
        return {"run": teacher.name, "weights": f"published, SHA-256 {sha256_of(teacher.checkpoint)}"}
    history = _history(teacher.checkpoint, _changed(teacher), teacher.settings)
    return {"run": teacher.name, "epochs": len(history), "last_accuracy": history[-1]["test_accuracy"]}


class OutOfTime(CourseError):
    """The budget does not hold another epoch; the run goes on from its checkpoint next time."""


class Answer(NamedTuple):
    """What the training of a run comes back with: one line on how it ended, its ``result``, not stored yet (None where
    the time did not suffice), and its ``checkpoint``, where that was written on another machine.
    """

    words: str
    result: dict | None = None
    checkpoint: bytes | None = None


def train_run(run: Run, budget: Budget, live: LiveLine, *, again: bool = False) -> Answer:
    """Train to the end from the run's seed, or from its checkpoint on; its teachers must be trained.

    Args:
        budget: after an epoch, the next one is only begun where the budget holds it.
        live: shows each epoch.
        again: begin anew; the older checkpoint stays until the first new epoch is safe.

    Raises CourseError where a teacher's weights are missing, the loss diverged, or a file cannot be read or written.
    """
    dataset, row, training, device = study_data(run.profile, run.images), run.experiment, run.settings, default_device()
    model, first_weights = new_student(run, dataset.num_classes)
    parameters, written, engine = count_parameters(model), run.checkpoint, choose_engine(device)
    if again:
        written = run.checkpoint.with_name(f"{run.name}.again")
        written.unlink(missing_ok=True)  # of a --fresh that was killed in its first epoch

    def after_epoch(epoch: dict) -> None:
        if again:
            os.replace(written, run.checkpoint)
        live.epoch(str(run), epoch, training.epochs, budget.left)
        if epoch["epoch"] < training.epochs and not budget.holds(epoch["seconds"]):
            raise OutOfTime(f"out of time after epoch {epoch['epoch']} of {training.epochs}; it goes on from there")

    try:
        finished = train(
            model, dataset, training, teacher=teacher_of(run), device=device, checkpoint=written, name=run.key,
            engine=replace(engine, compiling=engine.compiling and run.is_long), progress=False,
            input_size=fed_size(row), after_epoch=after_epoch,
            parameters=head_and_backbone if run.key == PRETRAINED else nn.Module.parameters,
        )  # fmt: skip
    except OutOfTime as pause:
        return Answer(f"{run}: {pause}")
    conditions = {"input_size": fed_size(row), "initial_weights": first_weights}
    conditions |= {"teacher_sees": teacher_sees(row, run.recipe), "teachers": [*map(told_about, run.teachers)]}
    result = result_of(run, finished, dataset, parameters) | {"conditions": conditions}
    return Answer(f"{run}: {result['last_accuracy']:.2f} %", result)


def result_of(run: Run, finished: TrainingRun, dataset: Dataset, parameters: int) -> dict:
    """What the store keeps of a finished run: its whole specification, history and test predictions, and what follows.

    ``parameters`` is how many were trained, in the training form. What else the numbers depend on can be added as
    ``conditions``: ``input_size`` in pixels, ``initial_weights``, what the ``teacher_sees``, and of each of its
    ``teachers`` the run, epochs and accuracy.
    """
    told = {"experiment": asdict(run.experiment) | {"teachers": list(run.experiment.teachers)}}
    told |= {"profile": asdict(run.profile), "recipe": run.recipe, "training": asdict(run.settings), "seed": run.seed}
    told |= {"history": [{name: _shorten(value) for name, value in epoch.items()} for epoch in finished.history]}
    told |= store.pack_predictions(finished.logits.argmax(dim=1).numpy()) | {"parameters": parameters}
    told |= {"wall_seconds": round(finished.seconds, 2), "images_per_second": round(finished.images_per_second, 1)}
    told |= store.environment() | {"data": {name: getattr(dataset, name) for name in ("name", "subset", "source")}}
    told["data"]["train_images"] = run.images
    return store.derived(told) | told | {"finished": datetime.now(UTC).isoformat(timespec="seconds")}


def _shorten(value: Any) -> Any:
    """Seven significant digits: all that float32 holds, and a readable file."""
    return float(f"{value:.7g}") if isinstance(value, float) else value
