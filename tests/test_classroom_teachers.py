"""What the published teachers wrote down about the images on board."""

import dataclasses

import pytest
import torch

from classroom.teachers import AS_IT_IS, ON_BOARD, written_answers, written_teacher
from course_lib.data import load_dataset
from course_lib.data.augment import draw_views, view_number
from course_lib.training.loop import train
from course_lib.training.recipe import Recipe
from tests import tiny


@pytest.fixture(scope="module")
def sample():
    return load_dataset("cifar10", "sample")


@pytest.mark.parametrize("name", ON_BOARD)
def test_they_know_their_training_images(name, sample):
    answers = written_answers(name)
    assert answers.shape == (2500, 162, 10)
    right = (answers.argmax(2) == sample.train.labels[:, None]).float().mean(0)
    assert right.min() > 0.98, "they were trained on these very images, in every view"


def test_the_mean_of_four_is_another_teacher_that_agrees():
    one, mean = (written_answers(name)[:, AS_IT_IS] for name in ON_BOARD)
    assert not one.equal(mean) and (one.argmax(1) == mean.argmax(1)).float().mean() > 0.99


def test_some_images_in_any_order(sample):
    chosen = sample.train[torch.tensor([7, 3, 2499])]
    teacher = written_teacher("resnet56", chosen)
    views = draw_views(len(chosen), torch.Generator().manual_seed(0))
    rows = torch.arange(len(chosen))
    got = teacher.answer(None, rows, views)
    assert got.equal(written_answers("resnet56")[torch.tensor([7, 3, 2499]), view_number(views)])


def test_a_student_learns_from_it(sample):
    few = sample.train.take(40)
    dataset = dataclasses.replace(sample, train=few, test=sample.test.take(10))
    run = train(tiny.network("gn-s"), dataset, Recipe(epochs=1, batch_size=20, temperature=4.0, alpha=0.1),
                teacher=written_teacher("resnet56", few), progress=False)  # fmt: skip
    assert run.history[0]["soft_loss"] > 0


def test_strangers_are_refused(sample):
    with pytest.raises(ValueError, match="not training images of the sample"):
        written_teacher("resnet56", sample.test)
    with pytest.raises(ValueError, match="choose one of"):
        written_answers("resnet20")
    with pytest.raises(ValueError, match="list of answers"):
        written_teacher("resnet56", sample.train.take(10))(torch.zeros(1, 3, 32, 32))
