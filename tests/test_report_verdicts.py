"""A verdict follows the evidence: right words, few false alarms, and both kinds of chance counted."""

import math

import numpy as np
import pytest
import torch
from fabricated import fake_result
from scipy import stats

from course_lib.files import ResultError
from course_lib.profiles import PROFILES
from course_lib.report import verdicts
from course_lib.report.verdicts import mcnemar, paired_verdict, verdict_of
from course_lib.study import store
from tools.kept import save_logits


def answers(rng, seeds=5, images=2000, accuracy=0.9):
    return rng.random((seeds, images)) < accuracy


# --- the test ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("better", "word"), [(0.03, "helps"), (0.0, "cannot be told apart"), (-0.03, "hurts")])
def test_a_large_effect_is_found_and_none_is_not(better, word):
    rng = np.random.default_rng(3)
    verdict = paired_verdict(answers(rng, accuracy=0.9 + better), answers(rng))
    assert verdict.word == word
    assert verdict.low < verdict.mean < verdict.high and (verdict.p < 0.05) == (word != "cannot be told apart")
    assert str(verdict).startswith(f"{word}: {verdict.mean:+.2f} points") and "n = 5" in str(verdict)


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_give_no_verdict(seeds):
    rng = np.random.default_rng(0)
    verdict = paired_verdict(answers(rng, seeds, accuracy=0.99), answers(rng, seeds))
    assert verdict.word == "none" and f"only {seeds} seed" in verdict.reason and verdict.mean > 5
    assert math.isnan(verdict.p) == (seeds == 1)


def crossed(rng, runs, seeds=3, images=400, of_seeds=0.02, of_images=0.05):
    """Answers of two equally good methods: (runs, seeds, images) twice.

    Training moves each network by ``of_seeds``; each method has images that it is better at by ``of_images``,
    as it would with every seed.
    """
    both = []
    for _ in range(2):
        luck = rng.normal(0, of_seeds, (runs, seeds, 1)) + rng.normal(0, of_images, (runs, 1, images))
        both.append(rng.random((runs, seeds, images)) < 0.8 + luck)
    return both


def test_false_alarms_stay_near_the_level_where_seeds_and_images_both_vary():
    rng = np.random.default_rng(1)
    student, baseline = crossed(rng, 250, of_images=0.15)
    alarms = np.mean([paired_verdict(*pair).p < 0.05 for pair in zip(student, baseline, strict=True)])
    assert alarms < 0.09  # 0.05 plus three standard errors


def test_a_test_over_seeds_alone_would_cry_wolf_there():
    """Why the images count: equal methods that differ in the images they like, hardly in their seeds."""
    rng = np.random.default_rng(2)
    student, baseline = crossed(rng, 200, seeds=5, of_seeds=0.0, of_images=0.3)
    by_seed = 1.0 * student.mean(axis=2) - baseline.mean(axis=2)
    assert np.mean(stats.ttest_1samp(by_seed, 0, axis=1).pvalue < 0.05) > 0.1
    assert np.mean([paired_verdict(*pair).p < 0.05 for pair in zip(student, baseline, strict=True)]) < 0.09


def test_without_an_effect_of_images_it_is_the_t_test_over_seeds():
    rng = np.random.default_rng(4)
    student, baseline = answers(rng, 4, 50), answers(rng, 4, 50)
    student[:, ::2] = np.roll(student[:, ::2], 1, axis=0)
    error, freedom = verdicts.standard_error(np.array([[1.0, -1.0], [-1.0, 1.0], [3.0, 1.0]]))
    means = np.array([0.0, 0.0, 2.0])
    assert (error, freedom) == (pytest.approx(stats.sem(means)), pytest.approx(2.0))
    verdict = paired_verdict(student, baseline)
    least = stats.sem(100 * (student.mean(axis=1) - baseline.mean(axis=1))) * stats.t.ppf(0.975, 3)
    assert verdict.high - verdict.mean <= 1.5 * least


def test_equal_networks_cannot_be_told_apart():
    same = answers(np.random.default_rng(0))
    verdict = paired_verdict(same, same)
    assert (verdict.word, verdict.mean, verdict.p) == ("cannot be told apart", 0.0, 1.0)


@pytest.mark.parametrize(
    "arrays",
    [
        (np.ones((3, 4), bool), np.ones((4, 4), bool)),
        (np.ones(4, bool), np.ones(4, bool)),
        (np.ones((0, 4), bool), np.ones((0, 4), bool)),
        (np.ones((3, 4), np.uint8), np.ones((3, 4), bool)),
    ],
)
def test_what_cannot_be_compared_is_refused(arrays):
    with pytest.raises(ValueError):
        paired_verdict(*arrays)
    if arrays[0].ndim == 2:
        with pytest.raises(ValueError):
            mcnemar(*arrays)


def test_mcnemar_is_the_binomial_test():
    one, two = np.arange(20) < 5, np.arange(20) >= 5
    only_one, only_two, p = mcnemar(one, two)
    assert (only_one, only_two) == (5, 15)
    assert p == pytest.approx(stats.binomtest(5, 20).pvalue) == pytest.approx(0.0414, abs=5e-5)
    assert mcnemar(one, one) == (0, 0, 1.0)


# --- rows of the store ------------------------------------------------------------------------------


