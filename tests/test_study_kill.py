"""kill -9 at any moment of a study: afterwards the store holds each run once, and every weight is the same bit for bit.

One process loads torch once and forks a study for each trial; it never computes itself, so its children start clean.
The networks are small stand-ins, so that a kill meets the study's own work (checkpoints, results, locks) as often as a
step; that a GhostNet resumes bit for bit is shown in ``test_train.py``.
"""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from course_lib.study import store

DRIVER = """
    import json, os, random, shutil, signal, sys, time
    from pathlib import Path
    import torch
    from course_lib.study import runs as material
    from tiny import TINY, finish, furnish, network
    import dataclasses

    torch.set_num_threads(1)
    material.create_model = network
    profile = dataclasses.replace(TINY, student_epochs=20, teacher_epochs=20)
    keys = ["gn-s-1.3x", "gn-s-1.0x<vgg13", "gn-s-1.0x<gn-s-2.8x"]

    def begin(home):
        child = os.fork()
        if child == 0:
            os.environ["COURSE_HOME"] = furnish(Path(home))
            sys.stdout = open(os.devnull, "w")
            os._exit(1 if finish(keys, profile=profile) else 0)
        return child

    def undisturbed(home):
        started = time.monotonic()
        assert os.waitpid(begin(home), 0)[1] == 0
        return time.monotonic() - started

    seconds = undisturbed(sys.argv[1])
    chance, kills = random.Random(0), 0
    while kills < 10:
        child = begin(sys.argv[2])
        time.sleep(chance.uniform(0.05, 0.8) * seconds)
        done, status = os.waitpid(child, os.WNOHANG)
        if done:  # it came to its end first: the other kills hit a study that begins anew
            assert status == 0
            shutil.rmtree(sys.argv[2])
            continue
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1
    undisturbed(sys.argv[2])
    print(json.dumps({"kills": kills, "seconds": seconds}))
"""


@pytest.mark.slow
def test_ten_kills_change_nothing(tmp_path):
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    command = [sys.executable, "-c", textwrap.dedent(DRIVER), str(calm), str(killed)]
    here = Path(__file__).resolve().parent
    answer = subprocess.run(
        command,
        cwd=here,
        env={"PYTHONPATH": f"{here.parent}:{here}", "OMP_NUM_THREADS": "1", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=900,  # quick where the machine is idle
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["kills"] == 10
    found = store.load_results(killed / "data" / "results")
    assert sorted(found["key"]) == ["gn-s-1.0x<gn-s-2.8x", "gn-s-1.0x<vgg13", "gn-s-1.3x", "gn-s-2.8x", "vgg13"]
    expected = store.load_results(calm / "data" / "results")
    for column in ("predictions", "last_accuracy", "parameters"):
        assert list(found[column]) == list(expected[column])
    for path in sorted((calm / "data/cache/checkpoints").glob("*.pt")):
        calm_state, killed_state = (
            torch.load(home / "data/cache/checkpoints" / path.name, weights_only=True)["model"]
            for home in (calm, killed)
        )
        assert calm_state.keys() == killed_state.keys()
        assert all(torch.equal(calm_state[name], killed_state[name]) for name in calm_state), path.name
    # What a killed study leaves half-written never lies under a name that anybody reads.
    left = [path.name for path in (killed / "data/results").rglob("*") if path.is_file()]
    assert {name for name in left if not name.startswith(".")} == {f"{run}.json" for run in found["run"]}
