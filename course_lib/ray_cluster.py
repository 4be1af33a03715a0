"""The same queue on a Ray cluster: one workstation with several GPUs, SLURM nodes, machines of a cloud.

The process that calls ``work_on_cluster`` alone decides and writes: it hands out runs whose teachers are trained, in
order of value, sends the teachers' weights along, and puts what comes back into its own store, each run once. A
worker needs no shared disk, only the course at the same path and the data set. A run whose worker dies is started
again elsewhere, from its checkpoint where the disk is shared.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import course_lib
from course_lib import artefacts, results, study
from course_lib.errors import CourseError
from course_lib.files import atomic_write, check_writable, repo_path
from course_lib.locks import Held, run_lock
from course_lib.material import is_trained, study_data
from course_lib.plan import Run
from course_lib.progress import Budget, LiveLine, OutOfTime
from course_lib.recipes import STUDENTS

RETRIES = 3  # lives of a run whose worker dies
HAND_OVER_SECONDS = 60.0  # how long a retried run waits for the lock of a worker that is about to be dead
ENVIRONMENT = ("COURSE_HOME", "COURSE_DATA", "OMP_NUM_THREADS")


def work_on_cluster(
    wanted: Iterable[Run], budget: Budget | None = None, *, address: str = "auto", fresh: bool = False
) -> study.Outcome:
    """``study.work`` on the machines of a running Ray cluster.

    Args:
        wanted: runs in order of value, see ``plan.queue``.
        budget: a run is handed out with the time that is left; at its end, begun runs are saved.
        address: ``auto`` for the cluster this machine belongs to, or ``ray://host:port``.
        fresh: run the wanted ones again where they are in the store.

    Raises:
        CourseError: Ray is not installed, there is no cluster, or the store cannot be written.
    """
    ray = _connect(address)
    wanted, budget, live, outcome = list(wanted), budget or Budget(), LiveLine(), study.Outcome()
    check_writable(repo_path("data", "results"))
    again = set(wanted) if fresh else set()
    todo = study.to_do(wanted, again, outcome.failures)
    task = ray.remote(max_retries=RETRIES)(_train_there)
    running, weights, failed = {}, {}, {}  # tasks by their answer, weights of teachers in Ray, reasons by run
    paused = set()  # out of time
    count = len(todo)
    while running or (todo and budget.left > 0):
        busy = {*running.values(), *paused}
        for run in study.ready(todo, failed) if budget.left > 0 else []:
            if run in busy:
                continue
            share = share_of(run, ray.cluster_resources())
            if not _fits(ray, share, [share_of(other, ray.cluster_resources()) for other in running.values()]):
                continue
            minutes = None if budget.left == float("inf") else budget.left / 60
            carried = [_weights(ray, weights, teacher) for teacher in run.teachers]
            begun = None if run in again or not run.checkpoint.exists() else ray.put(run.checkpoint.read_bytes())
            answer = task.options(**share).remote(run, minutes, run in again, begun, *carried)
            running[answer] = run
            live.say(f"[{count - len(todo) + len(running)}/{count}] {run} ({run.profile.label})")
        if not running:
            break
        done, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
        for answer in done:
            run = running.pop(answer)
            try:
                if _take_in(run, *ray.get(answer), fresh=run in again):
                    outcome.finished.append(run)
                    todo.remove(run)
                    again.discard(run)
                    live.say(f"{run}: finished")
                else:
                    paused.add(run)
            except Exception as error:  # whatever it is, the other runs go on
                failed[run] = _reason(ray, error)
                todo.remove(run)
                live.say(f"FAILED {run}: {failed[run]}")
    outcome.left = todo
    outcome.failures += [f"{run}: {reason}" for run, reason in failed.items()]
    return outcome


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
    # Workers find the course where it lies here, and the data where they are named here.
    place = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    place["PYTHONPATH"] = str(Path(course_lib.__file__).resolve().parent.parent)
    try:
        ray.init(address=address, runtime_env={"env_vars": place}, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        words = str(error).splitlines()[0]
        raise CourseError(f"no Ray cluster at {address!r} ({words}): start one with `ray start --head`") from error
    return ray


def _fits(ray, share: dict, taken: list[dict]) -> bool:
    """Whether the cluster has room for one more; counted here, as Ray's own count comes late."""
    whole = ray.cluster_resources()
    names = {"num_cpus": "CPU", "num_gpus": "GPU"}
    return all(
        sum(other[name] for other in taken) + share[name] <= whole.get(resource, 0) for name, resource in names.items()
    )


def _weights(ray, known: dict, teacher: Run):
    """A teacher's weights as a Ray object, put there once."""
    if teacher not in known:
        known[teacher] = ray.put(teacher.checkpoint.read_bytes())
    return known[teacher]


def _train_there(
    run: Run, minutes: float | None, fresh: bool, begun: bytes | None, *weights: bytes
) -> tuple[dict | None, bytes | None, object]:
    """On a worker: train ``run`` and answer with its result, its checkpoint and its test logits (N, classes).

    The result is None where the time did not suffice; the checkpoint then holds the epochs done.
    """
    budget = Budget(minutes)
    with _patient_lock(run.name):
        for teacher, blob in zip(run.teachers, weights, strict=True):
            if not is_trained(teacher):
                atomic_write(teacher.checkpoint, blob)
        if fresh:
            run.checkpoint.unlink(missing_ok=True)
        elif begun is not None and not run.checkpoint.exists():
            atomic_write(run.checkpoint, begun)
        try:
            result, logits = study.train_run(run, budget, LiveLine())
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


def _take_in(run: Run, result: dict | None, checkpoint: bytes | None, logits, *, fresh: bool) -> bool:
    """Store what came back; False where the run is not finished."""
    if checkpoint is not None and (result is None or fresh or not is_trained(run)):
        atomic_write(run.checkpoint, checkpoint)
    if result is None:
        return False
    if fresh or not run.result.exists():
        artefacts.keep(run, logits, study_data(run.profile).test.labels, result)
        results.save_result(result)
    return True


def _reason(ray, error: Exception) -> str:
    cause = getattr(error, "cause", None) if isinstance(error, ray.exceptions.RayTaskError) else None
    return study.in_one_line(cause or error)
