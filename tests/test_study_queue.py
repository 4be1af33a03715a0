"""The study: teachers first, finished runs skipped, killed runs resumed, failed runs reported."""

import dataclasses
import functools
import platform
import subprocess
import sys
import textwrap
import time

import pytest
import torch
from tiny import TINY, finish, furnish, network, runs, stored

from course_lib.files import CheckpointError, CourseError, TrainingError
from course_lib.profiles import PROFILES
from course_lib.study import experiments, store
from course_lib.study import queue as study
from course_lib.study import runs as material
from course_lib.study.estimates import Estimate
from course_lib.study.progress import Budget, LiveLine
from course_lib.study.runs import Run, with_teachers
from course_lib.training.engine import Engine

TWO_EPOCHS = dataclasses.replace(TINY, student_epochs=2)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A course folder of its own, and a tiny network for all."""
    monkeypatch.setenv("COURSE_HOME", furnish(tmp_path))
    monkeypatch.setattr(material, "create_model", network)
    monkeypatch.setattr(material, "fed_size", lambda *_: 32)
    for module in (material, study):
        monkeypatch.setattr(module, "default_device", lambda: torch.device("cpu"))
    yield tmp_path
    material._teacher.cache_clear()


def trained(monkeypatch) -> list[str]:
    """The keys that are trained from now on, in their order."""
    seen, original = [], material.train
    monkeypatch.setattr(material, "train", lambda *args, name, **rest: seen.append(name) or original(*args, **rest))
    return seen


# --- what a run is ------------------------------------------------------------------------------------


def test_a_student_brings_its_teachers():
    assert finish(["gn-s-1.0x<ta"]) == []
    assert set(stored()) == {"resnet50", "resnet34<resnet50", "resnet18<ta", "gn-s-1.0x<ta"}
    row = stored()["gn-s-1.0x<ta"]
    assert row.teachers == ("resnet18<ta",)
    assert row.history[0]["soft_loss"] > 0
    assert stored()["resnet50"].history[0]["soft_loss"] == 0


def test_an_ensemble_learns_from_the_mean_of_its_teachers(monkeypatch):
    finish(["gn-s-1.0x<ensemble"])
    [run] = runs("gn-s-1.0x<ensemble")
    ensemble = material.teacher_of(run).teacher
    assert len(ensemble.teachers) == 4
    images = torch.randn(3, 3, 32, 32)
    members = [material.load_teacher(teacher) for teacher in run.teachers]
    torch.testing.assert_close(ensemble(images), sum(member(images) for member in members) / 4)


def test_the_result_holds_what_the_run_did():
    finish(["gn-s-1.3x"], profile=TINY, seeds=(0, 1))
    frame = store.load_results().sort_values("seed")
    assert list(frame.seed) == [0, 1] and set(frame.profile) == {"tiny"} and set(frame.train_images) == {20}
    for row in frame.itertuples():
        predictions = store.predictions(row._asdict())
        labels = material.study_data(TINY, 20).test.labels.numpy()
        assert 100 * (predictions == labels).mean() == pytest.approx(row.last_accuracy)
    assert len(set(frame.predictions)) == 2  # two seeds, two networks


def test_the_result_names_its_teachers_and_conditions():
    finish(["gn-s-1.0x<vgg13"])
    told = stored()["gn-s-1.0x<vgg13"].conditions
    assert told["teacher_sees"] == "the whole picture" and told["input_size"] == 32
    assert told["teachers"] == [
        {
            "run": "vgg13.tiny.paper.seed0",
            "epochs": 1,
            "last_accuracy": pytest.approx(stored()["vgg13"].last_accuracy),
        }
    ]


def test_recipes_differ_in_what_they_train_and_share_what_they_do_not(monkeypatch):
    seen = trained(monkeypatch)
    for recipe in ("paper", "as_run", "repaired"):
        assert finish(["gn-s-2.8x<efficientnetv2_s"], profile=TINY, recipe=recipe) == []
    assert seen == ["efficientnetv2_s"] + ["gn-s-2.8x<efficientnetv2_s"] * 3
    rows = {row.recipe: row for row in store.load_results().itertuples() if row.teachers}
    assert {name: row.training["shuffle"] for name, row in rows.items()} == {
        "paper": True,
        "as_run": False,
        "repaired": True,
    }
    assert (rows["repaired"].temperature, rows["repaired"].alpha) == (4.0, 0.1)
    assert (rows["as_run"].temperature, rows["as_run"].alpha) == (1.0, 0.5)
    sees = {name: row.conditions["teacher_sees"] for name, row in rows.items()}
    assert sees == {"paper": "the whole picture", "as_run": "scraps", "repaired": "the whole picture"}


def test_fewer_images_are_shown_again_and_a_teacher_may_have_crops_of_its_own(monkeypatch):
    shown, loop = {}, material.train

    def looks(model, dataset, recipe, **rest):
        shown[rest["name"]] = dataset.train
        return loop(model, dataset, recipe, **rest)

    monkeypatch.setattr(material, "train", looks)
    for recipe in ("tenth_of_images", "own_crop"):
        assert finish(["gn-s-1.0x<resnet18"], profile=TINY, recipe=recipe) == []
    few = shown["resnet18"]  # its teacher has seen no more
    rows = {row.recipe: row for row in store.load_results().itertuples() if row.teachers}
    assert rows["tenth_of_images"].train_images == 2 and rows["own_crop"].train_images == 20
    assert rows["own_crop"].conditions["teacher_sees"] == "a crop of its own"
    assert (rows["own_crop"].temperature, rows["own_crop"].alpha) == (4.0, 0.1)
    assert {row.train_images for row in store.load_results().itertuples() if not row.teachers} == {2, 20}
    assert len(few) == 20


def test_students_in_a_row_share_what_the_teacher_said():
    finish(["gn-s-1.0x<ensemble", "gn-s-2.8x<ensemble", "gn-d<ensemble"])
    memory = material.teacher_of(runs("gn-s-1.0x<ensemble")[0])
    assert (memory.asked, memory.computed) == (60, 20)


# --- what is run and what is not ------------------------------------------------------------------------


def test_finished_runs_are_skipped_and_fresh_runs_again(monkeypatch):
    seen = trained(monkeypatch)
    finish(["gn-s-1.0x"])
    finish(["gn-s-1.0x"])
    assert seen == ["gn-s-1.0x"]
    before = stored()["gn-s-1.0x"].finished
    finish(["gn-s-1.0x"], profile=TINY, fresh=True)
    assert seen == ["gn-s-1.0x"] * 2 and stored()["gn-s-1.0x"].finished >= before


def test_old_weights_go_when_the_first_epoch_of_the_new_run_is_safe(monkeypatch):
    """c04: --fresh that cannot begin, or is killed in its first epoch, leaves the finished weights."""
    [run] = runs("gn-s-1.0x", profile=TWO_EPOCHS)
    study.work([run])
    before, loop = run.checkpoint.read_bytes(), material.train
    aside = run.checkpoint.with_name(f"{run.name}.again")

    def breaks_off(*arguments, after_epoch, **rest):
        def late(row):
            after_epoch(row)
            raise TrainingError("the power went")

        return loop(*arguments, after_epoch=late, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(material, "study_data", lambda *asked: {}[asked])
        assert len(study.work([run], fresh=True).failures) == 1
    assert run.checkpoint.read_bytes() == before
    aside.write_bytes(b"of a fresh run that was killed in its first epoch")
    with monkeypatch.context() as patch:
        patch.setattr(material, "train", breaks_off)
        study.work([run], fresh=True)
    assert len(material.epoch_seconds(run)) == 1 and not aside.exists()
    assert study.work([run], fresh=True).finished == [run]
    assert len(material.epoch_seconds(run)) == 2 and not aside.exists()


def test_a_teacher_whose_weights_are_gone_is_trained_again_and_its_result_stays():
    finish(["gn-s-1.0x<resnet18"])
    teacher, student = with_teachers(runs("gn-s-1.0x<resnet18"))
    kept = teacher.result.read_bytes()
    before = torch.load(teacher.checkpoint, weights_only=True)["model"]
    teacher.checkpoint.unlink()
    assert study.to_do([student]) == []  # it is in the store and needs nobody
    student.result.unlink()
    assert study.to_do([student]) == [teacher, student]
    assert finish(["gn-s-1.0x<resnet18"]) == []
    after = torch.load(teacher.checkpoint, weights_only=True)["model"]
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert teacher.result.read_bytes() == kept and student.result.exists()


def test_a_failed_run_is_reported_and_stops_only_those_that_need_it(monkeypatch, capsys):
    original = material.train

    def train(model, *args, name, **rest):
        if name == "vgg13":
            raise TrainingError("the loss became nan in epoch 1")
        if name == "gn-s-1.0x":
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")
        return original(model, *args, name=name, **rest)

    monkeypatch.setattr(material, "train", train)
    failures = finish(["gn-s-1.0x<vgg13", "gn-s-1.0x", "gn-s-1.3x"])
    assert sorted(failures) == [
        "gn-s-1.0x, seed 0: OutOfMemoryError: CUDA out of memory.",
        "gn-s-1.0x<vgg13, seed 0: needs vgg13, seed 0, which failed",
        "vgg13, seed 0: the loss became nan in epoch 1",
    ]
    assert set(stored()) == {"gn-s-1.3x"}
    assert "FAILED vgg13" in capsys.readouterr().out


def test_a_misspelt_recipe_is_named_and_nothing_is_trained(monkeypatch):
    seen = trained(monkeypatch)
    with pytest.raises(ValueError, match="unknown recipe 'as-run': choose one of paper, as_run"):
        finish(["gn-s-1.0x<ta"], profile=TINY, recipe="as-run")
    assert seen == [] and store.load_results().empty


def test_what_the_machine_lacks_is_said_once(monkeypatch, capsys):
    engine = Engine(torch.device("cpu"), notes=("numba is not installed",))
    monkeypatch.setattr(study, "choose_engine", lambda device: engine)
    finish(["gn-s-1.0x", "gn-s-1.3x"])
    assert capsys.readouterr().out.count("note: numba is not installed") == 1


def test_an_unknown_experiment_is_named():
    with pytest.raises(ValueError, match="unknown experiment 'gn-s-1x'"):
        finish(["gn-s-1x"])


# --- time ---------------------------------------------------------------------------------------------


class Clock:
    """A monotonic clock that only moves when an epoch is over."""

    def __init__(self, monkeypatch, seconds: float):
        self.now, self.seconds = 100.0, seconds
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        original = LiveLine.epoch

        def epoch(live, run, row, *rest):
            self.now += self.seconds
            row["seconds"] = self.seconds
            original(live, run, row, *rest)

        monkeypatch.setattr(LiveLine, "epoch", epoch)


def fixed(monkeypatch, seconds: float) -> None:
    """An epoch of every run takes so many seconds, as the study believes."""
    monkeypatch.setattr(study, "estimate", lambda *_: Estimate(seconds, seconds, 2 * seconds, "model"))


def test_when_the_time_is_up_the_epoch_is_saved_nothing_else_begins_and_the_next_call_goes_on(monkeypatch, capsys):
    fixed(monkeypatch, 60.0)
    Clock(monkeypatch, seconds=60.0)
    wanted = runs("gn-s-1.0x", "gn-s-1.3x", "gn-s-1.6x", profile=TWO_EPOCHS)
    outcome = study.work(wanted, Budget(3.5))  # three epochs of a minute fit
    assert [run.key for run in outcome.finished] == ["gn-s-1.0x"] and outcome.left == wanted[1:]
    assert len(material.epoch_seconds(wanted[1])) == 1 and not wanted[1].result.exists()
    assert not wanted[2].checkpoint.exists()
    assert "gn-s-1.3x, seed 0: out of time after epoch 1 of 2; it goes on from there" in capsys.readouterr().out
    assert study.work(wanted[:2], Budget(1.5)).finished == wanted[1:2]
    assert len(stored()["gn-s-1.3x"].history) == 2


def test_a_run_whose_epoch_does_not_fit_is_not_begun(monkeypatch, capsys):
    fixed(monkeypatch, 61.0)
    wanted = runs("gn-s-1.0x")
    outcome = study.work(wanted, Budget(1.0))
    assert outcome.left == wanted and not outcome.finished and not wanted[0].checkpoint.exists()
    assert "1 run left: no epoch fits into the time left" in capsys.readouterr().out


def test_a_begun_run_is_judged_by_its_own_epochs(monkeypatch):
    [run] = runs("gn-s-1.0x", profile=TWO_EPOCHS)
    study.work([run])
    run.result.unlink()
    state = torch.load(run.checkpoint, weights_only=True)
    state["history"][0]["seconds"] = 7_200.0
    torch.save(state | {"history": state["history"][:1]}, run.checkpoint)
    assert "about 2.0 h (its own epochs), 1 epoch done" in study.listing([run])[1]
    assert study.work([run], Budget(60)).left == [run]  # an epoch takes two hours, whatever the model says
    assert study.work([run], Budget(150)).finished == [run]


def test_a_wall_clock_that_jumps_changes_nothing(monkeypatch):
    jumps = iter(range(10**9, 0, -(10**6)))
    monkeypatch.setattr(time, "time", lambda: float(next(jumps)))
    outcome = study.work(runs("gn-s-1.0x", profile=TWO_EPOCHS), Budget(5))
    assert len(outcome.finished) == 1
    row = stored()["gn-s-1.0x"]
    assert row.wall_seconds < 60 and all(0 < epoch["seconds"] < 60 for epoch in row.history)


# --- what may go wrong ----------------------------------------------------------------------------------


def test_a_store_that_cannot_be_written_is_one_line_before_anything_is_trained(monkeypatch):
    seen = trained(monkeypatch)

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr("tempfile.mkstemp", refuse)
        with pytest.raises(CourseError, match="Read-only file system") as caught:
            finish(["gn-s-1.0x"])
    assert "\n" not in str(caught.value) and seen == []
    assert finish(["gn-s-1.0x"]) == []


def test_a_disk_that_fills_up_loses_nothing_that_was_finished(monkeypatch):
    finish(["gn-s-1.3x"])
    original = store.atomic_write

    def full(path, data):
        raise CourseError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(store, "atomic_write", full)
    [failure] = finish(["gn-s-1.0x", "gn-s-1.3x"])
    assert "No space left on device" in failure and "\n" not in failure
    monkeypatch.setattr(store, "atomic_write", original)
    assert set(stored()) == {"gn-s-1.3x"}
    steps = []
    monkeypatch.setattr("course_lib.training.loop.train_epoch", lambda *_: steps.append(1))
    assert finish(["gn-s-1.0x"]) == []  # from its checkpoint: no epoch is trained again
    assert set(stored()) == {"gn-s-1.0x", "gn-s-1.3x"} and steps == []


def test_a_trained_teacher_whose_result_was_not_stored_gets_it(monkeypatch):
    teacher, student = with_teachers(runs("gn-s-1.0x<resnet18"))

    def full(result):
        raise CourseError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store, "save_result", full)
        assert study.work([student]).finished == []
    assert material.is_trained(teacher) and study.to_do([student]) == [teacher, student]
    line, _, total = study.listing([student])[1:]
    assert line == "begun   resnet18, seed 0: only to be stored, 1 epoch done" and "1 begun, 1 missing" in total
    seen = count_epochs(monkeypatch)
    assert study.work([student]).finished == [teacher, student]
    assert set(stored()) == {"resnet18", "gn-s-1.0x<resnet18"} and len(seen) == 1  # the student's


def test_a_trained_teacher_gets_its_result_though_its_student_is_done_and_no_epoch_fits(monkeypatch):
    finish(["gn-s-1.0x<resnet18"])
    teacher, student = with_teachers(runs("gn-s-1.0x<resnet18"))
    teacher.result.unlink()
    fixed(monkeypatch, 1e9)
    assert study.work([student], Budget(1.0)).finished == [teacher] and set(stored()) == {teacher.key, student.key}
    teacher.result.unlink()
    teacher.checkpoint.unlink()
    assert study.to_do([student]) == []  # nobody needs it


def count_epochs(monkeypatch) -> list:
    """Gets an entry for each epoch that is trained from now on."""
    import course_lib.training.loop as training

    seen, original = [], training.train_epoch
    monkeypatch.setattr(training, "train_epoch", lambda *args, **rest: seen.append(1) or original(*args, **rest))
    return seen


def test_a_torn_result_is_named_and_left_as_it_is(monkeypatch):
    finish(["gn-s-1.0x"])
    [torn] = runs("gn-s-1.0x")
    torn.result.write_bytes(torn.result.read_bytes()[:500])
    [failure] = finish(["gn-s-1.0x", "gn-s-1.3x"])
    assert str(torn.result) in failure and "delete it and run it again" in failure and "\n" not in failure
    assert torn.result.stat().st_size == 500
    torn.result.unlink()
    assert finish(["gn-s-1.0x"]) == []


def test_an_unfinished_teacher_is_no_teacher():
    finish(["resnet18"])
    [teacher] = runs("resnet18")
    state = torch.load(teacher.checkpoint, weights_only=True)
    state["recipe"]["epochs"] = 5
    torch.save(state, teacher.checkpoint)
    with pytest.raises(CourseError, match="unfinished"):
        material.load_teacher(teacher)
    teacher.checkpoint.unlink()
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        material.load_teacher(teacher)
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        material.teacher_of(runs("gn-s-1.0x<resnet18")[0])


def test_a_teacher_of_other_settings_is_no_teacher(monkeypatch):
    finish(["gn-s-1.0x<resnet18"])
    teacher, student = with_teachers(runs("gn-s-1.0x<resnet18"))
    state = torch.load(teacher.checkpoint, weights_only=True)
    state["recipe"]["lr"] = 0.3
    torch.save(state, teacher.checkpoint)
    assert not material.is_trained(teacher) and material.epoch_seconds(teacher) == []
    with pytest.raises(CheckpointError, match="other settings than resnet18, seed 0 has now: delete it"):
        material.load_teacher(teacher)
    student.result.unlink()
    outcome = study.work([student])
    assert outcome.finished == [] and "was made with another recipe" in outcome.failures[0]
    assert outcome.failures[1] == "gn-s-1.0x<resnet18, seed 0: needs resnet18, seed 0, which failed"


def test_a_torn_checkpoint_is_one_line_and_stops_only_its_own_run():
    [torn, _] = wanted = runs("gn-s-1.0x", "gn-s-1.3x")
    torn.checkpoint.parent.mkdir(parents=True)
    torn.checkpoint.write_bytes(b"torn")
    outcome = study.work(wanted)
    assert outcome.finished == wanted[1:]
    [failure] = outcome.failures
    assert f"{torn.checkpoint} is damaged" in failure and "delete it" in failure and "\n" not in failure


def test_a_teachers_checkpoint_of_another_architecture_is_one_line(monkeypatch):
    finish(["resnet18"])
    monkeypatch.setattr(material, "create_model", functools.partial(network, hidden=9))
    [failure] = finish(["gn-s-1.0x<resnet18"])
    assert "holds another architecture or other classes" in failure and "\n" not in failure


# --- two at once ----------------------------------------------------------------------------------------


HOLDER = """
    import os, platform, sys, time
    from filelock import FileLock
    lock = FileLock(sys.argv[1])
    lock.acquire()
    open(sys.argv[1].removesuffix(".lock") + ".who", "w").write(f"process {os.getpid()} on {platform.node()}")
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(home):
    """Another process that holds the lock of a run, by name, until it is killed."""
    started = []

    def hold(name: str) -> subprocess.Popen:
        place = home / "data" / "cache" / "locks"
        place.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(place / f"{name}.lock")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.wait()


