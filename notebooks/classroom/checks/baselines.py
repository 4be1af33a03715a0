"""Checkers for lesson 02: preparing images, the schedule, one step, honest measuring, and chance."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from classroom.checks.declared import compare, declared, tell
from classroom.checks.reading import close, items, number, pair, tensor
from classroom.checks.verdict import Wrong, checker, require
from course_lib.data.augment import MEAN, OFFSETS, PADDING, STD, crop_and_flip, normalise
from course_lib.models.ghostnet import GN_S_STAGES, GhostNet
from course_lib.training.recipe import Recipe, learning_rate


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


IMAGES = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=_generator())
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
    right = normalise(cropped)
    flips = views[:, 2, None, None, None] == 1
    flipped_first = crop_and_flip(torch.where(flips, images.flip(-1), images), views * torch.tensor([1, 1, 0]))
    return right, {
        "the rim is grey: crop first and normalise last, for 0 is the mean colour there": (
            _window(normalise(images), views)
        ),
        "the images are normalised twice: crop_and_flip wants uint8 and normalise is called once": (right - mean) / std,
        "the pixels are 255 times too large for this mean: divide by 255 first": (cropped.float() - mean) / std,
        "the mean is taken away but nothing is divided by the standard deviation": right * std,
        "every image has got the first image's view: each has its own": (
            normalise(crop_and_flip(images, views[:1].expand(6, 3)))
        ),
        "no image was cropped or flipped: use the views": normalise(images),
        "you mirror before you crop, so the window lies on the wrong side: crop first": normalise(flipped_first),
    }


def _window(images: Tensor, views: Tensor) -> Tensor:
    """What crop_and_flip does, for float images and with a rim of zeros."""
    padded = F.pad(images, (PADDING,) * 4)
    cut = [padded[i, :, row : row + 32, column : column + 32] for i, (row, column, _) in enumerate(views.tolist())]
    return torch.stack([one.flip(-1) if flip else one for one, flip in zip(cut, views[:, 2], strict=True)])


@checker
def check_draws(answer) -> str:
    """``draw(n, generator)``: int64 (n, 3), each image its own of the 162 views, all equally likely."""
    count = 8_100  # 50 an offset pair and flip
    views = tensor(answer(count, _generator()), "the views")
    shape = tuple(views.shape)
    require(shape == (count, 3), f"one row of three an image: ({count}, 3), yours is {shape}")
    require(views.dtype == torch.int64, f"the views must be int64 whole numbers, yours are {views.dtype}")
    same = [bool((views[:, column] == views[0, column]).all()) for column in range(3)]
    require(not all(same), "all images of the batch share one draw: give the draws a size, one for each image")
    for fixed, name in zip(same, ("row offset", "column offset", "flip"), strict=True):
        require(not fixed, f"the {name} is the same for all images: draw it anew for each of them")
    for column, name in ((0, "row"), (1, "column")):
        low, high = int(views[:, column].min()), int(views[:, column].max())
        require(
            high != 7, f"the {name} offset never reaches 8: randint's upper limit is left out, so ask for {OFFSETS}"
        )
        require((low, high) == (0, 8), f"the {name} offset must run from 0 to 8, yours runs from {low} to {high}")
    require(set(views[:, 2].tolist()) == {0, 1}, "the flip must be 0 or 1")
    share = views[:, 2].double().mean().item()
    counts = torch.bincount((views[:, 0] * OFFSETS + views[:, 1]) * 2 + views[:, 2], minlength=162)
    diagonal = torch.equal(views[:, 0], views[:, 1])
    require(not diagonal, "both offsets are always equal: the window moves along the diagonal only")
    require(abs(share - 0.5) < 0.05, f"{100 * share:.0f} % of the images are mirrored: it should be half of them")
    require(bool(counts.min()), f"{int((counts == 0).sum())} of the 162 views never come up in {count:,} draws")
    require(int(counts.max()) < 100, "some views come up far more often than others: draw each number uniformly")
    again = torch.equal(views, tensor(answer(count, _generator()), "the views"))
    require(again, "the same generator state gave other draws: pass generator= to every draw")
    return "162 views, all alike likely, and every image draws for itself."


@checker
def check_step_schedule(answer) -> str:
    """``rate(step, steps, top)``: ``top``, a tenth of it from 50 % of the steps on, a hundredth from 75 % on."""
    for steps, top in ((200, 0.1), (40, 0.5)):
        got = [number(answer(step, steps, top), "the rate of a step") for step in range(steps)]
        half, late = steps // 2, 3 * steps // 4
        right = [top * (1 if s < half else 0.1 if s < late else 0.01) for s in range(steps)]
        if _lists_close(got, right):
            continue
        known = [0.1 * (1 if s < 100 else 0.1 if s < 150 else 0.01) for s in range(steps)]
        others = (known, [top] * steps, [0.1 * rate / top for rate in right])
        of_another = steps != 200 and any(_lists_close(got, other) for other in others)
        wrong = next(s for s in range(steps) if not _near(got[s], right[s]))
        late_step = not _near(got[half], right[half]) and _near(got[half + 1], right[half])
        tell(
            {
                f"in a run of {steps} steps with top = {top} these are still the rates of another run": of_another,
                "you return the factor: multiply it with `top`, the highest rate": _near(got[0], 1),
                "the second drop is missing: from 75 % of the steps on it is a hundredth of the highest": (
                    _near(got[half], right[half]) and _near(got[-1], right[half])
                ),
                f"you are one step late: step {half} of {steps} is in the second half. Use < for the first": late_step,
                "the drops multiply at every step: a rate depends on its step alone": _near(got[-1], top * 0.1**half),
                f"step 0 must have the highest rate, {top}; yours has {got[0]:g}": not _near(got[0], top),
                f"step {wrong} of {steps} should have the rate {right[wrong]:g}; yours has {got[wrong]:g}": True,
            }
        )
    return f"three plateaus, at half and at three quarters of any run; these {steps} rates sum up to {sum(got):.2f}."


@checker
def check_rates(answer) -> str:
    """``rates_of_a_run(epochs, steps_per_epoch, recipe)``: the rate of every step of the run, in order."""
    recipe, epochs, each = Recipe(), 5, 8
    total = epochs * each
    given = items(answer(epochs, each, recipe), "return the rates of all steps in order, as a list")
    got = [number(rate, "a rate") for rate in given]
    require(len(got) != epochs, f"you return one rate an epoch: the schedule moves at every step, {total} times")
    require(len(got) == total, f"a run of {epochs} epochs with {each} steps has {total} rates, yours has {len(got)}")

    def run(steps: int, first: int = 0) -> list[float]:
        return [learning_rate(first + step, steps, recipe) for step in range(total)]

    right = run(total)
    if _lists_close(got, right):
        return f"{total} steps, {total} rates, one climb and one descent."
    blocks = [got[epoch * each : (epoch + 1) * each] for epoch in range(epochs)]
    wrong = next(s for s in range(total) if not _near(got[s], right[s]))
    still, again = (
        all(_lists_close(b, of(b)) for b in blocks) for of in (lambda b: [b[0]] * each, lambda b: blocks[0])
    )
    high, shifted = got[-1] > 0.5 * max(got) or _lists_close(got, run(each * total)), _lists_close(got, run(total, 1))
    require(not still, "the rate stands still within an epoch: move the line into the inner loop, and count steps")
    require(not again, "the schedule starts again in every epoch: count on, epoch * steps + step")
    require(not high, "the run ends while the rate is still high: learning_rate wants the number of all steps")
    require(not shifted, "your step numbers begin at 1: the first step is number 0, with the rate 1e-8")
    raise Wrong(f"step {wrong} should have the rate {right[wrong]:.5f}; yours has {got[wrong]:.5f}")


@checker
def check_nesterov(answer) -> str:
    """``step(w, v, gradient, rate, momentum, decay)``: the new ``(w, v)``."""
    w, v, g = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.25]), torch.tensor([0.3, -0.4])
    parts = pair(answer(w.clone(), v.clone(), g.clone(), 0.1, 0.9, 0.01), "return two things: the new w and the new v")
    new_w, new_v = (tensor(part, "w and v") for part in parts)
    require(new_w.shape == new_v.shape == w.shape, "return two things, w and v, each of their own shape, (2,)")
    decayed, grown = g + 0.01 * w, g - 0.01 * w
    velocity, plain = 0.9 * v + decayed, 0.9 * v + g
    right = w - 0.1 * (decayed + 0.9 * velocity)
    mistakes = {
        "this is classical momentum, or g' + momentum · (the old v): Nesterov takes the new v": w - 0.1 * velocity,
        "the weight decay is missing: g' = g + decay · w comes before everything else": w - 0.1 * (g + 0.9 * plain),
        "the sign is wrong: the weights move against the gradient, w - rate · (...)": 2 * w - right,
        "the decay has the wrong sign: it is added to the gradient": w - 0.1 * (grown + 0.9 * (0.9 * v + grown)),
        "this is decoupled decay, as in AdamW: add it to the gradient": w - 0.1 * (g + 0.9 * plain) - 0.1 * 0.01 * w,
        "the decay goes into the step but not into v: use g' in both places": w - 0.1 * (decayed + 0.9 * plain),
    }
    compare(new_w, right, mistakes, "w", place="the new w: ")
    mistakes = {"the rate is inside your velocity: PyTorch multiplies by the rate only when it moves w": 0.1 * velocity}
    compare(new_v, velocity, mistakes, "v", place="w is right, but the velocity is not: ")
    _check_on_a_parabola(answer)
    return "the same as torch.optim.SGD, step after step."


def _check_on_a_parabola(answer) -> None:
    """Six steps down x² + 25 y² beside torch's optimiser."""
    curvature = torch.tensor([1.0, 25.0])
    w, v = torch.tensor([4.0, 1.0]), torch.zeros(2)
    twin = w.clone().requires_grad_()
    optimizer = torch.optim.SGD([twin], lr=0.02, momentum=0.9, weight_decay=0.01, nesterov=True)
    for _ in range(6):
        stepped = answer(w.clone(), v.clone(), curvature * w, 0.02, 0.9, 0.01)
        w, v = (tensor(part, "w and v") for part in pair(stepped, "return two things: the new w and the new v"))
        optimizer.zero_grad()
        (0.5 * curvature * twin**2).sum().backward()
        optimizer.step()
    require(close(w, twin), "one step is right, but after six you have drifted from torch: keep v as it comes")


