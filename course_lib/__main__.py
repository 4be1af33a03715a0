"""The command line: ``python -m course_lib {doctor,data,study,verify,bench,report,course}``."""

import argparse
import os
import sys
import time
from pathlib import Path

from course_lib.errors import CourseError
from course_lib.profiles import PROFILES, active_profile
from course_lib.study.protocols import WORDS

STARTED = time.monotonic()  # loading torch and the data counts against --minutes


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status. A mistake the reader can mend is answered with one line."""
    options = parser().parse_args(arguments)
    if options.profile:
        os.environ["COURSE_PROFILE"] = options.profile  # lessons run in kernels of their own and read it there
    try:
        return options.command(options)
    except (CourseError, ValueError) as error:
        print(f"course: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ncourse: stopped; the next run goes on from the last finished epoch", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--profile", choices=PROFILES, help="default: COURSE_PROFILE, else what fits the machine")
    fresh = argparse.ArgumentParser(add_help=False)
    fresh.add_argument("--fresh", action="store_true", help="run again what is in the store already")

    top = argparse.ArgumentParser(prog="python -m course_lib", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("doctor", parents=[common], help="what this machine has and what to do")
    command.set_defaults(command=doctor)

    command = commands.add_parser("data", parents=[common], help="fetch and check the full data set")
    command.add_argument("--name", default="cifar10", choices=("cifar10", "cifar100"))
    command.set_defaults(command=data)

    command = commands.add_parser("study", parents=[common, fresh], help="run rows of Tables I-IV")
    command.add_argument("keys", nargs="*", help="experiments, e.g. 'gn-s-1.0x<resnet50'; default: the profile's")
    command.add_argument("--only", metavar="TABLE", help="the rows of one table: table1 ... table4, or assistants")
    recipes = "; ".join(f"{name}: {words}" for name, words in WORDS.items())
    command.add_argument("--recipe", action="append", metavar="NAME", help=f"may be repeated. {recipes}")
    command.add_argument("--seeds", type=int, metavar="N", help="run seeds 0 to N-1 (default 1; in full 5)")
    command.add_argument("--minutes", type=float, metavar="M", help="stop before M minutes are over; go on next time")
    command.add_argument("--workers", type=int, default=1, metavar="N", help="processes that share queue and GPU")
    command.add_argument("--ray", metavar="ADDRESS", help="run on a Ray cluster: auto, or its address")
    command.add_argument("--pretrained", action="store_true", help="start EfficientNetV2-S from ImageNet weights")
    command.add_argument("--list", action="store_true", help="show what is done, running and missing, run nothing")
    command.add_argument("--pack", metavar="FILE", help="write results, artefacts and small checkpoints into one .tar")
    command.add_argument(
        "--megabytes",
        type=float,
        metavar="N",
        help="with --pack: how large the file may get (default 15)",
    )
    command.set_defaults(command=study)

    command = commands.add_parser("verify", help="compare the store with the paper and what is expected")
    command.add_argument("--accept", action="store_true", help="write down new, sound results as those to be expected")
    command.set_defaults(command=verify, profile=None)

    command = commands.add_parser("bench", help="time the training loop against the one a good student would write")
    command.add_argument("tasks", nargs="*", help="words of the tasks' names, e.g. 1.0x; default: all")
    command.add_argument(
        "--turns", type=int, default=3, metavar="N", help="how often both loops take turns (default 3)"
    )
    command.add_argument("--steps", type=int, metavar="N", help="steps of a turn (default 100 on a GPU, 4 on the CPU)")
    command.add_argument("--together", type=int, default=0, metavar="N", help="also time N runs at once")
    command.add_argument("--batch-size", type=int, metavar="N", help="default 256 on a GPU, 128 on the CPU")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the report there as well")
    command.set_defaults(command=bench, profile=None)

    command = commands.add_parser("report", help="draw Fig. 1 and Tables I-IV from the store into figures/")
    command.set_defaults(command=report, profile=None)

    command = commands.add_parser("course", parents=[common, fresh], help="run what is missing, then every lesson")
    command.set_defaults(command=course)
    return top


def doctor(options: argparse.Namespace) -> int:
    """Print what was found, a line each, OK or FAIL."""
    from course_lib.doctor import examine

    findings = examine(active_profile())
    for finding in findings:
        print(finding)
    return 0 if all(finding.fine for finding in findings) else 1


def data(options: argparse.Namespace) -> int:
    """Find or fetch the full data set and say where it came from."""
    from course_lib.data import load_dataset

    dataset = load_dataset(options.name, "full")
    print(f"{dataset.name}: {len(dataset.train):,} training and {len(dataset.test):,} test images, {dataset.source}")
    return 0


def study(options: argparse.Namespace) -> int:
    """Run the chosen rows until the time is up, list them, or pack what there is."""
    from course_lib.study import plan
    from course_lib.study import queue as runner
    from course_lib.study.progress import Budget, counted, in_words

    _check(options)
    if options.pack is not None:
        return pack(options.pack, options.megabytes)
    budget = Budget(options.minutes, started=STARTED)
    wanted = plan.queue(
        active_profile(),
        keys=options.keys or None,
        table=options.only,
        recipes=options.recipe,
        seeds=None if options.seeds is None else range(options.seeds),
        pretrained=options.pretrained,
    )
    if options.list:
        for line in runner.listing(wanted):
            print(line)
        return 0
    if options.ray:
        from course_lib.study.ray_cluster import work_on_cluster

        outcome = work_on_cluster(wanted, budget, address=options.ray, fresh=options.fresh)
    elif options.workers > 1:
        from course_lib.study.workers import work_together

        outcome = work_together(wanted, budget, options.workers, fresh=options.fresh)
    else:
        outcome = runner.work(wanted, budget, fresh=options.fresh)
    for line in outcome.held:
        print(line)
    for failure in outcome.failures:
        print(f"FAILED {failure}", file=sys.stderr)
    spent = in_words(time.monotonic() - STARTED)
    finished = counted(len(outcome.finished), "run")
    print(f"{finished} finished in {spent}, {len(outcome.left)} left, {len(outcome.failures)} failed")
    return 1 if outcome.failures else 0


def _check(options: argparse.Namespace) -> None:
    """Raise ValueError where options of ``study`` do not go together, or are none."""
    if "" in (options.pack, options.ray):
        raise ValueError("--pack takes the name of a file and --ray an address, not nothing")
    if options.pack is not None:
        choice = ("keys", "only", "recipe", "seeds", "pretrained")
        _refuse(options, "--pack", *choice, "minutes", "workers", "ray", "list", "fresh")
    elif options.megabytes is not None:
        raise ValueError("--megabytes goes with --pack only")
    if options.list:
        _refuse(options, "--list", "fresh", "ray", "minutes", "workers")
    if options.ray:
        _refuse(options, "--ray", "workers")
    if options.fresh:  # each call would begin again what the last one had begun
        advice = "delete the results and checkpoints that are to be made again, then run without --fresh"
        _refuse(options, "--fresh", "minutes", instead=advice)
    if options.keys and options.only:
        raise ValueError("name experiments or --only TABLE, not both")
    if options.workers < 1 or (options.seeds is not None and options.seeds < 1):
        raise ValueError("--workers and --seeds take a number from 1 on")


def _refuse(options: argparse.Namespace, name: str, *others: str, instead: str = "") -> None:
    """Raise ValueError for the first of ``others`` that was given too, which would not do what it says beside ``name``.

    Args:
        instead: what to do, where that is not plain.
    """
    nothing = parser().parse_args(["study"])
    for other in others:
        if getattr(options, other) != getattr(nothing, other):
            said = "a choice of experiments" if other == "keys" else f"--{other}"
            raise ValueError(f"{name} and {said} do not go together{instead and ': '}{instead}")


def pack(target: str, megabytes: float | None) -> int:
    """Write one file that carries the study to another machine."""
    from course_lib.study import artefacts

    megabytes = artefacts.PARCEL_MEGABYTES if megabytes is None else megabytes
    if not megabytes > 0:
        raise ValueError(f"--megabytes takes a number above 0, not {megabytes:g}")
    left_out = artefacts.pack(Path(target), megabytes)
    for name in left_out:
        print(f"left out, does not fit: {name}")
    print(f"{target}: unpack it with `tar xf` in the course's folder")
    return 0


def bench(options: argparse.Namespace) -> int:
    """Print images a second and peak memory of engine and plain reference."""
    from tools import benchmark as benchmark

    if min(options.turns, options.steps or 1, options.batch_size or 1) < 1 or options.together < 0:
        raise ValueError("--turns, --steps and --batch-size take a number from 1 on, --together one from 0 on")
    tasks = benchmark.tasks_named(options.tasks) if options.tasks else benchmark.TASKS
    settings = {name: getattr(options, name) for name in ("turns", "steps", "batch_size", "together")}
    benchmark.main(options.json, tasks=tasks, **settings)
    return 0


def verify(options: argparse.Namespace) -> int:
    """Print a line a row; 1 where one is broken."""
    from course_lib.study import verify as checks

    if options.accept:
        for line in checks.accept():
            print(line)
    lines = checks.examine()
    for line in lines:
        print(line)
    broken = [line for line in lines if line.broken]
    for line in broken:
        print(f"BROKEN {line.name}: {line.words}", file=sys.stderr)
    return 1 if broken else 0


def report(options: argparse.Namespace) -> int:
    """Rebuild figures and tables from the store."""
    from course_lib import report as reports
    from course_lib.study import store

    for path in reports.write_report(store.load_results()):
        print(path)
    return 0


def course(options: argparse.Namespace) -> int:
    """From a fresh checkout to Fig. 1 and Tables I-IV: missing runs, lessons, report, summary."""
    from course_lib.notebooks import run_course

    return run_course(active_profile(), fresh=options.fresh)


if __name__ == "__main__":
    sys.exit(main())
