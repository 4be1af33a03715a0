"""Writes data/costs/networks.csv: what each network of Table I costs to store, to count and to run.

    python tools/make_network_costs.py

Counts are exact and the same everywhere. Latency is that of this machine: one image, one CPU thread, eval mode, folded
where the network is a GhostNet; the fastest of several rounds of medians, since other programs can only make it slower.
``machine`` says where.
"""

import argparse
import platform

import pandas as pd
import torch
from torch import nn

from classroom.measure import fastest_ms
from course_lib.files import atomic_write, repo_path
from course_lib.models import create_model, fold
from course_lib.models.cost import count_macs, count_parameters
from course_lib.models.zoo import input_size
from course_lib.study.experiments import Experiment, table_rows

FOLDING = ("gn-s", "gn-d")


def forms_of(experiment: Experiment) -> tuple[nn.Module, nn.Module]:
    """A network in its training form and in the one that is used, which for all but the GhostNets are one."""
    model = create_model(experiment.student, width=experiment.width, seed=0).eval()
    return model, fold(model) if experiment.student in FOLDING else model


def milliseconds(networks: list[tuple[int, nn.Module]], rounds: int) -> dict[nn.Module, float]:
    """Of each network, with the size of its images; those of one size take turns."""
    found = {}
    for size in {size for size, _ in networks}:
        models = list(dict.fromkeys(model for own, model in networks if own == size))
        found |= dict(zip(models, fastest_ms(models, rounds=rounds, size=size, repeats=7), strict=True))
    return found


def costs(rounds: int) -> pd.DataFrame:
    """A row a network: parameters, MACs and milliseconds of the training form and of the form that is used."""
    forms = {row.key: (input_size(row.student), *forms_of(row)) for row in table_rows("table1")}
    ms = milliseconds([(size, model) for size, *pair in forms.values() for model in pair], rounds)
    rows = []
    for key, (size, *pair) in forms.items():
        row = {"key": key, "input_size": size}
        for prefix, time, model in zip(("", "used_"), ("training_form_ms", "used_ms"), pair, strict=True):
            row |= {f"{prefix}parameters": count_parameters(model), f"{prefix}macs": count_macs(model, size)}
            row[time] = round(ms[model], 2)
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    frame = costs(options.rounds)
    frame["machine"] = f"one CPU thread ({platform.machine()}), torch {torch.__version__.split('+')[0]}"
    path = repo_path("data", "costs", "networks.csv")
    atomic_write(path, frame.to_csv(index=False, lineterminator="\n").encode())
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