@checker
def check_descend(answer) -> str:
    """``descend(model, images, labels, rate, steps)``: plain gradient descent; returns the losses before each step."""
    images, labels = torch.randn(12, 5, generator=_generator()), torch.arange(12) % 3
    first = nn.utils.skip_init(nn.Linear, 5, 3)
    with torch.no_grad():
        first.weight.copy_(torch.randn(3, 5, generator=_generator(1)))
        first.bias.zero_()
    model = copy.deepcopy(first)
    given = answer(model, images.clone(), labels.clone(), 0.5, 5)

    def after(**mistake) -> Tensor:
        return _descend(first, images, labels, **mistake)[0]

    right, losses = _descend(first, images, labels)
    mistakes = {
        "gradients of earlier steps are still in .grad: set them to zero before each backward()": after(forget=True),
        "you set the gradients to zero between backward() and step(): nothing is left to move by": first.weight,
        "the weights climb: step against the gradient": after(rate=-0.5),
        "you made one step too many": after(steps=6),
        "you made one step too few": after(steps=4),
        "only one step was made": after(steps=1),
    }
    compare(model.weight, right, mistakes, "the weights", "they differ from five steps of plain gradient descent")
    got = [number(loss, "a loss") for loss in items(given, "return the losses of all steps, a list")]
    require(len(got) == 5, f"five steps have five losses, you return {len(got)}")
    require(close(got, losses), "the weights are right, the losses are not: note each before its step")
    return "each step follows the gradient of its own batch only."


