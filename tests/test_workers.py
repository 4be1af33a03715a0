"""Two processes share one queue: everything once, nothing twice."""

import dataclasses
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from tiny import TINY, runs, stored

from course_lib import plan, workers


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


STUDY = """
    import dataclasses
    from tiny import TINY, runs
    from course_lib import workers

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
