"""The images: CIFAR-10 (``cifar``), how they are shown (``augment``), where they come from (``fetch``)."""

from course_lib.data.augment import MEAN, STD
from course_lib.data.cifar import CLASSES, Dataset, ImageSet, load_dataset, sample_test_rows

__all__ = ["CLASSES", "MEAN", "STD", "Dataset", "ImageSet", "load_dataset", "sample_test_rows"]
