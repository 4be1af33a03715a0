"""Every network by name: the two students, the paper's seven teachers, and four small ones whose weights are published.

The paper's teachers are torchvision's networks with the changes that ``_teacher`` names. The tests hold each
network to its exact parameter count; rounded, the first nine are the paper's Table I.
"""

import math
from numbers import Integral, Real

import torch
from torch import nn

from course_lib.models.cifar_resnet import DEPTHS, CifarResNet
from course_lib.models.ghostnet import GN_D_STAGES, GN_S_STAGES, GhostNet

DISPLAY_NAMES = {
    "gn-s": "GN-S", "gn-d": "GN-D", "resnet18": "ResNet-18", "resnet34": "ResNet-34", "resnet50": "ResNet-50",
    "vgg13": "VGG-13", "densenet161": "DenseNet-161", "inceptionv3": "InceptionV3",
    "efficientnetv2_s": "EfficientNetV2-S",
} | {f"resnet{depth}": f"ResNet-{depth}" for depth in DEPTHS}  # these are in none of the paper's tables  # fmt: skip
MODEL_NAMES = tuple(DISPLAY_NAMES)
PAPER_WIDTHS = (1.0, 1.3, 1.6, 1.9, 2.2, 2.8, 3.4)
WIDTH_RANGE = (0.25, 6.0)


def create_model(
    name: str, *, width: float | None = None, num_classes: int = 10, seed: int | None = None,
    linear_std: float | None = None,
) -> nn.Module:  # fmt: skip
    """A freshly initialised network in train mode, on the CPU.

    Args:
        name: one of ``MODEL_NAMES``.
        width: factor on the channels of ``gn-s``, 0.25 to 6, by default 1.0. The other networks have none.
        num_classes: number of logits.
        seed: makes the weights reproducible and leaves the global random state alone. Without it they come from the
            global random state, so that ``torch.manual_seed`` governs them.
        linear_std: how its linear layers start, see ``initialise``.

    The network maps (N, 3, S, S) to (N, num_classes) with S = ``input_size(name)``. Created inside ``with
    torch.device("meta")`` it has shapes and no weights: enough to count with, and it takes no memory.

    Raises:
        ValueError: unknown name, a width for a network without one or out of range, or fewer than one class.
    """
    _check(name, width, num_classes)
    with torch.device("meta"):  # or torchvision would draw weights: slowly, and from the global random state
        model = _build(name, width, int(num_classes))
    if torch.get_default_device().type == "meta":
        return model
    return initialise(model.to_empty(device="cpu"), seed, linear_std=linear_std)


def input_size(name: str) -> int:
    """Height and width in pixels of the network's images: 224 for ``efficientnetv2_s``, else 32."""
    _check(name)
    return 224 if name == "efficientnetv2_s" else 32


@torch.no_grad()
def initialise(model: nn.Module, seed: int | None = None, *, linear_std: float | None = None) -> nn.Module:
    """Set all weights as at the start of training, in place, and return ``model``.

    Convolutions and linear layers are Kaiming-normal by their fan-out, as in the runs behind the paper, biases 0; batch
    norms have factor 1, shift 0 and fresh statistics. With a ``seed`` the numbers are the same on every device and the
    global random state stays as it is. With ``linear_std`` linear layers are normal with this standard deviation: by
    their fan-out, a wide last layer starts with such logits that the first loss is 13 to 37, where guessing has 2.3.
    Raises TypeError where the model has a layer with weights of some other kind.
    """
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            drawn = torch.empty(module.weight.shape, device="cpu")
            if linear_std is not None and isinstance(module, nn.Linear):
                nn.init.normal_(drawn, std=linear_std, generator=generator)
            else:
                nn.init.kaiming_normal_(drawn, mode="fan_out", nonlinearity="relu", generator=generator)
            module.weight.copy_(drawn)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif any(True for _ in module.parameters(recurse=False)):
            raise TypeError(f"do not know how to initialise a {type(module).__name__}: add it to initialise()")
    return model


def _check(name: str, width: float | None = None, num_classes: int = 10) -> None:
    if name not in MODEL_NAMES:
        raise ValueError(f"unknown model {name!r}: choose one of {', '.join(MODEL_NAMES)}")
    if width is not None and name != "gn-s":
        raise ValueError(f"{name} has no width: leave it out, or choose gn-s, the only network with one")
    low, high = WIDTH_RANGE
    if width is not None and not (isinstance(width, Real) and math.isfinite(width) and low <= width <= high):
        raise ValueError(f"width {width!r} is not possible: gn-s takes a number from {low:g} to {high:g}")
    if not isinstance(num_classes, Integral) or num_classes < 1:
        raise ValueError(f"num_classes {num_classes!r} is not possible: give a whole number of at least 1")


def _build(name: str, width: float | None, num_classes: int) -> nn.Module:
    if name in ("gn-s", "gn-d"):
        stages = GN_S_STAGES if name == "gn-s" else GN_D_STAGES
        return GhostNet(stages, width=1.0 if width is None else float(width), num_classes=num_classes)
    depth = name.removeprefix("resnet")
    return CifarResNet(int(depth), num_classes) if depth in map(str, DEPTHS) else _teacher(name, num_classes)


def _teacher(name: str, num_classes: int) -> nn.Module:
    """torchvision's network with the changes for 32 x 32 pixels; EfficientNetV2-S has none, it is fed 224 x 224."""
    from torchvision import models

    kind = {"vgg13": "vgg13_bn", "inceptionv3": "inception_v3", "efficientnetv2_s": "efficientnet_v2_s"}.get(name, name)
    how = {"aux_logits": False, "init_weights": False} if name == "inceptionv3" else {}
    model = getattr(models, kind)(weights=None, num_classes=num_classes, **how)
    if name.startswith("resnet"):  # the stem is 3 x 3 with stride 1, not 7 x 7 with 2; the max-pool stays
        model.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
    elif name == "densenet161":  # the same
        model.features.conv0 = nn.Conv2d(3, 96, 3, stride=1, padding=1, bias=False)
    elif name == "vgg13":  # pooled to 1 x 1, not 7 x 7: the first linear layer takes 512
        model.avgpool = nn.AdaptiveAvgPool2d(1)
        model.classifier[0] = nn.Linear(512, 4096)
    elif name == "inceptionv3":
        # One 3 x 3 convolution is the stem, in place of five and two max-pools (three strides of 2). The reductions
        # keep their stride and no padding: Mixed_5 works at 32 x 32, Mixed_6 at 15 x 15, Mixed_7 at 7 x 7.
        model.Conv2d_1a_3x3 = models.inception.BasicConv2d(3, 192, kernel_size=3, stride=1, padding=1)
        for part in ("Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2"):
            setattr(model, part, nn.Identity())
    return model
