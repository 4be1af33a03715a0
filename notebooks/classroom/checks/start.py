"""Checkers of lesson 00: what a coin says of 15 signs, what a profile costs, and a normalisation gone wrong."""

import math
from collections.abc import Callable

import torch

from classroom.checks.reading import number, numbers, recognise, same, tensor
from classroom.checks.verdict import checker, require
from course_lib.data.augment import MEAN, STD


@checker
def check_all_below(answer: Callable[[int], float]) -> str:
    """``answer(n)``: the probability that n fair coins all show the same, named side."""
    one, fifteen = (number(answer(coins), "a probability") for coins in (1, 15))
    require(
        one != 0,
        "one difference is below zero with probability 1/2, not 0: in Python `^` is no power, `**` is",
    )
    require(
        math.isclose(one, 0.5),
        f"one fair coin shows minus with probability 0.5; yours says {one:.4g}",
    )
    require(
        not math.isclose(fifteen, 2 * 0.5**15),
        "that counts 'all above zero' too: the paper's are all *below*, which is one of the two ways",
    )
    require(
        not math.isclose(fifteen, 0.5 / 15),
        "that divides by the number of coins; independent coins multiply: 0.5 for each of them",
    )
    require(
        math.isclose(fifteen, 0.5**15, rel_tol=1e-6),
        f"for 15 coins it is {0.5**15:.3g}, yours says {fifteen:.3g}: multiply 0.5 by itself, once for each coin",
    )
    return (
        "once in 32,768 times. But the 15 are no independent coins: several students are compared with the same "
        "baseline, and a baseline that was lucky makes them all look bad. Lesson 06 goes on from here."
    )


@checker
def check_hours(answer: Callable[[int, int, float], float]) -> str:
    """``answer(images, epochs, images_per_second)``: hours of one training run."""
    value = number(answer(50_000, 200, 100.0), "the hours, as a number without a unit")
    right = 50_000 * 200 / 100 / 3600
    for factor, words in (
        (60, "that is in minutes: an hour has 60 of them"),
        (3600, "that is in seconds: an hour has 3,600 of them"),
        (1 / 200, "each epoch shows every image once: multiply by the epochs"),
    ):
        require(not math.isclose(value, right * factor, rel_tol=1e-3), words)
    require(
        math.isclose(value, right, rel_tol=1e-3),
        f"50,000 images, 200 epochs, 100 images a second are {right:.1f} hours; yours says {value:.4g}. "
        "Images shown = images times epochs; divide by the speed",
    )
    return "and now with your own machine's speed, from the doctor's line of section 3."


@checker
def check_normalise(answer: Callable[[torch.Tensor], torch.Tensor]) -> str:
    """``answer(images)``: uint8 images (N, 3, 32, 32) as the network wants them."""
    images = torch.randint(256, (4, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    scaled = images.float() / 255
    what = "the images"
    got = numbers(
        tensor(answer(images.clone()), what),
        images.shape,
        what,
        "normalise each pixel, and keep the shape",
    )
    loose, both = (
        "a division binds tighter than a minus: put brackets around x - mean",
        "two mistakes are in it: ",
    )
    scale = "the constants are for pixels from 0 to 1: divide by 255 first"
    recognise(
        got,
        {
            loose: scaled - mean / std,
            scale: (images.float() - mean) / std,
            f"{both}{loose}; and {scale}": images.float() - mean / std,
            "the channels' constants are the wrong way round: red comes first": (scaled - mean.flip(0)) / std.flip(0),
        },
    )
    require(
        same(got, (scaled - mean) / std),
        "not (x / 255 - mean) / std for each channel: look at one pixel by hand",
    )
    return "mean about 0 and spread about 1 on real images, whichever the colour."