def test_a_run_that_another_process_holds_is_waited_for_and_taken_over_when_that_dies(other, monkeypatch, capsys):
    wanted = runs("gn-s-1.0x", "gn-s-1.3x")
    process = other(wanted[0].name)
    assert study.listing(wanted)[1].startswith("running")
    budget = Budget(60)
    with monkeypatch.context() as patch:
        patch.setattr(study.time, "sleep", lambda seconds: setattr(budget, "_end", 0.0))  # the hour is over
        outcome = study.work(wanted, budget)
    assert set(stored()) == {"gn-s-1.3x"} and outcome.left == wanted[:1] and outcome.failures == []
    told = f"{wanted[0].name} is being run by process {process.pid} on {platform.node()}: waiting for that"
    assert capsys.readouterr().out.count(told) == 1

    def sleep(seconds):
        process.kill()
        process.wait()

    monkeypatch.setattr(study.time, "sleep", sleep)
    assert study.work(wanted).finished == wanted[:1]


def test_a_student_waits_for_the_teacher_that_another_process_trains(monkeypatch):
    teacher, student = with_teachers(runs("gn-s-1.0x<resnet18"))
    lock, looks = study.claim(teacher.name), []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 2:  # the other process dies; its lock goes with it
            lock.release()

    monkeypatch.setattr(study.time, "sleep", sleep)
    outcome = study.work([student])
    assert len(looks) == 2 and outcome.finished == [teacher, student]


