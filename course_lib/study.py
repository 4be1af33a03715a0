"""Runs what ``experiments.py`` lists: teachers first, finished runs skipped, killed runs resumed.

A run's weights live in ``data/cache/checkpoints`` (not in git): a student needs its teacher's weights, and a teacher
whose weights are missing is trained again. A run's result goes to the store (``results.py``).
"""

import dataclasses
import functools
from collections.abc import Iterable
from pathlib import Path

from course_lib import experiments, results
from course_lib.data import Dataset, load_dataset
from course_lib.distill import Ensemble, RememberedTeacher, Teacher
from course_lib.errors import CourseError
from course_lib.experiments import EXPERIMENTS, Experiment
from course_lib.files import repo_path
from course_lib.models.cost import count_parameters
from course_lib.models.zoo import create_model, input_size
from course_lib.profiles import Profile, active_profile
from course_lib.train import Recipe, default_device, read_checkpoint, train

STUDENTS = ("gn-s", "gn-d")  # these train for profile.student_epochs, with and without a teacher


def run(
    keys: Iterable[str] | None = None,
    *,
    profile: Profile | None = None,
    recipe: str = "paper",
    seeds: tuple[int, ...] = (0,),
    fresh: bool = False,
) -> list[str]:
    """Run the experiments ``keys`` (default: every row of Tables I-IV) and the teachers they need.

    Args:
        keys: experiment keys, see ``experiments.EXPERIMENTS``.
        profile: default the active one.
        recipe: name of the recipe, part of a run's identity.
        seeds: each experiment is run once a seed; a student learns from the teacher of its own seed.
        fresh: run again what is in the store already.

    Returns:
        One line for each run that failed; a failed run does not stop those that do not need it.

    Raises:
        ValueError: a key is unknown.
    """
    profile = profile or active_profile()
    wanted = list(EXPERIMENTS if keys is None else (experiments.find(key).key for key in keys))
    failures = []
    for seed in seeds:
        todo = missing(wanted, profile, recipe, seed, fresh)
        for number, key in enumerate(todo, start=1):
            print(f"[{number}/{len(todo)}] {key}, seed {seed} ({profile.label})", flush=True)
            try:
                run_one(key, profile, recipe, seed, fresh)
            except CourseError as error:
                failures.append(f"{key}, seed {seed}: {error}")
                print(f"FAILED {failures[-1]}", flush=True)
    return failures


def missing(wanted: Iterable[str], profile: Profile, recipe: str, seed: int, fresh: bool = False) -> list[str]:
    """What has to run, teachers first, so that every ``wanted`` key has a result."""
    wanted = list(wanted)
    students = wanted if fresh else [key for key in wanted if not result_path(key, profile, recipe, seed).exists()]
    return [
        key
        for key in experiments.in_order(students)
        if key in students or not is_trained(key, profile, recipe, seed)
    ]  # fmt: skip


def run_one(key: str, profile: Profile, recipe: str = "paper", seed: int = 0, fresh: bool = False) -> dict:
    """Train one experiment from its own seed, store its result and return it. Its teachers must be trained.

    Raises:
        CourseError: a teacher's weights are missing, the loss diverged, or a file cannot be read or written.
    """
    experiment = experiments.find(key)
    dataset = study_data(profile)
    training = training_recipe(experiment, profile, seed)
    checkpoint = checkpoint_path(key, profile, recipe, seed)
    if fresh:
        checkpoint.unlink(missing_ok=True)
    model = create_model(
        experiment.student, width=experiment.width, num_classes=dataset.num_classes, seed=seed
    )  # fmt: skip
    parameters = count_parameters(model)
    teacher = trained_teacher(experiment.teachers, profile, recipe, seed) if experiment.teachers else None
    finished = train(
        model, dataset, training, teacher=teacher, checkpoint=checkpoint, name=key,
        input_size=input_size(experiment.student),
    )  # fmt: skip
    result = results.make_result(
        experiment=experiment,
        profile=profile,
        recipe=recipe,
        training=training,
        seed=seed,
        history=finished.history,
        predictions=finished.logits.argmax(dim=1).numpy(),
        parameters=parameters,
        wall_seconds=finished.seconds,
        images_per_second=finished.images_per_second,
        data={
            "name": dataset.name,
            "subset": dataset.subset,
            "train_images": len(dataset.train),
            "source": dataset.source,
        },
    )
    results.save_result(result)
    return result


