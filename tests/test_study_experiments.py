"""The registry lists every row of the paper's tables, and what those rows need."""

import re
from collections import Counter

import pytest

from course_lib.data import fetch
from course_lib.models import cifar_resnet
from course_lib.profiles import PROFILES
from course_lib.study import store
from course_lib.study.experiments import (
    EXPERIMENTS,
    PUBLISHED,
    Experiment,
    baseline_of,
    find,
    in_order,
    run_id,
    table_rows,
)
from course_lib.study.plan import wanted
from course_lib.study.runs import Run, with_teachers


def test_every_table_has_the_papers_number_of_rows():
    counts = Counter(experiment.table for experiment in EXPERIMENTS.values())
    assert counts == {"table1": 15, "table2": 8, "table3": 4, "table4": 3, "assistants": 2}


def test_table_rows_keep_the_papers_order():
    assert [row.key for row in table_rows("table2")] == [
        "gn-s-1.0x<resnet18",
        "gn-s-1.0x<resnet50",
        "gn-s-1.0x<vgg13",
        "gn-s-1.0x<gn-s-2.8x",
        "gn-s-2.8x<vgg13",
        "gn-s-2.8x<efficientnetv2_s",
        "gn-d<resnet50",
        "gn-d<vgg13",
    ]


def test_keys_name_their_experiment_and_teachers_exist():
    for key, experiment in EXPERIMENTS.items():
        assert experiment.key == key
        assert all(teacher in EXPERIMENTS for teacher in experiment.teachers)
        assert (experiment.width is not None) == (experiment.student == "gn-s")


def test_methods_have_the_teachers_they_need():
    assert all(not row.teachers for row in table_rows("table1"))
    assert all(len(row.teachers) == 1 for row in table_rows("table2"))
    assert all(row.teachers == ("resnet18<ta",) for row in table_rows("table3"))
    ensemble = {"resnet50", "densenet161", "vgg13", "inceptionv3"}
    assert all(set(row.teachers) == ensemble for row in table_rows("table4"))


def test_the_chain_of_assistants_comes_in_order():
    assert in_order(["gn-s-1.0x<ta"]) == ["resnet50", "resnet34<resnet50", "resnet18<ta", "gn-s-1.0x<ta"]


def test_in_order_puts_teachers_first_and_nothing_twice():
    everything = in_order(reversed(list(EXPERIMENTS)))
    assert sorted(everything) == sorted(EXPERIMENTS)
    for position, key in enumerate(everything):
        assert all(everything.index(teacher) < position for teacher in EXPERIMENTS[key].teachers)


def test_baseline_is_the_same_student_without_a_teacher():
    for experiment in EXPERIMENTS.values():
        baseline = find(baseline_of(experiment))
        assert (baseline.student, baseline.width) == (experiment.student, experiment.width)
        assert not baseline.teachers


def test_an_unknown_key_is_answered_with_its_neighbours():
    with pytest.raises(ValueError, match="gn-s-1.0<resnet50") as caught:
        find("gn-s-1.0<resnet50")
    assert "did you mean gn-s-1.0x<resnet50" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="known are gn-s-1.0x"):
        find("zzzzzz")
    with pytest.raises(ValueError, match="unknown experiment"):
        in_order(["gn-s-1.0x", "nothing"])
    with pytest.raises(ValueError, match="table1, table2"):
        table_rows("table5")


def test_run_ids_differ_and_are_safe_as_file_names():
    names = {
        run_id(key, profile=profile, recipe="paper", seed=seed)
        for key in EXPERIMENTS
        for profile in ("quick", "full")
        for seed in (0, 1)
    }
    assert len(names) == len(EXPERIMENTS) * 4
    assert all(re.fullmatch(r"[a-z0-9._-]+", name) for name in names)
    assert run_id("gn-d<vgg13", profile="quick", recipe="paper", seed=3) == "gn-d_from_vgg13.quick.paper.seed3"


@pytest.mark.parametrize(
    "changes", [{"profile": "../quick"}, {"recipe": "a b"}, {"recipe": ""}, {"seed": -1}, {"seed": True}]
)
def test_run_id_refuses_what_is_no_file_name(changes):
    with pytest.raises(ValueError):
        run_id("gn-d", **({"profile": "quick", "recipe": "paper", "seed": 0} | changes))


def test_experiments_cannot_be_changed_by_accident():
    with pytest.raises(AttributeError):
        find("gn-d").width = 0.1
    assert isinstance(find("gn-d"), Experiment)


def test_published_networks_are_taught_by_nobody_and_are_no_runs():
    for key in PUBLISHED:
        assert not find(key).teachers
        assert run_id(key, profile="laptop", recipe="paper", seed=2) == f"{key}.published"
    assert find("gn-s-1.0x<published").teachers == PUBLISHED
    chain = ["resnet56", "resnet20<resnet56", "gn-s-1.0x<resnet20<resnet56"]
    assert in_order(["gn-s-1.0x<resnet20<resnet56"]) == chain
    run = Run("gn-s-1.0x<resnet20<resnet56", PROFILES["laptop"])
    assert [str(one) for one in with_teachers([run])] == ["resnet20<resnet56, seed 0", f"{chain[-1]}, seed 0"]
    with pytest.raises(ValueError, match="resnet56 is published, not trained here"):
        wanted(PROFILES["laptop"], keys=["resnet56"])


def test_facts_that_stand_in_two_rooms_are_the_same():
    """The study keeps its own copy of what it needs without torch and without one floor more."""
    assert set(PUBLISHED) == set(cifar_resnet.PUBLISHED)
    assert store.TEST_LABELS_SHA256 == fetch.SHA256["test_labels"]
