"""Checkers for lesson 02: preparing images, the schedule, one step, honest measuring, and chance.

Each calls the reader's function on a small case whose answer is known, and where the answer differs, looks whether it
is that of a well-known mistake before it says what is wrong.
"""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from classroom.checks.reading import items, number, pair, recognise, same, tensor
from classroom.checks.verdict import checker, require
from course_lib.data.augment import MEAN, OFFSETS, PADDING, STD, crop_and_flip, normalise
from course_lib.training.recipe import Recipe, learning_rate

# --- images ---------------------------------------------------------------------------------------


@checker
def check_prepare(answer) -> str:
    """``prepare(images, views)``: black rim, window, mirror, then normalised once."""
    images = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=_generator())
    views = torch.tensor([[0, 0, 0], [8, 8, 1], [4, 4, 0], [1, 7, 1], [0, 5, 1], [6, 2, 0]])
    kept = images.clone()
    got = tensor(answer(images, views.clone()), "the prepared images")
    require(
        tuple(got.shape) == (6, 3, 32, 32),
        f"the shape must stay (6, 3, 32, 32), yours is {tuple(got.shape)}",
    )
    require(got.dtype == torch.float32, f"networks eat float32, yours is {got.dtype}")
    require(torch.equal(images, kept), "your function changed the images it was given: work on a copy")
    if same(got, normalise(crop_and_flip(images, views))):
        return "black rim, one window an image, and normalised exactly once, at the end."
    by_words = {
        "the rim is grey: you pad the normalised images with 0, and 0 is the mean colour there. Crop the uint8 images "
        "first and normalise last": _window(normalise(images), views),
        "the images are normalised twice: crop_and_flip wants uint8 and normalise is called once": _normalised_twice(
            images, views
        ),
        "the pixels are 255 times too large before the mean is taken away: divide by 255 first": _without_255(
            crop_and_flip(images, views)
        ),
        "the mean is taken away but nothing is divided by the standard deviation": normalise(
            crop_and_flip(images, views)
        )
        * torch.tensor(STD).view(3, 1, 1),
        "every image has got the first image's view: each row of views belongs to one image": normalise(
            crop_and_flip(images, views[:1].expand(6, 3))
        ),
        "no image was cropped or flipped: use the views": normalise(images),
        "you mirror before you crop, so that the window lies on the wrong side: crop first, or mirror the offset": (
            _flip_first(images, views)
        ),
    }
    recognise(got, by_words)
    require(
        False,
        "some pixels are wrong: compare with normalise(crop_and_flip(images, views)) for a single image",
    )


def _window(images: Tensor, views: Tensor) -> Tensor:
    """What crop_and_flip does, for float images and with a rim of zeros."""
    padded = F.pad(images, (PADDING,) * 4)
    cut = [padded[i, :, row : row + 32, column : column + 32] for i, (row, column, _) in enumerate(views.tolist())]
    return torch.stack([one.flip(-1) if flip else one for one, flip in zip(cut, views[:, 2], strict=True)])


def _normalised_twice(images: Tensor, views: Tensor) -> Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (normalise(crop_and_flip(images, views)) - mean) / std