def test_what_another_study_finished_meanwhile_is_not_run_twice(monkeypatch):
    wanted, seen, original = runs("gn-s-1.0x", "gn-s-1.3x", "gn-s-1.6x"), [], study.Inline.submit

    def submit(place, run, *rest):
        if not seen:
            seen.append(run)
            assert study.work(wanted[1:2]).finished == wanted[1:2]  # the other one, while this one is busy
        else:
            seen.append(run)
        return original(place, run, *rest)

    monkeypatch.setattr(study.Inline, "submit", submit)
    assert study.work(wanted).finished == [wanted[0], wanted[2]]
    assert [run.key for run in seen].count("gn-s-1.3x") == 1


def test_a_folder_that_cannot_hold_locks_is_one_line(home):
    (home / "data" / "cache").mkdir(parents=True)
    (home / "data" / "cache" / "locks").write_text("no folder")
    [failure] = study.work(runs("gn-s-1.0x")).failures
    assert "cannot lock" in failure and "choose a writable folder" in failure and "\n" not in failure


def test_a_killed_writers_leftovers_go_when_its_run_is_begun_again(home):
    [run], [other] = runs("gn-s-1.0x"), runs("gn-s-1.3x")
    run.checkpoint.parent.mkdir(parents=True)
    run.result.parent.mkdir(parents=True)
    left = [path.with_name(f".{path.name}.k3x_9a") for path in (run.checkpoint, run.result, other.checkpoint)]
    for path in left:
        path.write_bytes(b"half")
    study.work([run])
    assert [path.exists() for path in left] == [False, False, True]  # the other run may be another process's


