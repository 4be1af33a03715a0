"""The same queue on a Ray cluster: one workstation with several GPUs, SLURM nodes, machines of a cloud.

The process that calls ``work_on_cluster`` alone decides and writes: it hands out runs whose teachers are trained, in
order of value, sends the teachers' weights along, and puts what comes back into its own store, each run once. A
worker needs no shared disk, only the course at the same path and the data set. A run whose worker dies is started
again elsewhere, from its checkpoint where the disk is shared.
"""

import contextlib
import functools
import os
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import course_lib
from course_lib.errors import CourseError
from course_lib.files import atomic_write, check_writable, repo_path
from course_lib.profiles import Profile
from course_lib.study import artefacts, store
from course_lib.study import queue as study
from course_lib.study.estimates import Estimates
from course_lib.study.locks import Held, run_lock
from course_lib.study.material import is_trained, study_data
from course_lib.study.plan import Run
from course_lib.study.progress import Budget, LiveLine, OutOfTime
from course_lib.study.protocols import STUDENTS

LIVES = 3  # how often a run is begun whose worker dies
CONNECT_SECONDS = 5.0  # a head that is there answers at once
HAND_OVER_SECONDS = 60.0  # how long a retried run waits for the lock of a worker that is about to be dead
ENVIRONMENT = ("COURSE_HOME", "COURSE_DATA", "COURSE_REVISION", "OMP_NUM_THREADS")


def work_on_cluster(
    wanted: Iterable[Run], budget: Budget | None = None, *, address: str = "auto", fresh: bool = False
) -> study.Outcome:
    """``study.work`` on the machines of a running Ray cluster.

    Args:
        wanted: runs in order of value, see ``plan.queue``.
        budget: no run is handed out of which not one epoch is expected to fit; at its end, begun runs are saved.
        address: ``auto`` for the cluster this machine belongs to, or ``host:port`` of its head.
        fresh: run the wanted ones again where they are in the store.

    Raises:
        CourseError: Ray is not installed, there is no cluster, or the store cannot be written.
    """
    dispatch = _Dispatch(_connect(address), list(wanted), budget or Budget(), fresh)
    while dispatch.hand_out():
        dispatch.take_in()
    return dispatch.end()


