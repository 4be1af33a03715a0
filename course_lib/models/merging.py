"""Exact branch merging: a sum of conv+BN branches as one convolution, while it trains.

Batch normalisation needs the mean and the variance of each branch's output over the batch. Both follow from the
branch's *input*: an output is a weighted sum of what the taps see, so with m the mean of what the taps see and M the
mean of the products of two taps, a branch with kernel w has

    mean = w . m          variance = w . M w - mean^2

No branch is computed. The factor gamma / std scales each kernel, the scaled kernels are added up, and *one* convolution
gives the sum of all branches: the same function of the same parameters, with the same running statistics, up to
rounding. ``tests/test_merging.py`` holds it to the branches one by one.

For a 1 x 1 convolution the taps are the input's channels, and M is one matrix product. For a depthwise convolution each
channel has an M of its own, made of sums over pairs of pixels (``taps.py``), which numba's loops add up
(``lag_kernels.py``): merging is for a CPU that has numba. Elsewhere the branches are computed one by one.
"""

import functools
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.models.ghostnet import BranchedConv, ConvBN
from course_lib.models.taps import Geometry, lags, row_classes, tap_table


class Moments(NamedTuple):
    """Of what a convolution's taps see, over all ``count`` places of its output, batch included.

    Depthwise: ``mean`` (C, taps) and ``products`` (C, taps, taps). 1 x 1: ``mean`` (C,) and ``products`` (C, C).
    """

    mean: Tensor
    products: Tensor
    count: int


def set_merging(model: nn.Module, merging: bool) -> None:
    """Let a GhostNet in training compute each sum of branches as one convolution, or branch by branch.

    Both are the same function, up to rounding, with the same running statistics; merged it is several times as fast.
    Merged, it takes images on the CPU and no autocast. Without numba it stays branch by branch.
    """
    for module in model.modules():
        if isinstance(module, BranchedConv | ConvBN):
            conv = module.conv if isinstance(module, ConvBN) else module.branches[0].conv
            module.merge = merge_branches if merging and can_merge(conv) and cpu_loops() else None


def can_merge(conv: nn.Conv2d) -> bool:
    """Whether branches shaped as ``conv`` can be merged: depthwise, or dense and 1 x 1."""
    depthwise = conv.groups == conv.in_channels == conv.out_channels
    return depthwise or (conv.kernel_size == (1, 1) and conv.groups == 1 and conv.stride == (1, 1))


def merge_branches(x: Tensor, conv: nn.Conv2d, parts: list[tuple[Tensor, nn.BatchNorm2d]]) -> Tensor:
    """The sum over ``parts`` of "convolve with the kernel, then normalise with the batch's own statistics".

    Args:
        x: (N, C, H, W), best in channels_last order.
        conv: gives the geometry that all parts share; :func:`can_merge` must hold.
        parts: kernels (out, in / groups, k, k), each with its batch norm, whose running statistics are updated.
    """
    count = len(x) * geometry_of(x, conv).places  # values of a channel of the output
    if count == 1:  # what torch says of a batch norm
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {tuple(x.shape)}")
    norms = [bn for _, bn in parts]
    kernels = torch.stack([kernel.flatten(1) for kernel, _ in parts], dim=1)  # (out, branches, taps)
    gammas = torch.stack([bn.weight for bn in norms], dim=1)  # (out, branches)
    betas = torch.stack([bn.bias for bn in norms], dim=1)
    y, mean, variance = MergedOnCPU.apply(x, kernels, gammas, betas, conv, norms[0].eps)
    update_running_statistics(norms, mean, variance, count)
    return y


def cpu_loops():
    """The module ``lag_kernels``, or None where numba is missing or broken."""
    return loops_or_reason()[0]


@functools.cache
def loops_or_reason():
    """The module ``lag_kernels`` and "", or None and why."""
    try:
        from course_lib.models import lag_kernels
    except Exception as error:  # a broken numba can fail in any way
        if isinstance(error, ModuleNotFoundError) and error.name == "numba":
            return None, "numba is not installed (pip install numba)"
        return None, f"numba cannot be used ({(str(error) or type(error).__name__).splitlines()[0]})"
    return lag_kernels, ""


