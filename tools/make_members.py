"""Make the small members of lesson 05's ensembles: ``python data/make_members.py plain-0 gn-s-1.0x-mirrored``.

The plain networks (``course_lib/models/plain.py``) are trained on the full CIFAR-10 for six epochs each, about two
minutes on one CPU core. ``gn-s-1.0x-mirrored`` trains nothing: it is the shipped GN-S 1.0x, shown mirrored images.
Their logits for the 10,000 test images, rounded to eighths to keep them small, go to ``data/logits/members``, the
weights of ``plain-0`` and ``patches-0`` to ``data/weights``.
"""

import dataclasses
import sys

import torch

from classroom.plain import PlainNet
from course_lib.data import ImageSet, load_dataset
from course_lib.files import repo_path
from course_lib.models.ghostnet import fold
from course_lib.models.weights import load_weights, save_weights
from course_lib.study import store
from course_lib.training.loop import evaluate, train
from course_lib.training.recipe import Recipe

# The rates of data/make_networks.py: chosen beforehand, not tuned.
RECIPE = Recipe(epochs=6, batch_size=128, lr=0.05, weight_decay=5e-4, warmup=0.2)
PLAIN = {"plain-0": 0, "plain-1": 1, "plain-2": 2, "patches-0": 0, "grey-0": 0}  # the number is the seed
MIRRORED = "gn-s-1.0x-mirrored"
SHIPPED = ("plain-0", "patches-0")
STEPS = 8  # logits are kept in eighths


@torch.no_grad()
def halve(network: PlainNet) -> PlainNet:
    """Round the weights to 16 bits, in place: what is stored is then exactly what was measured."""
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor.half().float())
    return network


def make_plain(name: str, seed: int) -> None:
    """Train one plain network and store its logits, and its weights where the lesson needs a live teacher."""
    dataset, kind = load_dataset("cifar10", "full"), name.partition("-")[0]
    recipe = dataclasses.replace(RECIPE, seed=seed)
    network = PlainNet(kind, seed=seed)
    checkpoint = repo_path("data", "cache", "networks", f"{name}.pt")
    finished = train(network, dataset, recipe, checkpoint=checkpoint, name=name)
    evaluation = evaluate(halve(network), dataset.test)
    meta = {
        "key": name,
        "model": "plain",
        "kind": kind,
        "about": f"a small plain network ({kind}), seed {seed}",
        "dataset": "cifar10",
        "train_images": len(dataset.train),
        "epochs": recipe.epochs,
        "accuracy": evaluation.accuracy,
        "recipe": dataclasses.asdict(recipe),
        "seconds": round(finished.seconds),
        **store.environment(),
    }
    keep(name, evaluation.logits, dataset.test.labels, meta)
    if name in SHIPPED:
        halved = {
            key: value.half() if value.is_floating_point() else value for key, value in network.state_dict().items()
        }
        network.state_dict = lambda: halved  # what save_weights asks for
        print(save_weights(name, network, meta))


def make_mirrored() -> None:
    """The shipped GN-S 1.0x, looking at the test images in a mirror."""
    test = load_dataset("cifar10", "full").test
    network, meta = load_weights("gn-s-1.0x")
    evaluation = evaluate(fold(network), ImageSet(test.images.flip(3), test.labels))
    about = "the weights of gn-s-1.0x, every test image mirrored: another view, not another network"
    meta = meta | {"key": MIRRORED, "view": "mirrored", "about": about, "accuracy": evaluation.accuracy}
    keep(MIRRORED, evaluation.logits, test.labels, meta)


def keep(name: str, logits: torch.Tensor, labels: torch.Tensor, meta: dict) -> None:
    rounded = (logits * STEPS).round() / STEPS
    print(store.save_logits(name, rounded, labels, meta, repo_path("data", "logits", "members")))


if __name__ == "__main__":
    known = [*PLAIN, MIRRORED]
    unknown = set(sys.argv[1:]) - set(known)
    if unknown:
        sys.exit(f"no member is called {', '.join(sorted(unknown))}: choose from {', '.join(known)}")
    for member in sys.argv[1:] or known:
        make_mirrored() if member == MIRRORED else make_plain(member, PLAIN[member])
