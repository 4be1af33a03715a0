"""Checkers of lesson 01: counting, folding, and what folding gets wrong."""

import copy
import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from classroom.checks.declared import compare, declared
from classroom.checks.reading import close, numbers, pair, tensor
from classroom.checks.stand_ins import noise
from classroom.checks.verdict import Wrong, checker, require
from course_lib.models.ghostnet import GN_S_STAGES, Block, ConvBN, GhostNet


@declared(
    [(16, 20, 3), (160, 80, 3), (24, 36, 5)],
    "c·d/2 for the primary half and k·k for each of the d/2 ghosts.",
    tolerance=0,
)
def check_ghost_weights(c, d, k):
    """``answer(c, d, k)``: weights of a folded ghost module without biases, c channels in, d out, k x k ghosts."""
    half = d // 2
    primary, ghosts = c * half, k * k * half
    return primary + ghosts, {
        "the cheap convolution is depthwise, not dense: each filter sees one channel only.": primary + ghosts * half,
        "the primary convolution makes only half of the channels: c·d/2 weights, not c·d.": c * d + ghosts,
        "only d/2 channels are ghosts: k·k·d/2 weights, not k·k·d.": primary + k * k * d,
        "the ghosts' kernel is k × k, and k is not always 3.": primary + 9 * half,
    }


@declared(
    [(2, 3), (4, 3), (2, 5), (3, 7), (6, 5)],
    "c > k·k, and however many ghosts there are: each one costs k·k and saves c.",
    tolerance=0,
)
def check_break_even(parts, k):
    """``answer(parts, k)``: the fewest input channels at which a ghost module has fewer weights than a 1 x 1.

    One of ``parts`` channels is made by the 1 x 1 convolution, and the others are its k x k ghosts.
    """
    return k * k + 1, {
        "at c = k·k both cost the same; the first whole number that *saves* is one more.": k * k,
        "(parts − 1) stands on both sides: the 1 × 1 that is saved has (parts − 1)·c weights.": k * k * (parts - 1) + 1,
        "10 holds for 3 × 3 ghosts: how does it depend on k?": 10,
    }


_conv = functools.partial(nn.utils.skip_init, nn.Conv2d)  # draws nothing from torch's random stream


