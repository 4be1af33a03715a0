"""Recipes row by row, and the queue in order of value."""

import pytest

from course_lib.profiles import PROFILES
from course_lib.study import plan
from course_lib.study.experiments import EXPERIMENTS, PRETRAINED, ROWS, TABLES, find
from course_lib.study.plan import wanted
from course_lib.study.protocols import (
    CONTROL,
    RECIPES,
    check_recipe,
    control_keys,
    fed_size,
    origin,
    teacher_sees,
    training_recipe,
)
from course_lib.study.runs import Run, with_teachers

FULL, LAPTOP, QUICK = PROFILES["full"], PROFILES["laptop"], PROFILES["quick"]
UNSHUFFLED = {
    "gn-s-2.8x<efficientnetv2_s",
    "resnet34<resnet50",
    "resnet18<ta",
    *("gn-s-1.0x<ta", "gn-s-1.3x<ta", "gn-s-1.6x<ta", "gn-d<ta"),
    *("gn-s-1.0x<ensemble", "gn-s-2.8x<ensemble", "gn-d<ensemble"),
}


def settings(key, recipe, profile=FULL):
    trained = training_recipe(find(key), profile, 0, origin(key, recipe))
    return trained.shuffle, trained.temperature, trained.alpha


# --- recipes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", EXPERIMENTS)
def test_every_row_under_every_recipe(key):
    """PROTOCOL.md, sections 3 and 4, row by row."""
    has_teacher = bool(find(key).teachers)
    assert settings(key, "paper")[0] is True
    assert settings(key, "as_run")[0] is (key not in UNSHUFFLED)
    if has_teacher:
        assert settings(key, "paper")[1:] == settings(key, "as_run")[1:] == (1.0, 0.5)
        assert settings(key, "repaired") == (True, 4.0, 0.1)
    else:
        assert origin(key, "as_run") == origin(key, "repaired") == "paper"


def test_repaired_differs_from_paper_in_temperature_and_alpha_only():
    for key in EXPERIMENTS:
        paper, repaired = (
            vars(training_recipe(find(key), FULL, 0, origin(key, recipe))) for recipe in ("paper", "repaired")
        )
        differing = {name for name in paper if paper[name] != repaired[name]}
        assert differing == ({"temperature", "alpha"} if find(key).teachers else set())


def test_as_run_differs_from_paper_in_shuffling_only_and_scraps_are_shown_in_one_row():
    for key in UNSHUFFLED:
        paper, as_run = (vars(training_recipe(find(key), FULL, 0, recipe)) for recipe in ("paper", "as_run"))
        assert {name for name in paper if paper[name] != as_run[name]} == {"shuffle"}
    scraps = [(key, recipe) for key in EXPERIMENTS for recipe in RECIPES if teacher_sees(find(key), recipe) == "scraps"]
    assert scraps == [("gn-s-2.8x<efficientnetv2_s", "as_run")]


def test_every_unshuffled_row_has_an_unshuffled_baseline():
    assert control_keys() == ["gn-s-1.0x", "gn-s-1.3x", "gn-s-1.6x", "gn-s-2.8x", "gn-d"]
    for key in control_keys():
        paper, control = (vars(training_recipe(find(key), FULL, 0, recipe)) for recipe in ("paper", CONTROL))
        assert {name for name in paper if paper[name] != control[name]} == {"shuffle"}


def test_students_of_full_train_as_the_paper_says_and_its_assistants_too():
    for key in ("gn-s-1.0x", "gn-d<vgg13", "resnet34<resnet50", "resnet18<ta"):
        trained = training_recipe(find(key), FULL, 0)
        assert (trained.epochs, trained.batch_size, trained.lr, trained.weight_decay) == (200, 256, 0.01, 0.01)
        assert (trained.momentum, trained.warmup) == (0.9, 0.3)
    assert training_recipe(find("resnet50"), FULL, 0).epochs == FULL.teacher_epochs < 200


def test_fine_tuning_is_a_row_of_its_own():
    tuned, scratch = (training_recipe(find(key), FULL, 0) for key in (PRETRAINED, "efficientnetv2_s"))
    assert (tuned.batch_size, tuned.lr, tuned.momentum, tuned.weight_decay) == (32, 0.01, 0.95, 5e-4)
    assert tuned.epochs == 20 < scratch.epochs
    assert fed_size(find(PRETRAINED), FULL) == 224 > fed_size(find("efficientnetv2_s"), FULL)
    assert PRETRAINED not in EXPERIMENTS and set(ROWS) > set(EXPERIMENTS)


