"""Lesson 01's checkers: right answers, and typical wrong ones with the words they get (run by test_checks.py)."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from classroom.checks import architecture as checks
from course_lib.models import fold


def right_macs(conv, height, width):
    rows, columns = conv(torch.zeros(1, conv.in_channels, height, width)).shape[2:]
    return rows * columns * conv.weight.numel()


def dense_on_every_pixel(conv, height, width):
    return height * width * conv.out_channels * conv.in_channels * conv.kernel_size[0] * conv.kernel_size[1]


def field(layers, start=1, use_step=True, early=False):
    size, step = start, 1
    for kernel, stride in layers:
        if early:
            step *= stride
        size += (kernel - 1) * (step if use_step else 1)
        if not early:
            step *= stride
    return size


def stretched(layers):
    size = 1
    for kernel, stride in layers:
        size = size * stride + kernel - 1
    return size


def bn_answer(factor=None, bias=None):
    """A folding with some other factor or bias than the right one."""

    def answer(weight, bn):
        scale = (factor or (lambda bn: bn.weight / torch.sqrt(bn.running_var + bn.eps)))(bn)
        shift = (bias or (lambda bn, scale: bn.bias - scale * bn.running_mean))(bn, scale)
        return weight * scale[:, None, None, None], shift

    return answer


def along_input(weight, bn):
    kernel, bias = bn_answer()(weight, bn)
    return weight * (bn.weight / torch.sqrt(bn.running_var + bn.eps))[None, :, None, None], bias


def halves_the_factor(weight, bn):
    bn.weight.mul_(0.5)
    return bn_answer()(weight, bn)


def identity(channels, size, groups):
    return nn.init.dirac_(torch.zeros(channels, channels // groups, size, size), groups=groups)


def all_channels(channels, size, groups):
    kernel = torch.zeros(channels, channels // groups, size, size)
    kernel[:, :, size // 2, size // 2] = 1
    return kernel


def train_and_fold(model, train):
    train(model)
    return fold(model)


def folded_first(model, train):
    small = fold(model)
    train(model)
    return small


def trains_a_copy(model, train):
    train(copy.deepcopy(model))
    return fold(model)


def batch_answer(variance, mean_after=None):
    def answer(weight, bn, mean, covariance):
        rows = weight[:, :, 0, 0]
        factor = bn.weight / torch.sqrt(variance(rows, bn, covariance) + bn.eps)
        shift = rows @ mean if mean_after is None else mean_after(bn)
        return weight * factor[:, None, None, None], bn.bias - factor * shift

    return answer


def right_variance(rows, bn, covariance):
    return (rows @ covariance @ rows.T).diagonal()


RIGHT = {
    checks.check_ghost_weights: lambda c, d, k: c * d // 2 + k * k * d // 2,
    checks.check_break_even: lambda parts, k: k * k + 1,
    checks.check_conv_macs: right_macs,
    checks.check_receptive_field: field,
    checks.check_fold_bn: bn_answer(),
    checks.check_pad_scale: lambda kernel, size: F.pad(kernel, [size // 2] * 4),
    checks.check_identity_kernel: identity,
    checks.check_train_and_fold: train_and_fold,
    checks.check_fold_batch: batch_answer(right_variance),
}
WRONG = [
    (checks.check_ghost_weights, lambda c, d, k: c * d // 2 + k * k * (d // 2) ** 2, "depthwise"),
    (checks.check_ghost_weights, lambda c, d, k: c * d + k * k * d // 2, "only half"),
    (checks.check_ghost_weights, lambda c, d, k: c * d // 2 + 9 * d // 2, "not always 3"),
    (checks.check_ghost_weights, lambda c, d, k: 1, "for c = 16, d = 20, k = 3: it is 250, yours says 1"),
    (checks.check_break_even, lambda parts, k: k * k, "one more"),
    (checks.check_break_even, lambda parts, k: k * k * (parts - 1) + 1, "both sides"),
    (checks.check_break_even, lambda parts, k: 10, "depend on k"),
    (checks.check_conv_macs, lambda conv, h, w: right_macs(conv, h, w) * conv.groups, "as a dense one"),
    (checks.check_conv_macs, lambda conv, h, w: h * w * conv.weight.numel(), "output pixel"),
    (
        checks.check_conv_macs,
        lambda conv, h, w: h // conv.stride[0] * (w // conv.stride[1]) * conv.weight.numel(),
        "33 pixels",
    ),
    (checks.check_conv_macs, lambda conv, h, w: 2 * right_macs(conv, h, w), "counts once"),
    (checks.check_conv_macs, dense_on_every_pixel, "in_channels / groups"),
    (checks.check_receptive_field, lambda layers: field(layers, start=0), "begin with 1"),
    (checks.check_receptive_field, lambda layers: field(layers, use_step=False), "strides are not felt"),
    (checks.check_receptive_field, stretched, "stretches"),
    (checks.check_receptive_field, lambda layers: field(layers, early=True), "own stride"),
    (checks.check_receptive_field, lambda layers: sum(kernel for kernel, _ in layers), "overlap"),
    (checks.check_fold_bn, bn_answer(lambda bn: bn.weight / bn.running_var), "root"),
    (checks.check_fold_bn, bn_answer(lambda bn: bn.weight / torch.sqrt(bn.running_var)), "eps is missing"),
    (checks.check_fold_bn, bn_answer(lambda bn: 1 / torch.sqrt(bn.running_var + bn.eps)), "gamma is missing"),
    (checks.check_fold_bn, bn_answer(lambda bn: torch.ones(6)), "unchanged"),
    (checks.check_fold_bn, bn_answer(bias=lambda bn, scale: bn.bias), "running mean is forgotten"),
    (checks.check_fold_bn, bn_answer(bias=lambda bn, scale: bn.bias - bn.running_mean), "not scaled"),
    (checks.check_fold_bn, bn_answer(bias=lambda bn, scale: bn.bias + scale * bn.running_mean), "sign"),
    (checks.check_fold_bn, lambda weight, bn: weight, "two things"),
    (checks.check_fold_bn, along_input, "*input* channels"),
    (checks.check_fold_bn, halves_the_factor, "differs from weight"),
    (checks.check_pad_scale, lambda kernel, size: F.pad(kernel, [0, size - 1, 0, size - 1]), "neighbour"),
    (checks.check_pad_scale, lambda kernel, size: F.pad(kernel, [1] * 4), "margin of 1"),
    (checks.check_pad_scale, lambda kernel, size: kernel.expand(-1, -1, size, size), "every place"),
    (checks.check_pad_scale, lambda kernel, size: [kernel] * size, "must have the shape"),
    (checks.check_identity_kernel, lambda channels, size, groups: identity(channels, size, channels), "really made"),
    (checks.check_identity_kernel, all_channels, "sum of all input channels"),
    (checks.check_identity_kernel, lambda c, size, groups: torch.ones(c, c // groups, size, size), "too many ones"),
    (checks.check_identity_kernel, lambda channels, size, groups: identity(channels, size, 1), "channels / groups"),
    (checks.check_train_and_fold, trains_a_copy, "You train a copy"),
    (checks.check_train_and_fold, lambda model, train: train(model) and nn.Linear(2, 2), "does not take images"),
    (checks.check_train_and_fold, folded_first, "before the training"),
    (checks.check_train_and_fold, lambda model, train: train(fold(model)), "fold first"),
    (checks.check_train_and_fold, lambda model, train: train(model), "training form"),
    (checks.check_train_and_fold, lambda model, train: fold(model), "never trained"),
    (checks.check_train_and_fold, lambda model, train: train("model"), "takes a network, not a str"),
    (checks.check_fold_batch, batch_answer(lambda rows, bn, covariance: bn.running_var), "eval mode"),
    (checks.check_fold_batch, batch_answer(lambda rows, bn, cov: rows**2 @ cov.diagonal()), "covariances"),
    (checks.check_fold_batch, batch_answer(right_variance, lambda bn: bn.running_mean), "*running* mean"),
]
