"""Lesson 00's checkers: the right answer, the stub, and typical wrong answers with the words they get."""

import pytest
import torch

from classroom.checks import start
from course_lib.data.augment import MEAN, STD, normalise

CHECKERS = (start.check_all_below, start.check_hours, start.check_normalise)
MEANS, STDS = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)


@pytest.mark.parametrize("check", CHECKERS)
def test_a_stub_is_not_done(check):
    def stub(*_): ...

    assert check(stub).state == "not done"


def test_right_answers():
    assert start.check_all_below(lambda n: 0.5**n)
    assert start.check_hours(lambda images, epochs, speed: images * epochs / speed / 3600)
    assert start.check_normalise(normalise)


@pytest.mark.parametrize(
    ("check", "answer", "words"),
    [
        (start.check_all_below, lambda n: 0.5 / n, "independent coins multiply"),
        (start.check_all_below, lambda n: min(0.5, 2 * 0.5**n), "one of the two ways"),
        (start.check_all_below, lambda n: 0.5 * n, "multiply 0.5 by itself"),
        (start.check_all_below, lambda n: 2 ^ n ^ 3, "`**` is"),
        (start.check_hours, lambda images, epochs, speed: images * epochs / speed / 60, "in minutes"),
        (start.check_hours, lambda images, epochs, speed: images / speed / 3600, "multiply by the epochs"),
        (start.check_hours, lambda images, epochs, speed: images * epochs * speed, "divide by the speed"),
        (start.check_normalise, lambda x: x.float() / 255 - MEANS / STDS, "binds tighter"),
        (start.check_normalise, lambda x: (x.float() - MEANS) / STDS, "divide by 255"),
        (start.check_normalise, lambda x: x.float() - MEANS / STDS, "two mistakes"),
        (start.check_hours, lambda images, epochs, speed: "27.8 h", "without a unit"),
        (start.check_normalise, lambda x: (x.float() / 255 - MEANS.flip(0)) / STDS.flip(0), "red comes first"),
        (start.check_normalise, lambda x: x.float().mean(), "the shape"),
    ],
)
def test_wrong_answers_are_told_what_is_wrong(check, answer, words):
    verdict = check(answer)
    assert verdict.state == "wrong" and words in verdict.words
