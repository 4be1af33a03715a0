"""Does a network mean what it says? Lesson 3 builds both of these by hand.

Importing this module does not import torch.
"""

import numpy as np
from numpy.typing import ArrayLike


def check_probabilities(probabilities: ArrayLike) -> np.ndarray:
    """``probabilities`` as float64, if each vector along the last axis is one: 0 to 1, with a sum of 1.

    Raises:
        ValueError: they are not.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    # Rounding in half precision leaves a sum up to 0.002 off.
    if not p.size or not p.ndim or not (p >= 0).all() or np.abs(p.sum(axis=-1) - 1).max() > 5e-3:
        raise ValueError(
            f"probabilities are 0 to 1 with a sum of 1 along the last axis, unlike these of shape {p.shape}: "
            "logits need a softmax, percentages a division by 100"
        )
    return p


def reliability(probabilities: ArrayLike, labels: ArrayLike, bins: int = 10) -> list[tuple[float, float, float]]:
    """Mean confidence, share of right answers and share of the images in each bin of confidence that is not empty.

    Args:
        probabilities: (N, C). labels: (N,) class numbers.
        bins: how many of equal width from 0 to 1.

    Raises:
        ValueError: these are no probabilities, no labels of theirs, or there are no bins.
    """
    p, labels = check_probabilities(probabilities), np.asarray(labels)
    if p.ndim != 2 or labels.shape != p.shape[:1]:
        raise ValueError(f"expected probabilities (N, C) and labels (N,), not {p.shape} and {labels.shape}")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= p.shape[1]:
        raise ValueError(f"labels are whole numbers from 0 to {p.shape[1] - 1}, one for each image")
    if bins != int(bins) or bins < 1:
        raise ValueError(f"bins must be a whole number from 1 on, not {bins!r}")
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    place = np.minimum((confidence * bins).astype(int), int(bins) - 1)
    kept = [place == number for number in range(int(bins)) if (place == number).any()]
    return [(float(confidence[k].mean()), float(right[k].mean()), float(k.mean())) for k in kept]


def calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = 10) -> float:
    """The expected calibration error, 0 to 1: the mean distance of confidence and accuracy over the bins.

    Raises:
        ValueError: as :func:`reliability`.
    """
    return sum(share * abs(sure - right) for sure, right, share in reliability(probabilities, labels, bins))
