"""How each row of Tables I to IV is trained under each recipe: data, and the few rules that read it.

``paper``     as the paper writes it (PROTOCOL.md, 3): shuffled. It names neither temperature nor alpha; the values of
              the authors' published scripts stand in.
``as_run``    as the published scripts had it, row by row (PROTOCOL.md, 4): the rows below without shuffling, the
              EfficientNetV2 teacher shown scraps. Not as it was: an assistant hands on its last epoch, not its best,
              which would be chosen by the test images (PROTOCOL.md, 4.7); the scraps, a seventh of each side of the
              picture at 224, go to a teacher trained at AFFORDABLE_SIZE unless it is fine-tuned; the teachers are
              trained here, not taken from a zoo; the schedule takes no extra step after each epoch (4.10).
``repaired``  the same with the two weak points mended: shuffled, softened, the teacher shown the whole picture.
``unshuffled``  no recipe of anybody's, but the control that ``as_run`` lacks: its baselines without shuffling.

What two recipes have in common is trained once: ``origin`` says under whose name.
Importing this module does not import torch.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from course_lib.profiles import Profile
from course_lib.study.experiments import EXPERIMENTS, Experiment, baseline_of

if TYPE_CHECKING:
    from course_lib.training.recipe import Recipe

RECIPES = ("paper", "as_run", "repaired")
CONTROL = "unshuffled"
WORDS = {
    "paper": "shuffled, T = 1, alpha = 0.5",
    "as_run": "T = 1, alpha = 0.5, without shuffling where the published scripts had none; an assistant hands on its "
    "last epoch, where the authors took its best",
    "repaired": "shuffled, T = 4, alpha = 0.1, every teacher shown the whole picture",
    CONTROL: "the baselines of the as_run rows, without shuffling too",
}

SOFTENED = {"temperature": 4.0, "alpha": 0.1}  # as in the authors' own later, unpublished runs (PROTOCOL.md, 4.1)
SCRAPS_ROW = "gn-s-2.8x<efficientnetv2_s"  # PROTOCOL.md, 4.3
UNSHUFFLED_TABLES = ("table3", "table4", "assistants")  # PROTOCOL.md, 4.2; of Table II only SCRAPS_ROW

STUDENTS = ("gn-s", "gn-d")  # these train for profile.student_epochs, with and without a teacher
BIG_PICTURE = "efficientnetv2_s"  # the one network that is fed enlarged images

# Side in pixels of what a network is fed, where a profile cannot afford the network's own size (zoo.input_size).
# EfficientNetV2-S: 2.85 GMAC an image at 224, 0.53 at 96, 0.24 at 64. InceptionV3: 3.46 at 32, 0.76 at 16.
AFFORDABLE_SIZE = {
    "laptop": {BIG_PICTURE: 64, "inceptionv3": 16},
    "full": {BIG_PICTURE: 96},
}
PRETRAINED_SIZE = 224  # the paper's, for fine-tuning

# The teachers of `full` must come near Table I (93 to 94.5 %). Those of the paper took 100 epochs of its own SGD
# settings (PROTOCOL.md, 4.5). This is half of that with twice the rate, which leaves rate x decay x steps, the pull
# of the decay over a whole run, as it was. A proposal: no GPU has tried it yet.
TEACHER_SETTINGS = {"full": {"lr": 0.02, "warmup": 0.2}}
# Few steps want a higher rate and less decay (chosen beforehand, not tuned).
SHORT_SETTINGS = {"laptop": {"lr": 0.05, "weight_decay": 5e-4, "warmup": 0.2}}

# The big networks of Table I come from a public zoo (PROTOCOL.md, 4.5), not from the authors' own runs, which start the
# linear layers by their fan-out as well (4.9). From there VGG-13 stayed at 10 % in `laptop`: its first loss is 37. They
# start with the small linear weights of torchvision's VGG instead. `quick` was run before this was seen, and stays.
SMALL_LINEAR_STD = 0.01
SMALL_LINEAR_IN = ("laptop", "full")

# The paper's fine-tuning of EfficientNetV2-S (PROTOCOL.md, 4.5), for at most 20 epochs where the paper took 100.
# In every profile it differs from training from scratch: a checkpoint's settings tell which of both it is.
FINE_TUNING = {"epochs": 20, "batch_size": 32, "lr": 0.01, "momentum": 0.95, "weight_decay": 5e-4, "warmup": 0.0}


def check_recipe(name: str) -> str:
    """``name``, if it is a recipe of the study. Raises ValueError where it is not."""
    if name not in (*RECIPES, CONTROL):
        raise ValueError(f"unknown recipe {name!r}: choose one of {', '.join((*RECIPES, CONTROL))}")
    return name


def origin(key: str, recipe: str) -> str:
    """The recipe under whose name the row ``key`` of ``recipe`` is trained and stored.

    A row that ``recipe`` trains exactly as ``paper`` does is ``paper``'s own run.
    """
    experiment = EXPERIMENTS[key]
    if recipe == CONTROL and not experiment.teachers:
        return CONTROL
    if recipe == "as_run" and is_unshuffled(experiment):
        return "as_run"
    if recipe == "repaired" and experiment.teachers:
        return "repaired"
    return recipe if recipe not in (*RECIPES, CONTROL) else "paper"


def is_unshuffled(experiment: Experiment) -> bool:
    """Whether the published scripts trained this row on the same batches in the same order in every epoch."""
    return experiment.table in UNSHUFFLED_TABLES or experiment.key == SCRAPS_ROW


def control_keys(chosen: Iterable[str] | None = None) -> list[str]:
    """The baselines that the unshuffled rows of ``as_run`` should have been compared with, in Table I's order.

    Args:
        chosen: only those of these rows, and these rows themselves where they are such a baseline; default all.
    """
    chosen = set(EXPERIMENTS if chosen is None else chosen)
    students = [row for row in EXPERIMENTS.values() if is_unshuffled(row) and row.student in STUDENTS]
    controls = {baseline_of(row) for row in students}
    wanted = {baseline_of(row) for row in students if row.key in chosen} | (controls & chosen)
    return [key for key in EXPERIMENTS if key in wanted]


def training_recipe(
    experiment: Experiment, profile: Profile, seed: int, recipe: str = "paper", *, pretrained: bool = False
) -> "Recipe":
    """Epochs, rates, temperature, alpha and shuffling of one run.

    Args:
        recipe: the run's origin (see ``origin``).
        pretrained: EfficientNetV2-S is fine-tuned from ImageNet weights; other networks are not touched by it.
    """
    from course_lib.training.recipe import Recipe

    if pretrained and experiment.student == BIG_PICTURE:
        epochs = min(FINE_TUNING["epochs"], _epochs(experiment, profile))
        return Recipe(seed=seed, **FINE_TUNING | {"epochs": epochs})
    settings: dict = {"temperature": experiment.temperature, "alpha": experiment.alpha}
    if recipe == "repaired" and experiment.teachers:
        settings |= SOFTENED
    if recipe in ("as_run", CONTROL):
        settings["shuffle"] = False
    settings |= SHORT_SETTINGS.get(profile.name, {})
    if _is_teacher(experiment):
        settings |= TEACHER_SETTINGS.get(profile.name, {})
    return Recipe(epochs=_epochs(experiment, profile), batch_size=profile.batch_size, seed=seed, **settings)


def linear_std(experiment: Experiment, profile: Profile) -> float | None:
    """Standard deviation of the linear layers' first weights; None where they are Kaiming-normal by their fan-out."""
    return SMALL_LINEAR_STD if _is_teacher(experiment) and profile.name in SMALL_LINEAR_IN else None


def _is_teacher(experiment: Experiment) -> bool:
    """A big network trained alone; assistants are students of the paper's own recipe."""
    return experiment.student not in STUDENTS and not experiment.teachers


def _epochs(experiment: Experiment, profile: Profile) -> int:
    """In ``full`` an assistant trains for as long as a student (PROTOCOL.md, 4.7), elsewhere as a big network."""
    as_student = experiment.student in STUDENTS or (experiment.teachers and profile.name == "full")
    return profile.student_epochs if as_student else profile.teacher_epochs


def fed_size(student: str, profile: Profile, *, pretrained: bool = False) -> int:
    """Side in pixels of the images that a network of this profile is trained on and asked about."""
    from course_lib.models.zoo import input_size

    if pretrained and student == BIG_PICTURE:
        return PRETRAINED_SIZE
    return AFFORDABLE_SIZE.get(profile.name, {}).get(student, input_size(student))


def teacher_sees_scraps(key: str, recipe: str) -> bool:
    """Whether the teacher is shown a random 32 x 32 piece of the enlarged image, as it was in one row."""
    return key == SCRAPS_ROW and recipe == "as_run"