class _Dispatch:
    """One call of ``work_on_cluster``: what is left to do, what is under way, and what became of the rest."""

    def __init__(self, ray, wanted: list[Run], budget: Budget, fresh: bool):
        check_writable(repo_path("data", "results"))
        self.ray, self.budget, self.live, self.outcome = ray, budget, LiveLine(), study.Outcome()
        self.again = set(wanted) if fresh else set()
        self.todo = study.to_do(wanted, self.again, self.outcome.failures)
        self.count = len(self.todo)
        self.task = ray.remote(max_retries=LIVES - 1)(_train_there)
        self.running: dict = {}  # the task's answer to come -> its run
        self.weights: dict = {}  # teacher -> its weights as a Ray object
        self.paused: set[Run] = set()
        self.too_long: set[Run] = set()
        self.failed: dict[Run, str] = {}

    def hand_out(self) -> bool:
        """Begin what the cluster has room for; False when nothing is under way and nothing can be begun.

        A run that has no room yet is passed only by runs of its own seed: else quarter-GPU runs, of which there are
        always more, would keep every whole-GPU teacher waiting until the last of them.
        """
        left, blocked = self.budget.left, None
        if left <= 0:
            return bool(self.running)
        busy = {*self.running.values(), *self.paused}
        for run in study.ready(self.todo, self.failed):
            if run in busy or (blocked and run.seed != blocked.seed):
                continue
            if left < float("inf") and self._estimates[run.profile].of(run).first > left:
                self.too_long.add(run)
            elif self._has_room(run):
                self._begin(run, left)
            else:
                blocked = blocked or run
        if blocked and not self.running:  # not even alone
            self.failed[blocked] = self._no_room(blocked)
            self.todo.remove(blocked)
        return bool(self.running)

    @functools.cached_property
    def _estimates(self) -> dict[Profile, Estimates]:
        """What a run takes on a worker: as measured on this machine where both train on the same kind of device."""
        kind, here = "cuda" if self.ray.cluster_resources().get("GPU") else "cpu", store.environment()["device"]
        return study.estimates_for(self.todo, here if here.startswith(kind) else kind)

    def _has_room(self, run: Run) -> bool:
        """Whether the cluster has room for one more; counted here, as Ray's own count comes late."""
        whole = self.ray.cluster_resources()
        shares = [share_of(each, whole) for each in (run, *self.running.values())]
        names = {"num_cpus": "CPU", "num_gpus": "GPU"}
        return all(sum(share[name] for share in shares) <= whole.get(kind, 0) for name, kind in names.items())

    def _no_room(self, run: Run) -> str:
        whole = self.ray.cluster_resources()
        share = share_of(run, whole)
        return (
            f"it needs {share['num_cpus']:g} CPU and {share['num_gpus']:g} GPU, and the whole cluster has "
            f"{whole.get('CPU', 0):g} and {whole.get('GPU', 0):g}: let a machine join it"
        )

    def _begin(self, run: Run, left: float) -> None:
        # A moment, not a length: a run that is started again elsewhere must not get its whole time anew.
        end = None if left == float("inf") else time.time() + left
        carried = [self._weights_of(teacher) for teacher in run.teachers]
        is_begun = run.checkpoint.exists() and run not in self.again
        begun = self.ray.put(run.checkpoint.read_bytes()) if is_begun else None
        task = self.task.options(**share_of(run, self.ray.cluster_resources()))
        self.running[task.remote(run, end, run in self.again, begun, self.news, *carried)] = run
        number = self.count - len(self.todo) + len(self.running)
        self.live.say(f"[{number}/{self.count}] {run} ({run.profile.label})")

    def _weights_of(self, teacher: Run):
        """A teacher's weights as a Ray object, put there once."""
        if teacher not in self.weights:
            self.weights[teacher] = self.ray.put(teacher.checkpoint.read_bytes())
        return self.weights[teacher]

    @functools.cached_property
    def news(self):
        """The way of the workers' live lines to this process; made when the first run is begun."""
        return _channel(self.ray)

    def take_in(self) -> None:
        """Wait a moment for an answer, and store it; show what has been trained meanwhile."""
        done, _ = self.ray.wait(list(self.running), num_returns=1, timeout=1.0)
        with contextlib.suppress(self.ray.exceptions.RayError):  # without the lines the study goes on
            for line in self.news.get_nowait_batch(self.news.qsize()):
                self.live.epoch(*line)
        for answer in done:
            run = self.running.pop(answer)
            try:
                is_finished = _store(run, *self.ray.get(answer), fresh=run in self.again)
            except Exception as error:  # whatever it is, the other runs go on
                self._end_badly(run, error)
                continue
            if is_finished:
                self.outcome.finished.append(run)
                self.again.discard(run)
                self.todo.remove(run)
            else:
                self.paused.add(run)
            self.live.say(f"{run}: {'finished' if is_finished else 'out of time; it goes on next time'}")

    def _end_badly(self, run: Run, error: Exception) -> None:
        """Another study works on the run, or it failed."""
        cause = error.cause if isinstance(error, self.ray.exceptions.RayTaskError) else error
        reason = study.in_one_line(cause)
        if isinstance(cause, Held):
            self.paused.add(run)
            self.outcome.held.append(reason)
            return
        self.failed[run] = reason
        self.todo.remove(run)
        self.live.say(f"FAILED {run}: {reason}")

    def end(self) -> study.Outcome:
        """What it came to."""
        if self.too_long and self.budget.left > 0:
            self.live.nothing_fits(len(self.too_long))
        self.outcome.left = self.todo
        self.outcome.failures += [f"{run}: {reason}" for run, reason in self.failed.items()]
        return self.outcome


def share_of(run: Run, cluster: dict) -> dict:
    """What a run takes of a machine: a quarter of a GPU for a small student, else a whole one; or one CPU core."""
    if not cluster.get("GPU"):
        return {"num_cpus": 1, "num_gpus": 0}
    small = run.experiment.student in STUDENTS and len(run.teachers) < 2
    return {"num_cpus": 1, "num_gpus": 0.25 if small else 1}


