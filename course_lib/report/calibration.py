"""Does a network mean what it says? Lesson 3 builds both of these by hand.

Importing this module does not import torch.
"""

import numpy as np
from numpy.typing import ArrayLike


def reliability(probabilities: ArrayLike, labels: ArrayLike, bins: int = 10) -> list[tuple[float, float, float]]:
    """Mean confidence, share of right answers and share of the images in each bin of confidence that is not empty.

    Args:
        probabilities: (N, C). labels: (N,) class numbers.
        bins: how many of equal width from 0 to 1.
    """
    p, labels = np.asarray(probabilities), np.asarray(labels)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    kept = [place == number for number in range(bins) if (place == number).any()]
    return [(float(confidence[k].mean()), float(right[k].mean()), float(k.mean())) for k in kept]


def calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = 10) -> float:
    """The expected calibration error, 0 to 1: the mean distance of confidence and accuracy over the bins."""
    return sum(share * abs(sure - right) for sure, right, share in reliability(probabilities, labels, bins))
