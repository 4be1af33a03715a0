"""The command line: ``python -m course_lib {doctor,data,study,report,course}``."""

import argparse
import os
import sys

from course_lib.errors import CourseError
from course_lib.profiles import PROFILES, active_profile


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
    command.add_argument("keys", nargs="*", help="experiments, e.g. 'gn-s-1.0x<resnet50'; default: all")
    command.add_argument("--only", metavar="TABLE", help="the rows of one table: table1 ... table4")
    command.add_argument("--seeds", type=int, default=1, metavar="N", help="run seeds 0 to N-1 (default 1)")
    command.add_argument("--list", action="store_true", help="show what is done and what is missing, run nothing")
    command.set_defaults(command=study)

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
    """Run the chosen rows, or list them."""
    from course_lib import experiments
    from course_lib import study as runner

    if options.keys and options.only:
        raise ValueError("name experiments or --only TABLE, not both")
    keys = options.keys or None
    if options.only:
        keys = [experiment.key for experiment in experiments.table_rows(options.only)]
    profile = active_profile()
    if options.list:
        for line in runner.listing(keys, profile=profile, seeds=range(options.seeds)):
            print(line)
        return 0
    failures = runner.run(keys, profile=profile, seeds=tuple(range(options.seeds)), fresh=options.fresh)
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


def report(options: argparse.Namespace) -> int:
    """Rebuild figures and tables from the store."""
    from course_lib import report as reports
    from course_lib import results

    for path in reports.write_report(results.load_results()):
        print(path)
    return 0


def course(options: argparse.Namespace) -> int:
    """From a fresh checkout to Fig. 1 and Tables I-IV: missing runs, lessons, report, summary."""
    from course_lib.lessons import run_course

    return run_course(active_profile(), fresh=options.fresh)


if __name__ == "__main__":
    sys.exit(main())
