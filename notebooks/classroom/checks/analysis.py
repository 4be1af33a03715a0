"""Checkers for the exercises of lesson 06: chance, intervals and what may be compared."""

import math
import re
from collections.abc import Mapping
from statistics import NormalDist, fmean, stdev

import numpy as np
import pandas as pd
from scipy.stats import permutation_test

from classroom.checks.declared import compare, declared, tell
from classroom.checks.reading import items, number, numbers
from classroom.checks.verdict import checker, require

Z_95 = NormalDist().inv_cdf(0.975)
FIVE_RUNS = [76.20, 75.80, 75.89, 75.85, 76.15]  # percent; five trainings of one network on CIFAR-100


@declared([FIVE_RUNS, [90.0, 92.0]], "five runs know their mean to 0.08 points, though single runs scatter by 0.18.")
def check_seed_error(accuracies):
    """``answer(accuracies)``: the standard error of their mean, in points."""
    n, mean = len(accuracies), fmean(accuracies)
    squares = sum((accuracy - mean) ** 2 for accuracy in accuracies)
    return math.sqrt(squares / (n - 1) / n), {
        "two mistakes are still in it: the root is missing, and n stands where n - 1 belongs": squares / n / n,
        "n - 1 is right, but this is a squared standard error: take the square root": squares / (n - 1) / n,
        "the mean was made from the same numbers, so divide the squares by n - 1": math.sqrt(squares) / n,
        "that is the spread of single seeds: the mean's is smaller by sqrt(n)": stdev(accuracies),
        "divide the standard deviation by the square root of n, not by n": stdev(accuracies) / n,
    }


@declared(
    [(15, 0.05), (1, 0.05), (40, 0.01)],
    "fifteen tests of methods that do nothing give at least one alarm in 54 % of studies.",
)
def check_false_alarms(tests, level):
    """``answer(tests, level)``: the probability of at least one false alarm among independent tests."""
    return 1 - (1 - level) ** tests, {
        "adding up counts studies with two alarms twice, and would pass 1 for many tests": tests * level,
        "that is the probability of no alarm at all: the question asks for at least one": (1 - level) ** tests,
        "that is the probability that all tests give an alarm, not at least one of them": level**tests,
    }


STATEMENTS = {
    "a": "(a) turns P round: it is computed as if the teacher changed nothing, and cannot say how likely that is",
    "b": "(b) is what a P value is, word for word: it belongs into your answer",
    "c": "(c) is (a) in other words: 1 - P is not the probability that an effect is real",
    "d": "(d) takes missing evidence for evidence: a small study gives a large P whether there is an effect or not",
    "e": "(e) is right: 1 - 0.95 to the 15th power is 0.54, if the tests are independent",
    "f": "(f) mixes size and certainty: a tiny difference has a small P too where seeds and images are many",
}
TRUE_STATEMENTS = frozenset("be")


@checker
def check_statements(answer) -> str:
    """``answer()``: the letters of the statements about P = 0.03 that are true."""
    said = answer()
    parts = [said] if isinstance(said, str) else items(said, "return the letters, for instance {'a', 'f'}")
    letters = {part for each in parts for part in re.split(r"[^a-z]+", str(each).lower()) if part}
    letters = {letter for part in letters for letter in (part if set(part) <= STATEMENTS.keys() else [part])}
    unknown = sorted(letters - STATEMENTS.keys())
    require(not unknown, f"there is no statement {', '.join(unknown)}: the letters are a to f")
    wrong = sorted(letters ^ TRUE_STATEMENTS)
    require(not wrong, "; ".join(STATEMENTS[letter] for letter in wrong) + ".")
    return "(b) and (e). Every other one makes of a P value what it is not."


@declared(
    [[0.01, 0.04, 0.03, 0.005], [0.02, 0.9, 0.5], [0.3, 0.29], [0.05], [0.6, 0.7, 0.9]],
    "the chance of even one false alarm is now at most 5 %, and no test lost more than it had to.",
    shape="one adjusted P value for each that came",
    tolerance=1e-8,
)
def check_holm(p_values):
    """``answer(p_values)``: Holm's adjusted P values, in the order in which they came."""
    p, m, order = np.array(p_values), len(p_values), np.argsort(p_values)
    steps, right = np.empty(m), np.empty(m)
    steps[order] = p[order] * np.arange(m, 0, -1)
    right[order] = np.minimum(1, np.maximum.accumulate(steps[order]))
    return right, {
        "that is Bonferroni: Holm multiplies the smallest by m, the next by one less, and so on": np.minimum(1, m * p),
        "a later one fell below one before it: the adjusted P must not fall (running maximum)": np.minimum(1, steps),
        "an adjusted P above 1: cap it at 1": lambda found: bool(found.max() > 1),
        "the numbers are right but sorted: give each back in the place where it came": np.sort(right),
    }