def _without_255(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (images.float() - mean) / std


def _flip_first(images: Tensor, views: Tensor) -> Tensor:
    flips = views[:, 2] == 1
    turned = torch.where(flips[:, None, None, None], images.flip(-1), images)
    return normalise(crop_and_flip(turned, views * torch.tensor([1, 1, 0])))


@checker
def check_draws(answer) -> str:
    """``draw(n, generator)``: int64 (n, 3), each image its own of the 162 views, all equally likely."""
    count = 8_100  # 50 an offset pair and flip
    views = tensor(answer(count, _generator()), "the views")
    require(
        tuple(views.shape) == (count, 3),
        f"one row of three an image: ({count}, 3), yours is {tuple(views.shape)}",
    )
    require(
        views.dtype == torch.int64,
        f"the views must be int64 whole numbers, yours are {views.dtype}",
    )
    same = [bool((views[:, column] == views[0, column]).all()) for column in range(3)]
    require(
        not all(same),
        "all images of the batch share one draw: give the draws a size, one for each image. A batch that moves as one "
        "varies far less, and the loss will not tell you",
    )
    for column, name in enumerate(("row offset", "column offset", "flip")):
        require(
            not same[column],
            f"the {name} is the same for all images: draw it anew for each of them",
        )
    for column, name in ((0, "row"), (1, "column")):
        low, high = int(views[:, column].min()), int(views[:, column].max())
        require(
            high != OFFSETS - 2,
            f"the {name} offset never reaches 8: randint's upper limit is left out, so ask for {OFFSETS}",
        )
        require(
            (low, high) == (0, 8),
            f"the {name} offset must run from 0 to 8, yours runs from {low} to {high}",
        )
    require(
        not torch.equal(views[:, 0], views[:, 1]),
        "row and column offset are always equal: the window moves along the diagonal only; draw twice",
    )
    require(set(views[:, 2].tolist()) == {0, 1}, "the flip must be 0 or 1")
    share = views[:, 2].double().mean().item()
    require(
        abs(share - 0.5) < 0.05,
        f"{100 * share:.0f} % of the images are mirrored: it should be half of them",
    )
    counts = torch.bincount((views[:, 0] * OFFSETS + views[:, 1]) * 2 + views[:, 2], minlength=162)
    require(
        int(counts.min()) > 0,
        f"{int((counts == 0).sum())} of the 162 views never come up in {count:,} draws",
    )
    require(
        float(counts.max()) < 100,
        "some views come up far more often than others: draw each number uniformly",
    )
    again = tensor(answer(count, _generator()), "the views")
    require(
        torch.equal(views, again),
        "the same generator state gave other draws: pass generator= to every draw",
    )
    return "162 views, all alike likely, and every image draws for itself."


# --- the schedule ---------------------------------------------------------------------------------


@checker
def check_step_schedule(answer) -> str:
    """``rate(step, steps, top)``: ``top``, a tenth of it from 50 % of the steps on, a hundredth from 75 % on."""
    for steps, top in ((200, 0.1), (40, 0.5)):
        got = [number(answer(step, steps, top), "the rate of a step") for step in range(steps)]
        half, late = steps // 2, 3 * steps // 4
        right = [top * (1 if s < half else 0.1 if s < late else 0.01) for s in range(steps)]
        if not _lists_close(got, right):
            _name_step_schedule(got, right, steps, top)
    return f"three plateaus, at half and at three quarters of any run; these {steps} rates sum up to {sum(got):.2f}."


def _name_step_schedule(got: list[float], right: list[float], steps: int, top: float) -> None:
    """Raise Wrong with what is wrong with the rates of a run."""
    half = steps // 2
    known = [0.1 * (1 if s < 100 else 0.1 if s < 150 else 0.01) for s in range(steps)]
    words = f"in a run of {steps} steps with top = {top} the drops or rates are still those of another run"
    others = (known, [top] * steps, [0.1 * rate / top for rate in right])
    require(steps == 200 or not any(_lists_close(got, other) for other in others), words)
    require(
        not math.isclose(got[0], 1.0, rel_tol=1e-6),
        "you return the factor: multiply it with `top`, the highest rate",
    )
    require(
        not (math.isclose(got[half], right[half]) and math.isclose(got[-1], right[half])),
        "the second drop is missing: from 75 % of the steps on the rate is a hundredth, not a tenth, of the highest",
    )
    require(
        math.isclose(got[half], right[half], rel_tol=1e-6)
        or not math.isclose(got[half + 1], right[half], rel_tol=1e-6),
        f"you are one step late: step {half} of {steps} (0-based) already belongs to the second half. Use < for the "
        "first part",
    )
    require(
        not math.isclose(got[-1], top * 0.1**half, abs_tol=1e-12),
        "the drops multiply at every step: a schedule is a function of the step, not of the rate before",
    )
    require(
        math.isclose(got[0], top, rel_tol=1e-6),
        f"step 0 must have the highest rate, {top}; yours has {got[0]:g}",
    )
    wrong = next(s for s in range(steps) if not math.isclose(got[s], right[s], rel_tol=1e-6))
    require(
        False,
        f"step {wrong} of {steps} should have the rate {right[wrong]:g}; yours has {got[wrong]:g}",
    )


@checker
def check_rates(answer) -> str:
    """``rates_of_a_run(epochs, steps_per_epoch, recipe)``: the rate of every step of the run, in order."""
    recipe, epochs, each = Recipe(), 5, 8
    total = epochs * each
    given = items(answer(epochs, each, recipe), "return the rates of all steps in order, as a list")
    got = [number(rate, "a rate") for rate in given]
    require(
        len(got) != epochs,
        f"you return one rate an epoch, {epochs} of them: the schedule moves at every step, {epochs} × {each} = "
        f"{total} times",
    )
    require(
        len(got) == total,
        f"a run of {epochs} epochs with {each} steps has {total} rates, yours has {len(got)}",
    )
    right = [learning_rate(step, total, recipe) for step in range(total)]
    if _lists_close(got, right):
        return f"{total} steps, {total} rates, one climb and one descent."
    blocks = [got[epoch * each : (epoch + 1) * each] for epoch in range(epochs)]
    require(
        not all(math.isclose(block[0], rate) for block in blocks for rate in block),
        "the rate stands still within an epoch: the scheduler is stepped once an epoch. Move the line into the inner "
        "loop and count steps, not epochs",
    )
    require(
        not all(_lists_close(block, blocks[0]) for block in blocks),
        "the schedule starts again in every epoch: the step number must count on over epochs, epoch * steps + step",
    )
    require(
        not _lists_close(got, [learning_rate(step, each * epochs * each, recipe) for step in range(total)])
        and not got[-1] > 0.5 * max(got),
        "the run ends while the rate is still high: the second argument of learning_rate is the number of all steps of "
        "the run",
    )
    require(
        not _lists_close(got, [learning_rate(step + 1, total, recipe) for step in range(total)]),
        "your step numbers begin at 1: the first step is number 0, whose rate is 1e-8",
    )
    wrong = next(s for s in range(total) if not math.isclose(got[s], right[s], rel_tol=1e-6))
    require(False, f"step {wrong} should have the rate {right[wrong]:.5f}; yours has {got[wrong]:.5f}")


# --- one step -------------------------------------------------------------------------------------


@checker
def check_nesterov(answer) -> str:
    """``step(w, v, gradient, rate, momentum, decay)``: the new ``(w, v)``."""
    setting = {"rate": 0.1, "momentum": 0.9, "decay": 0.01}
    w, v, g = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.25]), torch.tensor([0.3, -0.4])
    result = answer(w.clone(), v.clone(), g.clone(), *setting.values())
    parts = pair(result, "return two things: the new w and the new velocity v")
    new_w, new_v = (tensor(part, "w and v") for part in parts)
    require(
        new_w.shape == new_v.shape == w.shape,
        f"return two things, w and v, each of shape {tuple(w.shape)}",
    )
    decayed = g + 0.01 * w
    velocity = 0.9 * v + decayed
    right = w - 0.1 * (decayed + 0.9 * velocity)
    if same(new_w, right) and same(new_v, velocity):
        _check_on_a_parabola(answer)
        return "the same as torch.optim.SGD, step after step."
    plain = 0.9 * v + g
    by_words = {
        "this is classical momentum: you move by the new v, or by g' + momentum · (the old v), which is the "
        "same. Nesterov moves by g' + momentum · (the new v)": w - 0.1 * velocity,
        "the weight decay is missing: g' = g + decay · w comes before everything else": w - 0.1 * (g + 0.9 * plain),
        "the sign is wrong: the weights move against the gradient, w - rate · (...)": (
            w + 0.1 * (decayed + 0.9 * velocity)
        ),
        "the decay has the wrong sign: it is added to the gradient, so that the weights shrink": (
            w - 0.1 * (g - 0.01 * w + 0.9 * (0.9 * v + g - 0.01 * w))
        ),
        "this is decoupled decay, as in AdamW: w shrinks on its own. In torch's SGD decay · w is added to the gradient "
        "before everything else": w - 0.1 * (g + 0.9 * plain) - 0.1 * 0.01 * w,
        "the decay goes into the step but not into the velocity: use g' in both places": (
            w - 0.1 * (decayed + 0.9 * plain)
        ),
    }
    recognise(new_w, by_words)
    require(
        not same(new_w, right),
        f"w is right, but the velocity is not: it should be {velocity.tolist()} here",
    )
    require(
        not same(new_v, 0.1 * velocity),
        "the rate is inside your velocity: PyTorch multiplies by the rate only when it moves w",
    )
    require(False, f"w should become {_rounded(right)} and v {_rounded(velocity)}; yours are {_rounded(new_w)} and "
                   f"{_rounded(new_v)}")  # fmt: skip


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
    require(
        same(w, twin.detach()),
        "one step is right, but after six you have drifted from torch: keep v as it comes",
    )


