"""Checkers of lesson 01: counting, folding, and what folding gets wrong.

Each compares the reader's function with a short right one on cases where the usual mistakes give different numbers, so
that a mistake can be named.
"""

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from classroom.checks.reading import number, pair, same, tensor
from classroom.checks.verdict import Wrong, checker, require
from course_lib.models.ghostnet import GN_S_STAGES, Block, ConvBN, GhostNet


@checker
def check_ghost_weights(answer: Callable[[int, int, int], int]) -> str:
    """``answer(c, d, k)``: weights of a folded ghost module without biases, c channels in, d out, k x k ghosts."""
    for c, d, k in ((16, 20, 3), (160, 80, 3), (24, 36, 5)):
        half = d // 2
        mistakes = [
            (
                c * half + k * k * half * half,
                "you count the cheap convolution as a dense one. It is depthwise: each of its d/2 "
                "filters looks at one channel only, and has k·k weights.",
            ),
            (
                c * d + k * k * half,
                "the primary convolution makes only half of the channels: c·d/2 weights, not c·d.",
            ),
            (c * half + k * k * d, "only d/2 channels are ghosts: k·k·d/2 weights, not k·k·d."),
            (
                c * half + k * k * half + d,
                "you count the biases too. Without them, please: weights only.",
            ),
            (c * half + 9 * half, "the ghosts' kernel is k × k, and k is not always 3."),
            (
                k * k * c * half + k * k * half,
                "the primary convolution is 1 × 1, only the ghosts' kernel is k × k.",
            ),
            (c * half, "that is the primary half alone: the ghosts have k·k weights each."),
        ]
        _same_count(answer(c, d, k), c * half + k * k * half, mistakes, f"for c = {c}, d = {d}, k = {k}")
    return "c·d/2 for the primary half and k·k for each of the d/2 ghosts."


@checker
def check_break_even(answer: Callable[[int, int], int]) -> str:
    """``answer(parts, k)``: the fewest input channels at which a ghost module has fewer weights than a 1 x 1.

    One of ``parts`` channels is made by the 1 x 1 convolution, and the others are its k x k ghosts.
    """
    for parts, k in ((2, 3), (4, 3), (2, 5), (3, 7), (6, 5)):
        mistakes = [
            (
                k * k,
                "at c = k·k both cost the same; the first whole number that *saves* is one more.",
            ),
            (
                k * k * (parts - 1) + 1,
                "you compare k·k·(parts − 1) with c. But the 1 × 1 convolution that is saved has "
                "(parts − 1)·c weights for every primary channel: (parts − 1) stands on both sides.",
            ),
            (
                k * k * parts + 1,
                "the ghosts are parts − 1 for every primary channel, and so are the channels that the "
                "1 × 1 convolution no longer makes. Write both sides down for one primary channel.",
            ),
            (10, "10 holds for 3 × 3 ghosts: how does it depend on k?"),
        ]
        _same_count(answer(parts, k), k * k + 1, mistakes, f"for {parts} parts and k = {k}")
    return "c > k·k, and however many ghosts there are: each one costs k·k and saves c."


