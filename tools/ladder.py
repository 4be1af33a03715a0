"""The ladder of recipes for few epochs: single changes, judged by 5,000 training images that no rung trains on.

    python -m tools.ladder              every rung of RUNGS that data/ladder.csv lacks, one after another
    python -m tools.ladder NAME ...     only these
    python -m tools.ladder --seed 1     with another seed

GN-S 1.0x learns from the other 45,000 images for as many epochs as the rung says; no test image is asked. A row of the
file is an epoch of a rung; a rung with averaged weights has its average's accuracy in the last one. Crops of 24 pixels
need what the library does not have: that rung was run with a copy of the loop, and stands in the file only.
"""

import argparse
import csv
import dataclasses
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from course_lib.data import load_dataset
from course_lib.files import atomic_write, repo_path
from course_lib.models import create_model
from course_lib.study.store import environment
from course_lib.training.loop import evaluate, train
from course_lib.training.recipe import Recipe
from tools.split import split_validation

BASE = Recipe(epochs=2, batch_size=64, lr=0.1, weight_decay=5e-4, warmup=0.25)
LINEAR = {"decay": "linear"}
SHIFT = LINEAR | {"shift": 2}
BOTH = SHIFT | {"flips": "alternating"}
# What a rung changes that is no field of a recipe: standard deviation of the linear layers' first weights, the newest
# batch's share in the norms' statistics, the rate of the norms' biases as a factor, what a step keeps of the average.
BESIDE = ("first weights", "norm momentum", "bias rate", "averaging")
RUNGS = {  # what each changes in BASE
    "batch 128": {"batch_size": 128},
    "batch 64": {},
    "batch 32, rate 0.05": {"batch_size": 32, "lr": 0.05},
    "no decay on norms and biases": {"decay_norms": False},
    "small first weights of the classifier": {"first weights": 0.01},
    "linear decay": LINEAR,
    "linear decay, warm-up 10 %": LINEAR | {"warmup": 0.1},
    "linear decay, rate 0.2": LINEAR | {"lr": 0.2},
    "linear decay, shift 2": SHIFT,
    "linear decay, shift 2, alternating flips": BOTH,
    "linear decay, shift 2, alternating flips, rate 0.2": BOTH | {"lr": 0.2},
    "linear decay, shift 2, alternating flips, smoothed labels": BOTH | {"label_smoothing": 0.1},
    "linear decay, shift 2, alternating flips, averaged weights": BOTH | {"averaging": 0.99},
    "linear decay, shift 2, alternating flips, faster norm statistics": BOTH | {"norm momentum": 0.4},
    "linear decay, shift 2, alternating flips, faster norm biases": BOTH | {"bias rate": 8},
}
COLUMNS = ("rung", "seed", "epoch", "epochs", "train_accuracy", "validation_accuracy", "seconds", "device", "remark")


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing, and write the file after each rung."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="rungs; default: all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in RUNGS]
    if unknown:
        sys.exit(f"no rung is called {unknown[0]!r}: choose from {', '.join(RUNGS)}")
    for name in options.names or RUNGS:
        if not any((row["rung"], row["seed"]) == (name, str(options.seed)) for row in read()):
            climbed = climb(name, options.seed)
            write(read() + climbed)  # another rung may have come to its end meanwhile


def climb(name: str, seed: int) -> list[dict]:
    """One rung: a row an epoch."""
    dataset = load_dataset("cifar10", "full")
    fit, choose = split_validation(dataset)
    changes = dict(RUNGS[name])
    beside = {each: changes.pop(each) for each in BESIDE if each in changes}
    model = create_model("gn-s", width=1.0, seed=seed, linear_std=beside.get("first weights"))
    for norm in norms(model):
        norm.momentum = beside.get("norm momentum", norm.momentum)
    recipe = dataclasses.replace(BASE, seed=seed, **changes)
    split = dataclasses.replace(dataset, train=fit, test=choose)
    keeps = beside.get("averaging")
    with averaging(model, keeps) if keeps else nullcontext() as average:
        run = train(model, split, recipe, name=name, parameters=lambda _: groups(model, beside.get("bias rate", 1)))
    if average:
        run.history[-1]["test_accuracy"] = evaluate(average, choose).accuracy
    fixed = {"rung": name, "seed": seed, "epochs": recipe.epochs, "device": environment()["device"], "remark": ""}
    return [
        fixed
        | {
            "epoch": row["epoch"],
            "train_accuracy": f"{row['train_accuracy']:.2f}",
            "validation_accuracy": f"{row['test_accuracy']:.2f}",
            "seconds": f"{row['seconds']:.0f}",
        }
        for row in run.history
    ]


def norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    """Its batch norms."""
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def groups(model: nn.Module, factor: float) -> list[dict]:
    """Its parameters for the optimizer: the norms' biases at ``factor`` times the rate."""
    biases = [norm.bias for norm in norms(model)]
    known = {id(bias) for bias in biases}
    others = [parameter for parameter in model.parameters() if id(parameter) not in known]
    return [{"params": others}, {"params": biases, "lr_factor": factor}]


@contextmanager
def averaging(model: nn.Module, keeps: float) -> Iterator[nn.Module]:
    """An average of weights and statistics, of which each step of any optimizer keeps ``keeps``."""
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(keeps), use_buffers=True)
    hook = register_optimizer_step_post_hook(lambda *_: average.update_parameters(model))
    try:
        yield average
    finally:
        hook.remove()


def read() -> list[dict]:
    """The rows of the file; none where there is no file yet."""
    path = repo_path("data", "ladder.csv")
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(rows: list[dict]) -> None:
    """Write the file anew, in the order in which the rungs were run."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write(repo_path("data", "ladder.csv"), text.getvalue().encode())


if __name__ == "__main__":
    main()