@checker
def check_descend(answer) -> str:
    """``descend(model, images, labels, rate, steps)``: plain gradient descent; returns the losses before each step."""
    images, labels = torch.randn(12, 5, generator=_generator()), torch.arange(12) % 3
    first = nn.Linear(5, 3)
    with torch.no_grad():
        first.weight.copy_(torch.randn(3, 5, generator=_generator(1)))
        first.bias.zero_()
    expected, losses = _descend(first, images, labels)
    model = copy.deepcopy(first)
    given = answer(model, images.clone(), labels.clone(), 0.5, 5)
    if same(model.weight, expected.weight):
        got = [number(loss, "a loss") for loss in items(given, "return the losses of all steps, a list")]
        require(len(got) == 5, f"five steps have five losses, you return {len(got)}")
        require(
            _lists_close(got, losses, 1e-4),
            "the weights are right, the losses are not: note each before its step",
        )
        return "each step follows the gradient of its own batch only."
    by_words = {
        "the gradients of earlier steps are still in .grad: backward() adds to what is there. Set them to zero before "
        "each backward()": _descend(first, images, labels, forget=True)[0].weight,
        "you set the gradients to zero between backward() and step(): nothing is left to move by": first.weight,
        "the weights climb: step against the gradient": _descend(first, images, labels, rate=-0.5)[0].weight,
        "you made one step too many": _descend(first, images, labels, steps=6)[0].weight,
        "you made one step too few": _descend(first, images, labels, steps=4)[0].weight,
        "only one step was made": _descend(first, images, labels, steps=1)[0].weight,
    }
    recognise(model.weight.detach(), by_words)
    require(
        False,
        "the weights after five steps differ from plain gradient descent with mean cross-entropy",
    )


