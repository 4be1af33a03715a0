"""Recipes row by row, and the queue in order of value."""

import pytest

from course_lib.profiles import PROFILES
from course_lib.study.experiments import EXPERIMENTS, PRETRAINED, PUBLISHED, ROWS, find
from course_lib.study.plan import wanted
from course_lib.study.protocols import (
    CONTROL,
    FACTORS,
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
    assert settings(key, "paper")[1:] == ((1.0, 0.5) if has_teacher else (1.0, 1.0))
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
    assert fed_size(find(PRETRAINED)) == 224 > fed_size(find("efficientnetv2_s"))
    assert PRETRAINED not in EXPERIMENTS and set(ROWS) > set(EXPERIMENTS)


def test_what_starts_from_imagenet_runs_when_it_is_named():
    student = f"gn-s-2.8x<{PRETRAINED}"
    for profile in (FULL, LAPTOP, QUICK):
        assert not any(PRETRAINED in run.key for run in with_teachers(wanted(profile)))
    [run] = wanted(QUICK, keys=[student])
    assert [str(one) for one in with_teachers([run])] == [f"{PRETRAINED}, seed 0", f"{student}, seed 0"]
    assert run.name == "gn-s-2.8x_from_efficientnetv2_s-pretrained.quick.paper.seed0"
    assert [one.recipe for one in wanted(QUICK, keys=[student], recipes=["as_run"])] == ["unshuffled", "as_run"]


def test_an_unknown_recipe_is_named():
    with pytest.raises(ValueError, match="unknown recipe 'papers': choose one of paper, as_run, repaired"):
        check_recipe("papers")
    with pytest.raises(ValueError, match="unknown recipe 'as-run'"):
        origin("gn-d", "as-run")


# --- the queue ----------------------------------------------------------------------------------------


def test_laptop_runs_its_groups_in_order_of_value():
    """docs/hypotheses.md, group by group; each run once."""
    runs = wanted(LAPTOP)
    assert len(set(runs)) == len(runs)
    told = [f"{run.key} {run.recipe} {run.seed}" for run in runs]
    assert told[:3] == [f"gn-s-1.0x paper {seed}" for seed in range(3)]
    assert told[3:9] == [f"gn-s-1.0x<resnet56 {name} {seed}" for seed in range(3) for name in ("paper", "repaired")]
    assert told[9:16] == [f"gn-s-{width}x paper 0" for width in (1.3, 1.6, 1.9, 2.2, 2.8, 3.4)] + ["gn-d paper 0"]
    assert told[16:20] == [
        f"gn-s-1.0x<published {how}" for how in ("repaired 0", "repaired 1", "repaired 2", "paper 0")
    ]
    assert told[20:23] == [f"gn-s-1.0x<resnet20<resnet56 repaired {seed}" for seed in range(3)]
    later = ["gn-s-2.8x<resnet56 repaired 0", "resnet18 paper 0", "gn-s-1.0x<resnet18 repaired 0", "gn-d<ta paper 0"]
    places = [told.index(run) for run in [*later, "gn-d paper 1", "gn-d paper 2"]]
    assert places == sorted(places) and places[0] > 22 and places[-1] == len(told) - 1
    assert not any("ensemble" in run for run in told)


def test_laptop_changes_one_thing_at_a_time():
    told = {(run.key, run.recipe): run for run in wanted(LAPTOP) if run.recipe in FACTORS}
    alone, taught = "gn-s-1.0x", "gn-s-1.0x<resnet56"
    assert set(told) == {(key, name) for key in (alone, taught) for name in FACTORS if origin(key, name) == name}
    assert {name for _, name in told} == set(FACTORS)
    for (key, name), run in told.items():
        plain, protocol = vars(training_recipe(find(key), LAPTOP, run.seed)), FACTORS[name]
        changed = {what: value for what, value in vars(run.settings).items() if value != plain[what]}
        assert changed.items() <= protocol.settings.items()
        assert changed or run.images < 50_000 and key == alone
        if key == taught:  # compared with a student alone that has the same order, epochs and images
            control = Run(alone, LAPTOP, origin(alone, name))
            beside = "shuffle epochs".split() + ["lr"] * (name != "quarter_rate")
            assert [getattr(control.settings, each) for each in beside] == [
                getattr(run.settings, each) for each in beside
            ]
            assert control.images == run.images
        assert run.images == {"tenth_of_images": 5_000, "hundredth_of_images": 500}.get(name, 50_000)
        elsewhere = {"own_crop": "a crop of its own", "scraps": "scraps"}
        assert teacher_sees(find(key), name) == elsewhere.get(name, "the whole picture")


def test_full_goes_on_to_five_seeds_of_everything():
    runs, first = wanted(FULL), [run for run in wanted(LAPTOP) if run.recipe in RECIPES]
    assert [run.name for run in runs[: len(first)]] == [run.name.replace("laptop", "full") for run in first]
    assert len(set(runs)) == len(runs)
    everything = set(with_teachers(runs))
    paper = {run for run in everything if run.key in EXPERIMENTS}
    assert len(paper) == 5 * (32 + 5 + 10 + 17)  # paper, its control, as_run, repaired
    ours = {run.key for run in everything - paper}
    assert ours == {key for key, row in ROWS.items() if row.table == "ours" and key not in PUBLISHED} - {
        PRETRAINED,
        f"gn-s-2.8x<{PRETRAINED}",
    }


def test_teachers_come_before_their_students_under_every_recipe():
    runs = with_teachers(wanted(FULL, seeds=[0]))
    for place, run in enumerate(runs):
        assert all(one.key in PUBLISHED or runs.index(one) < place for one in run.teachers)
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


def test_quick_is_the_papers_rows_once():
    runs = with_teachers(wanted(QUICK))
    assert {run.key for run in runs} == set(EXPERIMENTS) and len(runs) == len(EXPERIMENTS)


def test_a_table_is_taken_from_the_profiles_groups_and_a_named_row_runs_anyway():
    assert wanted(LAPTOP, table="table4") == []
    assert {run.key for run in wanted(LAPTOP, table="table3")} == {
        row.key for row in ROWS.values() if row.table == "table3"
    }
    seeds = {run.seed for run in wanted(LAPTOP, table="table1") if run.key == "gn-s-3.4x"}
    assert seeds == {0, 1, 2} and not any(run.key == "inceptionv3" for run in wanted(LAPTOP, table="table1"))
    [dear] = wanted(LAPTOP, keys=["gn-d<ensemble"])
    assert (dear.key, dear.recipe, dear.seed) == ("gn-d<ensemble", "paper", 0)
    asked = wanted(LAPTOP, keys=["gn-d<ensemble"], recipes=["repaired", "paper"], seeds=range(2))
    assert [(run.recipe, run.seed) for run in asked] == [("repaired", 0), ("paper", 0), ("repaired", 1), ("paper", 1)]
