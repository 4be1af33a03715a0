"""Lesson 01's checkers: the right answer, the stub, and the mistakes they name."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from classroom.checks import architecture as checks
from course_lib.models import fold


def say(verdict, *words):
    """The verdict is "wrong", and says all the words."""
    assert verdict.state == "wrong", verdict
    assert all(word in verdict.words for word in words), verdict.words


ALL = [getattr(checks, name) for name in dir(checks) if name.startswith("check_")]


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.__name__)
def test_a_stub_is_not_done_and_nonsense_is_wrong(check):
    assert check(lambda *anything: ...).state == "not done"
    assert check(lambda *anything: "four").state == "wrong"
    assert check(lambda *anything: anything[0].nothing).state == "wrong"


def test_there_is_a_checker_for_every_exercise():
    assert len(ALL) == 9


# --- counting -------------------------------------------------------------------------------------


def test_ghost_weights():
    check = checks.check_ghost_weights
    assert check(lambda c, d, k: c * d // 2 + k * k * d // 2)
    say(check(lambda c, d, k: c * d // 2 + k * k * (d // 2) ** 2), "depthwise")
    say(check(lambda c, d, k: c * d + k * k * d // 2), "only half")
    say(check(lambda c, d, k: c * d // 2 + 9 * d // 2), "not always 3")
    say(check(lambda c, d, k: c * d // 2 + k * k * d // 2 + d), "biases")
    say(check(lambda c, d, k: 1), "it is 250, yours says 1")


def test_break_even():
    check = checks.check_break_even
    assert check(lambda parts, k: k * k + 1)
    say(check(lambda parts, k: k * k), "one more")
    say(check(lambda parts, k: k * k * (parts - 1) + 1), "both sides")
    say(check(lambda parts, k: 10), "depend on k")


def right_macs(conv, height, width):
    rows, columns = conv(torch.zeros(1, conv.in_channels, height, width)).shape[2:]
    return rows * columns * conv.weight.numel()


def test_conv_macs():
    check = checks.check_conv_macs
    assert check(right_macs)
    say(check(lambda conv, h, w: right_macs(conv, h, w) * conv.groups), "depthwise", "as a dense one")
    say(check(lambda conv, h, w: h * w * conv.weight.numel()), "output pixel")
    say(check(lambda conv, h, w: h // conv.stride[0] * (w // conv.stride[1]) * conv.weight.numel()), "33")
    say(check(lambda conv, h, w: 2 * right_macs(conv, h, w)), "counts once")
    both = lambda conv, h, w: h * w * conv.out_channels * conv.in_channels * conv.kernel_size[0] * conv.kernel_size[1]  # noqa: E731
    say(check(both), "groups")


def field(layers, start=1, use_step=True, early=False):
    size, step = start, 1
    for kernel, stride in layers:
        if early:
            step *= stride
        size += (kernel - 1) * (step if use_step else 1)
        if not early:
            step *= stride
    return size


def test_receptive_field():
    check = checks.check_receptive_field
    assert check(field)
    say(check(lambda layers: field(layers, start=0)), "begin with 1")
    say(check(lambda layers: field(layers, use_step=False)), "strides are not felt")

    def stretched(layers):
        size = 1
        for kernel, stride in layers:
            size = size * stride + kernel - 1
        return size

    say(check(stretched), "stretches")
    say(check(lambda layers: field(layers, early=True)), "own stride")
    say(check(lambda layers: sum(kernel for kernel, _ in layers)), "overlap")


# --- folding --------------------------------------------------------------------------------------


def bn_answer(factor=None, bias=None):
    """A folding with some other factor or bias than the right one."""

    def answer(weight, bn):
        scale = (factor or (lambda bn: bn.weight / torch.sqrt(bn.running_var + bn.eps)))(bn)
        shift = (bias or (lambda bn, scale: bn.bias - scale * bn.running_mean))(bn, scale)
        return weight * scale[:, None, None, None], shift

    return answer


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (lambda bn: bn.weight / bn.running_var, "root"),
        (lambda bn: bn.weight / (bn.running_var + bn.eps), "root"),
        (lambda bn: bn.weight / torch.sqrt(bn.running_var), "eps is missing"),
        (lambda bn: bn.weight / (torch.sqrt(bn.running_var) + bn.eps), "outside the root"),
        (lambda bn: 1 / torch.sqrt(bn.running_var + bn.eps), "gamma is missing"),
        (lambda bn: torch.ones(6), "unchanged"),
    ],
)
def test_fold_bn_names_what_is_wrong_with_the_kernel(factor, words):
    say(checks.check_fold_bn(bn_answer(factor)), words)


@pytest.mark.parametrize(
    ("bias", "words"),
    [
        (lambda bn, scale: bn.bias, "running mean is forgotten"),
        (lambda bn, scale: bn.bias - bn.running_mean, "not scaled"),
        (lambda bn, scale: bn.bias + scale * bn.running_mean, "sign"),
        (lambda bn, scale: -scale * bn.running_mean, "beta is missing"),
    ],
)
def test_fold_bn_names_what_is_wrong_with_the_bias(bias, words):
    say(checks.check_fold_bn(bn_answer(bias=bias)), words)


def test_fold_bn():
    assert checks.check_fold_bn(bn_answer())
    say(checks.check_fold_bn(lambda weight, bn: weight), "two things")

    def along_input(weight, bn):
        kernel, bias = bn_answer()(weight, bn)
        return weight * (bn.weight / torch.sqrt(bn.running_var + bn.eps))[None, :, None, None], bias

    say(checks.check_fold_bn(along_input), "*input* channels")


def test_fold_bn_in_place_is_told_by_its_numbers():
    def halves(weight, bn):
        bn.weight.mul_(0.5)
        return bn_answer()(weight, bn)

    assert checks.check_fold_bn(halves).state == "wrong"


def test_pad_scale():
    check = checks.check_pad_scale
    assert check(lambda kernel, size: F.pad(kernel, [size // 2] * 4))
    say(check(lambda kernel, size: F.pad(kernel, [0, size - 1, 0, size - 1])), "corner", "neighbour")
    say(check(lambda kernel, size: F.pad(kernel, [1] * 4)), "margin of 1")
    say(check(lambda kernel, size: kernel.expand(-1, -1, size, size)), "every place")


def test_identity_kernel():
    check = checks.check_identity_kernel

    def right(channels, size, groups):
        return nn.init.dirac_(torch.zeros(channels, channels // groups, size, size), groups=groups)

    def always_depthwise(channels, size, groups):
        return right(channels, size, channels)

    def all_channels(channels, size, groups):
        kernel = torch.zeros(channels, channels // groups, size, size)
        kernel[:, :, size // 2, size // 2] = 1
        return kernel

    assert check(right)
    say(check(always_depthwise), "depthwise shape", "really made")
    say(check(all_channels), "sum of all input channels")
    say(check(lambda channels, size, groups: torch.ones(channels, channels // groups, size, size)), "too many ones")
    say(check(lambda channels, size, groups: right(channels, size, 1)), "your kernel is dense")


def test_train_and_fold():
    check = checks.check_train_and_fold

    def right(model, train):
        train(model)
        return fold(model)

    def folded_first(model, train):
        small = fold(model)
        train(model)
        return small

    def trains_the_folded(model, train):
        return train(fold(model))

    assert check(right)

    def trains_a_copy(model, train):
        train(copy.deepcopy(model))
        return fold(model)

    say(check(trains_a_copy), "You train a copy")
    say(check(lambda model, train: train(model) and nn.Linear(2, 2)), "does not take images")
    say(check(folded_first), "before the training")
    say(check(trains_the_folded), "fold first")
    say(check(lambda model, train: train(model)), "training form")
    say(check(lambda model, train: fold(model)), "never trained")


def batch_answer(variance, mean_after=None):
    def answer(weight, bn, mean, covariance):
        rows = weight[:, :, 0, 0]
        factor = bn.weight / torch.sqrt(variance(rows, bn, covariance) + bn.eps)
        shift = rows @ mean if mean_after is None else mean_after(bn)
        return weight * factor[:, None, None, None], bn.bias - factor * shift

    return answer


def right_variance(rows, bn, covariance):
    return (rows @ covariance @ rows.T).diagonal()


def test_fold_batch():
    check = checks.check_fold_batch
    assert check(batch_answer(right_variance))
    say(check(batch_answer(lambda rows, bn, covariance: bn.running_var)), "eval mode")
    say(check(batch_answer(lambda rows, bn, covariance: rows**2 @ covariance.diagonal())), "covariances")
    say(check(batch_answer(right_variance, lambda bn: bn.running_mean)), "*running* mean")
