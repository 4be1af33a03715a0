"""Three places where the runs of the one queue are trained: here, in several processes, on a Ray cluster.

A place only trains: it says what it has room for (``has_room``), and ``submit`` gives back a future of what
``runs.train_run`` answers. What runs, in which order, and what is stored is the queue's matter (``queue.py``).
"""

import contextlib
import multiprocessing
import os
import signal
import socket
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import torch

import course_lib
from course_lib.files import CourseError, atomic_write
from course_lib.models.weights import fetch_published
from course_lib.study import store
from course_lib.study.experiments import PUBLISHED
from course_lib.study.progress import Budget, LiveLine
from course_lib.study.protocols import STUDENTS
from course_lib.study.runs import Answer, Run, train_run

LIVES = 3  # how often a run is begun whose machine dies
CONNECT_SECONDS = 5.0  # a head that is there answers at once
ENVIRONMENT = ("COURSE_HOME", "COURSE_DATA", "COURSE_REVISION", "OMP_NUM_THREADS")


class Inline(contextlib.nullcontext):
    """In this process, one run after another: nothing to set up, nothing to close."""

    device = ""  # what runs are trained on, as a result names it; empty for this machine's own
    limit = 1  # how many go on at once

    def has_room(self, run: Run, busy: list[Run]) -> bool:
        """Whether ``run`` can begin beside the ``busy`` ones. Raises CourseError where it never can."""
        return len(busy) < self.limit

    def submit(self, run: Run, budget: Budget, live: LiveLine, again: bool) -> "Future[Answer]":
        """Begin to train ``run``; arguments as of ``train_run``."""
        future: Future[Answer] = Future()
        try:
            future.set_result(train_run(run, budget, live, again=again))
        except Exception as error:
            future.set_exception(error)
        return future


