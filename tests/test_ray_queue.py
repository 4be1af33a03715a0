"""How the queue is handed to a cluster, on a made-up one: this needs no Ray."""

import re
import socket
import time
from types import SimpleNamespace

import pytest
from tiny import runs

from course_lib.errors import CourseError
from course_lib.profiles import PROFILES
from course_lib.study import plan, ray_cluster
from course_lib.study.locks import Held
from course_lib.study.plan import Run
from course_lib.study.progress import Budget


class Cluster:
    """Ray as far as the queue needs it: what is handed out is answered in the order in which it came."""

    class RemoteError(Exception):
        """What a task raised, as Ray wraps it."""

        def __init__(self, cause):
            super().__init__(str(cause))
            self.cause = cause

    def __init__(self, answer=lambda run: ({}, None, None), **resources):
        self.answer, self.resources, self.handed_out = answer, resources, []
        self.exceptions = SimpleNamespace(RayTaskError=self.RemoteError, RayError=self.RemoteError)

    def remote(self, max_retries):
        self.max_retries = max_retries
        return lambda function: self

    def options(self, **_):
        return SimpleNamespace(remote=self.begin)

    def begin(self, run, *_):
        self.handed_out.append(run)
        return run.name, run

    def cluster_resources(self):
        return self.resources

    def put(self, value):
        return value

    def wait(self, answers, **_):
        return answers[:1], answers[1:]

    def get(self, answer):
        result = self.answer(answer[1])
        if isinstance(result, Exception):
            raise self.RemoteError(result)
        return result


class News(list):
    """The queue of live lines."""

    put, qsize = list.append, list.__len__

    def get_nowait_batch(self, count):
        return [self.pop(0) for _ in range(count)]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    monkeypatch.setattr(ray_cluster, "_channel", lambda ray: News())
    monkeypatch.setattr(ray_cluster._Dispatch, "_weights_of", lambda self, teacher: b"")
    monkeypatch.setattr(ray_cluster, "_store", lambda run, result, *_, **__: result is not None)
    return tmp_path


def hand_out(cluster, monkeypatch, wanted):
    monkeypatch.setattr(ray_cluster, "_connect", lambda address: cluster)
    return ray_cluster.work_on_cluster(wanted)


def test_one_gpu_takes_one_seed_after_the_other(monkeypatch):
    """Quarter-GPU students of later seeds do not keep the whole-GPU teachers of the first one waiting."""
    cluster = Cluster(CPU=16, GPU=1)
    outcome = hand_out(cluster, monkeypatch, plan.queue(PROFILES["full"]))
    seeds = [run.seed for run in cluster.handed_out]
    assert seeds == sorted(seeds) and set(seeds) == set(range(5))
    first_teacher = next(place for place, run in enumerate(cluster.handed_out) if run.experiment.student == "resnet18")
    assert first_teacher <= 15  # after what the seed has of small runs: eight alone, five controls, two taught by one
    assert outcome.left == outcome.failures == []


def test_a_cluster_without_room_is_said(monkeypatch):
    outcome = hand_out(Cluster(CPU=0), monkeypatch, runs("gn-s-1.0x"))
    [failure] = outcome.failures
    assert "needs 1 CPU and 0 GPU, and the whole cluster has 0 and 0" in failure


def test_a_run_of_which_no_epoch_fits_into_the_time_left_is_not_begun(monkeypatch, capsys):
    """GN-D on 10,000 images takes minutes an epoch on a CPU, a small student on twenty less than a second."""
    cluster, [long, short] = Cluster(CPU=1), [*runs("gn-d", profile=PROFILES["laptop"]), *runs("gn-s-1.0x")]
    monkeypatch.setattr(ray_cluster, "_connect", lambda address: cluster)
    outcome = ray_cluster.work_on_cluster([long, short], Budget(0.5))
    assert cluster.handed_out == [short] and outcome.left == [long] and outcome.failures == []
    assert "1 run could begin, but no epoch fits into the time left" in capsys.readouterr().out


def test_gpus_that_only_workers_have_are_not_taken_for_this_machines_cores(monkeypatch):
    run = Run("gn-d", PROFILES["full"])
    for resources, kind in (({"CPU": 1, "GPU": 1}, "cuda"), ({"CPU": 1}, "cpu")):
        dispatch = ray_cluster._Dispatch(Cluster(**resources), [run], Budget(), False)
        assert dispatch._estimates[run.profile].kind == kind


