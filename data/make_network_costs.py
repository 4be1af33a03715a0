"""Writes data/costs/networks.csv: what each network of Table I costs to store, to count and to run.

    python data/make_network_costs.py

Counts are exact and the same everywhere. Latency is that of this machine: one image, one CPU thread, eval mode, folded
where the network is a GhostNet; the fastest of several rounds of medians, since other programs can only make it slower.
``machine`` says where.
"""

import argparse
import platform

import pandas as pd
import torch

from course_lib.experiments import find, table_rows
from course_lib.files import atomic_write, repo_path
from course_lib.models import create_model, fold
from course_lib.models.cost import count_macs, count_parameters, latency_ms
from course_lib.models.zoo import input_size

FOLDING = ("gn-s", "gn-d")


def costs_of(key: str, rounds: int) -> dict:
    """One row: parameters of the training form, and parameters, MACs and milliseconds of the form that is used."""
    experiment = find(key)
    size = input_size(experiment.student)
    model = create_model(experiment.student, width=experiment.width, seed=0).eval()
    row = {"key": key, "input_size": size, "parameters": count_parameters(model), "macs": count_macs(model, size)}
    row["training_form_ms"] = fastest(model, size, rounds)
    if experiment.student in FOLDING:
        model = fold(model)
    row |= {"used_parameters": count_parameters(model), "used_macs": count_macs(model, size)}
    row["used_ms"] = fastest(model, size, rounds) if experiment.student in FOLDING else row["training_form_ms"]
    return row


def fastest(model, size: int, rounds: int) -> float:
    return round(min(latency_ms(model, size=size, repeats=7) for _ in range(rounds)), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for experiment in table_rows("table1"):
        rows.append(costs_of(experiment.key, options.rounds))
        print(rows[-1], flush=True)
    frame = pd.DataFrame(rows)
    frame["machine"] = f"one CPU thread ({platform.machine()}), torch {torch.__version__.split('+')[0]}"
    path = repo_path("data", "costs", "networks.csv")
    atomic_write(path, frame.to_csv(index=False, lineterminator="\n").encode())
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
