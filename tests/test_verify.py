"""`verify` names what is broken in a store, and nothing else."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from fabricated import fake_result

from course_lib.__main__ import main
from course_lib.profiles import PROFILES
from course_lib.study import store
from course_lib.study.experiments import PRETRAINED, ROWS, find
from course_lib.study.protocols import training_recipe
from course_lib.study.runs import Run
from tools import verify

ROOT = Path(__file__).resolve().parent.parent


def test_the_stored_results_are_sound_and_all_accepted(capsys):
    assert main(["verify"]) == 0
    assert capsys.readouterr().err == ""
    listing = subprocess.run(["git", "ls-files", "data/results"], cwd=ROOT, capture_output=True, text=True)
    committed = {Path(name).stem for name in listing.stdout.split() if name.endswith(".json")}
    assert committed <= set(verify.accepted())


def sound(key="gn-s-1.0x", share=0.3, profile="quick", recipe="paper", seed=0, **changes) -> dict:
    """A result whose every number fits: settings, counts, predictions and accuracy."""
    experiment, size = find(key), PROFILES[profile]
    count = size.test_images or (1000 if profile == "quick" else 10_000)
    labels = store.known_test_labels(count)
    right = np.arange(count) < share * count
    training = training_recipe(experiment, size, seed, recipe)
    result = fake_result(key, profile=size, recipe=recipe, seed=seed, accuracies=(100 * right.mean(),))
    row = result["history"][0]
    result["history"] = [row | {"epoch": epoch} for epoch in range(1, training.epochs + 1)]
    result["training"] = vars(training) | changes.pop("training", {})
    result["parameters"] = verify._parameters(experiment.student, experiment.width)
    result |= store.pack_predictions(np.where(right, labels, (labels + 1) % 10))
    return result | changes


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A course folder with the paper's numbers and the labels, and an empty store."""
    for name in ("paper", "logits"):
        shutil.copytree(ROOT / "data" / name, tmp_path / "data" / name)
    (tmp_path / "data" / "sample").mkdir()
    shutil.copy(ROOT / "data" / "sample" / "sample.json", tmp_path / "data" / "sample")
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    return tmp_path


def broken() -> dict[str, str]:
    return {line.name: line.words for line in verify.examine() if line.broken}


def save(result: dict, *, accepted: bool = True) -> dict:
    """Put a result into the store as a run does; returns it."""
    store.save_result(result)
    if accepted:
        verify.accept()
    return result


def taught(key: str, profile="quick", recipe="paper", share=0.3, **conditions) -> dict:
    """A sound result of a student that says of its teachers what the store has of them."""
    run = Run(key, PROFILES[profile], recipe)
    stored = {teacher.name: store.read_result(teacher.result) for teacher in run.teachers}
    told = [
        {"run": name, "epochs": len(result["history"]), "last_accuracy": result["last_accuracy"]}
        for name, result in stored.items()
    ]
    return sound(key, share, profile, recipe) | {"conditions": {"teachers": told} | conditions}


def test_a_store_that_is_gone_is_broken_and_one_that_begins_anew_is_accepted_empty(home, capsys):
    assert main(["verify"]) == 1
    printed = capsys.readouterr()
    assert f"{home}/data/results/accepted.csv is missing: restore data/results" in printed.err
    assert printed.err.count("\n") == 1
    assert main(["verify", "--accept"]) == 0
    assert verify.examine() == []
    store.save_result(sound())
    assert broken() == {}


def test_rows_are_compared_with_the_paper(home):
    save(sound(profile="full", share=0.91, seed=1))
    lines = {line.name: line.words for line in verify.examine()}
    assert lines["full, paper, gn-s-1.0x"] == "91.00 % (n = 1), expected 87.37 to 93.37; paper 91.37, delta -0.37"
    assert broken() == {} and len(lines) == 1


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"parameters": 483_555}, "its parameters: 483555, where gn-s-1.0x of profile quick and recipe paper has"),
        ({"training": {"shuffle": False}}, "its shuffle: False, where"),
        ({"training": {"alpha": 0.9}}, "its alpha: 0.9, where"),
    ],
)
def test_a_result_that_contradicts_the_registry_is_named(home, result, words):
    store.save_result(sound(**result))
    assert words in broken()["gn-s-1.0x.quick.paper.seed0"]


def test_an_accuracy_that_its_predictions_do_not_bear_out_is_named(home):
    result = sound(share=0.3)
    store.save_result(result | store.pack_predictions(np.zeros(1000, dtype=int)))
    assert "predictions are right in 10.00 %" in broken()["gn-s-1.0x.quick.paper.seed0"]


def test_a_row_under_a_recipe_that_does_not_train_it_is_named(home):
    store.save_result(sound() | {"recipe": "repaired", "run": "gn-s-1.0x.quick.repaired.seed0"})
    assert "not run under the recipe repaired" in broken()["gn-s-1.0x.quick.repaired.seed0"]


@pytest.mark.parametrize(
    ("key", "profile", "recipe", "share"),
    [
        ("gn-d", "quick", "paper", 0.7),
        ("gn-d", "full", "paper", 0.86),
        ("gn-d<ta", "full", "repaired", 0.8),
        ("gn-d<ta", "full", "as_run", 0.94),
    ],
)
def test_a_mean_outside_its_interval_is_broken(home, key, profile, recipe, share):
    save(sound(key, share, profile, recipe))
    assert list(broken()) == [f"{profile}, {recipe}, {key}"]
    assert "outside" in broken()[f"{profile}, {recipe}, {key}"]


