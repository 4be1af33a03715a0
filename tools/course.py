"""From a checkout to what it shows: executes every lesson, draws Fig. 1 and Tables I-IV, and says where they are."""

import argparse
import os
from collections.abc import Sequence

import psutil

from course_lib.files import repo_path
from course_lib.profiles import active_profile, profile_option
from course_lib.study import store
from tools.drawn import write_report
from tools.lessons import run_lessons
from tools.stored import summary

LESSON_GIB = 3  # of memory, at most


def main(arguments: Sequence[str] | None = None) -> int:
    """Nothing is trained but what a lesson trains before the reader's eyes; the study has a command of its own."""
    parser = argparse.ArgumentParser(
        prog="python -m course_lib course", parents=[profile_option()], description=__doc__
    )
    parser.parse_args(arguments)
    roomy = psutil.virtual_memory().available > 2 * LESSON_GIB * 2**30 and (os.cpu_count() or 1) > 1
    times = run_lessons(at_once=2 if roomy else 1)
    frame = store.load_results()
    written = write_report(frame)
    print(f"\nThe course has run. Lessons train live in the {active_profile().name} profile. The lessons, executed:")
    for name, seconds in times:
        print(f"  {'build/course/' + name + '.ipynb':<60} {seconds:4.0f} s")
    print("Fig. 1 and Tables I-IV, drawn from the results store (the tables also as .csv):")
    for path in written:
        if path.suffix in (".png", ".md"):
            print(f"  {path.relative_to(repo_path()).as_posix()}")
    print(f"In the store: {summary(frame)}")
    print("Read and change the lessons: make lab (or: python -m jupyterlab)")
    return 0
