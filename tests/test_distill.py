"""Eq. 1 by value, its invariants, and the classic mistakes: each would make a test here fail."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.data import load_dataset
from course_lib.data.augment import VIEWS, crop_and_flip, draw_views, normalise, view_number
from course_lib.models.zoo import create_model
from course_lib.study.scraps import OwnCropTeacher, ScrapTeacher, pieces
from course_lib.training.loop import train
from course_lib.training.losses import distillation_loss
from course_lib.training.recipe import Recipe
from course_lib.training.teachers import Ensemble, RememberedTeacher, Teacher, as_teacher

N, CLASSES = 6, 10


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(N, CLASSES, generator=generator, dtype=torch.float64) * 3 for _ in range(2))
    return student, teacher, torch.randint(CLASSES, (N,), generator=generator)


def by_hand(student, teacher, labels, temperature, alpha):
    """Eq. 1 with loops and ``math`` only: an implementation that shares no line with the library's."""

    def softmax(logits):
        powers = [math.exp(value - max(logits)) for value in logits]
        return [power / sum(powers) for power in powers]

    total = 0.0
    for row in range(len(labels)):
        hard = -math.log(softmax(student[row].tolist())[int(labels[row])])
        p = softmax([value / temperature for value in teacher[row].tolist()])
        q = softmax([value / temperature for value in student[row].tolist()])
        soft = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
        total += alpha * hard + (1 - alpha) * temperature**2 * soft
    return total / len(labels)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5, 1.0])
def test_loss_equals_an_independent_implementation(batch, temperature, alpha):
    terms = distillation_loss(*batch, temperature, alpha)
    assert terms.total.item() == pytest.approx(by_hand(*batch, temperature, alpha), rel=1e-12)
    assert terms.total.item() == pytest.approx((alpha * terms.hard + (1 - alpha) * terms.soft).item(), rel=1e-12)


def test_a_worked_example():
    # teacher (ln 3, 0) gives 3/4 and 1/4; student (0, 0) gives 1/2 each: KL = 3/4 ln 3/2 + 1/4 ln 1/2
    terms = distillation_loss(torch.zeros(1, 2), torch.tensor([[math.log(3), 0.0]]), torch.tensor([0]), 1.0, 0.5)
    assert terms.soft.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), abs=1e-7)
    assert terms.hard.item() == pytest.approx(math.log(2), abs=1e-7)


def test_soft_term_is_zero_at_equal_logits_and_its_gradient_too(batch):
    student, _, labels = batch
    student = student.clone().requires_grad_()
    terms = distillation_loss(student, student.detach(), labels, 3.0, 0.0)
    terms.total.backward()
    assert terms.soft.item() == pytest.approx(0, abs=1e-12)
    assert student.grad.abs().max().item() < 1e-12


def test_the_mean_over_classes_would_be_ten_times_too_small(batch):
    student, teacher, labels = batch
    terms = F.kl_div(F.log_softmax(student, 1), F.log_softmax(teacher, 1), reduction="none", log_target=True)
    wrong = terms.mean()  # what reduction="mean" gives
    right = distillation_loss(student, teacher, labels, 1.0, 0.0).soft
    assert right.item() == pytest.approx(CLASSES * wrong.item(), rel=1e-12)


def test_t_squared_keeps_the_gradient_at_high_temperature(batch):
    """As T grows, T^2 times the gradient tends to (z - v) / (N * classes) for centred logits; without T^2, to 0."""
    student, teacher, labels = batch
    student = (student - student.mean(1, keepdim=True)).requires_grad_()
    teacher = teacher - teacher.mean(1, keepdim=True)
    limit = (student - teacher).detach() / (N * CLASSES)
    for temperature, tolerance in ((100.0, 0.1), (10_000.0, 1e-3)):
        (gradient,) = torch.autograd.grad(distillation_loss(student, teacher, labels, temperature, 0.0).total, student)
        assert (gradient - limit).abs().max() < tolerance * limit.abs().max()


def test_alpha_weighs_the_labels(batch):
    student, teacher, labels = batch
    assert distillation_loss(student, teacher, labels, 4.0, 1.0).total == F.cross_entropy(student, labels)


