"""Checkers for lesson 02: preparing images, the schedule, one step, honest measuring, and chance."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from classroom.checks.declared import compare, declared, tell
from classroom.checks.reading import close, items, number, pair, tensor
from classroom.checks.stand_ins import noise, seeded
from classroom.checks.verdict import Wrong, checker, require
from course_lib.data.augment import MEAN, OFFSETS, STD, crop_and_flip, normalise
from course_lib.models.ghostnet import GN_S_STAGES, GhostNet
from course_lib.training.recipe import Recipe, learning_rate

SAME = 1e-6  # two rates that differ by less are one
IMAGES = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=seeded())
VIEWS = torch.tensor([[0, 0, 0], [8, 8, 1], [4, 4, 0], [1, 7, 1], [0, 5, 1], [6, 2, 0]])


def _float32(images: object) -> Tensor:
    dtype = tensor(images, "the prepared images").dtype
    require(dtype == torch.float32, f"networks eat float32, yours is {dtype}: normalise last")
    return images


@declared(
    [(IMAGES, VIEWS)],
    "black rim, one window an image, and normalised exactly once, at the end.",
    hint="some pixels are wrong: compare with normalise(crop_and_flip(images, views)) for a single image",
    shape="the shape must stay",
    read=_float32,
)
def check_prepare(images, views):
    """``prepare(images, views)``: black rim, window, mirror, then normalised once."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    cropped = crop_and_flip(images, views)
    right, inside = normalise(cropped), crop_and_flip(torch.ones_like(images), views)
    first_view = normalise(crop_and_flip(images, views[:1].expand(6, 3)))
    return right, {
        "the rim is grey: crop first and normalise last, for 0 is the mean colour there": right * inside,
        "the images are normalised twice: crop_and_flip wants uint8 and normalise is called once": (right - mean) / std,
        "the pixels are 255 times too large for this mean: divide by 255 first": (cropped.float() - mean) / std,
        "every image has got the first image's view: each has its own": first_view,
        "no image was cropped or flipped: use the views": normalise(images),
    }


@checker
def check_draws(answer) -> str:
    """``draw(n, generator)``: int64 (n, 3), each image its own of the 162 views, all equally likely."""
    count = 8_100  # 50 a view
    views = tensor(answer(count, seeded()), "the views")
    shape = tuple(views.shape)
    require(shape == (count, 3), f"one row of three an image: ({count}, 3), yours is {shape}")
    require(views.dtype == torch.int64, f"the views must be int64 whole numbers, yours are {views.dtype}")
    same = [bool((views[:, column] == views[0, column]).all()) for column in range(3)]
    require(not all(same), "all images of the batch share one draw: give the draws a size, one for each image")
    for column, (name, last) in enumerate((("row offset", 8), ("column offset", 8), ("flip", 1))):
        require(not same[column], f"the {name} is the same for all images: draw it anew for each of them")
        low, high = int(views[:, column].min()), int(views[:, column].max())
        require(high != last - 1, f"the {name} never reaches {last}: randint leaves its upper limit out")
        require((low, high) == (0, last), f"the {name} must run from 0 to {last}, yours runs from {low} to {high}")
    counts = torch.bincount((views[:, 0] * OFFSETS + views[:, 1]) * 2 + views[:, 2], minlength=162)
    require(bool(counts.min()), f"{int((counts == 0).sum())} of the 162 views never come up in {count:,} draws")
    require(int(counts.max()) < 100, "some views come up far more often than others: draw each number uniformly")
    again = torch.equal(views, tensor(answer(count, seeded()), "the views"))
    require(again, "the same generator state gave other draws: pass generator= to every draw")
    return "162 views, all alike likely, and every image draws for itself."


def _stairs(step: int, steps: int, top: float) -> float:
    return top * (1 if step < steps / 2 else 0.1 if step < 0.75 * steps else 0.01)


