"""What a run is made of: the images of its profile, its fresh network, and its teachers as they were trained."""

import dataclasses
import functools
import math
import urllib.error
from collections.abc import Callable
from pathlib import Path

from torch import nn

from course_lib.data import Dataset, load_dataset
from course_lib.errors import CheckpointError, CourseError
from course_lib.models.zoo import create_model
from course_lib.profiles import Profile
from course_lib.study.plan import Run, settings_of
from course_lib.study.protocols import BIG_PICTURE, fed_size, linear_std, teacher_sees_scraps
from course_lib.study.store import read_result
from course_lib.training.engine import choose_engine, default_device
from course_lib.training.loop import read_checkpoint, remembering
from course_lib.training.scraps import ScrapTeacher
from course_lib.training.teachers import Ensemble, RememberedTeacher, Teacher

HEAD = "classifier"  # EfficientNetV2-S's last part: made anew for fine-tuning, and trained at the full rate
BACKBONE_FACTOR = 0.1  # PROTOCOL.md, 4.5
IMAGENET, FROM_SCRATCH = (
    "torchvision EfficientNet_V2_S_Weights.IMAGENET1K_V1, new classifier",
    "Kaiming-normal, fan-out",
)


@functools.lru_cache(maxsize=1)
def study_data(profile: Profile) -> Dataset:
    """The profile's images: ``train_images`` training images and ``test_images`` test images of its subset."""
    dataset = load_dataset("synthetic") if profile.subset == "synthetic" else load_dataset("cifar10", profile.subset)
    train, test = dataset.train.take(profile.train_images), dataset.test
    return dataclasses.replace(dataset, train=train, test=test.take(profile.test_images or len(test)))


def new_student(run: Run, num_classes: int) -> nn.Module:
    """The run's network before its first step.

    Raises:
        CourseError: ImageNet weights were asked for and cannot be fetched, or are not the published ones.
    """
    experiment = run.experiment
    std = linear_std(experiment, run.profile)
    model = create_model(
        experiment.student, width=experiment.width, num_classes=num_classes, seed=run.seed, linear_std=std
    )
    if is_fine_tuned(run):
        weights = {name: value for name, value in imagenet_weights().items() if not name.startswith(HEAD)}
        model.load_state_dict(weights, strict=False)
    return model


def is_fine_tuned(run: Run) -> bool:
    """Whether the run starts from ImageNet weights."""
    return run.pretrained and run.experiment.student == BIG_PICTURE


def initial_weights(run: Run) -> str:
    """In words, where the run's first weights come from."""
    if is_fine_tuned(run):
        return IMAGENET
    std = linear_std(run.experiment, run.profile)
    return FROM_SCRATCH + (f"; linear layers normal, s.d. {std:g}" if std else "")


def first_weights(result: dict) -> str:
    """The same as a stored result (or its row of the frame) tells it; the oldest do not, and began from scratch."""
    return result.get("conditions", {}).get("initial_weights", FROM_SCRATCH)


def weights_of_teachers(result: dict) -> dict[str, str]:
    """The first weights of each teacher, by its run's name, as a stored result (or its row of the frame) tells them."""
    told = result.get("conditions", {}).get("teachers", ())
    return {teacher["run"]: teacher.get("initial_weights", FROM_SCRATCH) for teacher in told}


def check_origin(run: Run, result: dict) -> None:
    """Raise CourseError where the run and its stored ``result`` differ in what is fine-tuned: itself, or a teacher.

    ``--pretrained`` is no part of a run's name, so one store holds EfficientNetV2-S and its students in one of the two
    forms.
    """
    of_teachers = weights_of_teachers(result)
    for network in (run, *run.teachers):
        stored = first_weights(result) if network is run else of_teachers.get(network.name, FROM_SCRATCH)
        if (stored == IMAGENET) != is_fine_tuned(network):
            raise CourseError(
                f"{run.result} is of a network {'' if network is run else f'whose teacher {network.key} was '}"
                f"trained from {stored}, not from {initial_weights(network)}: "
                f"{'leave out' if run.pretrained else 'add'} --pretrained, or delete it and {run.checkpoint}"
            )


def has_imagenet_weights(result: dict) -> bool:
    """Whether the network of a stored result (or its row of the frame), or a teacher of it, was fine-tuned."""
    return IMAGENET in (first_weights(result), *weights_of_teachers(result).values())


