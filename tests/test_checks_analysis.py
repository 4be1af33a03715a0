"""The checkers of lesson 06: right answers pass, stubs are not done, typical mistakes are named in words."""

import itertools
import math
import statistics
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
import torch

from classroom.checks import analysis

Z = NormalDist().inv_cdf(0.975)


# --- right answers ----------------------------------------------------------------------------------


def seed_error(accuracies):
    return statistics.stdev(accuracies) / math.sqrt(len(accuracies))


def false_alarms(tests, level=0.05):
    return 1 - (1 - level) ** tests


def holm(p_values):
    adjusted, highest, m = [0.0] * len(p_values), 0.0, len(p_values)
    for step, place in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        highest = max(highest, (m - step) * p_values[place])
        adjusted[place] = min(1.0, highest)
    return adjusted


def paired_interval(student, baseline, factor=Z):
    differences = 100 * (student.astype(int) - baseline.astype(int))
    delta, half = differences.mean(), factor * differences.std(ddof=1) / math.sqrt(len(differences))
    return delta, delta - half, delta + half


def last_epochs(student, baseline):
    return student[-1]["test_accuracy"] - baseline[-1]["test_accuracy"]


def choose(runs, by="validation", report="test"):
    chosen = max(runs, key=lambda run: run[by])
    return chosen["temperature"], chosen[report]


def deltas_by_recipe(runs, student, baseline):
    deltas = {}
    for recipe in {run["recipe"] for run in runs}:
        own, alone = (
            {run["seed"]: run["accuracy"] for run in runs if run["key"] == key and run["recipe"] == recipe}
            for key in (student, baseline)
        )
        if shared := set(own) & set(alone):
            deltas[recipe] = statistics.fmean(own[seed] - alone[seed] for seed in shared)
    return deltas


def true_findings(working, power, level):
    return working * power / (working * power + (1 - working) * level)


def permutation(one, other, compare=lambda split, seen: abs(split) >= abs(seen) - 1e-12):
    runs, n = [*one, *other], len(one)
    seen, splits = statistics.fmean(one) - statistics.fmean(other), []
    for chosen in itertools.combinations(range(len(runs)), n):
        rest = [run for place, run in enumerate(runs) if place not in chosen]
        splits.append(statistics.fmean(runs[place] for place in chosen) - statistics.fmean(rest))
    return sum(compare(split, seen) for split in splits) / len(splits)


def power(difference, spread, seeds, level=0.05):
    error, z = spread * math.sqrt(2 / seeds), NormalDist().inv_cdf(1 - level / 2)
    return NormalDist().cdf(difference / error - z) + NormalDist().cdf(-difference / error - z)


RIGHT = {
    analysis.check_seed_error: seed_error,
    analysis.check_false_alarms: false_alarms,
    analysis.check_statements: lambda: {"b", "e"},
    analysis.check_holm: holm,
    analysis.check_paired_interval: paired_interval,
    analysis.check_delta: last_epochs,
    analysis.check_choose_temperature: choose,
    analysis.check_deltas_by_recipe: deltas_by_recipe,
    analysis.check_true_findings: true_findings,
    analysis.check_permutation_p: permutation,
    analysis.check_power: power,
}


def bootstrap(student, baseline):
    rng, n = np.random.default_rng(0), len(student)
    differences = 100 * (student.astype(int) - baseline.astype(int))
    means = differences[rng.integers(n, size=(4000, n))].mean(axis=1)
    return differences.mean(), *np.percentile(means, [2.5, 97.5])


def with_graph(values):
    return torch.tensor([float(value) for value in values], dtype=torch.double, requires_grad=True)


def test_a_right_answer_may_come_in_other_forms():
    assert analysis.check_statements(lambda: "b, e") and analysis.check_statements(lambda: ["(b)", "(E)"])
    assert analysis.check_seed_error(lambda a: np.array([seed_error(a)]))
    assert analysis.check_deltas_by_recipe(lambda *a: pd.Series(deltas_by_recipe(*a)))
    assert analysis.check_holm(lambda p: with_graph(holm(p)))
    assert analysis.check_choose_temperature(lambda runs: with_graph(choose(runs)))


@pytest.mark.parametrize("answer", [bootstrap, lambda s, b: paired_interval(s, b, 2.0)], ids=["bootstrap", "two SE"])
def test_other_intervals_of_95_percent_are_right(answer):
    assert analysis.check_paired_interval(answer)
    assert analysis.check_paired_interval(lambda s, b: with_graph(answer(s, b)))


# --- typical mistakes -------------------------------------------------------------------------------


def unpaired(student, baseline):
    variance = sum(right.mean() * (1 - right.mean()) for right in (student, baseline)) / len(student)
    delta = 100 * (student.mean() - baseline.mean())
    return delta, delta - 100 * Z * math.sqrt(variance), delta + 100 * Z * math.sqrt(variance)


def best_and_last(student, baseline):
    return max(row["test_accuracy"] for row in student) - baseline[-1]["test_accuracy"]


def best_and_best(student, baseline):
    return max(row["test_accuracy"] for row in student) - max(row["test_accuracy"] for row in baseline)


def recipes_mixed(runs, student, baseline):
    alone = statistics.fmean(run["accuracy"] for run in runs if run["key"] == baseline)
    recipes = {run["recipe"] for run in runs if run["key"] == student} - {"as_run"}
    means = {name: [r["accuracy"] for r in runs if r["key"] == student and r["recipe"] == name] for name in recipes}
    return {name: statistics.fmean(values) - alone for name, values in means.items()}