@declared(
    [(step, steps, top) for steps, top in ((200, 0.25), (40, 0.5)) for step in range(steps)],
    "three plateaus, at half and at three quarters of any run.",
)
def check_step_schedule(step, steps, top):
    """``rate(step, steps, top)``: ``top``, a tenth of it from 50 % of the steps on, a hundredth from 75 % on."""
    right = _stairs(step, steps, top)
    return right, {
        "you return the factor: multiply it with `top`, the highest rate": right / top,
        "the second drop is missing: from 75 % of the steps on it is a hundredth of the highest": (
            lambda found: step >= 0.75 * steps and close(found, top / 10, SAME)
        ),
        f"in a run of {steps} steps with top = {top} these are still the rates of another run": (
            lambda found: any(close(found, _stairs(step, *run), SAME) for run in ((200, 0.1), (200, top), (steps, 0.1)))
        ),
        f"too high at step {step} of {steps}: it drops at 50 % and at 75 % of the steps, not later": 10 * right,
    }


@checker
def check_rates(answer) -> str:
    """``rates_of_a_run(epochs, steps_per_epoch, recipe)``: the rate of every step of the run, in order."""
    recipe, epochs, each = Recipe(), 5, 8
    total = epochs * each
    given = items(answer(epochs, each, recipe), "return the rates of all steps in order, as a list")
    got = [number(rate, "a rate") for rate in given]
    require(len(got) != epochs, f"you return one rate an epoch: the schedule moves at every step, {total} times")
    require(len(got) == total, f"a run of {epochs} epochs with {each} steps has {total} rates, yours has {len(got)}")
    right, late = ([learning_rate(first + step, total, recipe) for step in range(total)] for first in (0, 1))
    if close(got, right, SAME):
        return f"{total} steps, {total} rates, one climb and one descent."
    blocks = [got[epoch * each : (epoch + 1) * each] for epoch in range(epochs)]
    still = all(close(block, [block[0]] * each, SAME) for block in blocks)
    require(not still, "the rate stands still within an epoch: move the line into the inner loop, and count steps")
    again = all(close(block, blocks[0], SAME) for block in blocks)
    require(not again, "the schedule starts again in every epoch: count on, epoch * steps + step")
    require(got[-1] < 0.5 * max(got), "the run ends at a high rate: learning_rate wants the number of all steps")
    require(not close(got, late, SAME), "your step numbers begin at 1: the first step is number 0, with rate 1e-8")
    wrong = next(step for step in range(total) if not close(got[step], right[step], SAME))
    raise Wrong(f"step {wrong} should have the rate {right[wrong]:.5f}; yours has {got[wrong]:.5f}")


@checker
def check_nesterov(answer) -> str:
    """``step(w, v, gradient, rate, momentum, decay)``: the new ``(w, v)``."""
    w, v, g = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.25]), torch.tensor([0.3, -0.4])
    parts = pair(answer(w.clone(), v.clone(), g.clone(), 0.1, 0.9, 0.01), "return two things: the new w and the new v")
    new_w, new_v = (tensor(part, "w and v") for part in parts)
    require(new_w.shape == new_v.shape == w.shape, "return two things, w and v, each of their own shape, (2,)")
    decayed = g + 0.01 * w
    velocity, plain = 0.9 * v + decayed, 0.9 * v + g
    right = w - 0.1 * (decayed + 0.9 * velocity)
    mistakes = {
        "this is classical momentum, or g' + momentum · (the old v): Nesterov takes the new v": w - 0.1 * velocity,
        "the weight decay is missing: g' = g + decay · w comes before everything else": w - 0.1 * (g + 0.9 * plain),
        "the sign is wrong: the weights move against the gradient, w - rate · (...)": 2 * w - right,
        "this is decoupled decay, as in AdamW: add it to the gradient": w - 0.1 * (g + 0.9 * plain) - 0.1 * 0.01 * w,
    }
    compare(new_w, right, mistakes, "w", "compare with the three formulas", "the new w: ")
    mistakes = {"the rate is inside your velocity: PyTorch multiplies by the rate only when it moves w": 0.1 * velocity}
    compare(new_v, velocity, mistakes, "v", "compare with the second formula", "w is right, but the velocity is not: ")
    return "the same as torch.optim.SGD."


