"""Checkers for the exercises of lesson 06: chance, intervals and what may be compared."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
import pandas as pd

from classroom.checks.reading import items, near, number, recognise_number
from classroom.checks.verdict import checker, require

Z_95 = NormalDist().inv_cdf(0.975)
FIVE_RUNS = (
    76.20,
    75.80,
    75.89,
    75.85,
    76.15,
)  # percent; five trainings of one network on CIFAR-100


def _diagnose(value: float, mistakes: Sequence[tuple[float, str]], else_words: str, tolerance: float = 1e-4) -> None:
    """Raise Wrong with the words of the first mistake that gives ``value``, else with ``else_words``."""
    recognise_number(value, mistakes, tolerance)
    require(False, else_words)


# --- warm-up --------------------------------------------------------------------------------------


@checker
def check_seed_error(answer) -> str:
    """``answer(accuracies)``: the standard error of their mean, in points."""
    for accuracies in (FIVE_RUNS, (90.0, 92.0)):
        n, mean = len(accuracies), sum(accuracies) / len(accuracies)
        squares = sum((accuracy - mean) ** 2 for accuracy in accuracies)
        expected, value = (
            math.sqrt(squares / (n - 1) / n),
            number(answer(list(accuracies)), "the standard error"),
        )
        mistakes = (
            (
                squares / n / n,
                "two mistakes are still in it: the root is missing, and n stands where n - 1 belongs",
            ),
            (
                squares / (n - 1) / n,
                "n - 1 is right, but this is a squared standard error: take the square root",
            ),
            (
                math.sqrt(squares / n / n),
                "the mean was made from the same numbers, so divide the squares by n - 1",
            ),
            (
                math.sqrt(squares / (n - 1)),
                "that is the spread of single seeds: the mean's is smaller by sqrt(n)",
            ),
            (
                math.sqrt(squares / n),
                "that is a spread of single seeds, with n in place of n - 1, not of their mean",
            ),
            (
                math.sqrt(squares / (n - 1)) / n,
                "divide the standard deviation by the square root of n, not by n",
            ),
        )
        if not near(value, expected):
            _diagnose(
                value,
                mistakes,
                f"for {list(accuracies)} I expected {expected:.4f}, your function gave {value:.6g}",
            )
    return "five runs know their mean to 0.08 points, though single runs scatter by 0.18."


@checker
def check_false_alarms(answer) -> str:
    """``answer(tests, level)``: the probability of at least one false alarm among independent tests."""
    for tests, level in ((15, 0.05), (1, 0.05), (40, 0.01)):
        expected, value = 1 - (1 - level) ** tests, number(answer(tests, level), "a probability")
        mistakes = (
            (
                tests * level,
                "adding up counts studies with two alarms twice, and would pass 1 for many tests",
            ),
            (
                (1 - level) ** tests,
                "that is the probability of no alarm at all: the question asks for at least one",
            ),
            (
                level**tests,
                "that is the probability that all tests give an alarm, not at least one of them",
            ),
            (
                1 - level**tests,
                "level to a power: it is the tests *without* alarm that must all come together",
            ),
        )
        if not near(value, expected):
            _diagnose(
                value,
                mistakes,
                f"{tests} tests at {level}: I expected {expected:.4f}, you gave {value:.6g}",
            )
    return "fifteen tests of methods that do nothing give at least one alarm in 54 % of studies."


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
    words = "return the letters, for instance {'a', 'f'}"
    parts = [said] if isinstance(said, str) else items(said, words)
    letters = {part for each in parts for part in re.split(r"[^a-z]+", str(each).lower()) if part}
    letters = {letter for part in letters for letter in (part if set(part) <= STATEMENTS.keys() else [part])}
    unknown = sorted(letters - STATEMENTS.keys())
    require(not unknown, f"there is no statement {', '.join(unknown)}: the letters are a to f")
    wrong = sorted(letters ^ TRUE_STATEMENTS)
    require(not wrong, "; ".join(STATEMENTS[letter] for letter in wrong) + ".")
    return "(b) and (e). Every other one makes of a P value what it is not."


# --- core -----------------------------------------------------------------------------------------


@checker
def check_holm(answer) -> str:
    """``answer(p_values)``: Holm's adjusted P values, in the order in which they came."""
    cases = ((0.01, 0.04, 0.03, 0.005), (0.02, 0.9, 0.5), (0.3, 0.29), (0.05,), (0.6, 0.7, 0.9))
    for p_values in cases:
        value = answer(list(p_values))
        given = _numbers(value, len(p_values), "one adjusted P value for each that came")
        expected = _holm(p_values)
        if np.allclose(given, expected, atol=1e-9):
            continue
        m, order = len(p_values), np.argsort(p_values)
        bonferroni = np.minimum(1, m * np.array(p_values))
        steps = np.empty(m)
        steps[order] = np.array(p_values)[order] * np.arange(m, 0, -1)
        require(
            not np.allclose(given, bonferroni, atol=1e-9),
            "that is Bonferroni's correction, which multiplies all by the number of tests: "
            "Holm multiplies the smallest by it, the next by one less, and so on",
        )
        require(
            not np.allclose(given, np.minimum(1, steps), atol=1e-9),
            "a later one fell below one before it: where P rises, the adjusted P must not fall (running maximum)",
        )
        require(given.max() <= 1, "an adjusted P above 1: cap it at 1")
        in_order = np.allclose(given, np.sort(expected), atol=1e-9)
        require(
            not in_order,
            "the numbers are right but sorted: give each back in the place where it came",
        )
        words = ", ".join(f"{p:g}" for p in expected)
        require(False, f"for {list(p_values)} I expected {words}; you gave {value}")
    return "the chance of even one false alarm is now at most 5 %, and no test lost more than it had to."