def _descend(first, images, labels, rate=0.5, steps=5, forget=False) -> tuple[nn.Module, list[float]]:
    model, losses = copy.deepcopy(first), []
    optimizer = torch.optim.SGD(model.parameters(), lr=abs(rate), maximize=rate < 0)
    for _ in range(steps):
        loss = F.cross_entropy(model(images), labels)
        if not forget:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


# --- measuring ------------------------------------------------------------------------------------


class _Fickle(nn.Module):
    """A network of one batch norm whose answers in training mode depend on the batch."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        with torch.no_grad():
            self.norm.running_mean.copy_(torch.tensor([1.0, -1.0, 0.5]))

    def forward(self, x):
        return self.norm(x)


@checker
def check_accuracy(answer) -> str:
    """``accuracy_of(model, images, labels, batch_size)``: percent right, in eval mode, batches of unequal size."""
    images = 2 * torch.randn(50, 3, generator=_generator(3))
    model = _Fickle().eval()
    with torch.no_grad():
        labels = model(images).argmax(dim=1)
    labels[41:47] = (labels[41:47] + 1) % 3  # 3 of 22 and 3 of 6: the last batch is as mixed as the others
    model.train()
    before = copy.deepcopy(model.state_dict())
    got = number(answer(model, images.clone(), labels.clone(), 22), "an accuracy in percent")
    require(
        all(torch.equal(value, before[name]) for name, value in model.state_dict().items()),
        "your evaluation changed the network: in training mode batch norm mixes the test images into its running "
        "statistics, and normalises by the batch. Call model.eval() first",
    )
    require(
        not math.isclose(got, 100 * (1 + 19 / 22 + 3 / 6) / 3, abs_tol=0.01),
        "you average over batches: the last one has 6 images, not 22, and weighs as much as the others. Count right "
        "answers and divide by all images",
    )
    require(not math.isclose(got, 0.88, abs_tol=1e-4), "that is the share: say it in percent, times 100")
    lost = (100 * 41 / 50, 100 * 41 / 44, 100 * 44 / 66)
    require(
        not any(math.isclose(got, value, abs_tol=0.01) for value in lost),
        "the last batch is lost or counted as a full one: 50 images in batches of 22 are 22, 22 and 6",
    )
    require(
        math.isclose(got, 88.0, abs_tol=0.01),
        f"44 of 50 answers are right: 88 %, yours is {got:.2f}",
    )
    require(
        model.training,
        "the accuracy is right, but the network is left in eval mode: the training that goes on would run without "
        "batch statistics. Put the mode back",
    )
    answer(model.eval(), images.clone(), labels.clone(), 22)
    require(
        not model.training,
        "the network came in eval mode and is left in training mode: note model.training first, and put that back",
    )
    return "counted over images, in eval mode, and the mode is back as it was."


@checker
def check_images_needed(answer) -> str:
    """``images_needed(first, second)``: how many test images tell two accuracies (percent) apart, two SE."""
    first, second = 93.94, 93.61
    got = number(answer(first, second), "a number of images")
    variances = [p * (100 - p) for p in (first, second)]
    difference = abs(first - second)
    right = 4 * sum(variances) / difference**2
    if math.isclose(got, right, rel_tol=1e-3):
        swapped = number(answer(second, first), "a number of images")
        require(math.isclose(swapped, right, rel_tol=1e-3), "the order of the two must not matter")
        return f"about {right:,.0f} images; CIFAR-10 has 10,000."
    by_words = {
        "you counted the chance of one network only: both accuracies are estimates, add their variances": (
            4 * variances[0] / difference**2,
            4 * variances[1] / difference**2,
        ),
        "that is for one standard error: the rule asks for two, which is four times as many images": (right / 4,),
        "a factor is not squared: n grows with the square of 2 / difference": (
            right / 2,
            right * difference,
        ),
        "percent and shares are mixed: p (100 - p) goes with differences in points, p (1 - p) with shares": (
            right * 1e-4,
            right * 1e4,
            right * 100,
            right / 100,
        ),
        "that is the standard error or its root, not the number of images: solve for n": (math.sqrt(right),),
    }
    for words, values in by_words.items():
        require(not any(math.isclose(got, value, rel_tol=2e-3) for value in values), words)
    require(
        False,
        f"yours is {got:,.0f}: solve difference = 2 · sqrt((p1 (100 - p1) + p2 (100 - p2)) / n) for n",
    )


@checker
def check_flattery(answer) -> str:
    """``flattery(epochs, sd)``: by how much the best of ``epochs`` equally good epochs beats their truth."""
    known = {
        1: 0.0,
        2: 0.5642,
        10: 1.5388,
        200: 2.746,
    }  # expected maximum of so many standard normals
    for epochs, expected in known.items():
        got = number(answer(epochs, 0.3), "a number of points")
        if abs(got - 0.3 * expected) < 0.03:
            continue
        _name_flattery(got / 0.3, expected, epochs)
    wide = number(answer(10, 3.0), "a number of points")
    require(abs(wide - 3.0 * known[10]) < 0.3, "the flattery must grow in proportion to the spread sd")
    return "more epochs to choose from, more flattery, though nobody learned anything."


def _name_flattery(got: float, expected: float, epochs: int) -> None:
    scaled = f"for {epochs} epochs with sd 0.3"
    require(
        not abs(got + expected) < 0.1 or expected == 0,
        f"{scaled} you take the worst epoch: take the largest value",
    )
    require(
        not abs(got - expected / 0.3) < 0.1 or expected == 0,
        f"{scaled} you forgot to multiply by the spread sd",
    )
    require(
        not (epochs == 1 and abs(got - 0.798) < 0.1),
        "a single epoch cannot be chosen, so its flattery is 0; you take the largest distance, with abs()",
    )
    require(
        not (epochs > 1 and abs(got) < 0.05),
        f"{scaled} your answer is about 0: take the largest of the epochs in each trial, and then the mean over trials",
    )
    require(
        not (epochs == 2 and got > 2),
        f"{scaled} you take the largest over all trials: the largest of each trial first, then the mean over trials",
    )
    require(False, f"{scaled} it should be {0.3 * expected:.2f} points, yours is {0.3 * got:.2f}")


@checker
def check_groups(answer) -> str:
    """``groups(model, decay)``: parameter groups for SGD, with no decay on batch norm and biases."""
    from course_lib.models import create_model

    model = create_model("gn-s", width=0.25, seed=0)
    decay_of = _decays(answer(model, 0.01))
    missing = [name for name, parameter in model.named_parameters() if id(parameter) not in decay_of]
    require(
        not missing,
        f"{len(missing)} parameters are in no group and would never be trained, {missing[:1]}",
    )
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    scales = [decay_of[id(part.weight)] for part in norms]
    shifts = [decay_of[id(part.bias)] for part in norms]
    layers = [part for part in model.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    weights = [decay_of[id(part.weight)] for part in layers]
    biases = [decay_of[id(part.bias)] for part in layers if part.bias is not None]
    require(
        set(weights) != {0},
        "the convolutions have lost their decay: the two groups are exchanged, or all is 0",
    )
    require(
        not (set(shifts) == {0} and set(scales) == {0.01}),
        "batch norm's factor (its .weight) still decays: only the biases were left out. Go by the module, not by "
        "the name",
    )
    require(
        not any(scales),
        f"{sum(map(bool, scales))} of {len(scales)} batch norms still have decay on their factor: their names do not "
        "all say 'bn' or 'norm'; ask isinstance(module, nn.BatchNorm2d), or whether the parameter has one dimension",
    )
    require(not any(shifts), "batch norm's shift (its .bias) still decays")
    require(
        not any(biases),
        "the biases of the linear layers and convolutions still decay: they have one dimension too",
    )
    require(
        set(weights) == {0.01},
        "all weights of convolutions and linear layers must have the decay that was asked for",
    )
    free = sum(parameter.numel() for parameter in model.parameters() if decay_of[id(parameter)] == 0)
    return f"{free:,} numbers are free of decay, and every parameter is in one group."


def _decays(result: object) -> dict[int, float]:
    """The decay of each parameter, by its id, from the reader's groups."""
    form = 'return a list of dicts, each {"params": [...], "weight_decay": ...}, as torch.optim.SGD takes it'
    groups = items(result, form)
    require(all(isinstance(group, dict) and "params" in group for group in groups), form)
    require(
        all("weight_decay" in group for group in groups),
        'every group needs its own "weight_decay": without it the optimiser\'s default holds',
    )
    decay_of: dict[int, float] = {}
    for group in groups:
        params = [group["params"]] if isinstance(group["params"], Tensor) else items(group["params"], form)
        decay = number(group["weight_decay"], "each weight_decay")
        for named in params:
            parameter = named[1] if isinstance(named, tuple) and len(named) == 2 else named  # (name, parameter)
            require(
                isinstance(parameter, Tensor),
                f'"params" holds parameters, not {type(parameter).__name__}',
            )
            require(
                id(parameter) not in decay_of,
                "a parameter stands in two groups: it would be moved twice a step",
            )
            decay_of[id(parameter)] = decay
    return decay_of


# --- shared ---------------------------------------------------------------------------------------


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _lists_close(first, second, tolerance: float = 1e-6) -> bool:
    pairs = zip(first, second, strict=False)
    return len(first) == len(second) and all(math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-12) for a, b in pairs)


def _rounded(values: Tensor) -> list[float]:
    return [round(value, 4) for value in values.tolist()]
