"""Runs the queue of ``plan.py``: teachers first, finished runs skipped, killed runs resumed, failed runs reported.

A run's weights live in ``data/cache/checkpoints`` (not in git) and are written after every epoch: a student needs its
teacher's weights, and a teacher whose weights are missing is trained again. A run's result goes to the store
(``store.py``). Several studies may work on one store at once: each run has a lock.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor

from course_lib.errors import CourseError
from course_lib.files import check_writable, remove_leftovers, repo_path
from course_lib.models.cost import count_parameters
from course_lib.profiles import Profile, active_profile
from course_lib.study import artefacts, plan, store
from course_lib.study.estimates import Estimate, Estimates
from course_lib.study.locks import Held, is_held, run_lock
from course_lib.study.material import (
    check_origin,
    epoch_seconds,
    epochs_done,
    initial_weights,
    is_trained,
    new_student,
    study_data,
    teacher_of,
    told_about,
    trained_parameters,
)
from course_lib.study.plan import Run, settings_of, with_teachers
from course_lib.study.progress import Budget, LiveLine, OutOfTime, counted, in_words
from course_lib.study.protocols import fed_size, teacher_sees_scraps
from course_lib.training.engine import choose_engine, default_device
from course_lib.training.loop import train

WAIT_SECONDS = 1.0  # between two looks at whether another process has finished a teacher


@dataclass
class Outcome:
    """What a study came to.

    Attributes:
        finished: runs that this process brought to their end.
        failures: one line for each run that failed, or was waiting for one that did.
        left: runs that are not finished.
        held: one line for each run that another process works on.
    """

    finished: list[Run] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    left: list[Run] = field(default_factory=list)
    held: list[str] = field(default_factory=list)


def run(
    keys: Iterable[str] | None = None,
    *,
    profile: Profile | None = None,
    recipe: str = "paper",
    seeds: Iterable[int] = (0,),
    fresh: bool = False,
) -> list[str]:
    """Run the rows ``keys`` of one recipe (default: the profile's rows of Tables I-IV) and the teachers they need.

    Args:
        keys: experiment keys, see ``experiments.EXPERIMENTS``.
        profile: default the active one.
        recipe: see ``recipes.py``.
        seeds: each experiment is run once a seed; a student learns from the teacher of its own seed.
        fresh: run again what is in the store already.

    Returns:
        One line for each run that failed; a failed run does not stop those that do not need it.

    Raises:
        ValueError: a key or the recipe is unknown.
        CourseError: the store cannot be written.
    """
    profile = profile or active_profile()
    keys = None if keys is None else list(keys)
    wanted = [one for seed in seeds for one in plan.rows(keys, profile, recipe, seed)]
    return work(wanted, fresh=fresh).failures


def work(
    wanted: Iterable[Run], budget: Budget | None = None, *, fresh: bool = False, live: LiveLine | None = None
) -> Outcome:
    """Bring the ``wanted`` runs to their end, in this order and teachers first, until the budget is used up.

    Args:
        wanted: runs in order of value, see ``plan.queue``.
        budget: no run and no epoch is begun that it does not hold; default without a limit.
        fresh: run the wanted ones again where they are in the store.
        live: where progress is shown; default standard output.

    Raises:
        CourseError: the store cannot be written.
    """
    shift = _Shift(list(wanted), budget or Budget(), fresh, live or LiveLine())
    while shift.todo and shift.budget.left > 0:
        # The most valuable run that can be begun; after each, look again from the top.
        if not any(shift.attempt(run) for run in ready(shift.todo, shift.failed)):
            if not shift.may_wait():
                break
            time.sleep(min(WAIT_SECONDS, shift.budget.left))
    return shift.end()


class _Shift:
    """One call of ``work``: what is left to do, and what became of the rest."""

    def __init__(self, wanted: list[Run], budget: Budget, fresh: bool, live: LiveLine):
        check_writable(repo_path("data", "results"))
        self.budget, self.live, self.outcome = budget, live, Outcome()
        self.again = set(wanted) if fresh else set()
        self.todo = to_do(wanted, self.again, self.outcome.failures)
        self.count, self.estimates = len(self.todo), estimates_for(self.todo)
        self.failed: dict[Run, str] = {}
        self.held: dict[Run, str] = {}
        self.too_long: set[Run] = set()
        self.looked_again: set[Run] = set()
        for note in choose_engine(default_device()).notes if self.todo else ():
            self.live.say(f"note: {note}")

    def attempt(self, run: Run) -> bool:
        """Bring ``run`` to its end; False where it cannot be begun now, and the next one is to be tried."""
        if not self.holds_epoch(run):
            self.too_long.add(run)
            return False
        try:
            with run_lock(run.name):
                self.held.pop(run, None)
                remove_leftovers(run.checkpoint)
                remove_leftovers(run.result)
                if run in self.again or not _is_over(run, self.todo):
                    self.live.say(f"[{self.count - len(self.todo) + 1}/{self.count}] {run} ({run.profile.label})")
                    run_one(run, self.budget, self.live, fresh=run in self.again)
                    self.outcome.finished.append(run)
                self.again.discard(run)
                self.todo.remove(run)
        except Held as held:
            self.held[run] = str(held)
            return False
        except OutOfTime as pause:
            self.live.say(str(pause))
            self.budget = Budget.spent()  # nothing else may begin
        except Exception as error:  # whatever it is, the other runs go on
            self.failed[run] = in_one_line(error)
            self.todo.remove(run)
            self.live.say(f"FAILED {run}: {self.failed[run]}")
        return True

    def holds_epoch(self, run: Run) -> bool:
        """Whether the budget holds the run's next epoch; one that lacks nothing but its result needs none."""
        if self.budget.left == float("inf") or (run not in self.again and is_trained(run)):
            return True
        return self.budget.holds(self.estimates[run.profile].of(run, epoch_seconds(run)).first)

    def may_wait(self) -> bool:
        """Whether to look again in a moment: other processes work on teachers of what is left, or on runs of ours.

        Those runs are theirs, and are asked after once more only: who held one may have been about to end.
        """
        once_more = {run for run in self.held if run in self.todo} - self.looked_again
        self.looked_again |= once_more
        return bool(once_more) or any(
            teacher in self.held for run in self.todo for teacher in with_teachers(run.teachers)
        )

    def end(self) -> Outcome:
        """What it came to."""
        if self.too_long and self.budget.left > 0:
            self.live.nothing_fits(len(self.too_long))
        self.outcome.left = self.todo
        self.outcome.held = [words for run, words in self.held.items() if run in self.todo]
        self.outcome.failures += [f"{run}: {reason}" for run, reason in self.failed.items()]
        return self.outcome


def to_do(wanted: Iterable[Run], again: set[Run] | None = None, damaged: list[str] | None = None) -> list[Run]:
    """What has to run, teachers first, so that every ``wanted`` run has a result, and its trained teachers have theirs.

    Args:
        again: runs that are repeated though they are in the store.
        damaged: gets one line for each stored result that is not sound, or is of other first weights than asked for;
            such a run is not repeated unasked.
    """
    wanted, again, students = list(wanted), again or set(), set()
    for run in wanted:
        if run in again or not run.result.exists():
            students.add(run)
            continue
        try:
            check_origin(run, store.read_result(run.result))
        except CourseError as error:
            if damaged is not None:
                damaged.append(f"{run}: {error}")
    needed = set(with_teachers(students))
    return [run for run in with_teachers(wanted) if run in students or _is_lacking(run, is_needed=run in needed)]


def _is_lacking(teacher: Run, *, is_needed: bool) -> bool:
    """Whether a teacher has to run: its weights are needed, or its training ended and left no result (kill, full disk).

    One that nobody needs any more is not trained for its result alone.
    """
    if is_needed:
        return not (teacher.result.exists() and is_trained(teacher))
    return not teacher.result.exists() and is_trained(teacher)


def ready(todo: list[Run], failed: dict[Run, str]) -> list[Run]:
    """The runs whose teachers are trained; those whose teacher failed move from ``todo`` to ``failed``."""
    ready = []
    for run in list(todo):
        lost = [teacher for teacher in run.teachers if teacher in failed]
        if lost:
            failed[run] = f"needs {lost[0]}, which failed"
            todo.remove(run)
        elif not any(teacher in todo for teacher in run.teachers):
            ready.append(run)
    return ready


def _is_over(run: Run, todo: list[Run]) -> bool:
    """Whether another process has finished the run meanwhile, with weights where a student waits for them."""
    is_teacher = any(run in other.teachers for other in todo)
    return run.result.exists() and (not is_teacher or is_trained(run))


def estimates_for(runs: Iterable[Run], device: str = "") -> dict[Profile, Estimates]:
    """By profile, what ``runs`` take on ``device``, named as a result names it; default the one that trains here."""
    stored, device = store.load_results(skip_damaged=True), device or store.environment(default_device())["device"]
    return {profile: Estimates(profile, stored, device) for profile in {run.profile for run in runs}}


def in_one_line(error: Exception) -> str:
    """What went wrong, short enough for a list; errors of the course are one line already."""
    words = str(error).strip().splitlines()
    if isinstance(error, CourseError):
        return words[0]
    return f"{type(error).__name__}: {words[0] if words else 'no message'}"


def run_one(run: Run, budget: Budget | None = None, live: LiveLine | None = None, *, fresh: bool = False) -> dict:
    """Train one run from its own seed or from its checkpoint on, store its result and return it.

    Its teachers must be trained. Of a run whose result is stored already (a teacher whose weights were missing), the
    stored result stays, unless ``fresh``.

    Raises:
        OutOfTime: the budget does not hold the next epoch; the state is saved.
        CourseError: a teacher's weights are missing, the loss diverged, a file cannot be read or written, or the stored
            result is of other first weights.
    """
    budget, live = budget or Budget(), live or LiveLine()
    if run.result.exists() and not fresh:
        check_origin(run, store.read_result(run.result))
    if fresh:
        run.checkpoint.unlink(missing_ok=True)
    elif run.result.exists() and is_trained(run):
        return store.read_result(run.result)
    result, logits = train_run(run, budget, live)
    if run.result.exists() and not fresh:
        return store.read_result(run.result)
    artefacts.keep(run, logits, study_data(run.profile).test.labels, result)
    store.save_result(result)
    live.say(f"{run}: {result['last_accuracy']:.2f} % after {in_words(result['wall_seconds'])}")
    return result


def train_run(run: Run, budget: Budget, live: LiveLine) -> tuple[dict, Tensor]:
    """Train to the end; returns the result, which is not stored here, and the test logits (N, classes)."""
    dataset, experiment = study_data(run.profile), run.experiment
    training = settings_of(run)
    model = new_student(run, dataset.num_classes)
    parameters, size = count_parameters(model), fed_size(experiment.student, run.profile, pretrained=run.pretrained)

    def after_epoch(row: dict) -> None:
        live.epoch(str(run), row, training.epochs, budget.left)
        if row["epoch"] < training.epochs and not budget.holds(row["seconds"]):
            raise OutOfTime(
                f"{run}: out of time after epoch {row['epoch']} of {training.epochs}; it goes on from there"
            )

    finished = train(
        model,
        dataset,
        training,
        teacher=teacher_of(run),
        checkpoint=run.checkpoint,
        name=run.key,
        progress=False,
        input_size=size,
        parameters=trained_parameters(run),
        after_epoch=after_epoch,
    )
    result = store.make_result(
        experiment=experiment,
        profile=run.profile,
        recipe=run.recipe,
        training=training,
        seed=run.seed,
        history=finished.history,
        predictions=finished.logits.argmax(dim=1).numpy(),
        parameters=parameters,
        wall_seconds=finished.seconds,
        images_per_second=finished.images_per_second,
        data={
            "name": dataset.name,
            "subset": dataset.subset,
            "train_images": len(dataset.train),
            "source": dataset.source,
        },
        conditions={
            "input_size": size,
            "initial_weights": initial_weights(run),
            "teacher_sees": "scraps" if teacher_sees_scraps(run.key, run.recipe) else "the whole picture",
            "teachers": told_about(run),
        },
    )
    return result, finished.logits


# --- what is done and what is missing ----------------------------------------------------------------


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
    estimates, counts, rest, lines = estimates_for(wanted), {}, 0.0, [wanted[0].profile.label]
    for run in wanted:
        state, result, problem = _state(run, run in todo)
        counts[state] = counts.get(state, 0) + 1
        own = epoch_seconds(run) if run in todo else ()
        needed, left = _needed(run, estimates[run.profile].of(run, own), len(own))
        rest += left if run in todo else 0.0
        words = f"{state:<8}{run}: {problem or needed}"
        if result:
            words = f"{state:<8}{run}: {result['last_accuracy']:.2f} % after {in_words(result['wall_seconds'])}"
            words += f"; its weights are gone, trained again in {needed}" if run in todo else ""
        if own:
            words += f", {counted(len(own), 'epoch')} done"
        if run.teachers:
            words += f"; needs {', '.join(str(teacher) for teacher in run.teachers)}"
        lines.append(words)
    numbers = ", ".join(f"{count} {state}" for state, count in counts.items())
    device = next(iter(estimates.values())).device
    return [*lines, f"{numbers}; about {in_words(rest)} left, one after another, on {device}"]


def _needed(run: Run, estimate: Estimate, done: int) -> tuple[str, float]:
    """What a run with ``done`` epochs behind it still needs, in words and in seconds."""
    if done == settings_of(run).epochs:
        return "only to be stored", 0.0
    left = estimate.run - done * estimate.epoch
    return f"about {in_words(left)} ({estimate.source})", left


def _state(run: Run, is_to_run: bool) -> tuple[str, dict | None, str]:
    """Where a run stands, its result where it has one, and what is wrong with that.

    Args:
        is_to_run: whether a study would train it.
    """
    result = None
    if run.result.exists():
        try:
            result = store.read_result(run.result)
            check_origin(run, result)
        except CourseError as error:
            return "damaged", None, str(error)
        if not is_to_run:
            return "done", result, ""
    try:
        if is_held(run.name):
            return "running", result, ""
    except CourseError:  # a study will say so of every run
        pass
    if result:
        return "weights", result, ""
    return ("begun" if epochs_done(run) else "missing"), None, ""