def training_recipe(experiment: Experiment, profile: Profile, seed: int) -> Recipe:
    """The paper's recipe at the profile's size, with the experiment's temperature and alpha."""
    epochs = profile.student_epochs if experiment.student in STUDENTS else profile.teacher_epochs
    return Recipe(
        epochs=epochs,
        batch_size=profile.batch_size,
        seed=seed,
        temperature=experiment.temperature,
        alpha=experiment.alpha,
    )


@functools.lru_cache(maxsize=1)
def study_data(profile: Profile) -> Dataset:
    """The profile's images: all test images of its subset and ``profile.train_images`` training images."""
    dataset = load_dataset("cifar10", profile.subset)
    return dataclasses.replace(dataset, train=dataset.train.take(profile.train_images))


@functools.lru_cache(maxsize=1)
def trained_teacher(
    keys: tuple[str, ...], profile: Profile, recipe: str, seed: int
) -> Teacher | Ensemble | RememberedTeacher:
    """The teacher, or the ensemble, made of the trained runs ``keys``.

    On the CPU it remembers its answers, which the next student of the same teachers then shares; a GPU is quicker at
    answering again than at looking up.
    """
    dataset, device = study_data(profile), default_device()
    teachers = [load_teacher(key, profile, recipe, seed, dataset.num_classes) for key in keys]
    teacher = (teachers[0] if len(teachers) == 1 else Ensemble(teachers)).to(device)
    if device.type != "cpu":
        return teacher
    return RememberedTeacher(teacher, len(dataset.train), dataset.num_classes)


def load_teacher(key: str, profile: Profile, recipe: str, seed: int, num_classes: int = 10) -> Teacher:
    """The last-epoch weights of a finished run, as a Teacher. Raises CheckpointError where there are none."""
    experiment = experiments.find(key)
    path = checkpoint_path(key, profile, recipe, seed)
    state = read_checkpoint(path)
    if len(state["history"]) < state["recipe"]["epochs"]:
        raise CourseError(f"{path} is of an unfinished run: run the study for {key!r} first")
    model = create_model(experiment.student, width=experiment.width, num_classes=num_classes)
    model.load_state_dict(state["model"])
    return Teacher(model, input_size(experiment.student))


def is_trained(key: str, profile: Profile, recipe: str, seed: int) -> bool:
    """Whether the run has both a result and, for its students, finished weights on this machine."""
    if not result_path(key, profile, recipe, seed).exists():
        return False
    try:
        state = read_checkpoint(checkpoint_path(key, profile, recipe, seed))
    except CourseError:
        return False
    return len(state["history"]) == state["recipe"]["epochs"]


def checkpoint_path(key: str, profile: Profile, recipe: str, seed: int) -> Path:
    """Where the weights of a run live on this machine."""
    name = experiments.run_id(key, profile=profile.name, recipe=recipe, seed=seed)
    return repo_path("data", "cache", "checkpoints", f"{name}.pt")


def result_path(key: str, profile: Profile, recipe: str, seed: int) -> Path:
    """Where the result of a run lies in the store."""
    return results.result_path(experiments.run_id(key, profile=profile.name, recipe=recipe, seed=seed), profile.name)


def listing(
    keys: Iterable[str] | None, *, profile: Profile, recipe: str = "paper", seeds: Iterable[int] = (0,)
) -> list[str]:
    """One line a run: done or missing, and what it needs."""
    wanted = list(EXPERIMENTS if keys is None else (experiments.find(key).key for key in keys))
    lines = [profile.label]
    for seed in seeds:
        for key in experiments.in_order(wanted):
            done = result_path(key, profile, recipe, seed).exists()
            needs = ", ".join(EXPERIMENTS[key].teachers)
            lines.append(
                f"{'done   ' if done else 'missing'}  seed {seed}  {key}" + (f"  (needs {needs})" if needs else "")
            )
    return lines