def _descend(first, images, labels, rate=0.5, steps=5, forget=False) -> tuple[Tensor, list[float]]:
    model, losses = copy.deepcopy(first), []
    optimizer = torch.optim.SGD(model.parameters(), lr=abs(rate), maximize=rate < 0)
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
    images = 2 * torch.randn(50, 3, generator=_generator(3))
    model = nn.Sequential(nn.BatchNorm1d(3)).eval()  # in training mode its answers depend on the batch
    with torch.no_grad():
        model[0].running_mean.copy_(torch.tensor([1.0, -1.0, 0.5]))
        labels = model(images).argmax(dim=1)
    labels[41:47] = (labels[41:47] + 1) % 3  # 3 of 22 and 3 of 6: the last batch is as mixed as the others
    model.train()
    before = copy.deepcopy(model.state_dict())
    result = answer(model, images.clone(), labels.clone(), 22)
    lost = (100 * 41 / 50, 100 * 41 / 44, 100 * 44 / 66)
    mistakes = {
        "you average over batches of unequal size: count right answers, divide by all": 100 * (1 + 19 / 22 + 3 / 6) / 3,
        "that is the share: say it in percent, times 100": 0.88,
        "the last batch is lost or counted as a full one: 50 images are 22, 22 and 6": (
            lambda found: any(close(found, value) for value in lost)
        ),
    }
    moved = any(not torch.equal(value, before[name]) for name, value in model.state_dict().items())
    words = "your evaluation changed the network: batch norm mixes the test images into it. Call model.eval() first"
    require(not moved, words)
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
    variances = [p * (100 - p) for p in (first, second)]
    gap = abs(first - second)
    right = 4 * sum(variances) / gap**2

    def one_of(*values: float):
        return lambda found: any(close(found, value, 2e-3) for value in values)

    return right, {
        "you counted the chance of one network only: add the variances of both": (
            one_of(*(4 * variance / gap**2 for variance in variances))
        ),
        "that is for one standard error: the rule asks for two, which is four times as many images": right / 4,
        "a factor is not squared: n grows with the square of 2 / difference": one_of(right / 2, right * gap),
        "percent and shares are mixed: p (100 - p) for points, p (1 - p) for shares": (
            one_of(right * 1e-4, right * 1e4, right * 100, right / 100)
        ),
        "that is the standard error or its root, not the number of images: solve for n": math.sqrt(right),
        "the order of the two must not matter": lambda found: found < 0,
    }


