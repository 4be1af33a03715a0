"""Does a method help? One paired test over seeds and test images, and the words that its outcome allows.

Two networks are compared on the very same images, seed by seed. Two kinds of chance make the difference: other seeds
would have trained other networks, and other test images would have been other questions. Seeds and images are crossed
(every seed answers every image), so both go into the standard error: the two-way analysis of variance with random
effects, with Satterthwaite's degrees of freedom (H. H. Clark, 1973; F. E. Satterthwaite, 1946).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import special

from course_lib.report.runs import runs_of
from course_lib.study import store
from course_lib.study.experiments import baseline_of, find
from course_lib.study.protocols import origin

HELPS, HURTS, UNDECIDED, NONE = "helps", "hurts", "cannot be told apart", "none"
LEAST_SEEDS = 3  # two seeds have a spread, but its own error is so large that the interval says nothing
LEVEL = 0.05  # the chance of a false alarm that is accepted


@dataclass(frozen=True)
class Verdict:
    """What can be said of a student against the same network without a teacher.

    Attributes:
        word: ``helps``, ``hurts``, ``cannot be told apart``; ``none`` where the evidence is too small to judge.
        reason: one line with the numbers, or why there is no verdict.
        mean: mean difference in points (percent of the test images); NaN where nothing was compared.
        low, high: 95 % confidence interval of ``mean`` in points; NaN with a single seed.
        p: two-sided P value; NaN with a single seed.
        seeds, images: how many pairs of networks, how many test images.
    """

    word: str
    reason: str
    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    seeds: int = 0
    images: int = 0

    def __str__(self) -> str:
        return f"{self.word}: {self.reason}"


def paired_verdict(student_right: np.ndarray, baseline_right: np.ndarray) -> Verdict:
    """Compare two methods that were run with the same seeds and tested on the same images.

    Both arrays are (seeds, images) booleans, whether the network of that seed got the image right. The verdict's word
    is ``none`` with fewer than three seeds. Raises ValueError where the arrays are not two-dimensional and of one
    shape, or hold something else than booleans.
    """
    student, baseline = _right_or_wrong(student_right, baseline_right)
    if student.ndim != 2:
        raise ValueError(f"expected (seeds, images), not an array of shape {student.shape}")
    difference = 100.0 * (student.astype(np.int8) - baseline)
    (seeds, images), mean = student.shape, float(difference.mean())
    few = f"only {seeds} seed{'s' if seeds > 1 else ''}, {LEAST_SEEDS} are needed"
    if seeds < 2 or images < 2:
        return Verdict(NONE, few, mean, seeds=seeds, images=images)
    error, freedom = standard_error(difference)
    half = float(special.stdtrit(freedom, 1 - LEVEL / 2)) * error
    p = 2 * float(special.stdtr(freedom, -abs(mean) / error)) if error else float(mean == 0)  # Student's t, from below
    word = UNDECIDED if p >= LEVEL else HELPS if mean > 0 else HURTS
    words = f"{mean:+.2f} points, 95 % interval {mean - half:+.2f} to {mean + half:+.2f}, n = {seeds}"
    if seeds < LEAST_SEEDS:
        word, words = NONE, few
    return Verdict(word, words, mean, mean - half, mean + half, p, seeds, images)


def verdict_of(
    results: pd.DataFrame, key: str, *, profile: str = "full", recipe: str = "paper", baseline_recipe: str | None = None
) -> Verdict:
    """The verdict on one student, from the seeds that it and its baseline, the same without a teacher, both have.

    Args:
        results: ``store.load_results()``.
        key: a student with a teacher, ``gn-s-1.0x<resnet50``; one without where ``baseline_recipe`` is another recipe.
        profile, recipe: whose runs to judge; a row that the recipe shares with another is found there.
        baseline_recipe: whose baseline to compare with, ``unshuffled`` for the one that ``as_run`` lacks; default
            ``recipe``'s own.

    Raises:
        ValueError: ``key``, profile or recipe is unknown, or ``key`` would be compared with itself.
        ResultError: the labels of the test images are not at hand, or stored predictions are damaged.
    """
    sides = ((key, recipe), (baseline_of(find(key)), baseline_recipe or recipe))
    if len({(each, origin(each, of)) for each, of in sides}) == 1:
        raise ValueError(f"{key} of {recipe} has no teacher: it is a baseline, and there is nothing to judge")
    own, alone = (runs_of(results, profile, of, [name]).set_index("seed") for name, of in sides)
    seeds = [seed for seed in own.index if seed in alone.index]
    if not seeds:
        return Verdict(NONE, "its baseline has not been run with the same seed" if len(own) else "not run")
    labels = {count: store.known_test_labels(count) for count in own.loc[seeds, "test_images"].unique()}
    right = [
        [store.predictions(runs.loc[seed]) == labels[own.loc[seed, "test_images"]] for seed in seeds]
        for runs in (own, alone)
    ]
    verdict = paired_verdict(*np.array(right))
    if profile == "quick":
        return replace(verdict, word=NONE, reason=f"the {profile} profile trains too little to judge")
    return verdict


def standard_error(difference: np.ndarray) -> tuple[float, float]:
    """Standard error of the mean of ``difference`` (seeds, images), and its degrees of freedom.

    The spread of the seeds' means holds the chance of training, and of what training does to single images. What the
    images' means spread beyond that is the chance of the images themselves; it is added where it is above zero.
    """
    seeds, images = difference.shape
    by_seed, by_image = difference.mean(axis=1), difference.mean(axis=0)
    rest = difference - by_seed[:, None] - by_image[None, :] + difference.mean()
    of_rest = (rest**2).sum() / ((seeds - 1) * (images - 1)) / (seeds * images)
    of_seeds, of_images = by_seed.var(ddof=1) / seeds, by_image.var(ddof=1) / images
    variance = of_seeds + max(0.0, of_images - of_rest)
    if variance == 0:
        return 0.0, float(seeds - 1)
    parts = of_seeds**2 / (seeds - 1)
    if of_images > of_rest:
        parts += of_images**2 / (images - 1) + of_rest**2 / ((seeds - 1) * (images - 1))
    freedom = variance**2 / parts
    return math.sqrt(variance), max(seeds - 1.0, freedom)


def _right_or_wrong(one: np.ndarray, two: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    one, two = np.asarray(one), np.asarray(two)
    if one.shape != two.shape or not one.size:
        raise ValueError(f"compare answers to the same images, not {one.shape} with {two.shape}")
    if one.dtype != bool or two.dtype != bool:
        raise ValueError("say of each image whether it was right: booleans, not classes")
    return one, two


def mcnemar(right_one: np.ndarray, right_two: np.ndarray) -> tuple[int, int, float]:
    """Two networks on the same images: what only the first, only the second gets right, and the exact two-sided P.

    It compares two *networks*, by (images,) booleans; whether a *method* helps is a question to several seeds, for
    ``paired_verdict``. Raises ValueError where the arrays are not of one shape, or no booleans.
    """
    one, two = _right_or_wrong(right_one, right_two)
    first, second = int((one & ~two).sum()), int((~one & two).sum())
    tail = special.bdtr(min(first, second), first + second, 0.5)  # the binomial distribution, from below
    return first, second, float(min(1.0, 2 * tail))
