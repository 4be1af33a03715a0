"""The queue: what is left of the wanted runs, what may begin, and what became of it.

Teachers come first, finished runs are skipped, killed runs resumed, failed runs reported. The queue alone decides and
stores; where a run is trained is a place's matter (``workers.py``). Several studies may work on one store at once:
each run has a lock, which the operating system drops when its holder dies, however it dies.
"""

import concurrent.futures
import contextlib
import os
import platform
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from filelock import FileLock, Timeout

from course_lib.files import CourseError, atomic_write, check_writable, remove_leftovers, repo_path
from course_lib.study import store
from course_lib.study.estimates import estimate
from course_lib.study.progress import Budget, LiveLine, counted, in_words
from course_lib.study.runs import Answer, Run, epoch_seconds, is_trained, with_teachers
from course_lib.study.workers import Inline
from course_lib.training.engine import choose_engine, default_device

WAIT_SECONDS = 1.0  # between two looks at whether another process has finished a teacher


def to_do(wanted: Iterable[Run], again: Iterable[Run] = ()) -> list[Run]:
    """What has to run, teachers first, so that every ``wanted`` run has a result, and its trained teachers have theirs.

    A teacher is trained again where a run lacks its weights. One whose training ended and left no result (a kill, a
    full disk) gets that; one that nobody needs any more is not trained for its result alone. A result that is not sound
    is not repeated unasked; those of ``again`` are.
    """
    wanted = list(wanted)
    missing = {run for run in wanted if run in again or not run.result.exists()}
    needed = set(with_teachers(missing))

    def is_lacking(run: Run) -> bool:
        stored, trained = run.result.exists(), is_trained(run)
        return (run in needed and not (stored and trained)) or (trained and not stored)

    return [run for run in with_teachers(wanted) if run in missing or is_lacking(run)]


class Held(CourseError):
    """Another process works on the run; the message says which."""


def claim(name: str) -> FileLock:
    """The lock of the run ``name``, taken; ``release`` it, or die.

    Raises Held where another process has it, CourseError where the lock's file cannot be made.
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
    try:
        if _lock_path(name).exists():
            claim(name).release()
    except CourseError as error:
        return isinstance(error, Held)
    return False


def _lock_path(name: str) -> Path:
    return repo_path("data", "cache", "locks", f"{name}.lock")


class Queue:
    """What is left to do, what may begin, and what became of the rest; made and asked by ``work``.

    Attributes:
        left: runs that are not finished.
        finished: runs that were brought to their end.
        failures: a line for each run that failed or waits for one that did, and for each result that is not sound.
    """

    def __init__(self, wanted: list[Run], budget: Budget, fresh: bool, place: Inline):
        check_writable(repo_path("data", "results"))
        self.budget, self.live, self.place = budget, LiveLine(), place
        self.again = set(wanted) if fresh else set()
        self.left = to_do(wanted, self.again)
        done = ((run, _stored(run)) for run in wanted if run not in self.left)
        self.failures = [f"{run}: {found}" for run, found in done if isinstance(found, str)]
        self.count, self.finished = len(self.left), []
        self.failed: set[Run] = set()
        self.held: set[Run] = set()  # by other studies
        self.locks: dict[Run, FileLock] = {}  # of what is under way
        self.is_paused = False  # a run found no time for its next epoch: nothing else begins

    def close(self) -> None:
        """Give up the locks of what is under way."""
        for lock in self.locks.values():
            lock.release()

    @property
    def is_over(self) -> bool:
        """Whether nothing else may begin, as the time is up."""
        return self.is_paused or self.budget.left <= 0

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
                has_room = self.place.has_room(run, list(self.locks))
                if (blocked and not has_room) or not self._holds_epoch(run):
                    continue
                if not has_room:
                    blocked = run
                elif self._take(run):
                    return run
                elif run not in self.left:  # finished elsewhere meanwhile: its students may begin
                    return self.begin()
            except CourseError as error:
                self._fail(run, in_one_line(error))
        return None

    def _ready(self) -> list[Run]:
        """The runs whose teachers are trained; those whose teacher failed have failed too."""
        for run in list(self.left):
            if lost := self.failed.intersection(run.teachers):
                self._fail(run, f"needs {lost.pop()}, which failed")
        waiting = [run for run in self.left if run not in self.locks and not set(run.teachers).intersection(self.left)]
        return [] if self.is_over else waiting

    def _holds_epoch(self, run: Run) -> bool:
        """Whether the budget holds the run's next epoch; one that lacks nothing but its result needs none."""
        if self.budget.left == float("inf") or (run not in self.again and is_trained(run)):
            return True
        return self.budget.holds(estimate(run, self.place.device).first)

    def _take(self, run: Run) -> bool:
        """Take the run's lock; False where another study has it, or has finished the run meanwhile."""
        try:
            lock = claim(run.name)
        except Held as held:
            if run not in self.held:
                self.live.say(f"{held}: waiting for that")
            self.held.add(run)
            return False
        self.held.discard(run)
        # Finished, with weights where a student waits for them?
        is_teacher = any(run in other.teachers for other in self.left)
        if run not in self.again and run.result.exists() and (not is_teacher or is_trained(run)):
            lock.release()
            self.left.remove(run)
            return False
        self.locks[run] = lock
        remove_leftovers(run.checkpoint)
        remove_leftovers(run.result)
        number = self.count - len(self.left) + len(self.locks)
        epochs, profile = run.settings.epochs, run.profile.name
        self.live.say(f"[{number}/{self.count}] {run}: {profile} profile, {run.images:,} images, {epochs} epochs")
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
                store.save_result(answer.result)
            self.live.say(f"{answer.words} after {in_words(answer.result['wall_seconds'])}")
            self.finished.append(run)
            self.left.remove(run)
        except Exception as error:  # whatever it is
            self._fail(run, in_one_line(error))
        finally:
            self.locks.pop(run).release()

    def _fail(self, run: Run, reason: str) -> None:
        self.failed.add(run)
        self.left.remove(run)
        self.failures.append(f"{run}: {reason}")
        self.live.say(f"FAILED {run}: {reason}")


