"""The queue: what is left of the wanted runs, what may begin, and what became of it.

Teachers come first, finished runs are skipped, killed runs resumed, failed runs reported. The queue alone decides and
stores; where a run is trained is a place's matter (``workers.py``). Several studies may work on one store at once:
each run has a lock, which the operating system drops when its holder dies, however it dies.
"""

import concurrent.futures
import contextlib
import functools
import os
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from course_lib.files import CourseError, atomic_write, check_writable, remove_leftovers, repo_path
from course_lib.profiles import Profile, active_profile
from course_lib.study import store
from course_lib.study.estimates import estimates_for
from course_lib.study.plan import rows
from course_lib.study.progress import Budget, LiveLine, counted, in_words
from course_lib.study.runs import Answer, Run, epoch_seconds, is_trained, keep, with_teachers
from course_lib.study.workers import Inline
from course_lib.training.engine import choose_engine, default_device

WAIT_SECONDS = 1.0  # between two looks at whether another process has finished a teacher


# --- what is left of it ---------------------------------------------------------------------------------


def to_do(wanted: Iterable[Run], again: Iterable[Run] = (), damaged: list[str] | None = None) -> list[Run]:
    """What has to run, teachers first, so that every ``wanted`` run has a result, and its trained teachers have theirs.

    Args:
        again: runs that are repeated though they are in the store.
        damaged: gets one line for each stored result that is not sound; such a run is not repeated unasked.
    """
    wanted, missing = list(wanted), set()
    for run in wanted:
        if run in again or not run.result.exists():
            missing.add(run)
            continue
        try:
            store.read_result(run.result)
        except CourseError as error:
            if damaged is not None:
                damaged.append(f"{run}: {error}")
    needed = set(with_teachers(missing))
    return [run for run in with_teachers(wanted) if run in missing or _is_lacking(run, is_needed=run in needed)]


def _is_lacking(teacher: Run, *, is_needed: bool) -> bool:
    """Whether a teacher has to run: its weights are needed, or its training ended and left no result (kill, full disk).

    One that nobody needs any more is not trained for its result alone.
    """
    if is_needed:
        return not (teacher.result.exists() and is_trained(teacher))
    return not teacher.result.exists() and is_trained(teacher)


class Held(CourseError):
    """Another process works on the run; the message says which."""


def claim(name: str) -> FileLock:
    """The lock of the run ``name``, taken; ``release`` it, or die.

    Raises:
        Held: another process has it.
        CourseError: the lock's file cannot be made.
    """
    path = _lock_path(name)
    who, lock = path.with_suffix(".who"), FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        holder = who.read_text(encoding="utf-8") if who.exists() else "another process"
        raise Held(f"{name} is being run by {holder}") from None
    except OSError as error:
        raise CourseError(f"cannot lock {path}: {error.strerror or error}; choose a writable folder") from error
    with contextlib.suppress(OSError):  # a full disk must not stop a run for the sake of this courtesy
        who.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
    return lock


def is_held(name: str) -> bool:
    """Whether another process works on the run ``name``; a folder that is only for reading has no running runs."""
    if not _lock_path(name).exists():
        return False
    try:
        with FileLock(_lock_path(name)).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False


def _lock_path(name: str) -> Path:
    return repo_path("data", "cache", "locks", f"{name}.lock")


@dataclass
class Outcome:
    """What a study came to.

    Attributes:
        finished: runs that this study brought to their end.
        failures: one line for each run that failed, or was waiting for one that did.
        left: runs that are not finished.
        held: one line for each run that another study works on.
    """

    finished: list[Run] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    left: list[Run] = field(default_factory=list)
    held: list[str] = field(default_factory=list)