def test_rows_of_our_own_run_when_they_are_named():
    student = f"gn-s-2.8x<{PRETRAINED}"
    for profile in (FULL, LAPTOP, QUICK):
        assert not any(run.experiment.table == "ours" for run in with_teachers(wanted(profile)))
    [run] = wanted(QUICK, keys=[student])
    assert [str(one) for one in with_teachers([run])] == [f"{PRETRAINED}, seed 0", f"{student}, seed 0"]
    assert run.name == "gn-s-2.8x_from_efficientnetv2_s-pretrained.quick.paper.seed0"
    assert [one.recipe for one in wanted(QUICK, keys=[student], recipes=["as_run"])] == ["unshuffled", "as_run"]


def test_an_unknown_recipe_is_named():
    with pytest.raises(ValueError, match="unknown recipe 'papers': choose one of paper, as_run, repaired"):
        check_recipe("papers")
    for call in (lambda: plan.rows(["gn-d"], FULL, "as-run"), lambda: origin("gn-d", "as-run")):
        with pytest.raises(ValueError, match="unknown recipe 'as-run'"):
            call()


# --- the queue ----------------------------------------------------------------------------------------


def test_full_runs_everything_in_order_of_value():
    runs = with_teachers(wanted(FULL))
    assert len({run.name for run in runs}) == len(runs) == 5 * (32 + 5 + 10 + 17)
    assert [run.key for run in runs[:8]] == [
        *(f"gn-s-{width}x" for width in (1.0, 1.3, 1.6, 1.9, 2.2, 2.8, 3.4)),
        "gn-d",
    ]
    first = {}
    for place, run in enumerate(runs):
        first.setdefault((run.seed, run.recipe, run.experiment.table), place)
    order = [
        (0, "paper", "table1"),
        (0, "paper", "table2"),
        (0, "paper", "table3"),
        (0, "paper", "table4"),
        (0, "unshuffled", "table1"),
        (0, "as_run", "table2"),
        (0, "as_run", "table4"),
        (0, "repaired", "table2"),
        (1, "paper", "table1"),
        (4, "repaired", "table4"),
    ]
    assert [first[group] for group in order] == sorted(first[group] for group in order)


def test_teachers_come_before_their_students_under_every_recipe():
    runs = with_teachers(wanted(FULL, seeds=[0]))
    for place, run in enumerate(runs):
        assert all(runs.index(teacher) < place for teacher in run.teachers)
    chain = with_teachers([Run("gn-d<ta", FULL, "repaired")])
    assert [str(run) for run in chain] == [
        "resnet50, seed 0",
        "resnet34<resnet50, repaired, seed 0",
        "resnet18<ta, repaired, seed 0",
        "gn-d<ta, repaired, seed 0",
    ]


def test_a_choice_is_obeyed():
    table = wanted(FULL, table="table2", recipes=["paper"], seeds=range(3))
    assert {run.experiment.table for run in table} == {"table2"} and len(table) == 3 * 8
    as_run = wanted(FULL, table="table2", recipes=["as_run"], seeds=[0])
    assert sum(run.recipe == "paper" for run in as_run) == 7  # trained alike: one run for both recipes
    assert [str(run) for run in as_run if run.recipe != "paper"] == [
        "gn-s-2.8x, unshuffled, seed 0",
        "gn-s-2.8x<efficientnetv2_s, as_run, seed 0",
    ]
    assert [run.key for run in wanted(FULL, keys=["resnet34<resnet50"], recipes=["paper"], seeds=[0])] == [
        "resnet34<resnet50"
    ]
    with pytest.raises(ValueError, match="unknown experiment"):
        wanted(FULL, keys=["gn-s-9x"])
    with pytest.raises(ValueError, match="unknown table"):
        wanted(FULL, table="table9")
    with pytest.raises(ValueError, match="unknown recipe"):
        wanted(FULL, recipes=["mended"])


@pytest.mark.parametrize(
    "choice, name",
    [
        ({"keys": ["resnet18"]}, "resnet18"),
        ({"keys": ["gn-d", "vgg13"]}, "vgg13"),
        ({"table": "assistants"}, "assistants"),
    ],
)
def test_a_choice_that_the_recipe_has_no_row_for_is_named(choice, name):
    with pytest.raises(ValueError, match=f"unshuffled has no row for {name}, only for gn-s-1.0x, .* gn-d$"):
        wanted(LAPTOP, recipes=[CONTROL], **choice)
    assert wanted(LAPTOP, recipes=[CONTROL, "paper"], **choice) and wanted(LAPTOP, recipes=["as_run"], **choice)


def test_every_profile_runs_what_it_can_afford():
    assert len(with_teachers(wanted(QUICK))) == 32
    laptop = wanted(LAPTOP)
    assert {run.seed for run in laptop} == {0} and {run.recipe for run in laptop} == {"paper"}
    assert not any(run.key in plan.TOO_DEAR["laptop"] for run in laptop)
    assert {run.experiment.table for run in laptop} == {*TABLES, "assistants"}
    [dear] = wanted(LAPTOP, keys=["gn-d<vgg13"])  # by name all the same
    assert dear.key == "gn-d<vgg13"
