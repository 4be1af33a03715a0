"""The CIFAR ResNet of He et al. (2016, section 4.2), depth 6n + 2: the published teachers ``resnet20`` to ``resnet56``.

Unlike torchvision's ResNet-18 it keeps 32 x 32 pixels in its first stage and has only 16, 32 and 64 channels: less than
a million parameters. Shortcuts have none (option A). Module names are those of the published weights.
"""

import functools

import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.data.augment import MEAN, STD

DEPTHS = (20, 32, 44, 56)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PUBLISHED = {  # file and SHA-256 of the weights at akamaster/pytorch_resnet_cifar10 (BSD-2-Clause)
    "resnet20": ("resnet20-12fca82f.th", "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8"),
    "resnet32": ("resnet32-d509ac18.th", "d509ac1820d7f25398913559d7e81a13229b1e7adc5648e3bfa5e22dc137f850"),
    "resnet44": ("resnet44-014dd654.th", "014dd6541728a1c700b1642ab640e211dc6eb8ed507d70697458dc8f8a0ae2e4"),
    "resnet56": ("resnet56-4bfd9763.th", "4bfd97631478d6b638d2764fd2baff3edb1d7d82252d54439343b6596b9b5367"),
}


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm, and a shortcut around them.

    Input (N, in_channels, H, W), output (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.stride, self.new_channels = stride, out_channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))

    def shortcut(self, x: Tensor) -> Tensor:
        """Option A: every second pixel where the stride is 2; new channels are zeros, half before and half behind."""
        half = self.new_channels // 2
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, half))


class CifarResNet(nn.Module):
    """Logits (N, num_classes) for images (N, 3, 32, 32) as the course normalises them.

    The published weights want ImageNet's statistics instead of CIFAR-10's: the network converts, exactly, so that the
    zeros that its first convolution pads with mean what they meant when it was trained.

    ``depth`` is 6n + 2, with n blocks in each of the three stages.
    """

    def __init__(self, depth: int, num_classes: int = 10):
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, stride=1)
        self.layer2 = _stage(16, 32, blocks, stride=2)
        self.layer3 = _stage(32, 64, blocks, stride=2)
        self.linear = nn.Linear(64, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(renormalise(images))))  # (N, 16, 32, 32)
        x = self.layer3(self.layer2(self.layer1(x)))  # (N, 64, 8, 8)
        return self.linear(x.mean(dim=(2, 3)))


def _stage(in_channels: int, out_channels: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(in_channels, out_channels, stride)
    return nn.Sequential(first, *(BasicBlock(out_channels, out_channels, 1) for _ in range(blocks - 1)))


@torch.fx.wrap  # one step of the graph in which batch norms are folded
def renormalise(images: Tensor) -> Tensor:
    """From CIFAR-10's statistics to ImageNet's, a factor and a shift a channel: (N, 3, H, W) stays."""
    factor, shift = _factor_and_shift(images.device)
    return torch.addcmul(shift, images, factor)


@functools.cache
def _factor_and_shift(device: torch.device) -> tuple[Tensor, Tensor]:
    values = (torch.tensor(value, device=device).view(3, 1, 1) for value in (MEAN, STD, IMAGENET_MEAN, IMAGENET_STD))
    cifar_mean, cifar_std, mean, std = values
    return cifar_std / std, (cifar_mean - mean) / std
