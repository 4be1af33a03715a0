"""Eq. 1 by hand, with numpy in double precision.

Softened probabilities, their entropy and KL, the loss's terms, and what each term pulls at.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import entr, log_softmax

from classroom.calibration import check_probabilities
from course_lib.training.losses import check_temperature_and_alpha


class Terms(NamedTuple):
    """Eq. 1 for one image, in nats: ``total`` = alpha * ``hard`` + (1 - alpha) * ``soft``; ``soft`` holds T^2."""

    total: float
    hard: float
    soft: float


def softened(logits: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(logits / T) over the last axis; the same shape, float64.

    Raises:
        ValueError: T is not a number above 0.
    """
    return np.exp(_log_softened(logits, temperature))


def entropy_bits(probabilities: np.ndarray) -> np.ndarray:
    """Shannon entropy over the last axis in bits: 0 for a certain class, log2(C) for C equally likely ones.

    Raises:
        ValueError: these are no probabilities.
    """
    return entr(check_probabilities(probabilities)).sum(axis=-1) / np.log(2)


def kl_divergence(teacher: np.ndarray, student: np.ndarray, temperature: float) -> np.ndarray:
    """KL(teacher_T || student_T) in nats over the last axis of two arrays of logits, both softened by T; without T^2.

    Raises:
        ValueError: T is not a number above 0.
    """
    log_p, log_q = _log_softened(teacher, temperature), _log_softened(student, temperature)
    divergence = (np.exp(log_p) * (log_p - log_q)).sum(axis=-1)
    return np.maximum(divergence, 0.0)  # rounding can leave it a hair below


def loss_terms(teacher: np.ndarray, student: np.ndarray, label: int, temperature: float, alpha: float) -> Terms:
    """Eq. 1 for one image from the logits (C,) of both networks and the image's label.

    Raises:
        ValueError: T is not a number above 0, or alpha lies outside 0..1.
    """
    check_temperature_and_alpha(temperature, alpha)
    hard = float(0.0 - _log_softened(student, 1.0)[label])  # 0.0 - x: a plain minus would make "-0.00" of a zero
    soft = float(temperature**2 * kl_divergence(teacher, student, temperature))
    return Terms(alpha * hard + (1 - alpha) * soft, hard, soft)


def gradient_terms(teacher: np.ndarray, student: np.ndarray, label: int, temperature: float) -> np.ndarray:
    """How both terms of Eq. 1 change with the student's logits, for one image: (2, C), the hard one first.

    Hard: q - y at T = 1; soft: T (q_T - p_T), with T^2. The gradient of Eq. 1 is alpha * hard + (1 - alpha) * soft.

    Raises:
        ValueError: T is not a number above 0.
    """
    hard = softened(student, 1.0)
    hard[label] -= 1
    return np.stack([hard, temperature * (softened(student, temperature) - softened(teacher, temperature))])


def _log_softened(logits: np.ndarray, temperature: float) -> np.ndarray:
    check_temperature_and_alpha(temperature, alpha=1.0)
    return log_softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=-1)
