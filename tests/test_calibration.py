"""Reliability and calibration error, by hand and as lesson 3's exercise asks for it."""

import numpy as np
import pytest

from classroom.checks import distillation
from course_lib.report.calibration import calibration_error, reliability

SURE = np.array([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.45, 0.55]])


def test_by_hand_on_four_answers_and_two_bins_that_are_not_empty():
    bins = reliability(SURE, [0, 0, 0, 1], bins=5)
    assert bins == [pytest.approx((0.55, 1.0, 0.25)), pytest.approx((0.6, 1.0, 0.25)), pytest.approx((0.9, 0.5, 0.5))]
    assert calibration_error(SURE, [0, 0, 0, 1], bins=5) == pytest.approx(0.25 * 0.45 + 0.25 * 0.4 + 0.5 * 0.4)


def test_a_perfect_network_is_in_the_last_bin_and_not_off():
    labels = np.arange(10)
    assert reliability(np.eye(10), labels) == [(1.0, 1.0, 1.0)]
    assert calibration_error(np.eye(10), labels) == 0


def test_it_solves_the_exercise_of_lesson_3():
    verdict = distillation.check_ece(lambda z, labels, bins: calibration_error(z.double().softmax(1), labels, bins))
    assert verdict.state == "right", verdict