class Queue:
    """What is left to do, what may begin, and what became of the rest. Closed, it gives up its locks.

    Args:
        wanted: runs in order of value, see ``plan.wanted``.
        budget: no run and no epoch is begun that it does not hold.
        fresh: run the wanted ones again where they are in the store.
        live: where progress is shown.
        place: where runs are trained (``workers.py``): it says what it has room for.

    Raises:
        CourseError: the store cannot be written.
    """

    def __init__(self, wanted: list[Run], budget: Budget, fresh: bool, live: LiveLine, place: Inline):
        check_writable(repo_path("data", "results"))
        self.budget, self.live, self.place = budget, live, place
        self.again = set(wanted) if fresh else set()
        self.damaged: list[str] = []
        self.todo = to_do(wanted, self.again, self.damaged)
        self.count = len(self.todo)
        self.finished: list[Run] = []
        self.failed: dict[Run, str] = {}
        self.held: dict[Run, str] = {}
        self.locks: dict[Run, FileLock] = {}  # of what is under way
        self.too_long: set[Run] = set()
        self.asked_again: set[Run] = set()
        self.is_paused = False  # a run found no time for its next epoch: nothing else begins

    def __enter__(self) -> "Queue":
        return self

    def __exit__(self, *_) -> None:
        for lock in self.locks.values():
            lock.release()

    @functools.cached_property
    def estimates(self):
        """What runs take where they are trained, by profile."""
        return estimates_for(self.todo, self.place.device)

    def begin(self) -> Run | None:
        """The most valuable run that may begin now, with its lock taken; None where there is none at the moment.

        A run that has no room yet is passed only by runs of its own seed: else quarter-GPU runs, of which there are
        always more, would keep every whole-GPU teacher waiting until the last of them.
        """
        blocked = None
        for run in self._ready():
            if blocked and run.seed != blocked.seed:
                continue
            try:
                if not self._holds_epoch(run):
                    self.too_long.add(run)
                elif not self.place.has_room(run, list(self.locks)):
                    blocked = blocked or run
                elif self._take(run):
                    return run
                elif run not in self.todo:  # finished elsewhere meanwhile: its students may begin
                    return self.begin()
            except CourseError as error:
                self._fail(run, error)
        return None

    def _ready(self) -> list[Run]:
        """The runs whose teachers are trained; those whose teacher failed move from ``todo`` to ``failed``."""
        ready = []
        for run in list(self.todo):
            lost = [teacher for teacher in run.teachers if teacher in self.failed]
            if lost:
                self.failed[run] = f"needs {lost[0]}, which failed"
                self.todo.remove(run)
            elif run not in self.locks and not any(teacher in self.todo for teacher in run.teachers):
                ready.append(run)
        return [] if self.is_paused or self.budget.left <= 0 else ready

    def _holds_epoch(self, run: Run) -> bool:
        """Whether the budget holds the run's next epoch; one that lacks nothing but its result needs none."""
        if self.budget.left == float("inf") or (run not in self.again and is_trained(run)):
            return True
        return self.budget.holds(self.estimates[run.profile].of(run).first)

    def _take(self, run: Run) -> bool:
        """Take the run's lock; False where another study has it, or has finished the run meanwhile."""
        try:
            lock = claim(run.name)
        except Held as held:
            self.held[run] = str(held)
            return False
        self.held.pop(run, None)
        # Finished, with weights where a student waits for them?
        is_teacher = any(run in other.teachers for other in self.todo)
        if run not in self.again and run.result.exists() and (not is_teacher or is_trained(run)):
            lock.release()
            self.todo.remove(run)
            return False
        self.locks[run] = lock
        remove_leftovers(run.checkpoint)
        remove_leftovers(run.result)
        number = self.count - len(self.todo) + len(self.locks)
        self.live.say(f"[{number}/{self.count}] {run} ({run.profile.label})")
        return True

    def end(self, run: Run, result: Callable[[], Answer]) -> None:
        """Store what the training of ``run`` came back with, or write down why it failed; the other runs go on."""
        try:
            answer = result()
            if answer.checkpoint is not None:
                atomic_write(run.checkpoint, answer.checkpoint)
            if answer.result is None:
                self.is_paused = True
                self.live.say(answer.words)
                return
            if run in self.again or not run.result.exists():  # else a teacher's, whose weights were gone
                keep(run, answer.result, answer.logits)
            self.live.say(f"{answer.words} after {in_words(answer.result['wall_seconds'])}")
            self.finished.append(run)
            self.todo.remove(run)
        except Exception as error:  # whatever it is
            self._fail(run, error)
        finally:
            self.locks.pop(run).release()

    def _fail(self, run: Run, error: Exception) -> None:
        self.failed[run] = in_one_line(error)
        self.todo.remove(run)
        self.live.say(f"FAILED {run}: {self.failed[run]}")

    def may_wait(self) -> bool:
        """Whether to look again in a moment: other studies work on teachers of what is left, or on runs of ours.

        Those runs are theirs, and are asked after once more only: who held one may have been about to end.
        """
        if self.is_paused or self.budget.left <= 0:
            return False
        once_more = {run for run in self.held if run in self.todo} - self.asked_again
        self.asked_again |= once_more
        needed = (teacher for run in self.todo for teacher in with_teachers(run.teachers))
        return bool(once_more) or any(teacher in self.held for teacher in needed)

    def outcome(self) -> Outcome:
        """What it came to."""
        too_long = self.too_long.intersection(self.todo)
        if too_long and not self.is_paused and self.budget.left > 0:
            self.live.say(f"{counted(len(too_long), 'run')} could begin, but no epoch fits into the time left")
        failures = self.damaged + [f"{run}: {reason}" for run, reason in self.failed.items()]
        return Outcome(self.finished, failures, self.todo, [self.held[run] for run in self.todo if run in self.held])