def test_a_run_that_another_study_works_on_is_held_and_not_failed(monkeypatch):
    cluster = Cluster(lambda run: Held(f"{run.name} is being run by process 7 on elsewhere"), CPU=1)
    outcome = hand_out(cluster, monkeypatch, runs("gn-s-1.0x"))
    assert outcome.failures == [] and outcome.left == runs("gn-s-1.0x")
    assert outcome.held == ["gn-s-1.0x.tiny.paper.seed0 is being run by process 7 on elsewhere"]
    assert len(cluster.handed_out) == 1


def test_a_run_that_begins_again_after_the_end_of_the_time_does_nothing(monkeypatch):
    [run] = runs("gn-s-1.0x")
    assert ray_cluster._train_there(run, time.time() - 1, False, None, News()) == (None, None, None)
    assert not run.checkpoint.exists()
    ends = []
    monkeypatch.setattr(Cluster, "begin", lambda self, run, end, *_: ends.append(end) or (run.name, run))
    monkeypatch.setattr(ray_cluster, "_connect", lambda address: Cluster(CPU=1))
    ray_cluster.work_on_cluster([run], Budget(10))
    assert ends[0] - time.time() == pytest.approx(600, abs=30)  # a moment: what is left shrinks on the way there


def test_the_weights_that_were_sent_count_and_not_older_ones(monkeypatch):
    [student] = runs("gn-s-1.0x<gn-s-2.8x")
    [teacher] = student.teachers
    teacher.checkpoint.parent.mkdir(parents=True)
    teacher.checkpoint.write_bytes(b"older")
    monkeypatch.setattr(ray_cluster, "is_trained", lambda run: True)
    seen = []

    def train_run(run, budget, live):
        seen.append(teacher.checkpoint.read_bytes())
        raise ValueError("enough")

    monkeypatch.setattr(ray_cluster.study, "train_run", train_run)
    with pytest.raises(ValueError, match="enough"):
        ray_cluster._train_there(student, None, False, None, News(), b"sent")
    changed = teacher.checkpoint.stat().st_mtime_ns
    with pytest.raises(ValueError, match="enough"):
        ray_cluster._train_there(student, None, False, None, News(), b"sent")
    assert seen == [b"sent", b"sent"] and teacher.checkpoint.stat().st_mtime_ns == changed


def test_the_live_line_of_a_worker_is_shown_here_and_a_lost_one_costs_nothing(monkeypatch, capsys):
    row = {"epoch": 1, "seconds": 2.0, "test_accuracy": 31.5, "images_per_second": 1234.5}

    def begin(self, run, end, again, begun, news, *_):
        ray_cluster._DistantLine(news).epoch(str(run), row, 3, 60.0)
        return run.name, run

    monkeypatch.setattr(Cluster, "begin", begin)
    hand_out(Cluster(CPU=1), monkeypatch, runs("gn-s-1.0x"))
    words = "gn-s-1.0x, seed 0: epoch 1/3, test 31.50 %, 1,234 images/s, 4 s to go (60 s of the budget left)"
    assert words in capsys.readouterr().out.splitlines()
    monkeypatch.setattr(News, "put", None)
    monkeypatch.setattr(News, "qsize", lambda self: (_ for _ in ()).throw(Cluster.RemoteError("the queue is gone")))
    assert hand_out(Cluster(CPU=1), monkeypatch, runs("gn-s-1.3x")).failures == []


def test_a_run_has_as_many_lives_as_are_written_down(monkeypatch):
    cluster = Cluster(CPU=1)
    hand_out(cluster, monkeypatch, runs("gn-s-1.0x"))
    assert cluster.max_retries + 1 == ray_cluster.LIVES  # Ray counts those after the first


def test_a_worker_says_which_code_it_runs():
    assert "COURSE_REVISION" in ray_cluster.ENVIRONMENT


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
    began = time.monotonic()
    for named in (address, "auto"):
        with pytest.raises(CourseError, match=pattern) as caught:
            ray_cluster._check_address(named)
        assert "\n" not in str(caught.value)
        monkeypatch.setenv("RAY_ADDRESS", address)  # where Ray looks first
    assert time.monotonic() - began < 2 * ray_cluster.CONNECT_SECONDS


def test_an_address_at_which_somebody_listens_is_left_to_ray(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    ray_cluster._check_address("auto")
    with socket.create_server(("127.0.0.1", 0)) as server:
        ray_cluster._check_address(f"127.0.0.1:{server.getsockname()[1]}")
