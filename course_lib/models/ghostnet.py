"""GhostNetV3-Small (GN-S) and GhostNetV3 (GN-D): one set of classes, two tables of blocks.

Both exist in two forms that compute the same logits. In the *training form* every ghost convolution is a sum of
parallel conv+BN branches; :func:`fold` makes the *folded form*, with a single convolution in each of those places.

Sources: the ghost module is from GhostNet (arXiv:1911.11907), the gate from GhostNetV2 (arXiv:2211.12905), the parallel
branches from GhostNetV3 (arXiv:2404.11202), and the table of GN-S from the GhostNetV3-Small paper.

Shapes in the comments: N images, C channels, H x W pixels.
"""

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BRANCHES = 3  # parallel k x k convolutions in every branched convolution
EMBEDDING = 1280  # features in front of the classifier; not scaled with the width
FIRST_GATED = 2  # bottlenecks from this index on (the third is the first) gate their expanding ghost module


class Block(NamedTuple):
    """One row of a network's table: what a bottleneck looks like at width 1.0."""

    kernel: int
    hidden: int
    out: int
    se_ratio: float
    stride: int


GN_S_STAGES = (
    (Block(3, 16, 16, 0, 1),),
    (Block(3, 32, 20, 0, 2), Block(3, 40, 20, 0, 1)),
    (Block(3, 48, 32, 0.25, 1), Block(3, 64, 32, 0.25, 1)),
    (Block(3, 80, 48, 0, 2), Block(3, 96, 48, 0, 1), Block(3, 120, 64, 0.25, 1)),
    (Block(3, 128, 80, 0.25, 1), Block(3, 160, 80, 0.25, 1)),
)

GN_D_STAGES = (
    (Block(3, 16, 16, 0, 1),),
    (Block(3, 48, 24, 0, 2), Block(3, 72, 24, 0, 1)),
    (Block(5, 72, 40, 0.25, 2), Block(5, 120, 40, 0.25, 1)),
    (Block(3, 240, 80, 0, 2), Block(3, 200, 80, 0, 1), *(Block(3, 184, 80, 0, 1),) * 2)
    + (Block(3, 480, 112, 0.25, 1), Block(3, 672, 112, 0.25, 1)),
    (Block(5, 672, 160, 0.25, 2), *(Block(5, 960, 160, 0, 1), Block(5, 960, 160, 0.25, 1)) * 2),
)


