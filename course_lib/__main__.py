"""The course's one command line: ``python -m course_lib COMMAND``; ``COMMAND --help`` says more."""

import argparse
import importlib
import os
import sys
import time

from course_lib.files import CHECKOUT, CourseError, problem_of_home
from course_lib.profiles import active_profile, profile_option

STARTED = time.monotonic()  # loading torch and the data counts against --minutes
TOOLS = {  # programs of tools/, which work on a checkout and are no part of the library: file and words
    "doctor": ("doctor", "what this machine has and what to do"),
    "verify": ("verify", "compare the store with the paper and what is expected"),
    "report": ("told", "draw Fig. 1, Tables I-IV and verdicts from the store, and write what pages tell of it"),
    "course": ("course", "execute every lesson, draw Fig. 1 and Tables I-IV, and say where they are"),
    "lessons": ("lessons", "execute lessons into build/course/"),
    "exercises": ("exercises", "list the exercises of the lessons"),
    "copies": ("copies", "give a student a copy of all lessons, without outputs"),
    "bench": ("benchmark", "time the training loop against the one a good student would write"),
    "stick": ("stick", "fill a folder with all that a room without a network needs"),
}
# Options of ``study`` that would not do what they say beside another one.
NOT_TOGETHER = {"list": "fresh ray minutes workers", "ray": "workers", "fresh": "minutes", "only": "keys"}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status. A mistake the reader can mend is answered in words, without a trace."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments and arguments[0] in TOOLS:
            status = run_tool(*arguments)
        else:
            options = parser().parse_args(arguments)
            check_home()
            status = options.command(options)
        sys.stdout.flush()  # here, where a reader who has gone (`study --list | head -1`) can still be noticed
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to say goes nowhere
        return 1
    except (CourseError, ValueError) as error:
        print(f"course: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("", "course_lib"):
            raise
        print(f"course: {error.name} is not installed: `pip install -e .` in the course's folder", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ncourse: stopped; the next run goes on from the last finished epoch", file=sys.stderr)
        return 130


def run_tool(name: str, *arguments: str) -> int:
    """Hand the arguments to a program of ``tools/``."""
    module, _ = TOOLS[name]
    if not (CHECKOUT / "tools" / f"{module}.py").is_file():
        raise CourseError(f"{name} is in the course's checkout only: get that, and run `pip install -e .` in it")
    if name != "doctor":  # which says so itself, among the rest
        check_home()
    sys.path.insert(0, str(CHECKOUT))
    return importlib.import_module(f"tools.{module}").main(list(arguments))


def check_home() -> None:
    """Raise CourseError where the folder that the course reads and writes is not there, or not whole."""
    if problem := problem_of_home():
        raise CourseError(problem)


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(prog="python -m course_lib", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(command, words: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added = commands.add_parser(command.__name__, parents=parents, help=words, description=words)
        added.set_defaults(command=command)
        return added

    add(data, "fetch and check the full data set")
    one = add(study, "run rows of Tables I-IV; docs/study.md is its manual", profile_option())
    one.add_argument("--fresh", action="store_true", help="run again what is in the store already")
    one.add_argument("keys", nargs="*", help="experiments, e.g. 'gn-s-1.0x<resnet50'; default: the profile's")
    one.add_argument("--only", metavar="TABLE", help="rows of one table: table1 ... table4, assistants or ours")
    one.add_argument("--recipe", action="append", metavar="NAME", help="how the rows are trained; may be repeated")
    one.add_argument("--seeds", type=int, metavar="N", help="run seeds 0 to N-1 (default: the profile's)")
    one.add_argument("--minutes", type=float, metavar="M", help="stop before M minutes are over; go on next time")
    one.add_argument("--workers", type=int, metavar="N", help="processes that share queue and GPU")
    one.add_argument("--ray", metavar="ADDRESS", help="run on a Ray cluster: auto, or its address")
    one.add_argument("--list", action="store_true", help="show what is done, running and missing, run nothing")
    for name, (_, words) in TOOLS.items():
        commands.add_parser(name, help=words, add_help=False)  # only for the list: run_tool reads their options
    return top


def data(options: argparse.Namespace) -> int:
    """Find or fetch the full data set and say where it came from."""
    from course_lib.data import load_dataset

    found = load_dataset("cifar10", "full")
    print(f"{found.name}: {len(found.train):,} training and {len(found.test):,} test images, {found.source}")
    return 0


def study(options: argparse.Namespace) -> int:
    """Run the chosen rows until the time is up, or list them."""
    check_study(options)
    from course_lib.study import plan, queue, workers
    from course_lib.study.progress import Budget, counted, in_words

    budget = Budget(options.minutes, started=STARTED)
    seeds = None if options.seeds is None else range(options.seeds)
    chosen = {"keys": options.keys or None, "table": options.only, "recipes": options.recipe, "seeds": seeds}
    wanted = plan.wanted(active_profile(), **chosen)
    if options.list:
        print("\n".join(queue.listing(wanted)))
        return 0
    several = workers.Processes(options.workers) if options.workers else workers.Inline()
    place = workers.Cluster(options.ray) if options.ray else several
    outcome = queue.work(wanted, budget, fresh=options.fresh, place=place)
    print("".join(f"FAILED {line}\n" for line in outcome.failures), end="", file=sys.stderr)
    finished = f"{counted(len(outcome.finished), 'run')} finished in {in_words(time.monotonic() - STARTED)}"
    print(f"{finished}, {len(outcome.left)} left, {len(outcome.failures)} failed")
    return 1 if outcome.failures else 0


def check_study(options: argparse.Namespace) -> None:
    """Raise ValueError where options of ``study`` do not go together, or are none."""
    if options.ray == "" or min((n for n in (options.workers, options.seeds) if n is not None), default=1) < 1:
        raise ValueError("--workers and --seeds take a number from 1 on, --ray an address")
    given = {name for name, value in vars(options).items() if value}
    for name, others in NOT_TOGETHER.items():
        for other in given.intersection(others.split()) if name in given else ():
            said = "a choice of experiments" if other == "keys" else f"--{other}"
            advice = ": delete the results that are to be made again instead" if name == "fresh" else ""
            raise ValueError(f"--{name} and {said} do not go together{advice}")


if __name__ == "__main__":
    sys.exit(main())