def _holm(p_values: Sequence[float]) -> np.ndarray:
    m, order = len(p_values), np.argsort(p_values)
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(np.array(p_values)[order] * np.arange(m, 0, -1)))
    return adjusted


def _numbers(value: object, count: int, what: str) -> np.ndarray:
    """``value`` as ``count`` numbers; Wrong where it is something else."""
    words = f"return {count} number{'s' if count > 1 else ''}: {what}"
    parts = items(value, words)
    require(len(parts) == count, words)
    return np.array([number(part, what) for part in parts])


@checker
def check_paired_interval(answer) -> str:
    """``answer(student_right, baseline_right)``: difference, low and high end of its 95 % interval, in points."""
    for seed, images in ((0, 400), (1, 1_000)):
        rng = np.random.default_rng(seed)
        ease = rng.beta(0.9, 0.1, images)
        student, baseline = rng.random((2, images)) < ease - np.array([[0.03], [0.0]])
        given = _numbers(answer(student.copy(), baseline.copy()), 3, "difference, low end, high end")
        b, c = int((student & ~baseline).sum()), int((~student & baseline).sum())
        delta = 100 * (b - c) / images
        error = 100 * math.sqrt(b + c - (b - c) ** 2 / images) / images
        p, q = student.mean(), baseline.mean()
        unpaired = 100 * math.sqrt((p * (1 - p) + q * (1 - q)) / images)
        if delta:
            require(not near(given[0], -delta), "the sign is turned round: student minus baseline")
            require(not near(given[0], delta / 100), "shares, not points: multiply by 100")
        same = near(given[0], delta, 1e-6)
        require(same, f"the difference itself is {delta:.2f} points, you gave {given[0]:.4f}")
        half = (given[2] - given[1]) / 2
        require(half > 0, "the low end must lie below the high end")
        mistakes = (
            (
                Z_95 * unpaired,
                "as wide as for two *different* test sets: work on the differences, image by image",
            ),
            (error, "one standard error only: a 95 % interval takes 1.96 of them"),
            (
                Z_95 * error * math.sqrt(images),
                "that is the spread of single images: the mean's is smaller by sqrt(N)",
            ),
            (
                Z_95 * error / math.sqrt(2),
                "too narrow by sqrt(2): images gained *and* lost both count",
            ),
        )
        # A bootstrap's ends wobble, and two standard errors are lesson 02's rule of thumb: both are right.
        if not near(half, Z_95 * error, 0.06):
            wanted = f"the half-width should be {Z_95 * error:.3f} points, yours is {half:.3f}"
            _diagnose(half, mistakes, wanted, 0.06)
        centred = abs((given[1] + given[2]) / 2 - delta) < 0.15 * error
        require(centred, "the interval must be centred on the difference")
    return "narrower than the unpaired interval, because images that are hard for both cancel."


