"""Two processes share one queue: everything once, nothing twice."""

import dataclasses

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