@checker
def check_paired_interval(answer) -> str:
    """``answer(student_right, baseline_right)``: difference, low and high end of its 95 % interval, in points."""
    for seed, images in ((0, 400), (1, 1_000)):
        rng = np.random.default_rng(seed)
        ease = rng.beta(0.9, 0.1, images)
        student, baseline = rng.random((2, images)) < ease - np.array([[0.03], [0.0]])
        what = "difference, low end, high end"
        given = numbers(answer(student.copy(), baseline.copy()), (3,), what, f"return 3 numbers: {what}")
        b, c = int((student & ~baseline).sum()), int((~student & baseline).sum())
        delta = 100 * (b - c) / images
        error = 100 * math.sqrt(b + c - (b - c) ** 2 / images) / images
        p, q = student.mean(), baseline.mean()
        unpaired = 100 * math.sqrt((p * (1 - p) + q * (1 - q)) / images)
        signs = {
            "the sign is turned round: student minus baseline": -delta,
            "shares, not points: multiply by 100": delta / 100,
        }
        compare(given[0], delta, signs, "the difference", "that is the difference itself, in points")
        half = float(given[2] - given[1]) / 2
        require(half > 0, "the low end must lie below the high end")
        # A bootstrap's ends wobble, and two standard errors are lesson 02's rule of thumb: both are right.
        widths = {
            "as wide as for two *different* test sets: work on the differences, image by image": Z_95 * unpaired,
            "one standard error only: a 95 % interval takes 1.96 of them": error,
            "that is the spread of single images: the mean's is smaller by sqrt(N)": Z_95 * error * math.sqrt(images),
        }
        compare(half, Z_95 * error, widths, "an interval", "the half-width in points", tolerance=0.06)
        centred = abs(float(given[1] + given[2]) / 2 - delta) < 0.15 * error
        require(centred, "the interval must be centred on the difference")
    return "narrower than the unpaired interval, because images that are hard for both cancel."


def _history(*accuracies: float) -> list[dict]:
    return [{"epoch": epoch, "test_accuracy": accuracy} for epoch, accuracy in enumerate(accuracies, 1)]


@declared(
    [
        (_history(88.0, 91.2, 90.9), _history(87.0, 91.5, 91.3)),
        (_history(70.0, 90.0, 90.4), _history(80.0, 90.9, 90.1)),
    ],
    "last epoch against last epoch, fixed before anybody looked.",
    hint="points, the student minus the baseline",
)
def check_delta(student, baseline):
    """``answer(student, baseline)``: the fair difference of two histories, in points."""
    own, other = ([row["test_accuracy"] for row in history] for history in (student, baseline))
    return own[-1] - other[-1], {
        "still the student's best epoch against the baseline's last": max(own) - other[-1],
        "alike for both, but a best epoch is chosen by looking at the test set: take the last": max(own) - max(other),
        "the sign is turned round: student minus baseline": other[-1] - own[-1],
    }


@checker
def check_choose_temperature(answer) -> str:
    """``answer(runs)``: the temperature chosen, and the test accuracy to report."""
    for rows in (
        [(1.0, 91.0, 90.6), (2.0, 91.6, 90.8), (4.0, 91.4, 91.5), (8.0, 90.2, 91.0)],
        [(1.0, 90.9, 91.7), (4.0, 91.3, 91.2), (16.0, 91.1, 91.4)],
    ):
        given = answer([dict(zip(("temperature", "validation", "test"), row, strict=True)) for row in rows])
        words = "return 2 numbers: the temperature, and the accuracy to report"
        chosen, reported = numbers(given, (2,), "the temperature and the accuracy to report", words).tolist()
        (right, validation, test), best = (max(rows, key=lambda row, by=by: row[by]) for by in (1, 2))
        tell(
            {
                "the test set still makes the choice, and can no longer judge: choose by validation": chosen == best[0],
                f"the best validation accuracy is that of T = {right:g}": chosen != right,
            }
        )
        mistakes = {
            "right T, but you report the accuracy it was chosen by, too high: report its test accuracy": validation,
        }
        compare(reported, test, mistakes, "the accuracy", f"the test accuracy of T = {right:g}", tolerance=1e-5)
    return "chosen on validation images, judged once on test images."