def seeds_without_partner(runs, student, baseline):
    def mean(key, recipe):
        return statistics.fmean(run["accuracy"] for run in runs if run["key"] == key and run["recipe"] == recipe)

    return {name: mean(student, name) - mean(baseline, name) for name in ("paper", "repaired")}


def recipe_forgotten_in_the_pair(runs, student, baseline):
    alone = {run["seed"]: run["accuracy"] for run in runs if run["key"] == baseline}
    pairs = {name: [] for name in ("paper", "repaired")}
    for run in runs:
        if run["key"] == student and run["recipe"] in pairs and run["seed"] in alone:
            pairs[run["recipe"]].append(run["accuracy"] - alone[run["seed"]])
    return {name: statistics.fmean(values) for name, values in pairs.items()}


def holm_without_maximum(p_values):
    m = len(p_values)
    return [min(1, (m - sorted(p_values).index(p)) * p) for p in p_values]


def holm_without_cap(p_values):
    adjusted, highest, m = [0.0] * len(p_values), 0.0, len(p_values)
    for step, place in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        highest = max(highest, (m - step) * p_values[place])
        adjusted[place] = highest
    return adjusted


def n_power(difference, spread, seeds, level=0.05):
    return power(difference, spread / math.sqrt(2), seeds, level)


WRONG = [
    (analysis.check_seed_error, lambda a: statistics.pvariance(a) / len(a), "two mistakes are still in it"),
    (analysis.check_seed_error, lambda a: statistics.variance(a) / len(a), "take the square root"),
    (analysis.check_seed_error, lambda a: statistics.pstdev(a) / math.sqrt(len(a)), "by n - 1"),
    (analysis.check_seed_error, statistics.stdev, "spread of single seeds"),
    (analysis.check_seed_error, lambda a: statistics.stdev(a) / len(a), "by the square root of n"),
    (analysis.check_false_alarms, lambda tests, level=0.05: tests * level, "counts studies with two alarms twice"),
    (analysis.check_false_alarms, lambda tests, level=0.05: (1 - level) ** tests, "no alarm at all"),
    (analysis.check_false_alarms, lambda tests, level=0.05: level**tests, "all tests give an alarm"),
    (analysis.check_statements, lambda: {"a", "b", "e"}, "turns P round"),
    (analysis.check_statements, lambda: "bce", "1 - P is not the probability"),
    (analysis.check_statements, lambda: ["b"], "(e) is right"),
    (analysis.check_statements, lambda: {"b", "z"}, "no statement z"),
    (analysis.check_statements, lambda: "a, b, e", "turns P round"),
    (analysis.check_statements, lambda: itertools.count(), "(b) is what a P value is"),
    (analysis.check_power, lambda d, s, n, level=0.05: power(d, s, n), "level is ignored"),
    (analysis.check_seed_error, lambda a: torch.ones(2), "a single number"),
    (analysis.check_holm, lambda p: [min(1, len(p) * q) for q in p], "Bonferroni"),
    (analysis.check_holm, holm_without_cap, "cap it at 1"),
    (analysis.check_holm, holm_without_maximum, "must not fall"),
    (analysis.check_holm, lambda p: sorted(holm(p)), "back in the place"),
    (analysis.check_holm, lambda p: holm(p)[:1], "one adjusted P value for each"),
    (analysis.check_paired_interval, unpaired, "two *different* test sets"),
    (analysis.check_paired_interval, lambda s, b: paired_interval(s, b, 1.0), "one standard error only"),
    (analysis.check_paired_interval, lambda s, b: paired_interval(b, s), "sign is turned round"),
    (analysis.check_paired_interval, lambda s, b: np.array(paired_interval(s, b)) / 100, "shares, not points"),
    (analysis.check_paired_interval, lambda s, b: paired_interval(s, b, Z * math.sqrt(len(s))), "single images"),
    (analysis.check_delta, best_and_last, "student's best epoch against the baseline's last"),
    (analysis.check_delta, best_and_best, "looking at the test set"),
    (analysis.check_delta, lambda s, b: last_epochs(b, s), "sign is turned round"),
    (analysis.check_choose_temperature, lambda runs: choose(runs, "test"), "the test set still makes the choice"),
    (analysis.check_choose_temperature, lambda runs: choose(runs, report="validation"), "it was chosen by"),
    (analysis.check_deltas_by_recipe, recipes_mixed, "baselines of all recipes"),
    (analysis.check_deltas_by_recipe, seeds_without_partner, "pair them first"),
    (analysis.check_deltas_by_recipe, recipe_forgotten_in_the_pair, "pair by recipe and by seed"),
    (
        analysis.check_deltas_by_recipe,
        lambda *a: deltas_by_recipe(*a) | {"as_run": math.nan},
        "no baseline in it",
    ),
    (analysis.check_true_findings, lambda *a: 1 - true_findings(*a), "share of false alarms"),
    (analysis.check_true_findings, lambda working, power, level: working * power, "share of all methods tried"),
    (analysis.check_permutation_p, lambda a, b: permutation(a, b, lambda x, y: x >= y - 1e-12), "one-sided"),
    (
        analysis.check_permutation_p,
        lambda a, b: permutation(a, b, lambda x, y: abs(x) > abs(y) + 1e-12),
        "the one that was seen is one of them",
    ),
    (analysis.check_power, n_power, "both methods wobble"),
    (analysis.check_power, lambda d, s, n, level=0.05: 1 - power(d, s, n, level), "how often it is missed"),
    (analysis.check_power, lambda d, s, n, level=0.05: power(d, s, n, 2 * level), "half of the level"),
]
