"""Make the trained networks that ship with the course: ``python data/make_networks.py resnet18 gn-s-1.0x``.

Each is trained on the full CIFAR-10 for the few epochs below, so that sliders and lessons have a network that has
learned something. Its test logits go to ``data/logits``, the student's weights to ``data/weights``, both labelled
with epochs and accuracy. A killed run goes on from its last epoch. On one CPU core: about 20 minutes an epoch.
"""

import dataclasses
import sys

from course_lib.data import load_dataset
from course_lib.files import repo_path
from course_lib.models.weights import save_weights
from course_lib.models.zoo import create_model
from course_lib.study import experiments, store
from course_lib.training.loop import train
from course_lib.training.recipe import Recipe

# Not the paper's recipe: so few epochs want a higher rate and less decay. Chosen beforehand, not tuned.
RECIPES = {
    "resnet18": Recipe(epochs=2, batch_size=128, lr=0.05, weight_decay=5e-4, warmup=0.2),
    "gn-s-1.0x": Recipe(epochs=1, batch_size=128, lr=0.05, weight_decay=5e-4, warmup=0.2),
}
STUDENTS = ("gn-s-1.0x",)  # small enough to ship with their weights


def make(key: str) -> None:
    """Train one network and store its logits, and its weights where it is small."""
    experiment, recipe = experiments.find(key), RECIPES[key]
    dataset = load_dataset("cifar10", "full")
    model = create_model(experiment.student, width=experiment.width, seed=recipe.seed)
    checkpoint = repo_path("data", "cache", "networks", f"{key}.pt")
    finished = train(model, dataset, recipe, checkpoint=checkpoint, name=key)
    meta = {
        "key": key,
        "model": experiment.student,
        "width": experiment.width,
        "dataset": "cifar10",
        "train_images": len(dataset.train),
        "epochs": recipe.epochs,
        "accuracy": finished.history[-1]["test_accuracy"],
        "recipe": dataclasses.asdict(recipe),
        "seconds": round(finished.seconds),
        **store.environment(),
    }
    print(store.save_logits(key, finished.logits, dataset.test.labels, meta))
    if key in STUDENTS:
        print(save_weights(key, model, meta))


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(RECIPES)
    if unknown:
        sys.exit(f"no recipe for {', '.join(sorted(unknown))}: choose from {', '.join(RECIPES)}")
    for name in sys.argv[1:] or RECIPES:
        make(name)