@checker
def check_deltas_by_recipe(answer) -> str:
    """``answer(runs, student, baseline)``: the mean paired delta of every recipe that has one."""
    rows = (
        ("s", "paper", 2, 95.0), ("s", "paper", 0, 90.0), ("s", "paper", 1, 91.0), ("s", "repaired", 1, 93.0),
        ("s", "repaired", 0, 92.0), ("b", "paper", 1, 91.2), ("b", "paper", 0, 90.4), ("b", "repaired", 0, 91.5),
        ("b", "repaired", 1, 92.1), ("b", "repaired", 5, 80.0), ("s", "as_run", 0, 89.0), ("other", "paper", 2, 10.0),
    )  # fmt: skip
    given = answer([dict(zip(("key", "recipe", "seed", "accuracy"), row, strict=True)) for row in rows], "s", "b")
    words = "return a dict from the recipe's name to its mean delta: {'paper': -0.3}"
    require(isinstance(given, Mapping | pd.Series), words)
    given = {recipe: number(mean, f"the delta of {recipe}", finite=False) for recipe, mean in given.items()}
    expected = {"paper": -0.3, "repaired": 0.7}
    require("as_run" not in given, "recipe 'as_run' has no baseline in it: there is no delta to give, leave it out")
    words = f"one delta for each of {', '.join(expected)}, which both ran with; yours: {', '.join(map(str, given))}"
    require(given.keys() == expected.keys(), words)
    everybody = fmean(a for key, *_, a in rows if key == "b")
    for recipe, mean in expected.items():
        own, alone = (fmean(a for key, name, _, a in rows if (key, name) == (k, recipe)) for k in "sb")
        mistakes = {
            f"recipe {recipe!r}: a mean over seeds that only one has: pair them first": own - alone,
            f"recipe {recipe!r}: its students are compared with baselines of all recipes": own - everybody,
            f"recipe {recipe!r}: the sign is turned round: student minus baseline": -mean,
        }
        hint = "pair by recipe and by seed"
        compare(given[recipe], mean, mistakes, f"the delta of {recipe}", hint, f"recipe {recipe!r}: ")
    return "one recipe at a time, seed by seed."


@declared(
    [(0.1, 0.8, 0.05), (0.5, 0.3, 0.05), (0.25, 0.9, 0.01)],
    "where one idea in ten works, 36 % of the significant results are false alarms, even at 80 % power.",
)
def check_true_findings(working, power, level):
    """``answer(working, power, level)``: the share of significant results behind which there is an effect."""
    found, alarms = working * power, (1 - working) * level
    return found / (found + alarms), {
        "that is the share of false alarms: the question asks for the true findings": alarms / (found + alarms),
        "that is a share of all methods tried: divide by the share that comes out significant": found,
        "not every method that works is found: power is missing": working / (working + alarms),
        "weigh both: working methods by the power, the others by the level": working / (working + level),
        "only methods that do not work give false alarms: (1 - working) times level": found / (found + level),
    }


@declared(
    [
        ([91.4, 91.1, 91.6], [90.2, 90.6, 90.4]),
        ([91.0, 91.3, 90.8, 91.6], [90.9, 90.5, 91.1, 90.4]),
        ([92.0, 91.0], [91.0, 90.0, 91.5]),
    ],
    "with three seeds a side the smallest P is 2 in 20: no *unpaired permutation test* of three seeds a side "
    "can reach 0.05; the course's verdict may, because it pairs seeds and assumes a normal spread.",
    hint="count all ways to share out the runs whose means are at least as far apart",
)
def check_permutation_p(one, other):
    """``answer(one, other)``: the exact two-sided P of the difference of means, over all ways to share out the runs."""
    found = permutation_test((one, other), lambda a, b, axis: a.mean(axis) - b.mean(axis), vectorized=True)
    splits, seen, tiny = found.null_distribution, found.statistic, 1e-9
    one_sided, farther = (float(hits.mean()) for hits in (splits >= seen - tiny, abs(splits) > abs(seen) + tiny))
    return float((abs(splits) >= abs(seen) - tiny).mean()), {
        "one-sided: as large a difference the other way would have surprised you too": one_sided,
        "count splits *at least* as far apart (>=): the one that was seen is one of them": farther,
    }


@declared(
    [(0.3, 0.2, 7, 0.05), (0.3, 0.2, 1, 0.05), (0.0, 0.2, 5, 0.1), (0.3, 0.2, 7, 0.02)],
    "one seed finds 0.3 points in 19 % of studies; seven do in 80 %.",
    tolerance=1e-3,
)
def check_power(difference, spread, seeds, level):
    """``answer(difference, spread, seeds, level)``: how often a two-sided z test finds the difference."""
    cdf, line = NormalDist().cdf, NormalDist().inv_cdf
    error, z = spread * math.sqrt(2 / seeds), line(1 - level / 2)

    def power(error: float, z: float) -> float:
        return cdf(difference / error - z) + cdf(-difference / error - z)

    return power(error, z), {
        "that is how often it is missed: power is how often it is found": 1 - power(error, z),
        "both methods wobble: their difference has 2 spread^2 / n": power(spread / math.sqrt(seeds), z),
        "a mean over seeds is steadier: divide the variance by the seeds": power(spread * math.sqrt(2), z),
        "the level is ignored: 1.96 is the line for 0.05 only": power(error, Z_95),
        "two-sided: half of the level belongs to each side (1 - level / 2)": power(error, line(1 - level)),
        "nearly: a test can also come out significant on the wrong side": cdf(difference / error - z),
    }