@checker
def check_delta(answer) -> str:
    """``answer(student, baseline)``: the fair difference of two histories, in points."""
    cases = (([88.0, 91.2, 90.9], [87.0, 91.5, 91.3]), ([70.0, 90.0, 90.4], [80.0, 90.9, 90.1]))
    for student, baseline in cases:
        histories = [[{"epoch": e, "test_accuracy": a} for e, a in enumerate(run, 1)] for run in (student, baseline)]
        value, expected = number(answer(*histories), "a difference"), student[-1] - baseline[-1]
        mistakes = (
            (max(student) - baseline[-1], "still the student's best epoch against the baseline's last"),
            (student[-1] - max(baseline), "now it is the baseline whose best epoch is taken: the other way round"),
            (max(student) - max(baseline), "alike for both, but a best epoch is chosen by looking at the test set: "
             "take the last of each"),
            (baseline[-1] - student[-1], "the sign is turned round: student minus baseline"),
            (sum(student) / 3 - sum(baseline) / 3, "that is the mean over the whole training: take the last epochs"),
        )  # fmt: skip
        if not near(value, expected):
            _diagnose(value, mistakes, f"I expected {expected:+.2f} points, you gave {value:+.4g}")
    return "last epoch against last epoch, fixed before anybody looked."


@checker
def check_choose_temperature(answer) -> str:
    """``answer(runs)``: the temperature chosen, and the test accuracy to report."""
    cases = (
        [(1.0, 91.0, 90.6), (2.0, 91.6, 90.8), (4.0, 91.4, 91.5), (8.0, 90.2, 91.0)],
        [(1.0, 90.9, 91.7), (4.0, 91.3, 91.2), (16.0, 91.1, 91.4)],
    )
    for rows in cases:
        runs = [{"temperature": t, "validation": v, "test": a} for t, v, a in rows]
        given = _numbers(answer(runs), 2, "the temperature, and the accuracy to report")
        by_validation, by_test = (
            max(rows, key=lambda row: row[1]),
            max(rows, key=lambda row: row[2]),
        )
        if given[0] == by_test[0]:
            require(
                False,
                "the test set still makes the choice, and then it can no longer judge: choose by validation",
            )
        require(
            given[0] == by_validation[0],
            f"the best validation accuracy is that of T = {by_validation[0]:g}",
        )
        require(
            not near(given[1], by_validation[1]),
            "right T, but you report the accuracy it was chosen by, which is too high: report its test accuracy",
        )
        require(
            not near(given[1], by_test[2]),
            "right T, but the accuracy of another one: report the test accuracy of the T that was chosen",
        )
        require(
            near(given[1], by_validation[2]),
            f"the test accuracy of T = {by_validation[0]:g} is {by_validation[2]}",
        )
    return "chosen on validation images, judged once on test images."


