"""Exact branch merging: a sum of conv+BN branches as one convolution, while it trains.

Batch normalisation needs the mean and the variance of each branch's output over the batch. Both follow from the
branch's *input*: an output is a weighted sum of what the taps see, so with m the mean of what the taps see and M the
mean of the products of two taps, a branch with kernel w has

    mean = w . m          variance = w . M w - mean^2

No branch is computed. The factor gamma / std scales each kernel, the scaled kernels are added up, and *one* convolution
gives the sum of all branches: the same function of the same parameters, with the same running statistics, up to
rounding. ``tests/test_merging.py`` holds it to the branches one by one.

For a 1 x 1 convolution the taps are the input's channels, and M is one matrix product. For a depthwise convolution each
channel has an M of its own. Two taps k and l look at two input pixels that lie l - k apart: their *lag*. Summed over
all places, their products are sums of products of pixels one lag apart, but for the borders, where some taps look
outside of the picture, and for strides, where only some pixels are looked at. A 3 x 3 kernel has 45 pairs of taps and
13 lags: numba's loops (``lag_kernels.py``) sum each lag once, and a table of zeros and ones makes the pairs of it.
So merging is for a CPU that has numba; elsewhere the branches are computed one by one.
"""

import functools
import itertools
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.models.ghostnet import BranchedConv, ConvBN