# --- the list ---------------------------------------------------------------------------------------------


def test_listing_tells_done_running_begun_damaged_and_missing():
    finish(["gn-s-1.0x", "gn-s-1.9x"], profile=TWO_EPOCHS)
    reached = stored()["gn-s-1.0x"].history[-1]["test_accuracy"]
    rows = runs("gn-s-1.0x", "gn-s-1.3x", "gn-s-1.6x", "gn-s-1.9x", "gn-s-1.0x<vgg13", profile=TWO_EPOCHS)
    rows[1].checkpoint.parent.mkdir(parents=True, exist_ok=True)
    state = torch.load(rows[0].checkpoint, weights_only=True)
    torch.save(state | {"history": state["history"][:1]}, rows[1].checkpoint)
    rows[3].result.write_text("{")
    lock = study.claim(rows[2].name)
    lines = study.listing(rows)
    lock.release()
    assert [line.split()[0] for line in lines[1:-1]] == [
        "done",
        "begun",
        "running",
        "damaged",
        "missing",
        "missing",
    ]
    assert lines[1].startswith(f"done    gn-s-1.0x, seed 0: {reached:.2f} % after ")
    assert "1 epoch done" in lines[2] and "about" in lines[2] and "(its own epochs)" in lines[2]
    assert "(measured on cpu, " in study.listing(runs("gn-s-1.0x", profile=TWO_EPOCHS, seed=1))[1]
    assert "(model)" in lines[3] and "needs vgg13, seed 0" in lines[-2]
    assert str(rows[3].result) in lines[4] and "about" not in lines[4]  # why it is damaged; a study leaves it alone
    assert lines[-1].startswith("1 done, 1 begun, 1 running, 1 damaged, 2 missing; about ")