@checker
def check_deltas_by_recipe(answer) -> str:
    """``answer(runs, student, baseline)``: the mean paired delta of every recipe that has one."""
    rows = (
        ("s", "paper", 2, 95.0), ("s", "paper", 0, 90.0), ("s", "paper", 1, 91.0), ("s", "repaired", 1, 93.0),
        ("s", "repaired", 0, 92.0), ("b", "paper", 1, 91.2), ("b", "paper", 0, 90.4), ("b", "repaired", 0, 91.5),
        ("b", "repaired", 1, 92.1), ("b", "repaired", 5, 80.0), ("s", "as_run", 0, 89.0), ("other", "paper", 2, 10.0),
    )  # fmt: skip
    runs = [dict(zip(("key", "recipe", "seed", "accuracy"), row, strict=True)) for row in rows]
    given = answer(runs, "s", "b")
    require(
        isinstance(given, Mapping | pd.Series),
        "return a dict from the recipe's name to its mean delta: {'paper': -0.3}",
    )
    given = {recipe: number(mean, f"the delta of {recipe}", finite=False) for recipe, mean in given.items()}
    expected = {"paper": -0.3, "repaired": 0.7}
    require(
        "as_run" not in given,
        "recipe 'as_run' has no baseline in it: there is no delta to give, leave it out",
    )
    missing = sorted(expected.keys() - given.keys())
    require(not missing, f"no delta for recipe {', '.join(missing)}: each recipe has one of its own")
    extra = sorted(str(name) for name in given.keys() - expected.keys())
    require(not extra, f"{', '.join(extra)} is no recipe that both were run with")
    for recipe, mean in expected.items():
        students = {seed: a for key, name, seed, a in rows if key == "s" and name == recipe}
        baselines = {seed: a for key, name, seed, a in rows if key == "b" and name == recipe}
        everything = np.mean([a for key, *_, a in rows if key == "b"])
        any_recipe = {seed: a for key, _, seed, a in rows if key == "b"}
        across = np.mean([a - any_recipe[seed] for seed, a in students.items() if seed in any_recipe])
        mistakes = (
            (np.mean(list(students.values())) - np.mean(list(baselines.values())),
             f"recipe {recipe!r}: you took a mean over seeds that only one of the two has: pair them first"),
            (np.mean(list(students.values())) - everything,
             f"recipe {recipe!r}: its students are compared with baselines of all recipes"),
            (across, f"recipe {recipe!r}: a baseline of the same seed, but of another recipe, slipped in"),
            (np.mean([one - other for one, other in zip(students.values(), baselines.values(), strict=False)]),
             f"recipe {recipe!r}: you paired in the order of the list: pair by seed"),
            (-mean, "the sign is turned round: student minus baseline"),
        )  # fmt: skip
        if not near(given[recipe], mean):
            _diagnose(
                given[recipe],
                mistakes,
                f"recipe {recipe!r}: I expected {mean:+.2f}, you gave {given[recipe]:+.4g}",
            )
    return "one recipe at a time, seed by seed."


@checker
def check_true_findings(answer) -> str:
    """``answer(working, power, level)``: the share of significant results behind which there is an effect."""
    for working, power, level in ((0.1, 0.8, 0.05), (0.5, 0.3, 0.05), (0.25, 0.9, 0.01)):
        found, alarms = working * power, (1 - working) * level
        expected, value = found / (found + alarms), number(answer(working, power, level), "a share")
        mistakes = (
            (1 - level, "1 - level is the share of quiet tests among methods that do *not* work: the question starts "
             "from the significant ones"),
            (alarms / (found + alarms), "that is the share of false alarms: the question asks for the true findings"),
            (found, "that is a share of all methods tried: divide by the share that comes out significant"),
            (working / (working + alarms), "not every method that works is found: power is missing"),
            (working / (working + level), "weigh both: working methods by the power, the others by the level"),
            (found / (found + level), "only methods that do not work give false alarms: (1 - working) times level"),
            (power, "power is the share found among working methods: here we ask the other way round"),
        )  # fmt: skip
        if not near(value, expected):
            _diagnose(
                value,
                mistakes,
                f"for {working}, {power}, {level} I expected {expected:.3f}, you gave {value:.6g}",
            )
    return "where one idea in ten works, 36 % of the significant results are false alarms, even at 80 % power."


# --- stretch --------------------------------------------------------------------------------------


