"""Train the networks of lesson 4's problem in the plane and keep what they came to in data/toy.

``chains.csv``  every chain from the teacher through any of four assistants to the student, for three numbers of points
``maps.npz``    what each network of a chain answers at every place of a grid, for seed 0
``gap.csv``     students of growing size from teachers of growing size
``other.csv``   other ways to close the gap: teachers trained shorter, students taught longer and at more places

    python tools/make_toy.py            # all of it, about a minute on one core
    python tools/make_toy.py gap other  # only these
"""

import io
import sys

import numpy as np
import pandas as pd
import torch

from classroom.sliders.chains import ASSISTANTS, GRID, POINTS, STUDENT, TEACHER, chain_name, grid_points
from classroom.toy import STEPS, Points, draw_points, scores, teach, training_points, true_logits
from course_lib.files import atomic_write, repo_path

SEEDS = 20
TEST = draw_points(4_000, seed=10_000_000)


def rows_of(name: dict, network, reference=None, own_teacher=None) -> pd.DataFrame:
    """One row a seed: accuracy, nearness to ``reference``, and nearness to the network's own teacher."""
    of_all, of_step = scores(network, TEST, reference), scores(network, TEST, own_teacher)
    columns = {"accuracy": of_all.accuracy, "agreement": of_all.agreement, "kl": of_all.kl}
    columns |= {"step_agreement": of_step.agreement, "step_kl": of_step.kl}
    columns = {key: value.numpy().round(4) for key, value in columns.items()}
    return pd.DataFrame({**name, "seed": range(network.seeds), **columns})


def make_chains() -> None:
    """All 16 chains, each prefix trained once; the student alone as well."""
    rows, maps, names = [], [], []

    def keep(n: int, chain: tuple[int, ...], network, teacher, own_teacher, name: str | None = None) -> None:
        name = name or chain_name(chain)
        rows.append(rows_of({"points": n, "chain": name, "hidden": network.hidden}, network, teacher, own_teacher))
        names.append(f"{n} {name}")
        with torch.no_grad():
            answer = network(grid_points())[0].softmax(dim=-1)
        maps.append((255 * answer).round().to(torch.uint8).numpy().reshape(GRID, GRID, 3))

    for n in POINTS:
        points = training_points(n, SEEDS)
        teacher = teach(TEACHER, points)
        trained = {(TEACHER,): teacher}
        keep(n, (TEACHER,), teacher, teacher, None)
        keep(n, (STUDENT,), teach(STUDENT, points), teacher, None, "alone")
        for size in (*ASSISTANTS, STUDENT):  # in this order every teacher is there before its student
            for chain, own_teacher in list(trained.items()):
                trained[(*chain, size)] = network = teach(size, points, own_teacher)
                keep(n, (*chain, size), network, teacher, own_teacher)
        print(f"chains with {n} points are trained", flush=True)
    write_csv("chains", pd.concat(rows))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, maps=np.stack(maps), names=np.array(names))
    atomic_write(repo_path("data", "toy", "maps.npz"), buffer.getvalue())


def make_gap(n: int = 300) -> None:
    """Students of several sizes, each from teachers of several sizes and from the truth itself."""
    points, rows = training_points(n, SEEDS), []
    sizes = (8, 16, 32, 64, 128)
    teachers = {hidden: teach(hidden, points) for hidden in sizes}
    for hidden, teacher in teachers.items():
        rows.append(rows_of({"points": n, "teacher": hidden, "student": 0}, teacher, true_logits))
    for student in (3, 6, 12):
        rows.append(rows_of({"points": n, "teacher": 0, "student": student}, teach(student, points), true_logits))
        for hidden, teacher in teachers.items():
            network = teach(student, points, teacher)
            rows.append(rows_of({"points": n, "teacher": hidden, "student": student}, network, teacher, teacher))
    write_csv("gap", pd.concat(rows))


def make_other(n: int = 100) -> None:
    """Shorter trained teachers; students taught at more places, and for longer."""
    points, rows = training_points(n, SEEDS), []
    for steps in (50, 100, 200, 400, STEPS):
        teacher = teach(TEACHER, points, steps=steps)
        student = teach(STUDENT, points, teacher)
        name = {"points": n, "remedy": "teacher's steps", "value": steps}
        rows.append(rows_of(name | {"network": "teacher"}, teacher))
        rows.append(rows_of(name | {"network": "student"}, student, teacher, teacher))
    for places, steps in ((n, STEPS), (10 * n, STEPS), (10 * n, 5 * STEPS)):
        extra = [draw_points(places, seed=1_000 + seed) for seed in range(SEEDS)]
        asked = points if places == n else Points(*(torch.stack(part) for part in zip(*extra, strict=True)))
        student = teach(STUDENT, asked, teacher, steps=steps)  # alpha = 0: the extra places' labels are not looked at
        name = {"points": n, "remedy": "places", "value": places, "network": f"student, {steps} steps"}
        rows.append(rows_of(name, student, teacher, teacher))
    write_csv("other", pd.concat(rows))


def write_csv(name: str, frame: pd.DataFrame) -> None:
    path = repo_path("data", "toy", f"{name}.csv")
    atomic_write(path, frame.to_csv(index=False, lineterminator="\n").encode())
    print(path.name, len(frame), "rows", flush=True)


MAKERS = {"chains": make_chains, "gap": make_gap, "other": make_other}

if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(MAKERS)
    if unknown:
        sys.exit(f"nothing is called {', '.join(sorted(unknown))}: choose from {', '.join(MAKERS)}")
    for part in sys.argv[1:] or MAKERS:
        MAKERS[part]()