def in_one_line(error: Exception) -> str:
    """What went wrong, short enough for a list; of the course's own errors also what to do."""
    error = getattr(error, "cause", None) or error  # Ray wraps what a task raised
    words = [line.strip() for line in str(error).strip().splitlines()]
    if isinstance(error, CourseError):
        return " ".join(words)
    return f"{type(error).__name__}: {words[0] if words else 'no message'}"


# --- running it -----------------------------------------------------------------------------------------


def work(
    wanted: Iterable[Run],
    budget: Budget | None = None,
    *,
    fresh: bool = False,
    live: LiveLine | None = None,
    place: Inline | None = None,
) -> Outcome:
    """Bring the ``wanted`` runs to their end, in this order and teachers first, until the budget is used up.

    Args:
        wanted, budget, fresh, live: as for ``Queue``; default without a limit, and standard output.
        place: where runs are trained, see ``workers.py``; default here, one after another.

    Raises:
        CourseError: the store cannot be written, or there is no such place.
    """
    place = place or Inline()
    with Queue(list(wanted), budget or Budget(), fresh, live or LiveLine(), place) as queue, place:
        for note in choose_engine(default_device()).notes if queue.todo and not place.device else ():
            queue.live.say(f"note: {note}")
        under_way: dict[concurrent.futures.Future, Run] = {}
        while queue.todo:
            # The most valuable run that can be begun; after each, look again from the top.
            while run := queue.begin():
                under_way[place.submit(run, queue.budget, queue.live, run in queue.again)] = run
            if under_way:
                for future in concurrent.futures.wait(under_way, WAIT_SECONDS, "FIRST_COMPLETED").done:
                    queue.end(under_way.pop(future), future.result)
            elif queue.may_wait():
                time.sleep(min(WAIT_SECONDS, queue.budget.left))
            else:
                break
        return queue.outcome()


def run(
    keys: Iterable[str] | None = None,
    *,
    profile: Profile | None = None,
    recipe: str = "paper",
    seeds: Iterable[int] = (0,),
    fresh: bool = False,
) -> list[str]:
    """Run the rows ``keys`` of one protocol (default: the profile's rows of Tables I-IV) and the teachers they need.

    Args:
        keys: see ``experiments.ROWS``. profile: default the active one. recipe: the protocol.
        seeds: each row is run once a seed; a student learns from the teacher of its own seed.
        fresh: run again what is in the store already.

    Returns:
        One line for each run that failed.

    Raises:
        ValueError: a key or the recipe is unknown.
        CourseError: the store cannot be written.
    """
    profile, keys = profile or active_profile(), None if keys is None else list(keys)
    return work([one for seed in seeds for one in rows(keys, profile, recipe, seed)], fresh=fresh).failures


# --- the list -------------------------------------------------------------------------------------------


def listing(wanted: Iterable[Run]) -> list[str]:
    """One line a run: its state, what it reached or still needs, and its teachers. The last line sums up.

    States: done; weights (done, but its weights are gone, and a student needs them: trained again); running; begun;
    missing; damaged (not repeated unasked).
    """
    asked = list(wanted)
    wanted = with_teachers(asked)
    if not wanted:
        return ["nothing to run: all rows of this choice are left out of the profile; name them to run them"]
    todo = set(to_do(asked))
    estimates, states, rest, lines = estimates_for(wanted), [], 0.0, [wanted[0].profile.label]
    for run in wanted:
        state, words = _state(run, run in todo)
        own, estimate = len(epoch_seconds(run)), estimates[run.profile].of(run)
        if run in todo:
            left = estimate.run - own * estimate.epoch if own < run.settings.epochs else 0.0
            rest += left
            needed = f"about {in_words(left)} ({estimate.source})" if left else "only to be stored"
            words = f"{words}; its weights are gone, trained again in {needed}" if state == "weights" else needed
            words += f", {counted(own, 'epoch')} done" if own else ""
        elif state == "missing":
            words = f"about {in_words(estimate.run)} ({estimate.source})"
        if run.teachers:
            words += f"; needs {', '.join(str(teacher) for teacher in run.teachers)}"
        states.append(state)
        lines.append(f"{state:<8}{run}: {words}")
    numbers = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    device = next(iter(estimates.values())).device
    return [*lines, f"{numbers}; about {in_words(rest)} left, one after another, on {device}"]


def _state(run: Run, is_to_run: bool) -> tuple[str, str]:
    """Where a run stands, and what it reached or is wrong with it. ``is_to_run``: whether a study would train it."""
    words = ""
    if run.result.exists():
        try:
            result = store.read_result(run.result)
        except CourseError as error:
            return "damaged", str(error)
        words = f"{result['last_accuracy']:.2f} % after {in_words(result['wall_seconds'])}"
        if not is_to_run:
            return "done", words
    if is_held(run.name):
        return "running", words
    return ("weights" if words else "begun" if epoch_seconds(run) else "missing"), words
