"""One queue, three places to train: here, in processes, on a Ray cluster. The same contract holds in each."""

import dataclasses
import os
import re
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from tiny import TINY, furnish, runs, stored

from course_lib.files import CourseError
from course_lib.profiles import PROFILES
from course_lib.study import progress, store, workers
from course_lib.study import queue as study
from course_lib.study.progress import Budget, LiveLine
from course_lib.study.runs import Answer, epoch_seconds, with_teachers
from course_lib.study.workers import Cluster, Inline, Processes

FEW = dataclasses.replace(TINY, student_epochs=2)
ENDLESS = dataclasses.replace(TINY, name="endless", student_epochs=100_000)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", furnish(tmp_path))
    monkeypatch.setattr(study, "default_device", lambda: torch.device("cpu"))
    return tmp_path


# --- the contract -------------------------------------------------------------------------------------------


def keep_the_contract(place: Inline, capsys) -> None:
    """Everything once, teachers first; a failure stops only those who need it; time runs out between two epochs."""
    wanted = runs("gn-s-1.0x<gn-s-2.8x", "gn-s-1.0x", "gn-s-1.3x", profile=FEW)
    outcome = study.work(wanted, place=place)
    everything = with_teachers(wanted)
    assert outcome.failures == outcome.left == []
    assert sorted(run.name for run in outcome.finished) == sorted(run.name for run in everything)
    assert set(stored()) == {run.key for run in everything} and all(run.checkpoint.exists() for run in everything)
    [told] = stored()["gn-s-1.0x<gn-s-2.8x"].conditions["teachers"]
    assert told["last_accuracy"] == pytest.approx(stored()["gn-s-2.8x"].last_accuracy)
    assert study.work(wanted, place=place).finished == []
    expected = {words for run in everything for words in (f"{run}: epoch 1/2, test ", f"] {run}: tiny profile, ")}
    shown, until = "", time.monotonic() + 60  # what distant workers said may still be on its way
    while not all(words in shown for words in expected) and time.monotonic() < until:
        time.sleep(0.2)
        shown += capsys.readouterr().out
    assert {words for words in expected if words not in shown} == set()

    torn, well = runs("gn-s-1.6x", "gn-s-1.9x", profile=FEW)
    torn.checkpoint.write_bytes(b"torn")
    outcome = study.work([torn, well], place=place)
    [failure] = outcome.failures
    assert "is damaged" in failure and "\n" not in failure and outcome.finished == [well]

    [endless] = runs("gn-s-1.0x", profile=ENDLESS)
    outcome = study.work([endless], Budget(0.5), place=place)
    assert outcome.left == [endless] and outcome.failures == [] and not endless.result.exists()
    assert len(epoch_seconds(endless)) > 0 and "out of time after epoch" in capsys.readouterr().out


@pytest.mark.slow
def test_here(capsys, monkeypatch):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0)  # one live line serves all runs here; elsewhere each has its own
    keep_the_contract(Inline(), capsys)


