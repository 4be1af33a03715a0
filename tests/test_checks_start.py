"""Lesson 00's checkers: right answers, and typical wrong ones with the words they get (run by test_checks.py)."""

import torch

from classroom.checks import start
from course_lib.data.augment import MEAN, STD, normalise

MEANS, STDS = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)

RIGHT = {
    start.check_all_below: lambda n: 0.5**n,
    start.check_hours: lambda images, epochs, speed: images * epochs / speed / 3600,
    start.check_normalise: normalise,
}
WRONG = [
    (start.check_all_below, lambda n: 0.5 / n, "independent coins multiply"),
    (start.check_all_below, lambda n: min(0.5, 2 * 0.5**n), "one of the two ways"),
    (start.check_all_below, lambda n: 0.5 * n, "multiply 0.5 by itself"),
    (start.check_all_below, lambda n: 2 ^ n ^ 3, "`**` is"),
    (start.check_hours, lambda images, epochs, speed: images * epochs / speed / 60, "in minutes"),
    (start.check_hours, lambda images, epochs, speed: images * epochs / speed, "in seconds"),
    (start.check_hours, lambda images, epochs, speed: images / speed / 3600, "multiply by the epochs"),
    (start.check_hours, lambda images, epochs, speed: images * epochs * speed, "divide by the speed"),
    (start.check_hours, lambda images, epochs, speed: "27.8 h", "a number, not '27.8 h'"),
    (start.check_normalise, lambda x: x.float() / 255 - MEANS / STDS, "binds tighter"),
    (start.check_normalise, lambda x: (x.float() - MEANS) / STDS, "divide by 255"),
    (start.check_normalise, lambda x: x.float() - MEANS / STDS, "two mistakes"),
    (start.check_normalise, lambda x: (x.float() / 255 - MEANS.flip(0)) / STDS.flip(0), "red comes first"),
    (start.check_normalise, lambda x: x.float().mean(), "the shape"),
]