@pytest.mark.parametrize(
    ("temperature", "alpha", "said"),
    [(bad, 0.5, "temperature must be") for bad in (0, -1.0, float("inf"), float("nan"), "4")]
    + [(1.0, bad, "alpha must lie") for bad in (-0.1, 1.1, float("nan"), "0.5")],
)
def test_bad_temperature_and_alpha(batch, temperature, alpha, said):
    with pytest.raises(ValueError, match=said):
        distillation_loss(*batch, temperature, alpha)


def test_a_class_that_the_teacher_rules_out_adds_nothing(batch):
    """0 log 0 is 0: with a masked class the loss is that of nine classes, and the student's gradient is finite."""
    student, teacher, labels = batch
    student, teacher, labels = student.clone().requires_grad_(), teacher.clone(), labels % 9
    teacher[:, 9] = -torch.inf
    terms = distillation_loss(student, teacher, labels, 4.0, 0.5)
    terms.total.backward()
    p, log_q = (F.softmax(teacher / 4, 1), F.log_softmax(student / 4, 1))
    expected = 16 * (torch.xlogy(p, p) - p * log_q).sum(1).mean()
    assert terms.soft.item() == pytest.approx(expected.item(), rel=1e-12) and student.grad.isfinite().all()
    masked = student.detach().clone()
    masked[:, 9] = -torch.inf  # by both
    assert distillation_loss(masked, teacher, labels, 4.0, 0.5).soft.isfinite()


def test_label_smoothing_is_of_the_hard_term(batch):
    student, teacher, labels = batch
    plain, smooth = (distillation_loss(student, teacher, labels, 4.0, 0.5, how) for how in (0.0, 0.1))
    assert smooth.soft == plain.soft and smooth.hard == F.cross_entropy(student, labels, label_smoothing=0.1)


def test_shapes_must_agree(batch):
    student, teacher, labels = batch
    with pytest.raises(ValueError, match="differ in shape"):
        distillation_loss(student, teacher[:, :5], labels, 1.0, 0.5)