def round_channels(channels: float) -> int:
    """The multiple of 4 nearest to ``channels``: at least 4, and never below nine tenths of ``channels``."""
    rounded = max(4, int(channels + 2) // 4 * 4)
    return rounded if rounded >= 0.9 * channels else rounded + 4


class ConvBN(nn.Module):
    """A convolution without bias that keeps the size (at stride 1), then batch normalisation.

    Input (N, in_channels, H, W), output (N, out_channels, ceil(H / stride), ceil(W / stride)). Kernel sizes are odd.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int | tuple[int, int], stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        padding = (height // 2, width // 2)
        self.conv = nn.Conv2d(in_channels, out_channels, (height, width), stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.merge: Callable | None = None  # merging.set_merging puts merge_branches here

    def forward(self, x: Tensor) -> Tensor:
        if self.merge and self.training:
            return self.merge(x, self.conv, [(self.conv.weight, self.bn)])
        return self.bn(self.conv(x))

    def merged(self) -> tuple[Tensor, Tensor]:
        """Kernel (out, in / groups, kh, kw) and bias (out,) of the one convolution that equals this pair."""
        return scale_by_bn(self.conv.weight, self.bn)


class BranchedConv(nn.Module):
    """A k x k convolution as a sum of parallel branches, each with its own batch normalisation.

    There are ``BRANCHES`` k x k conv+BN pairs; where k > 1 also a 1 x 1 conv+BN pair, the *scale* branch; and where the
    output has the shape of the input also a batch normalisation of the input itself, the *identity* branch. All of them
    are linear in eval mode, and so is their sum: :meth:`merged` gives it as a single convolution.

    Input (N, in_channels, H, W), output (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        shape = (in_channels, out_channels, kernel, stride, groups)
        self.branches = nn.ModuleList(ConvBN(*shape) for _ in range(BRANCHES))
        self.scale = ConvBN(in_channels, out_channels, 1, stride, groups) if kernel > 1 else None
        keeps_shape = in_channels == out_channels and stride == 1
        self.identity = nn.BatchNorm2d(in_channels) if keeps_shape else None
        self.merge: Callable | None = None  # merging.set_merging puts merge_branches here

    def forward(self, x: Tensor) -> Tensor:
        if self.merge and self.training:
            return self.merge(x, self.conv, self.parts())
        first, *others = (part for part in (*self.branches, self.scale, self.identity) if part is not None)
        total = first(x)
        for branch in others:
            total = total + branch(x)
        return total

    @property
    def conv(self) -> nn.Conv2d:
        """The first k x k convolution: its geometry is that of the sum."""
        return self.branches[0].conv

    def parts(self) -> list[tuple[Tensor, nn.BatchNorm2d]]:
        """Each branch as a kernel (out, in / groups, k, k) of the full size and the batch norm behind it."""
        conv = self.conv
        parts = [(branch.conv.weight, branch.bn) for branch in self.branches]
        margin = [conv.kernel_size[0] // 2] * 4  # a 1 x 1 kernel is the centre of a k x k kernel of zeros
        if self.scale is not None:
            parts.append((F.pad(self.scale.conv.weight, margin), self.scale.bn))
        if self.identity is not None:  # doing nothing is a convolution too: each channel takes itself, of its group
            itself = torch.eye(conv.weight.shape[1], dtype=conv.weight.dtype, device=conv.weight.device)
            parts.append((F.pad(itself.repeat(conv.groups, 1)[:, :, None, None], margin), self.identity))
        return parts

    def merged(self) -> tuple[Tensor, Tensor]:
        """Kernel (out, in / groups, k, k) and bias (out,) of the one convolution that equals the sum."""
        scaled = [scale_by_bn(kernel, bn) for kernel, bn in self.parts()]
        return sum(kernel for kernel, _ in scaled), sum(bias for _, bias in scaled)


def scale_by_bn(kernel: Tensor, bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Kernel and bias of "convolve with ``kernel``, then ``bn`` in eval mode" as a single convolution.

    Channel by channel, BN maps x to gamma (x - mean) / std + beta: the factor gamma / std, then a shift.
    """
    factor = bn.weight / torch.sqrt(bn.running_var + bn.eps)  # (out,)
    return kernel * factor[:, None, None, None], bn.bias - bn.running_mean * factor


def conv_with(conv: nn.Conv2d, kernel: Tensor, bias: Tensor) -> nn.Conv2d:
    """A convolution with the geometry of ``conv`` and the given kernel and bias."""
    shape = (conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding)
    folded = nn.Conv2d(*shape, groups=conv.groups, device="meta")  # the next line puts in the weights
    folded.weight, folded.bias = nn.Parameter(kernel.detach()), nn.Parameter(bias.detach())
    return folded


class Gate(nn.Module):
    """GhostNetV2's attention in its shortcut form: looks along rows and columns at half the resolution.

    Input (N, in_channels, H, W), output (N, out_channels, H, W) with values between 0 and 1.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.mix = ConvBN(in_channels, out_channels, 1)
        self.rows = ConvBN(out_channels, out_channels, (1, 5), groups=out_channels)
        self.columns = ConvBN(out_channels, out_channels, (5, 1), groups=out_channels)

    def forward(self, x: Tensor) -> Tensor:
        half = F.avg_pool2d(x, 2)  # (N, in, H/2, W/2)
        gate = torch.sigmoid(self.columns(self.rows(self.mix(half))))  # (N, out, H/2, W/2)
        return F.interpolate(gate, size=x.shape[-2:], mode="nearest")


class GhostModule(nn.Module):
    """Makes half of its channels with a 1 x 1 convolution and the other half cheaply from those.

    Input (N, in_channels, H, W), output (N, out_channels, H, W). ``out_channels`` must be even.
    """

    def __init__(self, in_channels: int, out_channels: int, *, relu: bool, gated: bool = False) -> None:
        super().__init__()
        half = out_channels // 2
        self.primary = BranchedConv(in_channels, half, 1)
        self.cheap = BranchedConv(half, half, 3, groups=half)
        self.gate = Gate(in_channels, out_channels) if gated else None
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        primary = self._activate(self.primary(x))  # (N, out/2, H, W)
        ghosts = self._activate(self.cheap(primary))  # (N, out/2, H, W)
        out = torch.cat([primary, ghosts], dim=1)
        return out if self.gate is None else out * self.gate(x)

    def _activate(self, x: Tensor) -> Tensor:
        return F.relu(x, inplace=True) if self.relu else x  # nobody else needs x


class SqueezeExcite(nn.Module):
    """Weighs each channel by a factor between 0 and 1, read off all channels' means; (N, C, H, W) stays."""

    def __init__(self, channels: int, ratio: float) -> None:
        super().__init__()
        squeezed = round_channels(channels * ratio)
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.excite = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean(dim=(2, 3), keepdim=True)  # (N, C, 1, 1)
        return x * F.hardsigmoid(self.excite(F.relu(self.squeeze(means))))


class GhostBottleneck(nn.Module):
    """Expand (ghost module), stride (depthwise), squeeze and excite, project (ghost module), add a shortcut.

    The depthwise convolution is there where ``stride`` is 2, squeeze-and-excite where ``se_ratio`` is positive, and the
    shortcut is the input itself where that has the output's shape.

    Input (N, in_channels, H, W), output (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, block: Block, *, gated: bool) -> None:
        super().__init__()
        kernel, hidden, out_channels, se_ratio, stride = block
        self.expand = GhostModule(in_channels, hidden, relu=True, gated=gated)
        self.depthwise = BranchedConv(hidden, hidden, kernel, stride, groups=hidden) if stride > 1 else nn.Identity()
        self.se = SqueezeExcite(hidden, se_ratio) if se_ratio > 0 else nn.Identity()
        self.project = GhostModule(hidden, out_channels, relu=False)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels or stride > 1:
            resize = ConvBN(in_channels, in_channels, kernel, stride, groups=in_channels)
            self.shortcut = nn.Sequential(resize, ConvBN(in_channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.se(self.depthwise(self.expand(x)))  # (N, hidden, H/stride, W/stride)
        return self.project(hidden) + self.shortcut(x)


class GhostNet(nn.Module):
    """The whole network: stem, bottlenecks, 1 x 1 convolution, average pool, embedding, classifier.

    Args:
        stages: ``GN_S_STAGES`` or ``GN_D_STAGES``, or a table like them.
        width: factor on all channels but the embedding's; :func:`round_channels` rounds each product.
        num_classes: number of logits.
        stem_stride: 1 for 32 x 32 images; GhostNetV3 on ImageNet has 2.

    Input (N, 3, H, W), output (N, num_classes). H = W = 32 for the course's images; any batch size. In train mode GN-D
    needs two images: its last gates see one pixel of each, and a batch norm needs two values.
    """

    def __init__(
        self, stages: tuple[tuple[Block, ...], ...], *, width: float = 1.0, num_classes: int = 10, stem_stride: int = 1
    ) -> None:
        super().__init__()
        channels = round_channels(16 * width)
        self.stem = ConvBN(3, channels, 3, stem_stride)
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for stage_number, stage in enumerate(stages, start=1):
            for block_number, block in enumerate(stage, start=1):
                hidden, out = round_channels(block.hidden * width), round_channels(block.out * width)
                scaled = block._replace(hidden=hidden, out=out)
                bottleneck = GhostBottleneck(channels, scaled, gated=len(blocks) >= FIRST_GATED)
                blocks[f"stage{stage_number}_block{block_number}"] = bottleneck
                channels = out
        self.blocks = nn.Sequential(blocks)
        self.head = ConvBN(channels, hidden, 1)  # as wide as the last bottleneck's hidden layer
        self.embedding = nn.Conv2d(hidden, EMBEDDING, 1)
        self.classifier = nn.Linear(EMBEDDING, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))  # (N, 16w, 32, 32)
        x = self.blocks(x)  # GN-S: (N, 80w, 8, 8); GN-D: (N, 160, 2, 2)
        x = F.relu(self.head(x))  # GN-S: (N, 160w, 8, 8)
        x = x.mean(dim=(2, 3), keepdim=True)  # (N, 160w, 1, 1)
        x = F.relu(self.embedding(x))  # (N, 1280, 1, 1)
        return self.classifier(x.flatten(1))  # (N, num_classes); flatten keeps a batch of one a batch


def fold(model: nn.Module) -> nn.Module:
    """The folded form of a GhostNet: a new network in eval mode, one convolution for each group of branches.

    Its logits are those of the training form in eval mode, up to rounding; ``model`` itself is left as it is. Folding
    works the running statistics of the batch normalisation into the weights: fold after training, not before.

    Raises:
        ValueError: ``model`` is no GhostNet, or is folded already.
    """
    if not isinstance(model, GhostNet):
        raise ValueError(f"cannot fold a {type(model).__name__}: only gn-s and gn-d have branches to fold")
    if not isinstance(model.stem, ConvBN):
        raise ValueError("this network is folded already: fold the training form once, and keep both")
    folded = copy.deepcopy(model)
    fold_inside(folded)
    return folded.eval()


def fold_inside(module: nn.Module) -> None:
    """Replace, in place, each conv+BN pair and each branched convolution in ``module`` by one convolution."""
    for name, child in module.named_children():
        if isinstance(child, ConvBN | BranchedConv):
            setattr(module, name, conv_with(child.conv, *child.merged()))
        else:
            fold_inside(child)
