"""Reliability and calibration error, by hand and as lesson 3's exercise asks for it."""

import numpy as np
import pytest

from classroom.calibration import calibration_error, check_probabilities, reliability
from classroom.checks import distillation

SURE = np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.45, 0.55]])
LABELS = [0, 0, 0, 1]


def test_by_hand_on_four_answers_and_two_bins_that_are_not_empty():
    bins = reliability(SURE, LABELS, bins=5)
    assert bins == [pytest.approx((0.55, 1.0, 0.25)), pytest.approx((0.6, 1.0, 0.25)), pytest.approx((0.9, 0.5, 0.5))]
    assert calibration_error(SURE, LABELS, bins=5) == pytest.approx(0.25 * 0.45 + 0.25 * 0.4 + 0.5 * 0.4)


def test_a_perfect_network_is_in_the_last_bin_and_not_off():
    labels = np.arange(10)
    assert reliability(np.eye(10), labels) == [(1.0, 1.0, 1.0)]
    assert calibration_error(np.eye(10), labels) == 0


def test_it_solves_the_exercise_of_lesson_3():
    verdict = distillation.check_ece(lambda z, labels, bins: calibration_error(z.double().softmax(1), labels, bins))
    assert verdict.state == "right", verdict


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((np.log(SURE), LABELS), "logits need a softmax"),
        ((10 * SURE, LABELS), "logits need a softmax"),
        ((100 * SURE, LABELS), "percentages a division by 100"),
        ((SURE / 2, LABELS), "a sum of 1 along the last axis"),
        ((np.full_like(SURE, np.nan), LABELS), "unlike these of shape"),
        ((SURE[:0], []), "shape"),
        ((SURE[0], LABELS), "labels"),
        ((SURE, np.array(LABELS)[:, None]), r"labels \(N,\), not \(4, 2\) and \(4, 1\)"),
        ((SURE, LABELS[:3]), "labels"),
        ((SURE, [1, 1, 1, 2]), "from 0 to 1"),
        ((SURE, [0.0, 0.0, 0.0, 1.0]), "whole numbers"),
        ((SURE, LABELS, 0), "bins"),
        ((SURE, LABELS, 2.5), "bins"),
    ],
)
def test_what_are_no_probabilities_labels_or_bins_is_one_clear_line(arguments, words):
    with pytest.raises(ValueError, match=words) as caught:
        calibration_error(*arguments)
    assert "\n" not in str(caught.value)


def test_rounded_probabilities_are_probabilities():
    rough = np.full((3, 10), 0.1, dtype=np.float16)
    assert check_probabilities(rough).dtype == np.float64
    assert check_probabilities([0.25, 0.75]).shape == (2,)