class Small(nn.Module):
    """Convolution, batch norm, dropout, classifier: all that makes train mode differ from eval mode."""

    def __init__(self, seed: int = 0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = nn.Sequential(
                nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.LazyLinear(CLASSES)
            )
            self.layers(torch.randn(4, 3, 32, 32))  # fixes the lazy shape and moves the running statistics

    def forward(self, x):
        return self.layers(x)


def test_a_teacher_stays_in_eval_mode_and_learns_nothing():
    teacher = Teacher(Small())
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    images = torch.randn(8, 3, 32, 32)
    expected = teacher(images)
    nn.ModuleList([teacher]).train()  # what a careless loop does
    assert not any(module.training for module in teacher.modules())
    answer = teacher(images)
    assert torch.equal(answer, expected) and not answer.requires_grad
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    # the mistake itself gives other logits, so the test above can fail
    assert not torch.allclose(teacher.model.train()(images), expected, atol=1e-3)


def test_a_teacher_gets_its_own_image_size():
    seen = []

    class Eye(nn.Module):
        def forward(self, x):
            seen.append(x.shape)
            return x.mean(dim=(2, 3))

    Teacher(Eye(), input_size=224)(torch.randn(2, 3, 32, 32))
    assert seen == [(2, 3, 224, 224)]


def test_an_ensemble_answers_with_the_mean_of_logits():
    members = [Teacher(Small(seed)) for seed in (1, 2, 3)]
    images = torch.randn(5, 3, 32, 32)
    expected = sum(member(images) for member in members) / 3
    ensemble = Ensemble(members)
    ensemble.train()
    assert not ensemble.training
    torch.testing.assert_close(ensemble(images), expected)
    with pytest.raises(ValueError, match="at least one"):
        Ensemble([])


def pictures(count=20):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return images, draw_views(count, generator), torch.randperm(count, generator=generator)


def test_remembered_answers_belong_to_image_and_view_not_to_the_place_in_the_batch():
    """The classic mistake: logits cached in the order of the first epoch, used after the order has changed."""
    images, views, shuffled = pictures()
    teacher, first = Teacher(Small()), torch.arange(20)
    remembered = RememberedTeacher(teacher, images=20, classes=CLASSES)
    remembered.prepare(images, first, views)
    remembered.prepare(images, shuffled, views[shuffled])
    answers = remembered.answer(None, shuffled, views[shuffled])
    torch.testing.assert_close(answers, teacher(normalise(crop_and_flip(images[shuffled], views[shuffled]))))
    assert (remembered.asked, remembered.computed) == (40, 20)
    other = (views + torch.tensor([1, 0, 0])) % torch.tensor([9, 9, 2])  # another view of the same image is asked anew
    assert not remembered.answer(None, first, other).any()
    remembered.prepare(images, first, other)
    assert remembered.computed == 40


def test_a_remembered_answer_has_the_same_bits_whatever_was_known_before():
    """A run that was killed comes back with an empty memory and must still end in the same weights."""
    images, views, shuffled = pictures()
    teacher = Teacher(create_model("resnet18", seed=0)).to(memory_format=torch.channels_last)
    whole, piecewise = (RememberedTeacher(teacher, images=20, classes=CLASSES) for _ in range(2))
    whole.batch_size = piecewise.batch_size = 8
    whole.prepare(images, torch.arange(20), views)
    for some in shuffled.split((3, 13, 4)):
        piecewise.prepare(images, some, views[some])
    assert torch.equal(whole.answer(None, shuffled, views[shuffled]), piecewise.answer(None, shuffled, views[shuffled]))


def test_a_full_gpu_halves_the_teachers_batch(capsys):
    images, views, _ = pictures()

    class Crowded(Small):
        def forward(self, batch):
            if len(batch) > 4:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(batch)

    remembered = RememberedTeacher(Teacher(Crowded()), images=20, classes=CLASSES)
    remembered.batch_size = 16
    remembered.prepare(images, torch.arange(20), views)
    assert remembered.answer(None, torch.arange(20), views).isfinite().all()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[1] for line in lines] == [
        " the teacher now answers 8 images at a time",
        " the teacher now answers 4 images at a time",
    ]
    nothing = RememberedTeacher(Teacher(Crowded()), images=20, classes=CLASSES)
    nothing.batch_size = 2
    nothing.teacher.forward = lambda batch: (_ for _ in ()).throw(torch.OutOfMemoryError("full"))
    with pytest.raises(torch.OutOfMemoryError):
        nothing.prepare(images, torch.arange(20), views)


def test_view_numbers_are_all_different():
    rows, columns, flips = torch.meshgrid(torch.arange(9), torch.arange(9), torch.arange(2), indexing="ij")
    numbers = view_number(torch.stack([rows, columns, flips], dim=-1).view(-1, 3))
    assert sorted(numbers.tolist()) == list(range(VIEWS))


def test_a_bare_network_becomes_a_teacher_also_inside_an_ensemble():
    images = torch.randn(4, 3, 32, 32)
    for pack in (as_teacher, lambda network: Ensemble([network])):
        network = Small()
        teacher = pack(network.train())
        counted = int(network.layers[1].num_batches_tracked)
        teacher.train()
        assert torch.equal(teacher.answer(images, None, None), teacher(images)) and not network.training
        assert int(network.layers[1].num_batches_tracked) == counted
    with pytest.raises(TypeError, match="not a str"):
        as_teacher("resnet18")


def test_teachers_of_other_classes_are_refused_not_broadcast():
    images, views, _ = pictures()
    one = Teacher(nn.Sequential(nn.Flatten(), nn.Linear(3072, 1)))
    with pytest.raises(ValueError, match="knows 1 classes, these images 10"):
        RememberedTeacher(one, images=20, classes=CLASSES).prepare(images, torch.arange(20), views)
    with pytest.raises(ValueError, match="answer in shapes"):
        Ensemble([one, Teacher(Small())])(torch.zeros(2, 3, 32, 32))


