"""Parting the training images into those to fit on and those to choose by: the test set is for the end."""

import numpy as np
import pandas as pd
import torch

from course_lib.data import Dataset, ImageSet


def split_validation(dataset: Dataset) -> tuple[ImageSet, ImageSet]:
    """Part the training images 9:1, of the full set into 45,000 and 5,000, balanced over the classes.

    The split is a draw within each class with a fixed seed; the images keep their order.
    """
    labels = dataset.train.labels.cpu().numpy()
    shuffled = np.random.RandomState(0).permutation(len(labels))  # NumPy keeps this stream
    rank = np.empty(len(labels), dtype=np.int64)
    rank[shuffled] = pd.Series(labels[shuffled]).groupby(labels[shuffled]).cumcount()
    held_out = torch.from_numpy(rank < np.bincount(labels)[labels] // 10).to(dataset.train.labels.device)
    return dataset.train[~held_out], dataset.train[held_out]
