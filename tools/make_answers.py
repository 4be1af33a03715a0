"""Make ``data/logits/sample/resnet18-train.npz``: what the shipped ResNet-18 says of the sample's training images.

``python data/make_answers.py``, after ``python data/make_networks.py resnet18`` has left its checkpoint in
``data/cache/networks`` (or name the checkpoint). Lesson 03 distils from these answers without running the teacher.
Rows 0 to 2,499 are the images as they are, rows 2,500 to 4,999 the same images mirrored. Half a minute on one core.
"""

import sys
from pathlib import Path

import torch

from course_lib.data import ImageSet, load_dataset, sample_test_rows
from course_lib.files import repo_path
from course_lib.models.zoo import create_model
from course_lib.study import store
from course_lib.training.checkpoint import read_checkpoint
from course_lib.training.loop import evaluate

NAME = "resnet18-train"


def make(checkpoint: Path) -> Path:
    """Ask the trained network and store its answers, after a check that it is the network that ships."""
    state, shipped = read_checkpoint(checkpoint), store.load_logits("resnet18")
    teacher = create_model("resnet18")
    teacher.load_state_dict(state["model"])
    sample = load_dataset("cifar10", "sample")
    check = evaluate(teacher, sample.test).logits
    if (check - shipped.logits[sample_test_rows()]).abs().max() > 0.02:  # float16 keeps them to 0.1 percent
        sys.exit(f"{checkpoint} is not the network whose answers are in data/logits/resnet18.npz")
    images, labels = sample.train.images, sample.train.labels
    both = ImageSet(torch.cat([images, images.flip(3)]), torch.cat([labels, labels]))
    answers = evaluate(teacher, both)
    kept = ("key", "model", "width", "dataset", "train_images", "epochs", "recipe")
    meta = {name: shipped.meta[name] for name in kept} | {
        "rows": "the sample's training images as they are, then all of them mirrored",
        "accuracy": answers.accuracy,
        **store.environment("cpu"),
    }
    return store.save_logits(NAME, answers.logits, both.labels, meta, repo_path("data", "logits", "sample"))


if __name__ == "__main__":
    default = repo_path("data", "cache", "networks", "resnet18.pt")
    print(make(Path(sys.argv[1]) if len(sys.argv) > 1 else default))