@checker
def check_permutation_p(answer) -> str:
    """``answer(one, other)``: the exact two-sided P of the difference of means, over all ways to share out the runs."""
    cases = (
        ([91.4, 91.1, 91.6], [90.2, 90.6, 90.4]),
        ([91.0, 91.3, 90.8, 91.6], [90.9, 90.5, 91.1, 90.4]),
        ([92.0, 91.0], [91.0, 90.0, 91.5]),
    )
    for one, other in cases:
        value, runs = number(answer(list(one), list(other)), "P"), [*one, *other]
        splits = [_difference(runs, chosen) for chosen in itertools.combinations(range(len(runs)), len(one))]
        seen = sum(one) / len(one) - sum(other) / len(other)
        tiny = 1e-9
        two_sided = sum(abs(split) >= abs(seen) - tiny for split in splits)
        upper = sum(split >= seen - tiny for split in splits)
        strict = sum(abs(split) > abs(seen) + tiny for split in splits)
        mistakes = [
            (
                upper / len(splits),
                "one-sided: as large a difference the other way would have surprised you too",
            ),
            (
                (len(splits) - upper) / len(splits),
                "one-sided, and the other side: drop the difference's sign",
            ),
            (
                strict / len(splits),
                "count splits *at least* as far apart (>=): the one that was seen is one of them",
            ),
            (
                (two_sided + 1) / (len(splits) + 1),
                "the + 1 is for random splits; here all are counted already",
            ),
            (
                1 - two_sided / len(splits),
                "that is the share of splits that are closer together: P is the rest",
            ),
        ]
        if len(one) == len(other):
            flips = [_signed_mean(one, other, signs) for signs in itertools.product((1, -1), repeat=len(one))]
            flipped = sum(abs(flip) >= abs(seen) - tiny for flip in flips) / len(flips)
            mistakes.append((flipped, "you flipped signs within pairs: these runs have no partners"))
        if not near(value, two_sided / len(splits)):
            wanted = f"for {one} against {other} I expected {two_sided} of {len(splits)} splits, you gave {value:.6g}"
            _diagnose(value, mistakes, wanted)
    return (
        "with three seeds a side the smallest P is 2 in 20: no *unpaired permutation test* of three seeds a side can "
        "reach 0.05; the course's verdict may, because it pairs seeds and assumes a normal spread."
    )


def _difference(runs: Sequence[float], chosen: tuple[int, ...]) -> float:
    """Mean of the chosen runs minus the mean of the others."""
    picked = [runs[place] for place in chosen]
    rest = [run for place, run in enumerate(runs) if place not in chosen]
    return sum(picked) / len(picked) - sum(rest) / len(rest)


def _signed_mean(one: Sequence[float], other: Sequence[float], signs: Sequence[int]) -> float:
    return sum(sign * (a - b) for sign, a, b in zip(signs, one, other, strict=True)) / len(one)


@checker
def check_power(answer) -> str:
    """``answer(difference, spread, seeds, level)``: how often a two-sided z test finds the difference."""
    normal = NormalDist()
    for difference, spread, seeds, level in (
        (0.3, 0.2, 7, 0.05),
        (0.3, 0.2, 1, 0.05),
        (0.0, 0.2, 5, 0.1),
        (0.3, 0.2, 7, 0.02),
    ):
        value = number(answer(difference, spread, seeds, level), "a probability")

        def power(error: float, z: float, difference: float = difference) -> float:
            return normal.cdf(difference / error - z) + normal.cdf(-difference / error - z)

        error, z = spread * math.sqrt(2 / seeds), normal.inv_cdf(1 - level / 2)
        one_sided = normal.inv_cdf(1 - level)
        mistakes = (
            (1 - power(error, z), "that is how often it is missed: power is how often it is found"),
            (power(spread / math.sqrt(seeds), z), "both methods wobble: their difference has 2 spread^2 / n"),
            (power(spread * math.sqrt(2), z), "a mean over seeds is steadier: divide the variance by the seeds"),
            (power(error, normal.inv_cdf(0.975)), "the level is ignored: 1.96 is the line for 0.05 only"),
            (normal.cdf(difference / error - normal.inv_cdf(0.975)), "the level is ignored, and a test can also come "
             "out significant on the wrong side"),
            (power(error, one_sided), "two-sided: half of the level belongs to each side (1 - level / 2)"),
            (normal.cdf(difference / error - one_sided), "two-sided: half of the level belongs to each side"),
            (normal.cdf(difference / error - z), "nearly: a test can also come out significant on the wrong side; "
             "at a difference of 0 your test would find something half too rarely"),
            (normal.cdf(difference / error), "where is the line that must be crossed? z times the standard error"),
        )  # fmt: skip
        if not near(value, power(error, z), 1e-3):
            wanted = f"{difference} points, spread {spread}, {seeds} seeds: {power(error, z):.3f}, not {value:.6g}"
            _diagnose(value, mistakes, wanted, 1e-3)
    return "one seed finds 0.3 points in 19 % of studies; seven do in 80 %."
