"""Ask the four published teachers, and keep what they say: the teachers of lessons 03 to 05, without a download.

    python -m tools.make_answers    20 minutes on one core with AMX, two to three hours on one without

``data/logits/resnet20.npz`` to ``resnet56.npz``: the logits of all 10,000 test images, computed in float32.
``data/logits/sample/resnet56.npz`` and ``published.npz`` (the mean of the four): the logits of the sample's 2,500
training images in each of their 162 views, (2500, 162, 10) in 8 bits with one scale. A CPU with AMX answers in
bfloat16, which is less exact than float32 by less than the 8 bits are.
"""

import io
import json

import numpy as np
import torch

from classroom.teachers import answers_path
from course_lib.data import load_dataset
from course_lib.data.augment import VIEWS, crop_and_flip, normalise, view_number
from course_lib.files import atomic_write
from course_lib.models.weights import load_published
from course_lib.study import store
from course_lib.study.experiments import PUBLISHED
from course_lib.training.loop import evaluate
from tools.kept import save_logits


def all_views() -> torch.Tensor:
    """The 162 views (162, 3), in the order of their numbers."""
    views = torch.cartesian_prod(torch.arange(9), torch.arange(9), torch.arange(2))
    assert view_number(views).equal(torch.arange(VIEWS))
    return views


@torch.inference_mode()
def answers_to(model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Logits (N, 162, 10) of uint8 ``images`` (N, 3, 32, 32) in every view."""
    model, views = model.to(memory_format=torch.channels_last), all_views()
    fast = torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_amx_tile_supported())
    answers = torch.empty(len(images), VIEWS, 10)
    for number, image in enumerate(images):
        batch = normalise(crop_and_flip(image.expand(VIEWS, -1, -1, -1), views))
        with fast:
            answers[number] = model(batch.contiguous(memory_format=torch.channels_last)).float()
        if number % 250 == 0:
            print(f"image {number:,} of {len(images):,}", flush=True)
    return answers


def write_answers(name: str, answers: torch.Tensor, meta: dict) -> str:
    """Keep logits (2500, 162, 10) in 8 bits with one scale; returns the file's path."""
    scale = answers.abs().max() / 127
    whole, buffer = (answers / scale).round().to(torch.int8).numpy(), io.BytesIO()
    np.savez_compressed(buffer, answers=whole, scale=np.float32(scale), meta=np.array(json.dumps(meta)))
    atomic_write(answers_path(name), buffer.getvalue())
    return str(answers_path(name))


def main() -> None:
    """Ask and write, teacher by teacher; then the mean."""
    full, sample = load_dataset("cifar10", "full"), load_dataset("cifar10", "sample")
    total = torch.zeros(len(sample.train), VIEWS, 10)
    for name in PUBLISHED:
        model = load_published(name)
        asked = evaluate(model, full.test)
        origin = {"model": name, "key": name, "weights": "published", "accuracy": asked.accuracy}
        meta = origin | {"dataset": full.name} | store.environment("cpu")
        print(save_logits(name, asked.logits, full.test.labels, meta), f"{asked.accuracy:.2f} %")
        answers = answers_to(model, sample.train.images)
        total += answers
        if name == "resnet56":
            print(write_answers(name, answers, origin))
    mean = {"model": "the mean of the published teachers' logits", "key": "published", "teachers": list(PUBLISHED)}
    print(write_answers("published", total / len(PUBLISHED), mean))


if __name__ == "__main__":
    main()
