"""The queue on a simulated cluster of two machines, one of which dies: nothing is lost and nothing is done twice."""

import dataclasses
import threading
import time
from collections import Counter

import pytest
from tiny import TINY, runs, stored

from course_lib.errors import CourseError
from course_lib.study import plan, progress, ray_cluster, store

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
    # Folders of their own: what a worker needs has to be sent.
    monkeypatch.setattr(ray_cluster, "ENVIRONMENT", ("COURSE_DATA", "OMP_NUM_THREADS"))
    homes = [{"COURSE_HOME": str(tmp_path / name)} for name in ("first", "second")]
    cluster.machines = [cluster.add_node(num_cpus=1, num_gpus=0, env_vars=home) for home in homes]
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def written_down(log, stuck: str):
    """The work of a worker that first writes run and machine into ``log``, and hangs in the first life of one run."""

    def train_there(run, *rest):
        import time

        import ray

        from course_lib.study import ray_cluster

        with open(log, "a+") as file:
            file.seek(0)
            lived_before = run.name in file.read()
            file.write(f"{run.name} {ray.get_runtime_context().get_node_id()}\n")
        if run.name == stuck and not lived_before:
            time.sleep(600)
        return ray_cluster._train_there(run, *rest)

    return train_there


def kill_the_machine_of(stuck: str, log, cluster) -> None:
    """As soon as the run is under way somewhere, end that machine at once."""
    while not (log.exists() and stuck in log.read_text()):
        time.sleep(0.1)
    [place] = [line.split()[1] for line in log.read_text().splitlines() if line.startswith(stuck)]
    [machine] = [machine for machine in cluster.machines if machine.node_id == place]
    cluster.remove_node(machine, allow_graceful=False)


def test_a_machine_that_dies_costs_no_run_and_doubles_none(cluster, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    saved, original = Counter(), store.save_result
    log, stuck = tmp_path / "log", "gn-s-1.3x.tiny.paper.seed0"

    def save_result(result, *rest):
        saved[result["run"]] += 1
        return original(result, *rest)

    monkeypatch.setattr(store, "save_result", save_result)
    monkeypatch.setattr(ray_cluster, "_train_there", written_down(log, stuck))
    wanted = runs(*KEYS, profile=FEW)
    killer = threading.Thread(target=kill_the_machine_of, args=(stuck, log, cluster), daemon=True)
    killer.start()
    outcome = ray_cluster.work_on_cluster(wanted, address=cluster.address)
    killer.join(30)
    assert outcome.failures == [] and outcome.left == []
    lives = [line.split()[1] for line in log.read_text().splitlines() if line.startswith(stuck)]
    assert len(lives) == len(set(lives)) == 2  # it began twice, on two machines
    everything, shown = plan.with_teachers(wanted), capsys.readouterr().out
    assert all(f"{run}: epoch {epoch}/2, test " in shown for run in everything for epoch in (1, 2))
    assert saved == Counter({run.name: 1 for run in everything})
    assert set(outcome.finished) == set(everything) and set(stored()) == {run.key for run in everything}
    taught = stored()["gn-s-1.0x<gn-s-2.8x"]
    assert taught.conditions["teachers"][0]["last_accuracy"] == pytest.approx(stored()["gn-s-2.8x"].last_accuracy)

    # The store is complete: nothing more to do, and a failing run is one line.
    assert ray_cluster.work_on_cluster(wanted).finished == []
    [student] = runs("gn-s-1.0x<gn-s-2.8x", profile=FEW)
    student.result.unlink()
    for home in (tmp_path, tmp_path / "first", tmp_path / "second"):  # whichever machine is left
        torn = home / student.checkpoint.relative_to(tmp_path)
        torn.parent.mkdir(parents=True, exist_ok=True)
        torn.write_bytes(b"torn")
    [failure] = ray_cluster.work_on_cluster([student]).failures
    assert "is damaged" in failure and "\n" not in failure


def test_shares_of_a_gpu():
    gpu, none = {"GPU": 2.0, "CPU": 8.0}, {"CPU": 2.0}
    [student] = runs("gn-s-1.0x<resnet18")
    [teacher, ensemble] = runs("resnet18", "gn-s-1.0x<ensemble")
    assert ray_cluster.share_of(student, gpu)["num_gpus"] == 0.25
    assert ray_cluster.share_of(teacher, gpu)["num_gpus"] == ray_cluster.share_of(ensemble, gpu)["num_gpus"] == 1
    assert ray_cluster.share_of(teacher, none) == {"num_cpus": 1, "num_gpus": 0}


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:1"])
def test_no_cluster_is_one_line(monkeypatch, address):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(
        CourseError, match=f"no Ray cluster at '{address}' .*: start one with `ray start --head`"
    ) as caught:
        ray_cluster.work_on_cluster([], address=address)
    assert "\n" not in str(caught.value)