@checker
def check_conv_macs(answer: Callable[[nn.Conv2d, int, int], int]) -> str:
    """``answer(conv, height, width)``: multiply-accumulates of a convolution for one image of that size."""
    cases = (
        ("an ordinary 3 × 3 convolution", nn.Conv2d(3, 16, 3, padding=1), 32, 32),
        ("a depthwise one", nn.Conv2d(24, 24, 3, padding=1, groups=24), 16, 16),
        ("a 1 × 5 depthwise one", nn.Conv2d(8, 8, (1, 5), padding=(0, 2), groups=8), 16, 12),
        ("one with stride 2", nn.Conv2d(8, 12, 3, stride=2, padding=1), 32, 32),
        ("one with stride 2 on 33 × 33 pixels", nn.Conv2d(4, 4, 3, stride=2, padding=1), 33, 33),
        ("one without padding", nn.Conv2d(4, 6, 5), 20, 20),
    )
    for name, conv, height, width in cases:
        rows, columns = conv(torch.zeros(1, conv.in_channels, height, width)).shape[2:]
        (kh, kw), out, groups = conv.kernel_size, conv.out_channels, conv.groups
        filter_size = conv.in_channels // groups * kh * kw
        mistakes = [
            (
                rows * columns * out * filter_size * groups,
                "you count a depthwise convolution as a dense one: each filter sees in_channels / groups channels.",
            ),
            (
                height * width * out * filter_size,
                "you count a product for every *input* pixel. The filter is put down "
                "once for every output pixel: divide by the stride, mind padding and odd sizes.",
            ),
            (
                height * width * out * filter_size * groups,
                "two things: the filter is put down once for every *output* "
                "pixel, and sees in_channels / groups channels.",
            ),
            (
                rows * columns * filter_size,
                "every output channel has a filter of its own: multiply by out_channels.",
            ),
            (
                rows * columns * out * filter_size // (kh * kw) * kh * kh,
                "a kernel need not be square: kh·kw.",
            ),
            (
                rows * columns * out * filter_size * 2,
                "these are operations: a multiply-accumulate counts once.",
            ),
        ]
        right = rows * columns * out * filter_size
        floor = (height // conv.stride[0]) * (width // conv.stride[1]) * out * filter_size
        mistakes.append(
            (
                floor,
                "height // stride is not always the output's height: with padding 1 3 × 3 with stride 2 makes 17 "
                "rows of 33, and without padding the image shrinks. Use (height + 2·padding − kernel) // stride + 1.",
            )
        )
        _same_count(answer(conv, height, width), right, mistakes, f"for {name}")
    return "output pixels × output channels × the weights of one filter."


@checker
def check_fold_bn(answer: Callable[[Tensor, nn.BatchNorm2d], tuple[Tensor, Tensor]]) -> str:
    """``answer(weight, bn)``: kernel and bias of "convolve with weight, then bn in eval mode"."""
    for shape, groups in (((6, 6, 3, 3), 1), ((6, 1, 3, 3), 6)):
        weight, bn, x = _conv_weights(shape), _lived_in_bn(6), _noise(4, 6, 8, 8, seed=3)
        kernel, bias = _pair(answer(weight.clone(), copy.deepcopy(bn)), weight.shape, (6,))
        factor = bn.weight / torch.sqrt(bn.running_var + bn.eps)
        if not same(kernel, weight * factor[:, None, None, None]):
            for words, wrong in _wrong_factors(bn).items():
                require(not same(kernel, weight * wrong[:, None, None, None]), f"Your kernel: {words}")
            if shape[1] == 6:
                along_input = weight * factor[None, :, None, None]
                require(
                    not same(kernel, along_input),
                    "you scale along the *input* channels. Batch norm comes after the convolution: its channels are "
                    "the kernel's first dimension, factor[:, None, None, None].",
                )
            require(
                not same(kernel, weight),
                "your kernel is unchanged: it must be multiplied by gamma / std.",
            )
            raise Wrong("your kernel differs from weight · gamma / std, channel by channel.")
        for words, wrong in _wrong_biases(bn, factor).items():
            require(not same(bias, wrong), f"Your kernel is right, your bias is not: {words}")
        require(
            same(bias, bn.bias - factor * bn.running_mean),
            "your kernel is right; your bias is not beta − factor · mean.",
        )
        with torch.no_grad():
            before = bn(F.conv2d(x, weight, padding=1, groups=groups))
            after = F.conv2d(x, kernel, bias, padding=1, groups=groups)
        require(
            torch.allclose(before, after, atol=1e-4),
            "kernel and bias are right, but no longer after a call.",
        )
    return "one convolution does what the pair did, dense and depthwise."


def _wrong_factors(bn: nn.BatchNorm2d) -> dict[str, Tensor]:
    """What the typical mistakes multiply the kernel by, a number each channel."""
    gamma, var = bn.weight, bn.running_var
    factor = gamma / torch.sqrt(var + bn.eps)
    return {
        "gamma / var: batch norm divides by the standard deviation, the *root* of var + eps.": gamma / var,
        "gamma / (var + eps): batch norm divides by the standard deviation, the *root* of that.": (
            gamma / (var + bn.eps)
        ),
        "eps is missing: the standard deviation is the root of var + eps.": gamma / torch.sqrt(var),
        "eps stands outside the root: it is added to the variance before the root is taken.": (
            gamma / (torch.sqrt(var) + bn.eps)
        ),
        "gamma is missing: after dividing by the standard deviation batch norm multiplies by it.": factor / gamma,
        "the standard deviation is missing: the factor is gamma / std.": gamma,
        "you multiply by std / gamma: the factor is gamma / std.": 1 / factor,
    }


def _wrong_biases(bn: nn.BatchNorm2d, factor: Tensor) -> dict[str, Tensor]:
    """The biases that the typical mistakes give with the right ``factor``."""
    gamma, beta, mean = bn.weight, bn.bias, bn.running_mean
    return {
        "the running mean is forgotten. It is subtracted before the scaling, so beta − factor · mean stays.": beta,
        "the mean is not scaled: it is subtracted *before* the division, so it is beta − factor · mean.": beta - mean,
        "the sign of the mean is wrong: batch norm *subtracts* it.": beta + factor * mean,
        "beta is missing.": -factor * mean,
        "the mean is scaled by gamma alone: it is beta − (gamma / std) · mean.": beta - gamma * mean,
    }


@checker
def check_pad_scale(answer: Callable[[Tensor, int], Tensor]) -> str:
    """``answer(kernel, size)``: the size x size kernel that does what this 1 x 1 kernel does, padding size // 2."""
    for out, width, size in ((4, 1, 3), (5, 3, 3), (4, 1, 5), (2, 2, 1)):
        kernel, middle = _conv_weights((out, width, 1, 1)), size // 2
        padded = _tensor(answer(kernel.clone(), size))
        if size > 3 and padded.shape == (out, width, 3, 3):
            raise Wrong(f"a margin of 1 makes 3 × 3 of every kernel; for {size} × {size} it is {size // 2}: size // 2.")
        _shaped(padded, (out, width, size, size))
        right = torch.zeros(out, width, size, size)
        right[:, :, middle, middle] = kernel[:, :, 0, 0]
        if not same(padded, right):
            require(
                not same(padded, kernel.expand_as(right)),
                "the weight stands in every place: a blur, not a 1 × 1.",
            )
            corners = [padded[:, :, row, column] for row in (0, -1) for column in (0, -1)]
            require(
                not any(same(corner, kernel[:, :, 0, 0]) for corner in corners),
                "the weight stands in a corner. That kernel reads the *diagonal neighbour* of each pixel: it shifts "
                "the picture by a pixel. The pixel itself is under the middle.",
            )
            raise Wrong("the weight must stand in the middle, and zeros around it.")
    return "zeros around it, the weight in the middle."


@checker
def check_identity_kernel(answer: Callable[[int, int, int], Tensor]) -> str:
    """``answer(channels, size, groups)``: the kernel that hands its input on; groups is 1 or channels."""
    for channels, size, groups in ((4, 3, 4), (4, 1, 1), (3, 3, 1), (6, 5, 6)):
        dense, middle, kind = groups == 1, size // 2, "dense" if groups == 1 else "depthwise"
        kernel = _tensor(answer(channels, size, groups))
        if dense and kernel.shape == (channels, 1, size, size):
            raise Wrong(
                f"for the dense convolution your kernel has the depthwise shape {tuple(kernel.shape)}. Its filters see "
                f"all {channels} channels: {(channels, channels, size, size)}, a 1 where output and input channel are "
                "the same. (This is the mistake that was really made.)"
            )
        if not dense and kernel.shape == (channels, channels, size, size):
            raise Wrong(
                "for the depthwise convolution your kernel is dense: a filter sees one channel, channels / groups."
            )
        _shaped(kernel, (channels, channels // groups, size, size))
        x = _noise(2, channels, 7, 7, seed=4)
        if not torch.allclose(F.conv2d(x, kernel, padding=middle, groups=groups), x, atol=1e-6):
            require(
                not (dense and bool((kernel[:, :, middle, middle] == 1).all())),
                "every output channel gets the sum of all input channels: a 1 belongs only where the two are the same.",
            )
            require(
                not (size > 1 and kernel.sum() > channels + 0.5),
                "there are too many ones: one for each channel, in the middle of its kernel.",
            )
            raise Wrong(f"for a {kind} {size} × {size} convolution the output is not the input.")
    return "what goes in comes out, dense and depthwise."


@checker
def check_train_and_fold(answer: Callable[[nn.Module, Callable], nn.Module]) -> str:
    """``answer(model, train)``: train the network, and return its folded form."""
    trained: list[nn.Module] = []

    def train(network: nn.Module) -> nn.Module:
        """Stands for a training: new weights, new statistics; remembers what it was given."""
        trained.append(network)
        network.train()
        with torch.no_grad():
            for number, parameter in enumerate(network.parameters()):
                parameter.mul_(1.3).add_(0.05 * _noise(*parameter.shape, seed=number))
            network(3 * _noise(16, 3, 32, 32, seed=5) + 1)
        return network

    model = GhostNet(((Block(3, 8, 8, 0, 1),),), width=1.0, num_classes=3)
    result = answer(model, train)
    require(isinstance(result, nn.Module), f"return the folded network, not a {type(result).__name__}.")
    require(bool(trained), "the network was never trained: call train(model).")
    require(
        all(isinstance(getattr(network, "stem", None), ConvBN) for network in trained),
        "you fold first and train the folded network. It has no branches and no batch norm left: whatever they do for "
        "the training is lost. Train the training form, then fold it.",
    )
    require(
        not (isinstance(result, GhostNet) and isinstance(result.stem, ConvBN)),
        "you return the training form: fold what was trained, and return that.",
    )
    images = _noise(4, 3, 32, 32, seed=6)
    with torch.no_grad():
        before, after = trained[-1].eval()(images), _logits(result, images)
    early = (
        "It was folded before the training, with the old weights and the old running statistics: fold() makes a copy, "
        "and the copy learns nothing later."
    )
    if not any(network is model for network in trained):
        early = "You train a copy, and fold what has not learned: fold the network that train() was given."
    words = f"the folded network does not answer as the trained one does. {early}"
    require(same(after / before.abs().max(), before / before.abs().max(), 1e-3), words)
    return "trained with its branches, used without them."


def _logits(network: nn.Module, images: Tensor) -> Tensor:
    try:
        return _tensor(network.eval()(images), "a network with logits")
    except RuntimeError as error:  # another network than was asked for
        raise Wrong(f"the network that you return does not take images (N, 3, 32, 32): {error}") from error


@checker
def check_receptive_field(answer: Callable[[list[tuple[int, int]]], int]) -> str:
    """``answer(layers)``: pixels along one side that an output sees through layers of (kernel, stride)."""
    gn_s = [(3, 1)]
    for block in (block for stage in GN_S_STAGES for block in stage):
        strided = [(block.kernel, block.stride)] if block.stride > 1 else []
        gn_s += [(3, 1), *strided, (3, 1)]
    cases = (
        [(3, 1)],
        [(3, 1), (3, 1)],
        [(5, 1), (1, 1)],
        [(3, 2), (3, 1)],
        [(3, 2), (3, 2), (3, 1)],
        gn_s,
    )
    for layers in cases:
        mistakes = [
            (
                _stretched_field(layers),
                "size · stride + kernel − 1 stretches what is seen already by a stride that comes after it: keep the "
                "step apart from the size, add (kernel − 1) · step, then multiply the step by the stride.",
            ),
            (
                _field(layers, start=0),
                "you begin with 0 pixels. An output without any layer sees itself: begin with 1.",
            ),
            (
                1 + sum(kernel - 1 for kernel, _ in layers),
                "the strides are not felt. After a stride of 2 neighbours lie "
                "2 pixels apart, so every later kernel reaches twice as far: (kernel − 1) · step.",
            ),
            (
                _field(layers, early=True),
                "a layer's own stride spreads what comes *after* it: add (kernel − 1) · step "
                "first, then multiply the step by the stride.",
            ),
            (
                _field(layers, last_only=True),
                "you use the stride of the layer before. Strides multiply: after two of them the step is 4.",
            ),
            (
                sum(kernel for kernel, _ in layers),
                "kernels overlap: a 3 × 3 after a 3 × 3 adds 2 pixels, kernel − 1.",
            ),
        ]
        _same_count(
            answer(list(layers)),
            _field(layers),
            mistakes,
            f"for (kernel, stride) = {_some(layers)}",
        )
    return "each kernel adds (kernel − 1) · step, each stride multiplies the step; GN-S's last block sees 119 pixels."


@checker
def check_fold_batch(
    answer: Callable[[Tensor, nn.BatchNorm2d, Tensor, Tensor], tuple[Tensor, Tensor]],
) -> str:
    """``answer(weight, bn, mean, covariance)``: kernel and bias of a 1 x 1 convolution and ``bn`` in *train* mode.

    ``mean`` (c,) and ``covariance`` (c, c) are those of the input over the batch and all pixels, divided by N.
    """
    weight, bn, mixing = _conv_weights((5, 4, 1, 1)), _lived_in_bn(5), _noise(4, 4, seed=8)
    x = torch.einsum("ij,njhw->nihw", mixing, _noise(8, 4, 6, 6, seed=9)) + _noise(4, 1, 1, seed=10)
    flat = x.transpose(0, 1).flatten(1)
    mean, centred = flat.mean(1), flat - flat.mean(1, keepdim=True)
    covariance = centred @ centred.T / flat.shape[1]
    running = [bn.running_mean.clone(), bn.running_var.clone()]
    kernel, bias = _pair(
        answer(weight.clone(), copy.deepcopy(bn), mean.clone(), covariance.clone()),
        weight.shape,
        (5,),
    )
    rows = weight[:, :, 0, 0]
    variance = ((rows @ covariance) * rows).sum(1)
    variances = {
        "you divide by the *running* standard deviation: that is eval mode. In train mode the batch's own counts: "
        "diag(W · covariance · Wᵀ).": running[1],
        "you use the input channels' variances alone. Channels that rise and fall together add up: the covariances "
        "belong to it, diag(W · covariance · Wᵀ).": (rows**2) @ covariance.diagonal(),
        "the variance takes the weights *twice*, W · covariance · Wᵀ: you have them once.": (rows @ covariance).sum(1),
    }
    factor = bn.weight / torch.sqrt(variance + bn.eps)
    if not same(kernel, weight * factor[:, None, None, None]):
        for words, wrong in variances.items():
            wrong_factor = bn.weight / torch.sqrt(wrong.abs() + bn.eps)
            require(not same(kernel, weight * wrong_factor[:, None, None, None]), words)
        no_root = weight * (bn.weight / (variance + bn.eps))[:, None, None, None]
        require(not same(kernel, no_root), "you divide by the variance: take the root.")
        no_eps = weight * (bn.weight / torch.sqrt(variance))[:, None, None, None]
        require(not same(kernel, no_eps), "eps is missing under the root.")
        raise Wrong("your kernel is not weight · gamma / std with the batch's variance diag(W · covariance · Wᵀ).")
    require(
        not same(bias, bn.bias - factor * running[0]),
        "your kernel is right; the bias holds the *running* mean. The batch's own, after the convolution, is W · mean.",
    )
    require(
        same(bias, bn.bias - factor * (rows @ mean)),
        "your kernel is right; the bias is beta − factor · (W · mean).",
    )
    with torch.no_grad():
        trained = bn.train()(F.conv2d(x, weight))
    require(
        torch.allclose(F.conv2d(x, kernel, bias), trained, atol=1e-4),
        "the output is not that of train mode.",
    )
    return "train mode in a single convolution, without running the branch."


# --- right answers and comparisons -----------------------------------------------------------------


def _field(layers: list[tuple[int, int]], start: int = 1, early: bool = False, last_only: bool = False) -> int:
    """The receptive field; with ``start``, ``early`` or ``last_only`` as the usual mistakes have it."""
    size, step = start, 1
    for kernel, stride in layers:
        after = stride if last_only else step * stride
        size += (kernel - 1) * (after if early else step)
        step = after
    return size


def _stretched_field(layers: list[tuple[int, int]]) -> int:
    """What the mistake size = size * stride + kernel - 1 gives."""
    size = 1
    for kernel, stride in layers:
        size = size * stride + kernel - 1
    return size


def _some(layers: list[tuple[int, int]]) -> str:
    return str(layers) if len(layers) < 6 else f"GN-S's own {len(layers)} layers"


def _same_count(got: object, right: int, mistakes: list[tuple[int, str]], where: str) -> None:
    """Raise Wrong, with the words of the first mistake that gives the same number, unless ``got`` is ``right``."""
    count = number(got, "a count")
    if count != right:
        words = next((words for wrong, words in mistakes if wrong == count), "")
        raise Wrong(f"{where} it is {right:,}, yours says {count:,.10g}. {words}".strip())


def _tensor(result: object, what: str = "the kernel") -> Tensor:
    return tensor(result, what).float()


def _shaped(tensor: Tensor, shape: tuple[int, ...]) -> None:
    require(
        tuple(tensor.shape) == tuple(shape),
        f"your kernel has shape {tuple(tensor.shape)}, it should be {shape}.",
    )


def _pair(result: object, kernel_shape: torch.Size, bias_shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Kernel and bias out of the reader's result."""
    both = pair(result, "return two things: kernel and bias.")
    kernel, bias = (_tensor(part, "kernel and bias") for part in both)
    _shaped(kernel, tuple(kernel_shape))
    require(
        tuple(bias.shape) == bias_shape,
        f"your bias has shape {tuple(bias.shape)}, it should be {bias_shape}.",
    )
    return kernel, bias


def _noise(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _conv_weights(shape: tuple[int, ...]) -> Tensor:
    return _noise(*shape, seed=1)


def _lived_in_bn(channels: int) -> nn.BatchNorm2d:
    """Batch norm in eval mode whose five numbers a channel all matter; its eps is large enough to be missed."""
    bn = nn.BatchNorm2d(channels, eps=0.05).requires_grad_(False).eval()
    bn.weight.copy_(0.5 + _noise(channels, seed=2).abs())
    bn.bias.copy_(_noise(channels, seed=3))
    bn.running_mean.copy_(1 + _noise(channels, seed=4))
    bn.running_var.copy_(0.2 + _noise(channels, seed=5).abs())
    return bn
