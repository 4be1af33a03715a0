"""Checkers of lesson 00: what a coin says of 15 signs, what a profile costs, and a normalisation gone wrong."""

import torch

from classroom.checks.declared import declared
from classroom.checks.stand_ins import seeded
from course_lib.data.augment import MEAN, STD

IMAGES = torch.randint(256, (4, 3, 32, 32), generator=seeded(), dtype=torch.uint8)


@declared(
    [1, 15],
    "once in 32,768 times. But the 15 are no independent coins: several students are compared with the same "
    "baseline, and a baseline that was lucky makes them all look bad. Lesson 06 goes on from here.",
    hint="multiply 0.5 by itself, once for each coin",
    tolerance=1e-6,
)
def check_all_below(n):
    """``answer(n)``: the probability that n fair coins all show the same, named side."""
    return 0.5**n, {
        "one difference is below zero with probability 1/2: in Python `^` is no power, `**` is": n == 1 and 0.0,
        "that counts 'all above zero' too: the paper's are all *below*, which is one of the two ways": 2 * 0.5**n,
        "that divides by the number of coins; independent coins multiply: 0.5 for each of them": 0.5 / n,
    }


@declared(
    [(50_000, 200, 100.0)],
    "and now with your own machine's speed, from the doctor's line on speed.",
    hint="images shown = images times epochs; divide by the speed",
    tolerance=1e-3,
)
def check_hours(images, epochs, images_per_second):
    """``answer(images, epochs, images_per_second)``: hours of one training run."""
    hours = images * epochs / images_per_second / 3600
    return hours, {
        "that is in minutes: an hour has 60 of them": hours * 60,
        "that is in seconds: an hour has 3,600 of them": hours * 3600,
        "each epoch shows every image once: multiply by the epochs": hours / epochs,
    }


@declared(
    [IMAGES],
    "mean about 0 and spread about 1 on real images, whichever the colour.",
    hint="not (x / 255 - mean) / std for each channel: look at one pixel by hand",
    shape="normalise each pixel, and keep the shape",
)
def check_normalise(images):
    """``answer(images)``: uint8 images (N, 3, 32, 32) as the network wants them."""
    mean, std, x = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1), images.float()
    loose = "a division binds tighter than a minus: put brackets around x - mean"
    scale = "the constants are for pixels from 0 to 1: divide by 255 first"
    return (x / 255 - mean) / std, {
        loose: x / 255 - mean / std,
        scale: (x - mean) / std,
        f"two mistakes are in it: {loose}; and {scale}": x - mean / std,
        "the channels' constants are the wrong way round: red comes first": (x / 255 - mean.flip(0)) / std.flip(0),
    }