@checker
def check_descend(answer) -> str:
    """``descend(model, images, labels, rate, steps)``: plain gradient descent; returns the losses before each step."""
    images, labels = noise(12, 5), torch.arange(12) % 3
    first = nn.utils.skip_init(nn.Linear, 5, 3)
    with torch.no_grad():
        first.weight.copy_(noise(3, 5, seed=1))
        first.bias.zero_()
    model = copy.deepcopy(first)
    given = answer(model, images.clone(), labels.clone(), 0.5, 5)
    (right, losses), (piled, _) = (_descend(first, images, labels, 5, forget) for forget in (False, True))
    mistakes = {
        "gradients of earlier steps are still in .grad: set them to zero before each backward()": piled,
        "you set the gradients to zero between backward() and step(): nothing is left to move by": first.weight,
        "you made one step too many": _descend(first, images, labels, 6)[0],
        "you made one step too few": _descend(first, images, labels, 4)[0],
    }
    compare(model.weight, right, mistakes, "the weights", "they differ from five steps of plain gradient descent")
    got = [number(loss, "a loss") for loss in items(given, "return the losses of all steps, a list")]
    require(len(got) == 5, f"five steps have five losses, you return {len(got)}")
    require(close(got, losses), "the weights are right, the losses are not: note each before its step")
    return "each step follows the gradient of its own batch only."


def _descend(first, images, labels, steps: int, forget: bool = False) -> tuple[Tensor, list[float]]:
    model, losses = copy.deepcopy(first), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(steps):
        loss = F.cross_entropy(model(images), labels)
        if not forget:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model.weight.detach(), losses


@checker
def check_accuracy(answer) -> str:
    """``accuracy_of(model, images, labels, batch_size)``: percent right, in eval mode, batches of unequal size."""
    images = 2 * noise(50, 3, seed=3)
    model = nn.Sequential(nn.BatchNorm1d(3)).eval()  # in training mode its answers depend on the batch
    with torch.no_grad():
        model[0].running_mean.copy_(torch.tensor([1.0, -1.0, 0.5]))
        labels = model(images).argmax(dim=1)
    labels[41:47] = (labels[41:47] + 1) % 3  # 3 of 22 and 3 of 6: the last batch is as mixed as the others
    model.train()
    before = copy.deepcopy(model.state_dict())
    result = answer(model, images.clone(), labels.clone(), 22)
    moved = any(not torch.equal(value, before[name]) for name, value in model.state_dict().items())
    words = "your evaluation changed the network: batch norm mixes the test images into it. Call model.eval() first"
    require(not moved, words)
    mistakes = {
        "you average over batches of unequal size: count right answers, divide by all": 100 * (1 + 19 / 22 + 3 / 6) / 3,
        "that is the share: say it in percent, times 100": 0.88,
        "the last batch is lost: 50 images are 22, 22 and 6": 100 * 41 / 50,
    }
    compare(result, 88.0, mistakes, "an accuracy in percent", "44 of 50 answers are right")
    require(model.training, "the accuracy is right, but the network is left in eval mode: put the mode back")
    answer(model.eval(), images.clone(), labels.clone(), 22)
    words = "it came in eval mode and is left in training mode: note model.training first, and put that back"
    require(not model.training, words)
    return "counted over images, in eval mode, and the mode is back as it was."


@declared(
    [(93.94, 93.61), (93.61, 93.94)],
    "about 42,881 images; CIFAR-10 has 10,000.",
    hint="solve difference = 2 · sqrt((p1 (100 - p1) + p2 (100 - p2)) / n) for n",
    tolerance=1e-3,
)
def check_images_needed(first, second):
    """``images_needed(first, second)``: how many test images tell two accuracies (percent) apart, two SE."""
    one, other = (4 * p * (100 - p) / (first - second) ** 2 for p in (first, second))
    right = one + other
    return right, {
        "you counted the chance of one network only: add the variances of both": (
            lambda found: close(found, one, 2e-3) or close(found, other, 2e-3)
        ),
        "that is for one standard error: the rule asks for two, which is four times as many images": right / 4,
        "a factor is not squared: n grows with the square of 2 / difference": right / 2,
        "percent and shares are mixed: p (100 - p) for points, p (1 - p) for shares": (
            lambda found: any(close(found, right * factor, 2e-3) for factor in (1e-4, 1e-2, 1e2, 1e4))
        ),
    }