def imagenet_weights() -> dict:
    """torchvision's weights of EfficientNetV2-S, downloaded once and checked against the SHA-256 in their name.

    Raises:
        CourseError: the download failed, or what came is not what was published.
    """
    from torchvision.models import EfficientNet_V2_S_Weights

    try:
        return EfficientNet_V2_S_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    except (OSError, urllib.error.URLError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CourseError(
            f"the ImageNet weights of EfficientNetV2-S cannot be fetched ({reason}): leave --pretrained out, "
            "and it is trained from scratch"
        ) from error


def trained_parameters(run: Run) -> Callable[[nn.Module], object]:
    """What ``train`` hands the optimizer: everything, or for fine-tuning the backbone at a tenth of the rate."""
    if not is_fine_tuned(run):
        return nn.Module.parameters

    def groups(model: nn.Module) -> list[dict]:
        backbone = [value for name, value in model.named_parameters() if not name.startswith(HEAD)]
        head = [value for name, value in model.named_parameters() if name.startswith(HEAD)]
        return [{"params": head}, {"params": backbone, "lr_factor": BACKBONE_FACTOR}]

    return groups


# --- trained networks ------------------------------------------------------------------------------


def is_trained(run: Run) -> bool:
    """Whether the run's weights lie on this machine, finished and trained with the run's own settings."""
    return epochs_done(run) == settings_of(run).epochs


def epochs_done(run: Run) -> int:
    """How many epochs the run's checkpoint holds; 0 where there is none that can be read and is of its settings."""
    return len(epoch_seconds(run))


def epoch_seconds(run: Run) -> tuple[float, ...]:
    """How long each epoch took that the run's checkpoint holds; () where there is none of its settings."""
    try:
        recipe, seconds = _seen(run.checkpoint, run.checkpoint.stat().st_mtime_ns)
    except OSError:
        return ()
    return seconds if recipe == dataclasses.asdict(settings_of(run)) else ()


@functools.lru_cache(maxsize=1024)
def _seen(path: Path, changed: int) -> tuple[dict, tuple[float, ...]]:
    """Settings and epochs' seconds of a checkpoint, read once as long as the file stays; ({}, ()) where damaged."""
    try:
        state = read_checkpoint(path)
    except CourseError:
        return {}, ()
    return state["recipe"], tuple(row["seconds"] for row in state["history"])


def load_teacher(run: Run, num_classes: int = 10) -> Teacher:
    """The last-epoch weights of a finished run, as a Teacher.

    Raises:
        CheckpointError: there are none, they are unfinished, damaged, of another architecture or of other settings
            than the run's (among them ``pretrained``).
    """
    state = read_checkpoint(run.checkpoint)
    if len(state["history"]) < state["recipe"]["epochs"]:
        raise CheckpointError(f"{run.checkpoint} is of an unfinished run: run the study for {run.key!r} first")
    if state["recipe"] != dataclasses.asdict(settings_of(run)):
        raise CheckpointError(
            f"{run.checkpoint} was trained with other settings than {run.key} has now: delete it, the run starts again"
        )
    experiment = run.experiment
    model = create_model(experiment.student, width=experiment.width, num_classes=num_classes)
    try:
        model.load_state_dict(state["model"])
    except RuntimeError as error:
        raise CheckpointError(
            f"{run.checkpoint} holds another architecture than {run.key}: delete it, the run starts again"
        ) from error
    return Teacher(model, fed_size(experiment.student, run.profile, pretrained=run.pretrained))


def teacher_of(run: Run) -> nn.Module | RememberedTeacher | None:
    """Whom the run learns from: nobody, one network, or the mean of several; on the device that trains.

    The last one is kept with what it has answered, for the next student of the same teachers.

    Raises:
        CheckpointError: a teacher's weights are missing, unfinished, damaged or of another architecture.
    """
    if not run.teachers:
        return None
    for teacher in run.teachers:
        if not teacher.checkpoint.exists():
            raise CheckpointError(f"there is no checkpoint {teacher.checkpoint}: run the study for {teacher.key!r}")
    changed = tuple(teacher.checkpoint.stat().st_mtime_ns for teacher in run.teachers)
    return _teacher(run.teachers, changed, run.profile, teacher_sees_scraps(run.key, run.recipe))


@functools.lru_cache(maxsize=1)
def _teacher(
    runs: tuple[Run, ...], changed: tuple[int, ...], profile: Profile, scraps: bool
) -> nn.Module | RememberedTeacher:
    dataset, device = study_data(profile), default_device()
    teachers = [load_teacher(run, dataset.num_classes) for run in runs]
    teacher = (teachers[0] if len(teachers) == 1 else Ensemble(teachers)).to(device)
    if scraps:
        return ScrapTeacher(teacher, dataset.train.images).to(device)
    return remembering(choose_engine(device).for_answers(teacher), dataset, device)


def told_about(run: Run) -> list[dict]:
    """Which networks a student learned from, for its result: run, epochs and last accuracy in percent of each.

    What their first weights were is read from the result of that very training, where it is in the store.
    """
    told = []
    for teacher in run.teachers:
        history = read_checkpoint(teacher.checkpoint)["history"]
        told.append(
            {
                "run": teacher.name,
                "epochs": len(history),
                "last_accuracy": history[-1]["test_accuracy"],
                "initial_weights": _started_from(teacher, history),
            }
        )
    return told


def _started_from(run: Run, history: list[dict]) -> str:
    """First weights of the training that left ``history``: as its result says, else as such a run starts today."""
    try:
        result = read_result(run.result)
    except CourseError:  # on a cluster's worker there is none
        return initial_weights(run)
    if not math.isclose(result["history"][-1]["train_loss"], history[-1]["train_loss"], rel_tol=1e-6):
        return initial_weights(run)  # its weights were gone and it was trained again
    return first_weights(result)