@declared(
    [
        (_conv(3, 16, 3, padding=1), 32, 32),
        (_conv(24, 24, 3, padding=1, groups=24), 16, 16),
        (_conv(8, 8, (1, 5), padding=(0, 2), groups=8), 16, 12),
        (_conv(8, 12, 3, stride=2, padding=1), 32, 32),
        (_conv(4, 4, 3, stride=2, padding=1), 33, 33),
        (_conv(4, 6, 5), 20, 20),
    ],
    "output pixels × output channels × the weights of one filter.",
    tolerance=0,
)
def check_conv_macs(conv, height, width):
    """``answer(conv, height, width)``: multiply-accumulates of a convolution for one image of that size."""
    rows, columns = conv(torch.zeros(1, conv.in_channels, height, width)).shape[2:]
    (kh, kw), (down, across), out, groups = conv.kernel_size, conv.stride, conv.out_channels, conv.groups
    each = conv.in_channels // groups * kh * kw
    right, every = rows * columns * out * each, height * width * out * each
    floored = (height // down) * (width // across) * out * each
    return right, {
        "you count a depthwise convolution as a dense one: in_channels / groups for each filter.": right * groups,
        "you count every *input* pixel: the filter is put down once for every output pixel.": every,
        "two things: count *output* pixels, and in_channels / groups a filter.": every * groups,
        "these are operations: a multiply-accumulate counts once.": right * 2,
        "33 pixels with stride 2 make 17: (size + 2·padding − kernel) // stride + 1.": floored,
    }


def _gn_s() -> list[tuple[int, int]]:
    layers = [(3, 1)]
    for block in (block for stage in GN_S_STAGES for block in stage):
        layers += [(3, 1), *([(block.kernel, block.stride)] if block.stride > 1 else []), (3, 1)]
    return layers


@declared(
    [[(3, 1)], [(3, 1), (3, 1)], [(5, 1), (1, 1)], [(3, 2), (3, 1)], [(3, 2), (3, 2), (3, 1)], _gn_s()],
    "each kernel adds (kernel − 1) · step, each stride multiplies the step; GN-S's last block sees 119 pixels.",
    tolerance=0,
)
def check_receptive_field(layers):
    """``answer(layers)``: pixels along one side that an output sees through layers of (kernel, stride)."""
    stretched = 1
    for kernel, stride in layers:
        stretched = stretched * stride + kernel - 1
    unmoved = 1 + sum(kernel - 1 for kernel, _ in layers)
    return _field(layers), {
        "that stretches what was seen before the stride: keep the step apart, add (kernel − 1) · step.": stretched,
        "you begin with 0 pixels. An output without any layer sees itself: begin with 1.": _field(layers) - 1,
        "the strides are not felt. After a stride of 2 a kernel reaches twice as far: (kernel − 1) · step.": unmoved,
        "a layer's own stride spreads what comes *after* it: add (kernel − 1) · step first": _field(layers, early=True),
        "kernels overlap: a 3 × 3 after a 3 × 3 adds 2 pixels, kernel − 1.": sum(kernel for kernel, _ in layers),
    }


def _field(layers: list[tuple[int, int]], early: bool = False) -> int:
    """The receptive field; with ``early`` a layer's own stride counts before its kernel, a usual mistake."""
    size, step = 1, 1
    for kernel, stride in layers:
        size += (kernel - 1) * step * (stride if early else 1)
        step *= stride
    return size


@checker
def check_fold_bn(answer) -> str:
    """``answer(weight, bn)``: kernel and bias of "convolve with weight, then bn in eval mode"."""
    for shape, groups in (((6, 6, 3, 3), 1), ((6, 1, 3, 3), 6)):
        weight, bn, x = noise(*shape, seed=1), _lived_in_bn(6), noise(4, 6, 8, 8, seed=3)
        kernel, bias = _kernel_and_bias(answer(weight.clone(), copy.deepcopy(bn)), shape)
        gamma, beta, mean, var = bn.weight, bn.bias, bn.running_mean, bn.running_var
        factor = gamma / torch.sqrt(var + bn.eps)
        factors = {
            "gamma / var: batch norm divides by the standard deviation, the *root* of var + eps.": gamma / var,
            "eps is missing: the standard deviation is the root of var + eps.": gamma / torch.sqrt(var),
            "gamma is missing: after dividing by the standard deviation batch norm multiplies by it.": factor / gamma,
            "it is unchanged, and must be multiplied by gamma / std.": torch.ones(6),
        }
        kernels = {f"Your kernel: {words}": _scaled(weight, wrong) for words, wrong in factors.items()}
        along_input = (
            "you scale along the *input* channels. Batch norm's are the first dimension: [:, None, None, None]."
        )
        kernels[along_input] = weight * factor[None, :, None, None]
        hint = "your kernel differs from weight · gamma / std, channel by channel."
        compare(kernel, _scaled(weight, factor), kernels, "the kernel", hint)
        biases = {
            "the running mean is forgotten. It is subtracted before the scaling, so beta − factor · mean stays.": beta,
            "the mean is not scaled: it is subtracted *before* the division, beta − factor · mean.": beta - mean,
            "the sign of the mean is wrong: batch norm *subtracts* it.": beta + factor * mean,
        }
        biases = {f"Your kernel is right, your bias is not: {words}": wrong for words, wrong in biases.items()}
        compare(bias, beta - factor * mean, biases, "the bias", "your bias is not beta − factor · mean.")
        with torch.no_grad():
            before = bn(F.conv2d(x, weight, padding=1, groups=groups))
        after = F.conv2d(x, kernel, bias, padding=1, groups=groups)
        require(close(after, before), "kernel and bias are right, but no longer after a call.")
    return "one convolution does what the pair did, dense and depthwise."


@declared(
    [(noise(out, width, 1, 1, seed=1), size) for out, width, size in ((4, 1, 3), (5, 3, 3), (4, 1, 5), (2, 2, 1))],
    "zeros around it, the weight in the middle.",
    hint="the weight must stand in the middle, and zeros around it.",
    shape="a margin of 1 makes 3 × 3 of every kernel; for 5 × 5 it is 2: size // 2.",
)
def check_pad_scale(kernel, size):
    """``answer(kernel, size)``: the size x size kernel that does what this 1 x 1 kernel does, padding size // 2."""
    weight, right = kernel[:, :, 0, 0], torch.zeros(*kernel.shape[:2], size, size)
    right[:, :, size // 2, size // 2] = weight
    return right, {
        "the weight stands in every place: a blur, not a 1 × 1.": kernel.expand_as(right),
        "the weight stands in a corner, and reads the *diagonal neighbour* of each pixel.": lambda found: any(
            close(found[:, :, row, column], weight) for row in (0, -1) for column in (0, -1)
        ),
    }


@declared(
    [(4, 3, 4), (4, 1, 1), (3, 3, 1), (6, 5, 6)],
    "what goes in comes out, dense and depthwise.",
    hint="with this kernel the output is not the input.",
    shape="a filter sees channels / groups: 1 channel where it is depthwise, all of them where it is dense. (The "
    "depthwise shape for both is the mistake that was really made.)",
)
def check_identity_kernel(channels, size, groups):
    """``answer(channels, size, groups)``: the kernel that hands its input on; groups is 1 or channels."""
    right = nn.init.dirac_(torch.zeros(channels, channels // groups, size, size), groups=groups)
    every = torch.zeros_like(right)
    every[:, :, size // 2, size // 2] = 1
    return right, {
        "every output channel gets the sum of all input channels: a 1 only where they match.": every,
        "there are too many ones: one for each channel, in the middle of its kernel.": lambda found: bool(
            found.sum() > channels + 0.5
        ),
    }


@checker
def check_train_and_fold(answer) -> str:
    """``answer(model, train)``: train the network, and return its folded form."""
    trained: list[nn.Module] = []

    def train(network: nn.Module) -> nn.Module:
        """Stands for a training: new weights, new statistics; remembers what it was given."""
        require(isinstance(network, nn.Module), f"train() takes a network, not a {type(network).__name__}.")
        trained.append(network)
        network.train()
        with torch.no_grad():
            for number, parameter in enumerate(network.parameters()):
                parameter.mul_(1.3).add_(0.05 * noise(*parameter.shape, seed=number))
            network(3 * noise(16, 3, 32, 32, seed=5) + 1)
        return network

    model = GhostNet(((Block(3, 8, 8, 0, 1),),), width=1.0, num_classes=3)
    result = answer(model, train)
    require(isinstance(result, nn.Module), f"return the folded network, not a {type(result).__name__}.")
    require(bool(trained), "the network was never trained: call train(model).")
    unfolded = all(isinstance(getattr(network, "stem", None), ConvBN) for network in trained)
    require(unfolded, "you fold first and train the folded network, without its branches: train, then fold.")
    returned = isinstance(result, GhostNet) and isinstance(result.stem, ConvBN)
    require(not returned, "you return the training form: fold what was trained, and return that.")
    images = noise(4, 3, 32, 32, seed=6)
    with torch.no_grad():
        before, after = trained[-1].eval()(images), _logits(result, images)
    early = "It was folded before the training: fold() makes a copy, and the copy learns nothing later."
    if not any(network is model for network in trained):
        early = "You train a copy, and fold what has not learned: fold the network that train() was given."
    largest = before.abs().max()
    words = f"the folded network does not answer as the trained one does. {early}"
    require(close(after / largest, before / largest, 1e-3), words)
    return "trained with its branches, used without them."


def _logits(network: nn.Module, images: Tensor) -> Tensor:
    try:
        return tensor(network.eval()(images), "a network with logits").float()
    except RuntimeError as error:  # another network than was asked for
        raise Wrong(f"the network that you return does not take images (N, 3, 32, 32): {error}") from error


@checker
def check_fold_batch(answer) -> str:
    """``answer(weight, bn, mean, covariance)``: kernel and bias of a 1 x 1 convolution and ``bn`` in *train* mode.

    ``mean`` (c,) and ``covariance`` (c, c) are those of the input over the batch and all pixels, divided by N.
    """
    weight, bn, mixing = noise(5, 4, 1, 1, seed=1), _lived_in_bn(5), noise(4, 4, seed=8)
    x = torch.einsum("ij,njhw->nihw", mixing, noise(8, 4, 6, 6, seed=9)) + noise(4, 1, 1, seed=10)
    flat = x.transpose(0, 1).flatten(1)
    mean, centred = flat.mean(1), flat - flat.mean(1, keepdim=True)
    covariance = centred @ centred.T / flat.shape[1]
    given = answer(weight.clone(), copy.deepcopy(bn), mean.clone(), covariance.clone())
    kernel, bias = _kernel_and_bias(given, weight.shape)
    rows = weight[:, :, 0, 0]
    variance = ((rows @ covariance) * rows).sum(1)

    def with_variance(other: Tensor) -> Tensor:
        return _scaled(weight, bn.weight / torch.sqrt(other.abs() + bn.eps))

    mistakes = {
        "that is the *running* std, of eval mode: take the batch's, diag(W · cov · Wᵀ).": with_variance(bn.running_var),
        "the covariances belong to it, not the variances alone: diag(W · covariance · Wᵀ).": (
            with_variance((rows**2) @ covariance.diagonal())
        ),
        "you divide by the variance: take the root.": _scaled(weight, bn.weight / (variance + bn.eps)),
    }
    hint = "your kernel is not weight · gamma / std with the batch's variance diag(W · covariance · Wᵀ)."
    compare(kernel, with_variance(variance), mistakes, "the kernel", hint)
    factor = bn.weight / torch.sqrt(variance + bn.eps)
    running = {"the bias holds the *running* mean, not the batch's, W · mean.": bn.bias - factor * bn.running_mean}
    compare(bias, bn.bias - factor * (rows @ mean), running, "the bias", "it is beta − factor · (W · mean).")
    with torch.no_grad():
        trained = bn.train()(F.conv2d(x, weight))
    require(close(F.conv2d(x, kernel, bias), trained), "the output is not that of train mode.")
    return "train mode in a single convolution, without running the branch."


def _scaled(weight: Tensor, factor: Tensor) -> Tensor:
    """Every output channel of ``weight`` times its own factor."""
    return weight * factor[:, None, None, None]


def _kernel_and_bias(result: object, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Kernel and bias out of the reader's result."""
    kernel, bias = pair(result, "return two things: kernel and bias.")
    return numbers(kernel, shape, "your kernel").float(), numbers(bias, shape[:1], "your bias").float()


def _lived_in_bn(channels: int) -> nn.BatchNorm2d:
    """Batch norm in eval mode whose five numbers a channel all matter; its eps is large enough to be missed."""
    bn = nn.BatchNorm2d(channels, eps=0.05).requires_grad_(False).eval()
    bn.weight.copy_(0.5 + noise(channels, seed=2).abs())
    bn.bias.copy_(noise(channels, seed=3))
    bn.running_mean.copy_(1 + noise(channels, seed=4))
    bn.running_var.copy_(0.2 + noise(channels, seed=5).abs())
    return bn