def _connect(address: str):
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise CourseError("Ray is not installed: python -m pip install -e '.[ray]'") from error
    if ray.is_initialized():
        return ray
    _check_address(address)
    # Workers find the course where it lies here, and the data where they are named here.
    place = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    place["PYTHONPATH"] = str(Path(course_lib.__file__).resolve().parent.parent)
    try:
        ray.init(address=address, runtime_env={"env_vars": place}, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_cluster(address, error) from error
    return ray


def _check_address(address: str) -> None:
    """Raise CourseError where nothing listens at ``host:port``: Ray itself would go on trying for minutes."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or address  # as Ray reads it
    if "://" in address:  # Ray's client, which the [ray] extra does without
        raise CourseError(f"cannot use {address}: join the cluster with `ray start` and say --ray auto")
    host, _, port = address.rpartition(":")
    if not host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:  # no number or one too large, too
        raise _no_cluster(address, error) from error


def _no_cluster(address: str, error: Exception) -> CourseError:
    words = str(error).splitlines()[0]
    return CourseError(f"no Ray cluster at {address!r} ({words}): start one with `ray start --head`")


def _channel(ray):
    """A queue on this machine, not on one that may be lost; it takes no core of those that train."""
    from ray.util.queue import Queue
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})


class _DistantLine(LiveLine):
    """The live line of a worker: what it would show, the process that handed out the run shows."""

    def __init__(self, news):
        super().__init__()
        self.news = news

    def epoch(self, run: str, row: dict, epochs: int, left: float) -> None:
        with contextlib.suppress(Exception):  # a line that is lost costs no run
            self.news.put((run, row, epochs, left))


def _train_there(
    run: Run, end: float | None, fresh: bool, begun: bytes | None, news, *weights: bytes
) -> tuple[dict | None, bytes | None, object]:
    """On a worker: train ``run`` and answer with its result, its checkpoint and its test logits (N, classes).

    The result is None where the time did not suffice; the checkpoint then holds the epochs done (None: no epoch).

    Args:
        end: when the time is over, in seconds of ``time.time()``; the machines' clocks agree to a second or so.
        begun: the checkpoint to go on from, where there is one; weights: the teachers' checkpoints.
        news: the queue that takes a live line after each epoch.

    Raises:
        Held: another study works on the run.
    """
    with _patient_lock(run.name):
        left = None if end is None else end - time.time()
        if left is not None and left <= 0:
            return None, None, None
        budget = Budget(None if left is None else left / 60)
        for teacher, blob in zip(run.teachers, weights, strict=True):
            # Those that were sent, not an older training of the same teacher that happens to lie here.
            if not teacher.checkpoint.exists() or teacher.checkpoint.read_bytes() != blob:
                atomic_write(teacher.checkpoint, blob)
        if fresh:
            run.checkpoint.unlink(missing_ok=True)
        elif begun is not None and not run.checkpoint.exists():
            atomic_write(run.checkpoint, begun)
        try:
            result, logits = study.train_run(run, budget, _DistantLine(news))
        except OutOfTime:
            return None, run.checkpoint.read_bytes(), None
        return result, run.checkpoint.read_bytes(), logits.numpy()


@contextlib.contextmanager
def _patient_lock(name: str) -> Iterator[None]:
    """The run's lock, waited for: the worker that is being replaced may not be quite dead."""
    until = time.monotonic() + HAND_OVER_SECONDS
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(run_lock(name))
                break
            except Held:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
        yield


def _store(run: Run, result: dict | None, checkpoint: bytes | None, logits, *, fresh: bool) -> bool:
    """Store what came back; False where the run is not finished."""
    if checkpoint is not None and (result is None or fresh or not is_trained(run)):
        atomic_write(run.checkpoint, checkpoint)
    if result is None:
        return False
    if fresh or not run.result.exists():
        artefacts.keep(run, logits, study_data(run.profile).test.labels, result)
        store.save_result(result)
    return True
