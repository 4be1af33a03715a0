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


def costs_of(key: str) -> dict:
    """One row: parameters of the training form, and parameters, MACs and milliseconds of the form that is used."""
    experiment = find(key)
    size = input_size(experiment.student)
    model = create_model(experiment.student, width=experiment.width, seed=0).eval()
    row = {"key": key, "input_size": size, "parameters": count_parameters(model), "macs": count_macs(model, size)}
    row["training_form_ms"] = milliseconds(model, size)
    if experiment.student in FOLDING:
        model = fold(model)
    row |= {"used_parameters": count_parameters(model), "used_macs": count_macs(model, size)}
    row["used_ms"] = milliseconds(model, size) if experiment.student in FOLDING else row["training_form_ms"]
    return row


def milliseconds(model, size: int) -> float:
    return round(latency_ms(model, size=size, repeats=7), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keys = [experiment.key for experiment in table_rows("table1")]
    # Round about all networks, so that a slow minute of the machine does not hit all timings of one.
    frames = []
    for number in range(options.rounds):
        frames.append(pd.DataFrame([costs_of(key) for key in keys]))
        print(f"round {number + 1} of {options.rounds}", flush=True)
    frame = frames[0]
    for column in ("training_form_ms", "used_ms"):
        frame[column] = pd.concat([one[column] for one in frames], axis=1).min(axis=1)
    frame["machine"] = f"one CPU thread ({platform.machine()}), torch {torch.__version__.split('+')[0]}"
    path = repo_path("data", "costs", "networks.csv")
    atomic_write(path, frame.to_csv(index=False, lineterminator="\n").encode())
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