@pytest.mark.slow
def test_in_processes(capfd):
    keep_the_contract(Processes(2), capfd)


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A head without cores, and two machines with one core each."""
    monkeypatch.setenv("RAY_DEDUP_LOGS", "0")  # as the study itself sets it before it imports Ray
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster as Machines

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # Jupyter's jsonschema builds a grammar at each import: seconds for every process of Ray's, of whose agents a
    # machine awaits a sign of life for 15 s. Without the package it leaves the grammar out.
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "rfc3987_syntax.py").write_text("raise ImportError")
    machines = Machines(initialize_head=True, head_node_args={"num_cpus": 0, "num_gpus": 0, "include_dashboard": False})
    # Folders of their own: what a worker needs has to be sent.
    monkeypatch.setattr(workers, "ENVIRONMENT", ("COURSE_DATA", "OMP_NUM_THREADS"))
    homes = [{"COURSE_HOME": furnish(tmp_path / name)} for name in ("first", "second")]
    machines.each = [machines.add_node(num_cpus=1, num_gpus=0, env_vars=home) for home in homes]
    machines.wait_for_nodes()
    yield machines
    ray.shutdown()
    machines.shutdown()


@pytest.mark.slow
def test_on_a_cluster_without_a_shared_disk_of_which_one_machine_dies(cluster, tmp_path, monkeypatch, capsys):
    keep_the_contract(Cluster(cluster.address), capsys)
    log, [stuck] = tmp_path / "log", runs("gn-s-2.2x", profile=FEW)
    monkeypatch.setattr(workers, "_train_elsewhere", written_down(log, stuck.name))
    killer = threading.Thread(target=kill_the_machine_of, args=(stuck.name, log, cluster), daemon=True)
    killer.start()
    wanted = [stuck, *runs("gn-s-1.0x", "gn-s-1.3x", profile=FEW, seed=1)]
    outcome = study.work(wanted, place=Cluster(cluster.address))
    killer.join(30)
    assert outcome.failures == outcome.left == [] and set(outcome.finished) == set(wanted)
    lives = [line.split()[1] for line in log.read_text().splitlines() if line.startswith(stuck.name)]
    assert len(lives) == len(set(lives)) == 2  # it began twice, on two machines


def written_down(log, stuck: str):
    """The work of a worker that first writes run and machine into ``log``, and hangs in the first life of one run."""

    def train_elsewhere(run, *rest):
        import time

        import ray

        from course_lib.study import workers

        with open(log, "a+") as file:
            file.seek(0)
            lived_before = run.name in file.read()
            file.write(f"{run.name} {ray.get_runtime_context().get_node_id()}\n")
        if run.name == stuck and not lived_before:
            time.sleep(600)
        return workers._train_elsewhere(run, *rest)

    return train_elsewhere


def kill_the_machine_of(stuck: str, log, cluster) -> None:
    """As soon as the run is under way somewhere, end that machine at once."""
    while not (log.exists() and stuck in log.read_text()):
        time.sleep(0.1)
    [place] = [line.split()[1] for line in log.read_text().splitlines() if line.startswith(stuck)]
    [machine] = [machine for machine in cluster.each if machine.node_id == place]
    cluster.remove_node(machine, allow_graceful=False)


# --- processes ----------------------------------------------------------------------------------------------


STUDY = """
    from test_study_places import ENDLESS
    from tiny import runs
    from course_lib.study import queue, workers

    if __name__ == "__main__":
        queue.work(runs("gn-s-1.0x", "gn-s-1.3x", profile=ENDLESS), place=workers.Processes(2))
