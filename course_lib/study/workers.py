"""Several processes that share one study on one machine: small networks leave most of a GPU idle.

Each is an ordinary study of the same queue; the locks of ``locks.py`` keep them off each other's runs.
"""

import contextlib
import multiprocessing
import os
import queue
import threading
from collections.abc import Iterable

import torch

from course_lib.errors import CourseError
from course_lib.files import check_writable, repo_path
from course_lib.study import queue as study
from course_lib.study.plan import Run
from course_lib.study.progress import Budget, LiveLine


def work_together(
    wanted: Iterable[Run], budget: Budget | None = None, workers: int = 2, *, fresh: bool = False
) -> study.Outcome:
    """``study.work`` in ``workers`` processes; the CPU's threads are shared out among them.

    Raises:
        ValueError: ``fresh`` was asked for: two processes would each run the same again.
        CourseError: the store cannot be written.
    """
    if fresh:
        raise ValueError("--fresh and --workers do not go together: delete the results that are to be run again")
    check_writable(repo_path("data", "results"))  # one line here instead of one from each worker
    wanted, budget = list(wanted), budget or Budget()
    # Fresh interpreters, as a CUDA context does not survive a fork.
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    threads = max(1, torch.get_num_threads() // workers)
    jobs = [context.Process(target=_work, args=(wanted, budget, threads, answers), daemon=True) for _ in range(workers)]
    for job in jobs:
        job.start()
    outcomes = _collect(jobs, answers)
    return _together(wanted, outcomes, jobs)


def _work(wanted: list[Run], budget: Budget, threads: int, answers) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(threads))  # each worker would start one for every core
    torch.set_num_threads(threads)
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C reaches all at once; one message is enough
        try:
            answers.put(study.work(wanted, budget, live=LiveLine(in_place=False)))
        except CourseError as error:
            answers.put(study.Outcome(failures=[study.in_one_line(error)]))


def _end_with_parent() -> None:
    """Wait for the end of the study that started this worker, and go too: killed, it cannot stop its workers itself."""
    multiprocessing.parent_process().join()
    os._exit(1)  # at once, as kill -9 would: the checkpoint of the last epoch stands


def _collect(jobs: list, answers) -> list[study.Outcome]:
    """Every outcome that arrives before all processes are gone; one that dies leaves none."""
    outcomes = []
    while True:
        over = not any(job.is_alive() for job in jobs)  # asked before the look: the last words come before the end
        try:
            outcomes.append(answers.get(timeout=0.5))
        except queue.Empty:
            if over:
                return outcomes


def _together(wanted: list[Run], outcomes: list[study.Outcome], jobs: list) -> study.Outcome:
    """One outcome of all: each failure once, left only what nobody finished, held only what others work on."""
    finished = [run for outcome in outcomes for run in outcome.finished]
    failures = list(dict.fromkeys(failure for outcome in outcomes for failure in outcome.failures))
    failures += [f"worker {job.pid} died with exit status {job.exitcode}" for job in jobs if job.exitcode]
    left = [run for run in study.to_do(wanted) if not any(line.startswith(f"{run}: ") for line in failures)]
    # A worker also names the runs that its siblings had at its end.
    siblings = tuple(f"process {job.pid} " for job in jobs)
    held = {line for outcome in outcomes for line in outcome.held if not any(name in line for name in siblings)}
    held = sorted(line for line in held if any(line.startswith(f"{run.name} ") for run in left))
    return study.Outcome(finished=finished, failures=failures, left=left, held=held)