def test_listing_counts_the_teachers_whose_weights_are_gone():
    finish(["gn-s-1.0x<resnet18"])
    teacher, student = with_teachers(runs("gn-s-1.0x<resnet18"))
    teacher.checkpoint.unlink()
    assert [line.split()[0] for line in study.listing([student])[1:-1]] == ["done", "done"]  # nobody needs them
    student.result.unlink()
    student.checkpoint.unlink()
    lines = study.listing([student])
    assert [line.split()[0] for line in lines[1:-1]] == ["weights", "missing"]
    assert "% after" in lines[1] and "its weights are gone, trained again in about" in lines[1]
    assert lines[-1].startswith("1 weights, 1 missing; about ") and "left, one after another, on cpu, " in lines[-1]


def test_listing_sums_up_what_a_study_would_run(monkeypatch):
    finish(["gn-s-1.0x<resnet18"])
    teacher, student = with_teachers(runs("gn-s-1.0x<resnet18"))
    teacher.checkpoint.unlink()
    student.result.unlink()
    student.checkpoint.unlink()
    fixed(monkeypatch, 100.0)
    assert "about 7 min left" in study.listing([student])[-1]  # 200 s each


def test_every_student_of_a_profile_gets_equal_epochs():
    from course_lib.study.protocols import STUDENTS, training_recipe

    for profile in PROFILES.values():
        rows = [row for row in experiments.EXPERIMENTS.values() if row.student in STUDENTS]
        epochs = {training_recipe(row, profile, 0, recipe).epochs for row in rows for recipe in ("paper", "repaired")}
        assert epochs == {profile.student_epochs}


def test_a_run_names_itself():
    run = Run("gn-d<vgg13", TINY, "repaired", 3)
    assert run.name == "gn-d_from_vgg13.tiny.repaired.seed3" and str(run) == "gn-d<vgg13, repaired, seed 3"
    assert [str(teacher) for teacher in run.teachers] == ["vgg13, seed 3"]
