"""What a teacher changes besides accuracy: ``python -m tools.make_robustness`` writes ``data/robustness.csv``.

Students of ``laptop`` whose weights lie on this machine, alone and taught by ResNet-56, and ResNet-56 itself are asked
about all 10,000 test images, as they are and spoilt in seven ways. The ways are the course's own, one strength each:
they are not CIFAR-10-C, and no number of that can stand beside these. Run again, it keeps the lines of networks whose
weights are gone.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as spoil

from course_lib.data import load_dataset
from course_lib.data.cifar import ImageSet
from course_lib.files import atomic_write, repo_path
from course_lib.models import fold
from course_lib.models.weights import load_published
from course_lib.profiles import PROFILES
from course_lib.study.experiments import run_id
from course_lib.study.runs import Run, is_trained, load_teacher
from course_lib.training.loop import evaluate

TEACHER, STUDENT = "resnet56", "gn-s-1.0x"
TAUGHT = f"{STUDENT}<{TEACHER}"
WAYS_TO_LEARN = (
    *((STUDENT, recipe) for recipe in ("paper", "seven_epochs")),
    *((TAUGHT, recipe) for recipe in ("paper", "repaired", "t4_seven_epochs")),
)
SEEDS = range(10)  # as many as anybody may have run
BINS = 15  # of confidence, for the calibration error


def noise(images: Tensor) -> Tensor:
    """Gaussian, standard deviation 20 of 255, the same for every network."""
    drawn = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + 20 * drawn).round().clamp(0, 255).to(torch.uint8)


def hide(images: Tensor) -> Tensor:
    """A grey patch of 12 x 12 pixels on each image, at a place drawn for it."""
    places, hidden = torch.randint(21, (len(images), 2), generator=torch.Generator().manual_seed(0)), images.clone()
    for image, (top, left) in zip(hidden, places.tolist(), strict=True):
        image[:, top : top + 12, left : left + 12] = 128
    return hidden


CONDITIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "as it is": lambda images: images,
    "noise": noise,
    "blur": lambda images: spoil.gaussian_blur(images, [5, 5], [1.0, 1.0]),
    "dark": lambda images: spoil.adjust_brightness(images, 0.4),
    "pale": lambda images: spoil.adjust_contrast(images, 0.3),
    "coarse": lambda images: spoil.resize(spoil.resize(images, [16, 16]), [32, 32], spoil.InterpolationMode.NEAREST),
    "hidden": hide,
    "jpeg": lambda images: torch.stack([spoil.jpeg(image, 15) for image in images]),
}


def main() -> None:
    """Ask every network that is here about every set of images, and write what came."""
    test, path = load_dataset("cifar10", "full").test, repo_path("data", "robustness.csv")
    sets = {name: ImageSet(change(test.images), test.labels) for name, change in CONDITIONS.items()}
    known = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["run"])
    asked, rows = set(known["run"]), []
    for run in (Run(key, PROFILES["laptop"], recipe, seed) for key, recipe in WAYS_TO_LEARN for seed in SEEDS):
        if is_trained(run) and run.result.exists() and run.name not in asked:
            about = {"run": run.name, "key": run.key, "recipe": run.recipe, "seed": run.seed}
            rows += lines(fold(load_teacher(run).model), about, sets)
    if (published := run_id(TEACHER, profile="laptop", recipe="paper", seed=0)) not in asked:
        rows += lines(load_published(TEACHER), {"run": published, "key": TEACHER}, sets)
    table = pd.concat([known, pd.DataFrame(rows)]).sort_values(["key", "recipe", "seed"], kind="stable")
    text = table.astype({"seed": "Int64"}).to_csv(index=False, float_format="%.6g", lineterminator="\n")
    atomic_write(path, text.encode())
    print(f"{path}: {table['run'].nunique()} networks, {len(rows) // len(CONDITIONS)} of them new")


def lines(model: nn.Module, about: dict, sets: dict[str, ImageSet]) -> list[dict]:
    """A line for each set of images: accuracy and mean confidence in percent, cross-entropy in nats, ``ece``."""
    found = []
    for name, images in sets.items():
        asked = evaluate(model, images)
        confidence, answer = F.softmax(asked.logits, dim=1).max(dim=1)
        right = answer == images.labels
        numbers = {"accuracy": asked.accuracy, "confidence": 100 * confidence.mean().item(), "nll": asked.loss}
        found.append(about | {"condition": name} | numbers | {"ece": calibration_error(confidence, right)})
    print(about["run"], *(f"{line['condition']} {line['accuracy']:.1f}" for line in found), flush=True)
    return found


def calibration_error(confidence: Tensor, right: Tensor) -> float:
    """Expected calibration error in points: by bins of confidence, how far the share of right answers lies from it.

    Of C. Guo et al., *On Calibration of Modern Neural Networks* (2017), with 15 bins of equal width.
    """
    place = (confidence.double() * BINS).ceil().long().clamp(1, BINS).numpy()
    gap = np.bincount(place, right.double().numpy() - confidence.double().numpy(), BINS + 1)
    return 100 * float(np.abs(gap).sum()) / len(place)


if __name__ == "__main__":
    main()