def store_of(folder, runs, profile="full"):
    """Save runs {(key, recipe): {seed: share of right answers}} with real labels; returns the frame."""
    size = 10_000 if profile == "full" else 1000
    labels = store.known_test_labels(size)
    for (key, recipe), seeds in runs.items():
        for seed, share in seeds.items():
            rng = np.random.default_rng([seed, *key.encode()])
            right = rng.random(size) < share
            given = np.where(right, labels, (labels + 1) % 10)
            result = fake_result(
                key, profile=PROFILES[profile], recipe=recipe, seed=seed, accuracies=(10.0,), test_images=size
            )
            store.save_result(result | store.pack_predictions(given), folder)
    return store.load_results(folder)


def test_a_row_is_judged_by_the_seeds_both_have(tmp_path):
    frame = store_of(
        tmp_path,
        {
            ("gn-s-1.0x", "paper"): {0: 0.91, 1: 0.91, 2: 0.91},
            ("gn-s-1.0x<resnet50", "paper"): {0: 0.95, 1: 0.95, 2: 0.95, 7: 0.2},
            ("gn-d<vgg13", "paper"): {0: 0.9},
        },
    )
    verdict = verdict_of(frame, "gn-s-1.0x<resnet50")
    assert (verdict.word, verdict.seeds, verdict.images) == ("helps", 3, 10_000)
    assert verdict.mean == pytest.approx(4.0, abs=0.5)
    assert verdict_of(frame, "gn-s-1.0x<vgg13").reason == "not run"
    assert "baseline has not been run" in verdict_of(frame, "gn-d<vgg13").reason
    assert verdict_of(frame, "gn-s-1.0x<resnet50", recipe="repaired").reason == "not run"


def test_as_run_is_compared_with_a_shuffled_and_with_an_unshuffled_baseline(tmp_path):
    seeds = range(3)
    runs = {
        ("gn-s-1.0x", "paper"): dict.fromkeys(seeds, 0.9),
        ("gn-s-1.0x", "unshuffled"): dict.fromkeys(seeds, 0.7),
        ("gn-s-1.0x<ta", "as_run"): dict.fromkeys(seeds, 0.8),
        ("gn-s-1.0x<vgg13", "paper"): dict.fromkeys(seeds, 0.8),  # as_run trains this row alike
    }
    frame = store_of(tmp_path, runs)
    assert verdict_of(frame, "gn-s-1.0x<ta", recipe="as_run").word == "hurts"
    assert verdict_of(frame, "gn-s-1.0x<ta", recipe="as_run", baseline_recipe="unshuffled").word == "helps"
    assert verdict_of(frame, "gn-s-1.0x<vgg13", recipe="as_run").word == "hurts"
    assert verdict_of(frame, "gn-s-1.0x<vgg13", recipe="repaired").reason == "not run"


def test_a_change_without_a_teacher_is_judged_against_the_same_network(tmp_path):
    seeds = range(3)
    runs = {("gn-s-1.0x", "paper"): dict.fromkeys(seeds, 0.7), ("gn-s-1.0x", "seven_epochs"): dict.fromkeys(seeds, 0.9)}
    results = store_of(tmp_path, runs, "laptop")
    options = {"profile": "laptop", "recipe": "seven_epochs", "baseline_recipe": "paper"}
    found = verdict_of(results, "gn-s-1.0x", **options)
    assert (found.word, found.seeds) == ("helps", 3) and found.mean == pytest.approx(20, abs=2)
    with pytest.raises(ValueError, match="nothing to judge"):
        verdict_of(results, "gn-s-1.0x", profile="laptop", recipe="seven_epochs")


def test_the_quick_profile_judges_nothing(tmp_path):
    runs = {("gn-d", "paper"): {0: 0.1, 1: 0.1, 2: 0.1}, ("gn-d<vgg13", "paper"): {0: 0.3, 1: 0.3, 2: 0.3}}
    verdict = verdict_of(store_of(tmp_path, runs, "quick"), "gn-d<vgg13", profile="quick")
    assert verdict.word == "none" and "quick profile" in verdict.reason and verdict.mean > 15


@pytest.mark.parametrize(
    ("key", "options", "words"),
    [
        ("gn-d", {}, "has no teacher"),
        ("gn-d<vgg31", {}, "did you mean gn-d<vgg13"),
        ("gn-d<vgg13", {"profile": "quik"}, "unknown profile 'quik': choose one of quick, laptop, full"),
        ("gn-d<vgg13", {"recipe": "repared"}, "unknown recipe 'repared'"),
        ("gn-d<vgg13", {"recipe": "as_run", "baseline_recipe": "unshufled"}, "unknown recipe 'unshufled'"),
    ],
)
def test_what_is_misspelt_or_cannot_be_judged_is_refused(tmp_path, key, options, words):
    with pytest.raises(ValueError, match=words):
        verdict_of(store.load_results(tmp_path), key, **options)


# --- the labels it needs ----------------------------------------------------------------------------


def test_known_labels_are_the_data_sets():
    from course_lib.data import load_dataset

    assert (store.known_test_labels(1000) == load_dataset("cifar10", "sample").test.labels.numpy()).all()
    assert np.bincount(store.known_test_labels(10_000)).tolist() == [1000] * 10


def test_unknown_missing_and_edited_labels_are_one_line(tmp_path, monkeypatch):
    with pytest.raises(ResultError, match="not of 77"):
        store.known_test_labels(77)
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    with pytest.raises(ResultError, match="sample.json"):
        store.known_test_labels(1000)
    save_logits("resnet56", torch.zeros(10_000, 10), torch.zeros(10_000), {})
    with pytest.raises(ResultError, match="does not hold the labels"):
        store.known_test_labels(10_000)