class Processes(Inline):
    """In several processes of this machine, as small networks leave most of a GPU idle; they share its CPU threads.

    Each process is a pool of its own, so that one that dies takes no other's run along.
    """

    def __init__(self, workers: int):
        super().__init__()
        self.limit, self.threads = workers, max(1, torch.get_num_threads() // workers)
        self.pools: dict[ProcessPoolExecutor, Future] = {}  # with what each was handed last
        self.before = multiprocessing.active_children()

    def __exit__(self, kind, *_) -> None:
        if kind:  # stopped from the keyboard: nobody waits for the epochs under way
            for child in multiprocessing.active_children():
                if child not in self.before:
                    child.terminate()
        for pool in self.pools:
            pool.shutdown(wait=kind is None, cancel_futures=True)
        self.pools.clear()

    def submit(self, run: Run, budget: Budget, live: LiveLine, again: bool) -> "Future[Answer]":
        """Hand ``run`` to a free process, which writes its own live lines."""
        done = {pool: last.exception() for pool, last in self.pools.items() if last.done()}
        free = [pool for pool, error in done.items() if not isinstance(error, BrokenProcessPool)]
        # A fresh interpreter, as a CUDA context does not survive a fork.
        pool = free[0] if free else ProcessPoolExecutor(1, get_context("spawn"), _settle, (self.threads,))
        self.pools[pool] = pool.submit(_train, run, budget, again)
        return self.pools[pool]


def _settle(threads: int) -> None:
    """A worker's first act: its share of the threads, deaf to Ctrl-C (one message is enough), and mortal."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(threads))  # each worker would start one for every core
    torch.set_num_threads(threads)


def _end_with_parent() -> None:
    """Wait for the end of the study that started this worker, and go too: killed, it cannot stop its workers itself."""
    multiprocessing.parent_process().join()
    os._exit(1)  # at once, as kill -9 would: the checkpoint of the last epoch stands


def _train(run: Run, budget: Budget, again: bool) -> Answer:
    return train_run(run, budget, LiveLine(in_place=False), again=again)


class Cluster(Inline):
    """On a running Ray cluster: one workstation with several GPUs, SLURM nodes, machines of a cloud.

    A machine needs no disk shared with this one, only the course at the same path and the data set: the teachers'
    weights are sent along, and the checkpoint comes back. A run whose machine dies is begun again elsewhere, from its
    checkpoint where the disk is shared.

    ``address`` is ``auto`` for the cluster this machine belongs to, or ``host:port`` of its head. Entered, it raises
    CourseError where Ray is not installed, or there is no cluster.
    """

    def __init__(self, address: str = "auto"):
        self.address = address

    def __enter__(self):
        self.ray = _connect(self.address)
        self.task = self.ray.remote(max_retries=LIVES - 1)(_train_elsewhere)
        self.weights: dict[Run, object] = {}  # of a teacher, as a Ray object, put there once
        return self

    @property
    def device(self) -> str:
        """As measured on this machine where both train on the same kind of device."""
        kind, here = "cuda" if self.ray.cluster_resources().get("GPU") else "cpu", store.environment()["device"]
        return here if here.startswith(kind) else kind

    def has_room(self, run: Run, busy: list[Run]) -> bool:
        """Whether the cluster has room for one more; counted here, as Ray's own count comes late."""
        whole = self.ray.cluster_resources()
        need, taken = share_of(run, whole), [share_of(other, whole) for other in busy]
        for kind, share in need.items():
            if share > whole.get(kind, 0):
                has = f"the whole cluster has {whole.get(kind, 0):g}"
                raise CourseError(f"it needs {share:g} {kind}, and {has}: let a machine join it")
        return all(need[kind] + sum(one[kind] for one in taken) <= whole.get(kind, 0) for kind in need)

    def submit(self, run: Run, budget: Budget, live: LiveLine, again: bool) -> "Future[Answer]":
        """Hand ``run`` to the cluster; Ray passes its live lines on."""
        end = time.time() + budget.left  # a moment: a run that begins again elsewhere must not get its whole time anew
        for teacher in run.teachers:
            if teacher not in self.weights:
                file = fetch_published(teacher.key) if teacher.key in PUBLISHED else teacher.checkpoint
                self.weights[teacher] = self.ray.put(file.read_bytes())
        begun = run.checkpoint.read_bytes() if run.checkpoint.exists() and not again else None
        share = share_of(run, self.ray.cluster_resources())
        task = self.task.options(num_cpus=share["CPU"], num_gpus=share["GPU"])
        return task.remote(run, end, again, begun, *(self.weights[teacher] for teacher in run.teachers)).future()


def share_of(run: Run, cluster: dict) -> dict[str, float]:
    """What a run takes of a machine: a quarter of a GPU for a small student, else a whole one; or one CPU core."""
    small = run.experiment.student in STUDENTS and len(run.teachers) < 2
    return {"CPU": 1, "GPU": (0.25 if small else 1) if cluster.get("GPU") else 0}


def _train_elsewhere(run: Run, end: float, again: bool, begun: bytes | None, *weights: bytes) -> Answer:
    """On a machine of the cluster: put down what was sent, train, and send the checkpoint back with the answer.

    ``end`` is when the time is over, in seconds of ``time.time()`` (the machines' clocks agree to a second or so),
    ``begun`` the checkpoint to go on from, where there is one, and ``weights`` are the teachers' checkpoints.
    """
    left = end - time.time()
    if left <= 0:
        return Answer(f"{run}: the time was over before it began")
    for teacher, blob in zip(run.teachers, weights, strict=True):
        # Those that were sent, not an older training of the same teacher that happens to lie here.
        if not teacher.checkpoint.exists() or teacher.checkpoint.read_bytes() != blob:
            atomic_write(teacher.checkpoint, blob)
    if begun is not None and not run.checkpoint.exists():
        atomic_write(run.checkpoint, begun)
    answer = _train(run, Budget(left / 60), again)
    return answer._replace(checkpoint=run.checkpoint.read_bytes())


def _connect(address: str):
    """Ray, joined to the cluster at ``address``."""
    named = (address == "auto" and os.environ.get("RAY_ADDRESS")) or address  # as Ray reads it
    if "://" in named:  # Ray's client, which the [ray] extra does without
        raise CourseError(f"cannot use {named}: join the cluster with `ray start` and say --ray auto")
    host, _, port = named.rpartition(":")
    # Ray reads the second when it is imported: epochs that differ only in their numbers are not one line repeated.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    # Workers find the course where it lies here, and the data where they are named here.
    place = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    place["PYTHONPATH"] = str(Path(course_lib.__file__).resolve().parent.parent)
    try:
        if host:  # where nothing listens, Ray itself would go on trying for minutes
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
        import ray

        if not ray.is_initialized():
            ray.init(address=address, runtime_env={"env_vars": place}, logging_level="warning")
        return ray
    except ImportError as error:
        raise CourseError("Ray is not installed: python -m pip install -e '.[ray]'") from error
    except (OSError, OverflowError, RuntimeError, ValueError) as error:  # no number as the port, or one too large, too
        words = str(error).splitlines()[0]
        raise CourseError(f"no Ray cluster at {named!r} ({words}): start one with `ray start --head`") from error
