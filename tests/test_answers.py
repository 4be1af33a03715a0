"""The teacher's answers that lesson 03 distils from: of the right images, in the right order."""

import torch

from course_lib.data import load_dataset
from course_lib.files import repo_path
from course_lib.study import store


def test_stored_answers_are_of_the_samples_training_images_plain_then_mirrored():
    stored = store.load_logits("resnet18-train", repo_path("data", "logits", "sample"))
    labels = load_dataset("cifar10", "sample").train.labels
    assert stored.logits.shape == (2 * len(labels), 10)
    assert torch.equal(stored.labels, torch.cat([labels, labels]))
    plain, mirrored = stored.logits.chunk(2)
    right = (stored.logits.argmax(dim=1) == stored.labels).double().mean().item()
    assert abs(100 * right - stored.meta["accuracy"]) < 0.1 and right > 0.6
    # Row i of both halves is one image: a network says nearly the same of it and of its mirror image.
    same = (plain.argmax(dim=1) == mirrored.argmax(dim=1)).double().mean()
    shifted = (plain.argmax(dim=1) == mirrored.roll(1, 0).argmax(dim=1)).double().mean()
    assert same > 0.7 > 0.3 > shifted
    assert stored.meta["recipe"] == store.load_logits("resnet18").meta["recipe"]
