"""The queue on a simulated cluster of two machines, one of which dies: nothing is lost and nothing is done twice."""

import dataclasses
from collections import Counter

import pytest
from tiny import TINY, runs, stored

from course_lib import plan, ray_cluster, results, study
from course_lib.errors import CourseError

ray = pytest.importorskip("ray")
FEW = dataclasses.replace(TINY, student_epochs=2)
KEYS = ("gn-s-1.0x<gn-s-2.8x", "gn-s-1.0x", "gn-s-1.3x", "gn-s-1.6x", "gn-s-1.9x")


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A head without cores, and two machines with one core each."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "num_gpus": 0})
    cluster.machines = [cluster.add_node(num_cpus=1, num_gpus=0) for _ in range(2)]
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_a_machine_that_dies_costs_no_run_and_doubles_none(cluster, monkeypatch):
    saved, original = Counter(), results.save_result

    def save_result(result, *rest):
        saved[result["run"]] += 1
        if len(saved) == 1:  # in the middle: one is done, others are under way
            cluster.remove_node(cluster.machines[1], allow_graceful=False)
        return original(result, *rest)

    monkeypatch.setattr(results, "save_result", save_result)
    wanted = runs(*KEYS, profile=FEW)
    outcome = ray_cluster.work_on_cluster(wanted, address=cluster.address)
    assert outcome.failures == [] and outcome.left == []
    everything = plan.with_teachers(wanted)
    assert saved == Counter({run.name: 1 for run in everything})
    assert set(outcome.finished) == set(everything) and set(stored()) == {run.key for run in everything}
    taught = stored()["gn-s-1.0x<gn-s-2.8x"]
    assert taught.conditions["teachers"][0]["last_accuracy"] == pytest.approx(stored()["gn-s-2.8x"].last_accuracy)

    # The store is complete: nothing more to do, and a failing run is one line.
    assert ray_cluster.work_on_cluster(wanted).finished == []
    [student] = runs("gn-s-1.0x<gn-s-2.8x", profile=FEW)
    student.result.unlink()
    student.checkpoint.write_bytes(b"torn")
    [failure] = ray_cluster.work_on_cluster([student]).failures
    assert "is damaged" in failure and "\n" not in failure


def test_shares_of_a_gpu():
    gpu, none = {"GPU": 2.0, "CPU": 8.0}, {"CPU": 2.0}
    [student] = runs("gn-s-1.0x<resnet18")
    [teacher, ensemble] = runs("resnet18", "gn-s-1.0x<ensemble")
    assert ray_cluster.share_of(student, gpu)["num_gpus"] == 0.25
    assert ray_cluster.share_of(teacher, gpu)["num_gpus"] == ray_cluster.share_of(ensemble, gpu)["num_gpus"] == 1
    assert ray_cluster.share_of(teacher, none) == {"num_cpus": 1, "num_gpus": 0}


def test_no_cluster_is_one_line(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(CourseError, match="no Ray cluster at '127.0.0.1:1'|ray start --head") as caught:
        ray_cluster.work_on_cluster([], address="auto")
    assert "\n" not in str(caught.value)
    assert study.to_do([]) == []