@checker
def check_flattery(answer) -> str:
    """``flattery(epochs, sd)``: by how much the best of ``epochs`` equally good epochs beats their truth."""
    known = {1: 0.0, 2: 0.5642, 10: 1.5388, 200: 2.746}  # expected maximum of so many standard normals
    for epochs, expected in known.items():
        got = number(answer(epochs, 0.3), "a number of points") / 0.3
        if abs(got - expected) < 0.1:
            continue
        case = f"for {epochs} epochs with sd 0.3"
        tell(
            {
                f"{case} you take the worst epoch: take the largest value": abs(got + expected) < 0.1,
                f"{case} you forgot to multiply by the spread sd": abs(got - expected / 0.3) < 0.1,
                "a single epoch cannot be chosen: 0. You take the distance, with abs()": (
                    epochs == 1 and abs(got - 0.798) < 0.1
                ),
                f"{case} your answer is about 0: the largest of each trial first, then the mean": abs(got) < 0.05,
                f"{case} you take the largest over all trials: the mean of each one's largest": epochs == 2 and got > 2,
                f"{case} it should be {0.3 * expected:.2f} points, yours is {0.3 * got:.2f}": True,
            }
        )
    wide = number(answer(10, 3.0), "a number of points")
    require(abs(wide - 3.0 * known[10]) < 0.3, "the flattery must grow in proportion to the spread sd")
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
    scales = [decay_of[id(part.weight)] for part in norms]
    shifts = [decay_of[id(part.bias)] for part in norms]
    layers = [part for part in model.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    biases = [decay_of[id(part.bias)] for part in layers if part.bias is not None]
    weights = {decay_of[id(part.weight)] for part in layers}
    tell(
        {
            "the convolutions have lost their decay: the two groups are exchanged, or all is 0": weights == {0},
            "batch norm's factor (its .weight) still decays: only the biases were left out. Go by the module": (
                set(shifts) == {0} and set(scales) == {0.01}
            ),
            f"{sum(map(bool, scales))} of {len(scales)} batch norms still have decay on their factor: names do not "
            "tell them all; ask isinstance(module, nn.BatchNorm2d), or for one dimension": any(scales),
            "batch norm's shift (its .bias) still decays": any(shifts),
            "the biases of the linear layers and convolutions still decay: they have one dimension too": any(biases),
            "all weights of convolutions and linear layers must have the decay that was asked for": weights != {0.01},
        }
    )
    free = sum(parameter.numel() for parameter in model.parameters() if decay_of[id(parameter)] == 0)
    return f"{free:,} numbers are free of decay, and every parameter is in one group."


def _decays(result: object) -> dict[int, float]:
    """The decay of each parameter, by its id, from the reader's groups."""
    form = 'return a list of dicts, each {"params": [...], "weight_decay": ...}, as torch.optim.SGD takes it'
    groups = items(result, form)
    require(all(isinstance(group, dict) and "params" in group for group in groups), form)
    words = 'every group needs its own "weight_decay": without it the optimiser\'s default holds'
    require(all("weight_decay" in group for group in groups), words)
    decay_of: dict[int, float] = {}
    for group in groups:
        params = [group["params"]] if isinstance(group["params"], Tensor) else items(group["params"], form)
        decay = number(group["weight_decay"], "each weight_decay")
        for named in params:
            parameter = named[1] if isinstance(named, tuple) and len(named) == 2 else named  # (name, parameter)
            require(isinstance(parameter, Tensor), f'"params" holds parameters, not {type(parameter).__name__}')
            require(id(parameter) not in decay_of, "a parameter stands in two groups: it would be moved twice a step")
            decay_of[id(parameter)] = decay
    return decay_of


def _near(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-12)


def _lists_close(first: list[float], second: list[float]) -> bool:
    return len(first) == len(second) and all(map(_near, first, second))