def test_missing_torn_edited_and_replaced_files_are_named(home, capsys):
    paths = [store.save_result(sound(seed=seed)) for seed in range(4)]
    assert main(["verify", "--accept"]) == 0
    assert capsys.readouterr().out.count("accepted gn-s-1.0x") == 4
    paths[0].unlink()
    paths[1].write_bytes(paths[1].read_bytes()[:-40])
    paths[2].write_text(paths[2].read_text().replace('"device": "cpu', '"device": "gpu'))
    store.save_result(json.loads(json.dumps(sound(seed=3))) | {"wall_seconds": 1.0})  # sound, but another one
    assert main(["verify"]) == 1
    err = capsys.readouterr().err
    assert f"{paths[0]} is missing" in err
    assert f"{paths[1]} cannot be read" in err and "edited" in err
    assert f"{paths[3]} is not the accepted one" in err
    assert main(["verify", "--accept"]) == 1  # what is broken is not accepted
    err = capsys.readouterr().err
    assert str(paths[3]) not in err and f"{paths[0]} is missing" in err


def test_a_torn_file_keeps_its_name_in_a_folder_with_a_space(home, monkeypatch):
    course = home.rename(home.with_name("my course"))
    monkeypatch.setenv("COURSE_HOME", str(course))
    path = store.save_result(sound())
    path.write_bytes(path.read_bytes()[:-40])
    assert str(path) in broken()[path.name]


def test_every_row_has_an_interval_that_holds_the_papers_own_number(home):
    for key in ROWS:
        low, high = verify.expected(key, "full")
        assert low < verify._printed().get(key, 90.0) < high
    assert verify.expected("gn-s-1.0x<vgg13", "full") == pytest.approx((89.02 - 4, 89.02 + 2), abs=3)
    assert verify.expected(PRETRAINED, "laptop")[1] > verify.expected("gn-d", "laptop")[1]


def test_a_torn_list_of_accepted_results_is_one_line(home, capsys):
    save(sound())
    with open(verify.accepted_path(), "a") as file:
        file.write("garbage\n")
    assert main(["verify"]) == 1
    err = capsys.readouterr().err
    assert "accepted.csv cannot be read (line 'garbage')" in err and err.count("\n") == 1


def test_a_missing_list_is_broken_and_a_result_that_nobody_accepted_is_said(home):
    save(sound())
    save(sound(seed=1), accepted=False)
    lines = {line.name: str(line) for line in verify.examine()}
    assert lines["gn-s-1.0x.quick.paper.seed1"].startswith("ok") and "not accepted yet" in str(lines)
    assert broken() == {}
    verify.accepted_path().unlink()
    assert "is missing" in broken()["accepted.csv"]


SCRAPS = "gn-s-2.8x<efficientnetv2_s"
FORGED = [
    ({"teacher_sees": "the whole picture"}, "its teacher_sees: the whole picture, where"),
    ({"teacher_sees": "scraps", "input_size": 7}, "its input_size: 7, where"),
    (
        {"teachers": [{"run": "vgg13.quick.paper.seed0", "epochs": 1, "last_accuracy": 30.0}]},
        "its teachers' runs: ['vgg13",
    ),
]


@pytest.mark.parametrize(("conditions", "words"), FORGED)
def test_conditions_that_are_not_the_recipes_are_named(home, conditions, words):
    save(sound("efficientnetv2_s"))
    result = save(taught(SCRAPS, recipe="as_run", teacher_sees="scraps", input_size=32))
    assert broken() == {}
    save(result | {"conditions": result["conditions"] | conditions})
    assert words in broken()[result["run"]]


@pytest.mark.parametrize(("change", "words"), [({"epochs": 9}, "had 9 epochs"), ({"last_accuracy": 10.0}, "10.00 %")])
def test_a_teacher_that_is_not_the_stored_one_is_named(home, change, words):
    save(sound("vgg13"))
    result = taught("gn-d<vgg13")
    result["conditions"]["teachers"][0] |= change
    save(result)
    assert words in broken()[result["run"]]


def test_other_images_than_the_profiles_are_named_and_the_rest_is_examined(home):
    save(sound(data=sound()["data"] | {"name": "cifar100"}))
    few = sound(seed=1)
    save(few | store.pack_predictions(np.zeros(77, dtype=int)))
    full = sound(profile="full", seed=1)
    save(full | store.pack_predictions(store.known_test_labels(1000)))
    said = broken()
    assert "its data set: cifar100, where" in said["gn-s-1.0x.quick.paper.seed0"]
    assert "its test images: 77, where" in said["gn-s-1.0x.quick.paper.seed1"]
    assert "its test images: 1000, where" in said["gn-s-1.0x.full.paper.seed1"]


def test_labels_that_cannot_be_read_are_said_of_each_row(home):
    save(sound())
    (home / "data" / "sample" / "sample.json").unlink()
    assert "sample's labels cannot be read" in broken()["gn-s-1.0x.quick.paper.seed0"]


def test_a_stranger_in_the_store_is_named_and_not_broken(home):
    path = store.save_result(sound())
    verify.accept()
    path.with_name(f"._{path.name}").write_bytes(b"\x00\x05")
    stranger = path.with_name(f"{path.stem} (1).json")
    stranger.write_bytes(path.read_bytes())
    assert broken() == {} and str(stranger) in " ".join(line.words for line in verify.examine())
