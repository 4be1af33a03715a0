"""The images: CIFAR-10 and CIFAR-100 (``cifar``), how they are shown (``augment``), where they come from."""

from course_lib.data.augment import MEAN, STD
from course_lib.data.cifar import CLASSES, Dataset, ImageSet, load_dataset, sample_test_rows

__all__ = ["CLASSES", "MEAN", "STD", "Dataset", "ImageSet", "load_dataset", "sample_test_rows"]