class Geometry(NamedTuple):
    """Of a depthwise convolution that pads by half of its kernel (odd sides): all in pixels."""

    height: int
    width: int
    kernel: tuple[int, int]
    stride: int

    @property
    def taps(self) -> int:
        """How many weights a channel has."""
        return self.kernel[0] * self.kernel[1]

    @property
    def places(self) -> int:
        """How many output pixels a channel of one image has."""
        return -(-self.height // self.stride) * -(-self.width // self.stride)


def set_merging(model: nn.Module, merging: bool) -> None:
    """Let a GhostNet in training compute each sum of branches as one convolution, or branch by branch.

    Both are the same function, up to rounding, with the same running statistics; merged it is several times as fast.
    Merged, it takes images on the CPU and no autocast. Without numba, or compiled, it stays branch by branch.
    """
    merging = merging and not any(hasattr(module, "_orig_mod") for module in model.modules())  # of torch.compile
    for module in model.modules():
        if isinstance(module, BranchedConv | ConvBN):
            module.merge = merge_branches if merging and can_merge(module.conv) and cpu_loops() else None


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
    if conv.groups == 1 and count < conv.in_channels:  # moments would cost more than they save
        return sum(bn(F.conv2d(x, kernel)) for kernel, bn in parts)
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


def branch_statistics(seen: Tensor, products: Tensor, kernels: Tensor, gammas: Tensor, eps: float):
    """Mean, variance and factor gamma / std, each (out, branches), of the branches' outputs."""
    mean = (kernels @ seen.unsqueeze(-1)).squeeze(-1)
    square = ((kernels @ products) * kernels).sum(2)
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


def moments_of(x: Tensor, conv: nn.Conv2d) -> tuple[Tensor, Tensor, int]:
    """Of what ``conv``'s taps see of ``x`` (N, C, H, W): the mean, the mean products, and over how many places.

    Depthwise (C, taps) and (C, taps, taps), 1 x 1 (C,) and (C, C).
    """
    if conv.groups == 1:
        pixels = pixels_of(x)
        return pixels.mean(0), pixels.T @ pixels / len(pixels), len(pixels)
    geometry, channels = geometry_of(x, conv), x.shape[1]
    sums, count = cpu_loops().forward(x, x, lags(geometry), *row_classes(geometry)), len(x) * geometry.places
    entries = sums.reshape(-1, channels).T @ tap_table(geometry).to(x.dtype).T / count  # laid out as bmm wants them
    mean, products = entries[:, geometry.taps**2 :], entries[:, : geometry.taps**2]
    return mean, products.view(channels, geometry.taps, geometry.taps), count


@functools.cache
def lags(geometry: Geometry) -> tuple[tuple[int, int], ...]:
    """The lags (down, right) between two taps; of a lag and its opposite only the one that points forward."""
    down, right = geometry.kernel[0] - 1, geometry.kernel[1] - 1
    candidates = itertools.product(range(down + 1), range(-right, right + 1))
    return tuple(lag for lag in candidates if lag >= (0, 0))


@functools.cache
def row_classes(geometry: Geometry) -> tuple[tuple[int, ...], int]:
    """The class of each row of pixels, and how many classes there are.

    Rows are of one class when the same taps reach them: all inner rows, but not those at the borders; with stride 2
    also odd and even rows apart.
    """
    height, kernel = geometry.height, geometry.kernel[0]
    reached = [_reaching_taps(row, height, kernel, geometry.stride) for row in range(height)]
    known = sorted(set(reached))
    return tuple(known.index(taps) for taps in reached), len(known)


def _reaching_taps(place: int, size: int, kernel: int, stride: int) -> tuple[bool, ...]:
    """For each tap along one axis, whether there is an output pixel whose tap lies on pixel ``place``."""
    centres = [place - (tap - kernel // 2) for tap in range(kernel)]
    return tuple(0 <= centre < size and centre % stride == 0 for centre in centres)


@functools.lru_cache(maxsize=64)
def tap_table(geometry: Geometry) -> Tensor:
    """Which sums of ``lag_kernels.forward`` make up which sum over the taps, as zeros and ones.

    Returns:
        (taps * taps + taps, (lags + 1) * row classes * W): first the products of taps k and l, then the single taps.
        The product belongs to the lag l - k wherever an output pixel's tap k lies on the first of the two pixels.
    """
    height, width, (kernel_h, kernel_w), stride = geometry
    places = list(itertools.product(range(kernel_h), range(kernel_w)))
    classes, class_count = row_classes(geometry)
    reached_rows = {number: _reaching_taps(row, height, kernel_h, stride) for row, number in enumerate(classes)}
    reached_columns = np.array([_reaching_taps(column, width, kernel_w, stride) for column in range(width)])
    lag_number = {lag: number for number, lag in enumerate(lags(geometry))}
    products = np.zeros((geometry.taps, geometry.taps, len(lag_number) + 1, class_count, width), dtype=np.float32)
    singles = np.zeros((geometry.taps, len(lag_number) + 1, class_count, width), dtype=np.float32)
    for (k, first), (row_class, reached) in itertools.product(enumerate(places), reached_rows.items()):
        if not reached[first[0]]:
            continue
        singles[k, -1, row_class] = reached_columns[:, first[1]]
        for m, second in enumerate(places):
            lag = (second[0] - first[0], second[1] - first[1])
            if lag in lag_number:
                products[k, m, lag_number[lag], row_class] = reached_columns[:, first[1]]
    for k, m in itertools.combinations(range(geometry.taps), 2):
        products[m, k] = products[k, m]  # places are in reading order, so (k, m) with k < m has a forward lag
    rows = np.concatenate([products.reshape(geometry.taps**2, -1), singles.reshape(geometry.taps, -1)])
    return torch.from_numpy(rows)


class MergedOnCPU(torch.autograd.Function):
    """Moments, merged kernel and convolution in one step: the output, the branches' means and variances.

    Gradients by hand save what autograd would store, the products of pixels, and add up in place what reaches ``x`` by
    the convolution and by the moments.
    """

    @staticmethod
    def forward(ctx, x: Tensor, kernels: Tensor, gammas: Tensor, betas: Tensor, conv: nn.Conv2d, eps: float):
        *seen, count = moments_of(x, conv)
        mean, variance, factor = branch_statistics(*seen, kernels, gammas, eps)
        kernel, bias = merged(kernels, factor, betas, mean)
        ctx.save_for_backward(x, kernels, kernel, *seen, mean, factor, (variance + eps).rsqrt())
        ctx.conv, ctx.count = conv, count
        ctx.mark_non_differentiable(mean, variance)
        return convolve(x, kernel, bias, conv), mean, variance

    @staticmethod
    def backward(ctx, of_y: Tensor, _of_mean, _of_variance):
        x, kernels, kernel, seen, products, mean, factor, inverse_std = ctx.saved_tensors
        conv = ctx.conv
        of_x, of_kernel, of_bias = gradients_of_convolution(of_y, x, kernel, conv)
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


def gradients_of_convolution(of_y: Tensor, x: Tensor, kernel: Tensor, conv: nn.Conv2d) -> tuple[Tensor, Tensor, Tensor]:
    """What reaches ``x``, the ``kernel`` (out, taps) and the bias (out, 1) of :func:`convolve`.

    For a depthwise kernel with more than three taps a side, or a picture of few pixels, oneDNN takes up to 40 times as
    long as needed to find what reaches the kernel. That is a sum of products by lags too.
    """
    by_lags = conv.groups > 1 and (max(conv.kernel_size) > 3 or min(x.shape[2:]) <= 4)
    of_y = of_y.contiguous(memory_format=torch.channels_last)
    of_x, of_kernel, of_bias = torch.ops.aten.convolution_backward(
        of_y, x, kernel.view(conv.weight.shape), [len(kernel)], conv.stride, conv.padding, conv.dilation, False, (0, 0),
        conv.groups, (True, not by_lags, not by_lags),
    )  # fmt: skip
    if by_lags:
        places = torch.zeros_like(x)  # of the outputs, where their middle taps lie
        places[:, :, :: conv.stride[0], :: conv.stride[1]] = of_y
        taps = itertools.product(*(range(-margin, margin + 1) for margin in conv.padding))
        sums = cpu_loops().forward(places, x, list(taps), [0] * x.shape[2], 1).sum((1, 2)).T
        of_kernel, of_bias = sums[:, :-1], sums[:, -1]
    of_x = of_x.contiguous(memory_format=torch.channels_last)  # it is already, on every machine seen so far
    return of_x, of_kernel.reshape(kernel.shape), of_bias.unsqueeze(-1)


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
