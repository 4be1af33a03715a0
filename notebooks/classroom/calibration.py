"""Does a network mean what it says? Lesson 3 builds both of these by hand.

Importing this module does not import torch.
"""

import numpy as np
from numpy.typing import ArrayLike


def check_probabilities(probabilities: ArrayLike) -> np.ndarray:
    """``probabilities`` as float64, if each vector along the last axis is one: 0 to 1, with a sum of 1.

    Raises:
        ValueError: they are not; the line says what they look like instead.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim == 0 or p.size == 0:
        raise ValueError(f"expected probabilities, classes along the last axis, not an array of shape {p.shape}")
    if not np.isfinite(p).all():
        raise ValueError("probabilities must be numbers, and NaN or infinity is among these")
    low, high, sums = p.min(), p.max(), p.sum(axis=-1)
    # Rounding in half precision leaves a sum up to 0.002 off.
    if low >= 0 and np.abs(sums - 1).max() < 5e-3:
        return p
    if low >= 0 and np.abs(sums - 100).max() < 0.5:
        raise ValueError("these are percentages: divide them by 100")
    if low < 0 or high > 1:
        raise ValueError(f"probabilities lie between 0 and 1, these from {low:g} to {high:g}: logits need softmax")
    raise ValueError(f"probabilities sum to 1 over the classes, these to {sums.min():g} up to {sums.max():g}")


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