def branch_statistics(moments: Moments, kernels: Tensor, gammas: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, variance and factor gamma / std, each (out, branches), of the branches' outputs."""
    mean = (kernels @ moments.mean.unsqueeze(-1)).squeeze(-1)
    square = ((kernels @ moments.products) * kernels).sum(2)
    variance = (square - mean * mean).clamp_min(0)  # rounding can put a constant branch a hair below zero
    return mean, variance, gammas * torch.rsqrt(variance + eps)


def merged(kernels: Tensor, factor: Tensor, betas: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """The one kernel (out, taps) and bias (out,) that equal the sum of the normalised branches."""
    return (kernels * factor.unsqueeze(-1)).sum(1), (betas - mean * factor).sum(1)


def convolve(x: Tensor, kernel: Tensor, bias: Tensor, conv: nn.Conv2d) -> Tensor:
    """``x`` convolved with the geometry of ``conv``; ``kernel`` is (out, taps)."""
    return F.conv2d(x, kernel.view(conv.weight.shape), bias, conv.stride, conv.padding, groups=conv.groups)


@torch.no_grad()
def update_running_statistics(norms: list[nn.BatchNorm2d], mean: Tensor, variance: Tensor, count: int) -> None:
    """What each batch norm would have noted of its ``count`` values a channel; statistics are (out, branches)."""
    unbiased = variance * (count / (count - 1))
    torch._foreach_lerp_([bn.running_mean for bn in norms], mean.unbind(1), norms[0].momentum)
    torch._foreach_lerp_([bn.running_var for bn in norms], unbiased.unbind(1), norms[0].momentum)
    torch._foreach_add_([bn.num_batches_tracked for bn in norms], 1)


def geometry_of(x: Tensor, conv: nn.Conv2d) -> Geometry:
    """The sizes on which ``conv`` works when it sees ``x`` (N, C, H, W)."""
    return Geometry(x.shape[2], x.shape[3], conv.kernel_size, conv.stride[0])


def pixels_of(x: Tensor) -> Tensor:
    """``x`` (N, C, H, W) as rows of channels (N * H * W, C); no copy where it is in channels_last order."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def moments_of(x: Tensor, conv: nn.Conv2d) -> Moments:
    """The moments of what ``conv``'s taps see of ``x`` (N, C, H, W)."""
    if conv.groups == 1:
        pixels = pixels_of(x)
        return Moments(pixels.mean(0), pixels.T @ pixels / len(pixels), len(pixels))
    geometry, channels = geometry_of(x, conv), x.shape[1]
    sums, count = cpu_loops().forward(x, lags(geometry), *row_classes(geometry)), len(x) * geometry.places
    entries = (tap_table(geometry).to(x.dtype) @ sums.reshape(-1, channels)).T / count
    mean, products = entries[:, geometry.taps**2 :], entries[:, : geometry.taps**2]
    return Moments(mean, products.view(channels, geometry.taps, geometry.taps), count)


class MergedOnCPU(torch.autograd.Function):
    """Moments, merged kernel and convolution in one step: the output, the branches' means and variances.

    Gradients by hand save what autograd would store, the products of pixels, and add up in place what reaches ``x`` by
    the convolution and by the moments.
    """

    @staticmethod
    def forward(ctx, x: Tensor, kernels: Tensor, gammas: Tensor, betas: Tensor, conv: nn.Conv2d, eps: float):
        moments = moments_of(x, conv)
        mean, variance, factor = branch_statistics(moments, kernels, gammas, eps)
        kernel, bias = merged(kernels, factor, betas, mean)
        seen, inverse_std = (moments.mean, moments.products), (variance + eps).rsqrt()
        ctx.save_for_backward(x, kernels, kernel, *seen, mean, factor, inverse_std)
        ctx.conv, ctx.count = conv, moments.count
        ctx.mark_non_differentiable(mean, variance)
        return convolve(x, kernel, bias, conv), mean, variance

    @staticmethod
    def backward(ctx, of_y: Tensor, _of_mean, _of_variance):
        x, kernels, kernel, seen, products, mean, factor, inverse_std = ctx.saved_tensors
        conv = ctx.conv
        of_x, of_kernel, of_bias = torch.ops.aten.convolution_backward(
            of_y.contiguous(memory_format=torch.channels_last), x, kernel.view(conv.weight.shape), [len(kernel)],
            conv.stride, conv.padding, conv.dilation, False, (0, 0), conv.groups, (True, True, True),
        )  # fmt: skip
        of_x = of_x.contiguous(memory_format=torch.channels_last)  # it is already, on every machine seen so far
        of_kernel, of_bias = of_kernel.view_as(kernel), of_bias.unsqueeze(-1)
        # Back through kernel = sum of w * factor, bias = sum of beta - mean * factor, factor = gamma / std, ...
        of_factor = (kernels @ of_kernel.unsqueeze(-1)).squeeze(-1) - of_bias * mean
        of_gammas = of_factor * inverse_std
        of_variance = of_gammas * factor * inverse_std * -0.5
        of_mean = -of_bias * factor - 2 * mean * of_variance
        # ... variance = w . M w - mean^2 and mean = w . m:
        weighted = kernels * of_variance.unsqueeze(-1)
        of_kernels = factor.unsqueeze(-1) * of_kernel.unsqueeze(1) + 2 * (weighted @ products)
        of_kernels += of_mean.unsqueeze(-1) * seen.unsqueeze(-2)
        add_moments_gradient(x, of_x, conv, kernels, weighted, of_mean, ctx.count)
        return of_x, of_kernels, of_gammas, of_bias.expand_as(mean), None, None


def add_moments_gradient(x, of_x, conv: nn.Conv2d, kernels, weighted, of_mean, count: int) -> None:
    """Add to ``of_x``, in place, what reaches ``x`` by way of its moments; ``weighted`` is w times of_variance."""
    if conv.groups == 1:
        flat = kernels.flatten(0, 1)
        both_sides = flat.T @ weighted.flatten(0, 1) * (2 / count)  # M = X'X is symmetric: once for each X
        pixels_of(of_x).addmm_(pixels_of(x), both_sides).add_(of_mean.flatten() @ flat / count)
        return
    geometry = geometry_of(x, conv)
    of_products = (kernels.transpose(1, 2) @ weighted).flatten(1)
    of_seen = (of_mean.unsqueeze(1) @ kernels).squeeze(1)
    of_sums = tap_table(geometry).to(x.dtype).T @ torch.cat([of_products, of_seen], dim=1).T / count
    numbers, classes = row_classes(geometry)
    cpu_loops().backward(x, of_sums.view(-1, classes, x.shape[3], x.shape[1]), lags(geometry), numbers, of_x)