def in_one_line(error: Exception) -> str:
    """What went wrong, short enough for a list; of the course's own errors also what to do."""
    error = getattr(error, "cause", None) or error  # Ray wraps what a task raised
    words = [line.strip() for line in str(error).strip().splitlines()]
    if isinstance(error, CourseError):
        return " ".join(words)
    return f"{type(error).__name__}: {words[0] if words else 'no message'}"


def work(
    wanted: Iterable[Run], budget: Budget | None = None, *, fresh: bool = False, place: Inline | None = None
) -> Queue:
    """Bring the ``wanted`` runs to their end, in this order and teachers first; returns what became of them.

    Args:
        wanted: runs in order of value, see ``plan.wanted``.
        budget: no run and no epoch is begun that it does not hold; default no limit.
        fresh: run the wanted ones again where they are in the store.
        place: where runs are trained (``workers.py``), default here, one after another.

    Raises CourseError where the store cannot be written, or there is no such place.
    """
    place = place or Inline()
    queue = Queue(list(wanted), budget or Budget(), fresh, place)
    with contextlib.closing(queue), place:
        for note in choose_engine(default_device()).notes if queue.left and not place.device else ():
            queue.live.say(f"note: {note}")
        under_way: dict[concurrent.futures.Future, Run] = {}
        while queue.left:
            # The most valuable run that can be begun; after each, look again from the top.
            while run := queue.begin():
                under_way[place.submit(run, queue.budget, queue.live, run in queue.again)] = run
            if under_way:
                for future in concurrent.futures.wait(under_way, WAIT_SECONDS, "FIRST_COMPLETED").done:
                    queue.end(under_way.pop(future), future.result)
            elif queue.held.isdisjoint(queue.left) or queue.is_over:
                break
            else:  # for other studies, whose runs these are until they end or die
                time.sleep(min(WAIT_SECONDS, queue.budget.left))
        if queue.left and not queue.is_over:
            queue.live.say(f"{counted(len(queue.left), 'run')} left: no epoch fits into the time left")
        return queue


def listing(wanted: Iterable[Run]) -> list[str]:
    """One line a run: its state, what it reached or still needs, and its teachers. The last line sums up.

    States: done; weights (done, but its weights are gone, and a student needs them: trained again); running; begun;
    missing; damaged (not repeated unasked).
    """
    asked = list(wanted)
    todo, runs = set(to_do(asked)), with_teachers(asked)
    if not runs:
        return ["nothing to run: all rows of this choice are left out of the profile; name them to run them"]
    states, rest, lines = [], 0.0, [runs[0].profile.label]
    for run in runs:
        found, own = _stored(run), len(epoch_seconds(run))
        state, words = "damaged", found
        if isinstance(found, dict):
            state, words = "done", f"{found['last_accuracy']:.2f} % after {in_words(found['wall_seconds'])}"
        if run in todo or not found:
            state = "running" if is_held(run.name) else "weights" if found else "begun" if own else "missing"
            whole = estimate(run)
            left = whole.run - own * whole.epoch if own < run.settings.epochs else 0.0
            needed = f"about {in_words(left)} ({whole.source})" if left else "only to be stored"
            words = f"{words}; its weights are gone, trained again in {needed}" if state == "weights" else needed
            words += f", {counted(own, 'epoch')} done" if own else ""
            rest += left if run in todo else 0.0
        if run.teachers:
            words += f"; needs {', '.join(map(str, run.teachers))}"
        states.append(state)
        lines.append(f"{state:<8}{run}: {words}")
    numbers = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return [*lines, f"{numbers}; about {in_words(rest)} left, one after another, on {store.environment()['device']}"]


def _stored(run: Run) -> dict | str | None:
    """A run's stored result, or what is wrong with its file; None where there is none."""
    try:
        return store.read_result(run.result) if run.result.exists() else None
    except CourseError as error:
        return str(error)