@checker
def check_flattery(answer) -> str:
    """``flattery(epochs, sd)``: by how much the best of ``epochs`` equally good epochs beats their truth."""
    for epochs, expected in {1: 0.0, 2: 0.5642, 10: 1.5388, 200: 2.746}.items():  # of so many standard normals
        for sd in (0.3, 3.0):
            got, case = number(answer(epochs, sd), "a number of points") / sd, f"for {epochs} epochs with sd {sd}"
            if abs(got - expected) < 0.1:
                continue
            tell(
                {
                    f"{case} you take the worst epoch: take the largest value": abs(got + expected) < 0.1,
                    f"{case} you forgot to multiply by the spread sd": abs(got - expected / sd) < 0.1,
                    "a single epoch cannot be chosen: 0. You take the distance, with abs()": epochs == 1 and got > 0.7,
                    f"{case} your answer is about 0: the largest of each trial first, then the mean": abs(got) < 0.05,
                    f"{case} it should be {sd * expected:.2f} points, yours is {sd * got:.2f}: the largest of each "
                    "trial, then the mean over all trials": True,
                }
            )
    return "more epochs to choose from, more flattery, though nobody learned anything."


@checker
def check_groups(answer) -> str:
    """``groups(model, decay)``: parameter groups for SGD, with no decay on batch norm and biases."""
    with torch.random.fork_rng(devices=[]):
        model = GhostNet(GN_S_STAGES[:2], width=0.25)
    decay_of = _decays(answer(model, 0.01))
    missing = [name for name, parameter in model.named_parameters() if id(parameter) not in decay_of]
    require(not missing, f"{len(missing)} parameters are in no group and would never be trained, {missing[:1]}")
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    layers = [part for part in model.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    scales = [decay_of[id(part.weight)] for part in norms]
    biases = [decay_of[id(part.bias)] for part in [*norms, *layers] if part.bias is not None]
    weights = {decay_of[id(part.weight)] for part in layers}
    tell(
        {
            "the convolutions have lost their decay: the two groups are exchanged, or all is 0": weights == {0},
            f"{sum(map(bool, scales))} of {len(scales)} batch norms still have decay on their factor (.weight): names "
            "do not tell them all; ask isinstance(module, nn.BatchNorm2d), or for one dimension": any(scales),
            "biases of batch norms, linear layers or convolutions still decay": any(biases),
            "all weights of convolutions and linear layers must have the decay that was asked for": weights != {0.01},
        }
    )
    free = sum(parameter.numel() for parameter in model.parameters() if decay_of[id(parameter)] == 0)
    return f"{free:,} numbers are free of decay, and every parameter is in one group."


def _decays(result: object) -> dict[int, float]:
    """The decay of each parameter, by its id, from the reader's groups."""
    form = 'return a list of dicts, each {"params": [...], "weight_decay": ...}, as torch.optim.SGD takes it'
    decay_of: dict[int, float] = {}
    for group in items(result, form):
        require(isinstance(group, dict) and group.keys() >= {"params", "weight_decay"}, form)
        params = [group["params"]] if isinstance(group["params"], Tensor) else items(group["params"], form)
        decay = number(group["weight_decay"], "each weight_decay")
        for named in params:
            parameter = named[1] if isinstance(named, tuple) and len(named) == 2 else named  # (name, parameter)
            require(isinstance(parameter, Tensor), f'"params" holds parameters, not {type(parameter).__name__}')
            require(id(parameter) not in decay_of, "a parameter stands in two groups: it would be moved twice a step")
            decay_of[id(parameter)] = decay
    return decay_of
