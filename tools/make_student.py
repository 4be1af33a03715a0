"""Make a run of the study *the* student of lessons, sliders and pages: ``python -m tools.make_student RUN``.

``RUN`` is the name of a finished run of GN-S 1.0x, as ``gn-s-1.0x.laptop.paper.seed0``, whose checkpoint lies on this
machine. Its weights go to ``data/weights/gn-s-1.0x.safetensors`` as float16, and what a network with them answers
about all 10,000 test images goes to ``data/logits/gn-s-1.0x.npz``.
"""

import sys

from course_lib.data import load_dataset
from course_lib.files import repo_path
from course_lib.models.state import fill
from course_lib.models.weights import load_weights
from course_lib.models.zoo import create_model
from course_lib.study import store
from course_lib.training.checkpoint import read_checkpoint
from course_lib.training.loop import evaluate
from tools.kept import save_logits, save_weights

NAME = "gn-s-1.0x"


def main(run: str) -> None:
    """Convert, write, read back and ask."""
    checkpoint = repo_path("data", "cache", "checkpoints", f"{run}.pt")
    state, model = read_checkpoint(checkpoint), create_model("gn-s", width=1.0)
    fill(model, state["model"], checkpoint)
    test = load_dataset("cifar10", "full").test
    last = state["history"][-1]
    meta = {
        "key": NAME,
        "run": run,
        "model": "gn-s",
        "width": 1.0,
        "dataset": "cifar10",
        "train_images": 50_000,
        "epochs": len(state["history"]),
        "accuracy": last["test_accuracy"],
        "recipe": state["recipe"],
        **store.environment(),
    }
    print(save_weights(NAME, model.half(), meta))
    asked = evaluate(load_weights(NAME)[0], test)
    print(save_logits(NAME, asked.logits, test.labels, meta | {"accuracy": asked.accuracy}))
    print(f"{run}: {last['test_accuracy']:.2f} % as trained, {asked.accuracy:.2f} % with weights of 16 bits")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("name one run: python -m tools.make_student gn-s-1.0x.laptop.paper.seed0")
    main(sys.argv[1])