def test_a_memory_forgets_what_it_knows_of_other_images():
    images, views, _ = pictures()
    rows, turned = torch.arange(20), images.flip(0)
    memory = RememberedTeacher(Small(), images=20, classes=CLASSES)
    memory.prepare(images, rows, views)
    memory.prepare(images.clone(), rows, views)
    assert memory.computed == 20  # the same images, wherever they lie
    memory.prepare(turned, rows, views)
    expected = memory.teacher(normalise(crop_and_flip(turned, views)))
    torch.testing.assert_close(memory.answer(None, rows, views), expected)
    with pytest.raises(ValueError, match="for 20 images, not for 10"):
        memory.prepare(images[:10], rows[:10], views[:10])


# --- scraps -------------------------------------------------------------------------------------------


def test_a_piece_is_what_cutting_the_enlarged_image_gives():
    seen = normalise(pictures(6)[0])
    corners = torch.tensor([[0, 0], [192, 192], [0, 192], [37, 101], [96, 5], [190, 3]])
    flips = torch.tensor([False, False, True, True, False, True])
    enlarged = F.interpolate(seen, size=(224, 224), mode="bilinear", align_corners=False)
    for number, (top, left) in enumerate(corners.tolist()):
        cut = enlarged[number, :, top : top + 32, left : left + 32]
        cut = cut.flip(-1) if flips[number] else cut
        torch.testing.assert_close(pieces(seen, corners, flips)[number], cut, atol=2e-5, rtol=1e-4)


class Echo(nn.Module):
    """A network whose logits are what it was shown."""

    def forward(self, shown):
        return shown.flatten(1)[:, :10]


def test_a_teacher_with_crops_of_its_own_is_remembered_and_sees_another_one():
    images, views, _ = pictures()
    images, order = images[:4], torch.tensor([2, 0, 3, 1])
    remembered = RememberedTeacher(Teacher(Echo()), 4, 10)
    teacher = OwnCropTeacher(remembered)
    teacher.prepare(images, order, views[:4])
    answers = teacher.answer(None, order, views[:4])
    cut = normalise(crop_and_flip(images[order], views[[3, 0, 1, 2]]))
    torch.testing.assert_close(answers, Echo()(cut))
    assert remembered.computed == 4 and not torch.equal(
        answers, Echo()(normalise(crop_and_flip(images[order], views[:4])))
    )
    assert teacher.digest() != remembered.digest()


def test_a_scrap_teacher_looks_elsewhere_than_the_student():
    images, views, _ = pictures()
    teacher, rows = ScrapTeacher(Teacher(Echo(), 224)), torch.arange(4)
    teacher.prepare(images, rows, views[:4])
    torch.manual_seed(0)
    first = teacher.answer(None, rows, views[:4])
    torch.manual_seed(0)
    again, other = (teacher.answer(None, rows, views[4:8]) for _ in range(2))
    assert torch.equal(first, again) and not torch.equal(first, other)  # its pieces are drawn anew each time
    assert first.abs().sum() > 0 and not teacher.train().training


def test_training_with_scraps_is_repeatable():
    dataset = load_dataset("cifar10", "sample")
    dataset = dataclasses.replace(dataset, train=dataset.train.take(20), test=dataset.test.take(10))
    losses = []
    for _ in range(2):
        student, taught = (nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)).requires_grad_() for _ in range(2))
        for network in (student, taught):
            nn.init.constant_(network[1].weight, 0.01), nn.init.zeros_(network[1].bias)
        taught[1].weight.data[0] = 0.02
        recipe, teacher = Recipe(epochs=1, batch_size=10), ScrapTeacher(Teacher(taught))
        finished = train(student, dataset, recipe, teacher=teacher, device="cpu", progress=False)
        losses.append(finished.history[0]["soft_loss"])
    assert losses[0] == losses[1] > 0


@pytest.mark.parametrize("labels", [torch.zeros(4), torch.zeros(4, 1, dtype=torch.int64), torch.tensor([0, 1])])
def test_labels_that_are_no_class_numbers_are_refused(labels):
    logits = torch.randn(4, CLASSES)
    with pytest.raises(ValueError, match=r"labels are class numbers \(4,\), not torch"):
        distillation_loss(logits, logits, labels, 4.0, 0.5)