"""


@pytest.mark.slow
def test_workers_of_a_killed_study_end_with_it_and_one_that_dies_takes_no_other_along(tmp_path):
    """They would train on unseen and take half of the machine from the next study."""
    script = tmp_path / "study.py"
    script.write_text(textwrap.dedent(STUDY))
    places = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)])
    process = subprocess.Popen(
        [sys.executable, str(script)], env=os.environ | {"PYTHONPATH": places}, stdout=subprocess.PIPE, text=True
    )
    lines = iter(process.stdout.readline, "")
    begun: set[str] = set()
    while len(begun) < 2:  # each worker tells of its run's first epoch
        line = next(lines)
        begun |= {line.split(",")[0]} if ": epoch " in line else set()
    first, second = [child for child in psutil.Process(process.pid).children() if "spawn_main" in str(child.cmdline())]
    first.kill()
    assert "FAILED" in next(line for line in lines if "FAILED" in line)
    assert second.is_running()
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs([second], timeout=20)
    for worker in alive:
        worker.kill()
    assert not alive


# --- a cluster, made up: this needs no Ray --------------------------------------------------------------------


class MadeUp(Cluster):
    """A cluster as far as the queue sees it: what is handed out is answered at once."""

    def __init__(self, **resources):
        self.ray, self.handed_out = SimpleNamespace(cluster_resources=lambda: resources), []

    def __enter__(self):
        return self

    def submit(self, run, budget, live, again):
        self.handed_out.append(run)
        future = Future()
        future.set_result(Answer(f"{run}: done", {"wall_seconds": 1.0}))
        return future


@pytest.fixture
def unstored(monkeypatch):
    monkeypatch.setattr(store, "save_result", lambda *_: None)


def test_one_gpu_keeps_no_teacher_waiting_for_the_students_of_later_seeds(unstored):
    """Quarter-GPU students, of which there are always more, pass a whole-GPU teacher only within its own seed."""
    cluster, wanted = MadeUp(CPU=16, GPU=1), runs("gn-s-1.0x", "resnet18", "gn-s-1.0x<resnet18", "gn-s-1.3x")
    later = [run for seed in (1, 2) for run in runs("gn-s-1.0x", "gn-s-1.3x", seed=seed)]
    outcome = study.work([*wanted, *later], place=cluster)
    assert [run.key for run in cluster.handed_out[:4]] == ["gn-s-1.0x", "gn-s-1.3x", "resnet18", "gn-s-1.0x<resnet18"]
    assert outcome.left == outcome.failures == []


def test_a_cluster_without_room_is_said():
    [failure] = study.work(runs("gn-s-1.0x"), place=MadeUp(CPU=0)).failures
    assert "needs 1 CPU, and the whole cluster has 0: let a machine join it" in failure


def test_a_run_of_which_no_epoch_fits_into_the_time_left_is_not_begun(unstored, capsys):
    """GN-D on 50,000 images takes long on a CPU, a small student on twenty less than a second."""
    cluster, [long, short] = MadeUp(CPU=1), [*runs("gn-d", profile=PROFILES["full"]), *runs("gn-s-1.0x")]
    outcome = study.work([long, short], Budget(5.0), place=cluster)
    assert cluster.handed_out == [short] and outcome.left == [long] and outcome.failures == []
    assert "1 run left: no epoch fits into the time left" in capsys.readouterr().out


def test_gpus_that_only_workers_have_are_not_taken_for_this_machines_cores():
    assert MadeUp(CPU=1, GPU=1).device == "cuda"
    assert MadeUp(CPU=1).device == store.environment()["device"]


def test_shares_of_a_gpu():
    gpu, none = {"GPU": 2.0, "CPU": 8.0}, {"CPU": 2.0}
    student, teacher, ensemble = runs("gn-s-1.0x<resnet18", "resnet18", "gn-s-1.0x<ensemble")
    assert workers.share_of(student, gpu)["GPU"] == 0.25
    assert workers.share_of(teacher, gpu)["GPU"] == workers.share_of(ensemble, gpu)["GPU"] == 1
    assert workers.share_of(teacher, none) == {"CPU": 1, "GPU": 0}


def test_a_run_that_begins_again_after_the_end_of_the_time_does_nothing():
    [run] = runs("gn-s-1.0x")
    answer = workers._train_elsewhere(run, time.time() - 1, False, None)
    assert answer.result is None and answer.checkpoint is None and not run.checkpoint.exists()


def test_the_weights_that_were_sent_count_and_not_older_ones(monkeypatch):
    [student] = runs("gn-s-1.0x<gn-s-2.8x")
    [teacher] = student.teachers
    teacher.checkpoint.parent.mkdir(parents=True)
    teacher.checkpoint.write_bytes(b"older")
    seen = []

    def train_run(run, budget, live, again):
        seen.append(teacher.checkpoint.read_bytes())
        run.checkpoint.write_bytes(b"trained")
        return Answer("done")

    monkeypatch.setattr(workers, "train_run", train_run)
    assert workers._train_elsewhere(student, float("inf"), False, None, b"sent").checkpoint == b"trained"
    changed = teacher.checkpoint.stat().st_mtime_ns
    workers._train_elsewhere(student, float("inf"), False, None, b"sent")
    assert seen == [b"sent", b"sent"] and teacher.checkpoint.stat().st_mtime_ns == changed


def test_what_a_cluster_is_handed(monkeypatch):
    """A moment, not a length, as the time shrinks on the way; the teachers' weights, put there once; three lives."""
    handed = []
    task = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda *given: handed.append(given) or future))
    future = SimpleNamespace(future=Future)
    ray = SimpleNamespace(
        remote=lambda max_retries: handed.append(max_retries) or (lambda function: task),
        put=lambda value: [value],
        cluster_resources=lambda: {"CPU": 1},
    )
    monkeypatch.setattr(workers, "_connect", lambda address: ray)
    [student] = runs("gn-s-1.0x<gn-s-2.8x")
    student.teachers[0].checkpoint.parent.mkdir(parents=True)
    student.teachers[0].checkpoint.write_bytes(b"weights")
    with Cluster() as place:
        for _ in range(2):
            place.submit(student, Budget(10), LiveLine(), False)
    lives, first, second = handed
    assert lives + 1 == workers.LIVES and first[0] == student and first[2:4] == (False, None)
    assert first[1] - time.time() == pytest.approx(600, abs=30)
    assert first[4] == [b"weights"] and first[4] is second[4]
    assert "COURSE_REVISION" in workers.ENVIRONMENT  # a worker says which code it runs


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ray://head:10001", "cannot use ray://head:10001: join the cluster with `ray start` and say --ray auto"),
        ("127.0.0.1:1", "no Ray cluster at '127.0.0.1:1' (.*refused): start one with `ray start --head`"),
        ("[::1]:6379x", "no Ray cluster at '[::1]:6379x' (.*): start one"),
        ("localhost:99999", "no Ray cluster at 'localhost:99999' (.*): start one"),
    ],
)
def test_an_address_at_which_nobody_listens_is_refused_at_once(monkeypatch, address, words):
    pattern = re.escape(words).replace(re.escape(".*"), ".*")
    for named in (address, "auto"):
        with pytest.raises(CourseError, match=pattern) as caught:
            workers._connect(named)
        assert "\n" not in str(caught.value)
        monkeypatch.setenv("RAY_ADDRESS", address)  # where Ray looks first
