"""Two processes share one queue: everything once, nothing twice."""

import dataclasses
import os
import queue
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from tiny import TINY, runs, stored

from course_lib.errors import CourseError
from course_lib.study import plan, workers
from course_lib.study import queue as study
from course_lib.study.progress import Budget


@pytest.mark.slow
def test_two_workers_share_a_queue_and_a_student_waits_for_its_teacher(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    wanted = runs("gn-s-1.0x<gn-s-2.8x", "gn-s-1.0x", "gn-s-1.3x", profile=dataclasses.replace(TINY, student_epochs=2))
    outcome = workers.work_together(wanted, workers=2)
    everything = plan.with_teachers(wanted)
    assert outcome.failures == [] and outcome.left == []
    assert sorted(run.name for run in outcome.finished) == sorted(run.name for run in everything)
    assert set(stored()) == {run.key for run in everything}


def test_fresh_and_several_workers_do_not_go_together():
    with pytest.raises(ValueError, match="delete the results"):
        workers.work_together([], fresh=True)


def test_a_store_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "data").write_text("a file where a folder should be")
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    with pytest.raises(CourseError, match="cannot write"):
        workers.work_together(runs("gn-s-1.0x"))


def test_an_error_of_the_course_comes_back_as_one_line(monkeypatch):
    def work(*_, **__):
        raise CourseError("the disk is full")

    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the worker sets its own
    monkeypatch.setattr(workers.study, "work", work)
    monkeypatch.setattr(workers, "_end_with_parent", lambda: None)
    answers = queue.Queue()
    workers._work([], Budget(), torch.get_num_threads(), answers)
    assert answers.get().failures == ["the disk is full"]


def test_what_others_work_on_is_said_and_what_the_siblings_had_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    elsewhere, here = runs("gn-s-1.0x", "gn-s-1.3x")
    held = [f"{elsewhere.name} is being run by process 7 on b", f"{here.name} is being run by process 70 on a"]
    outcome = study.Outcome(held=held)
    jobs = [SimpleNamespace(pid=70, exitcode=0)]
    assert workers._together([elsewhere, here], [outcome, outcome], jobs).held == held[:1]


STUDY = """
    import dataclasses
    from tiny import TINY, runs
    from course_lib.study import workers

    if __name__ == "__main__":
        endless = dataclasses.replace(TINY, student_epochs=100_000)
        workers.work_together(runs("gn-s-1.0x", "gn-s-1.3x", profile=endless), workers=2)
"""


@pytest.mark.slow
def test_workers_of_a_killed_study_end_with_it(tmp_path):
    """They would train on unseen, hold their runs' locks and take half of the machine from the next study."""
    script = tmp_path / "study.py"
    script.write_text(textwrap.dedent(STUDY))
    places = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)])
    environment = os.environ | {"COURSE_HOME": str(tmp_path), "PYTHONPATH": places}
    study = subprocess.Popen([sys.executable, str(script)], env=environment, stdout=subprocess.PIPE, text=True)
    begun = [study.stdout.readline() for _ in range(2)]  # each worker names its run
    assert all("seed 0" in line for line in begun)
    workers_at_work = psutil.Process(study.pid).children()
    assert len(workers_at_work) >= 2
    study.kill()
    study.wait()
    _, alive = psutil.wait_procs(workers_at_work, timeout=20)
    for worker in alive:
        worker.kill()
    assert not alive
