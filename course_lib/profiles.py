"""How much work a run does. One place reads ``COURSE_PROFILE``; every number shown names its profile."""

import argparse
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """A size for the whole study.

    Attributes:
        name: ``quick``, ``laptop`` or ``full``.
        subset: which images of CIFAR-10: ``sample`` (on board, no network) or ``full``.
        train_images: how many training images are used, balanced over the classes.
        student_epochs: epochs for GN-S, GN-D, with and without a teacher (equal, so that deltas are fair).
        teacher_epochs: epochs for the big networks.
        batch_size: images a step.
        test_images: how many test images are asked after every epoch, balanced over the classes; None for all.
    """

    name: str
    subset: str
    train_images: int
    student_epochs: int
    teacher_epochs: int
    batch_size: int
    test_images: int | None = None

    @property
    def asked_images(self) -> int:
        """How many test images that comes to."""
        return self.test_images or {"full": 10_000, "sample": 1_000}[self.subset]

    @property
    def label(self) -> str:
        """The words that stand beside every number of this profile."""
        size = f"{self.train_images:,} training images, {self.student_epochs} epochs"
        if self.teacher_epochs != self.student_epochs:
            size += f" ({self.teacher_epochs} for the big networks)"
        return f"{self.name} profile: {size}" + ("" if self.name == "full" else "; not a reproduction")


PROFILES = {
    "quick": Profile("quick", "sample", 500, student_epochs=2, teacher_epochs=1, batch_size=10),
    "laptop": Profile("laptop", "full", 50_000, student_epochs=3, teacher_epochs=3, batch_size=64),
    "full": Profile("full", "full", 50_000, student_epochs=200, teacher_epochs=50, batch_size=256),
}


def active_profile(name: str | None = None) -> Profile:
    """The profile called ``name``, else the one of ``COURSE_PROFILE``, else the one that fits the machine.

    Without a CUDA GPU that is ``quick``, with one ``full``. Raises ValueError where no profile has that name.
    """
    name = name or os.environ.get("COURSE_PROFILE")
    if not name:
        import torch

        name = "full" if torch.cuda.is_available() else "quick"
    if name not in PROFILES:
        raise ValueError(f"unknown profile {name!r}: COURSE_PROFILE is one of {', '.join(PROFILES)}")
    return PROFILES[name]


class _Choose(argparse.Action):
    def __call__(self, parser, namespace, value, option=None) -> None:
        os.environ["COURSE_PROFILE"] = value  # lessons run in kernels of their own and read it there


def profile_option() -> argparse.ArgumentParser:
    """A command's option ``--profile``, as a parent of its parser: it sets ``COURSE_PROFILE`` for all that follows."""
    parent = argparse.ArgumentParser(add_help=False)
    words = "default: COURSE_PROFILE, else what fits the machine"
    parent.add_argument("--profile", choices=PROFILES, action=_Choose, help=words)
    return parent
