"""The paper's augmentation, for a whole batch at once and on the device that holds it.

The same as torchvision's ``RandomCrop(32, padding=4)`` and ``RandomHorizontalFlip()`` on uint8 images, then
normalisation. An image is seen through one of 162 views (nine row offsets, nine column offsets, flipped or
not), and each image of a batch gets its own. Drawing stands apart from cutting, so that a test or a lesson
can fix the draw.
"""

import functools

import torch
from torch import Tensor
from torch.nn.functional import pad

PADDING = 4
OFFSETS = 2 * PADDING + 1  # a 32-pixel window has nine places in 40 pixels
VIEWS = OFFSETS * OFFSETS * 2
MEAN = (0.4914, 0.4822, 0.4465)  # of CIFAR-10's training pixels on the scale 0..1: red, green, blue
STD = (0.2471, 0.2435, 0.2616)


def draw_views(n: int, generator: torch.Generator, device: torch.device | str = "cpu") -> Tensor:
    """Draw the views of ``n`` images: every one of the 162 is equally likely, and each image has its own.

    The ``generator`` is on the CPU: the same seed gives the same draws whatever the ``device`` that they are put on.

    Returns:
        int64 ``(n, 3)``: row offset 0..8, column offset 0..8, flip 0 or 1. Offset 4 leaves the image in place.
    """
    limits = (OFFSETS, OFFSETS, 2)
    columns = [torch.randint(limit, (n,), generator=generator) for limit in limits]
    return torch.stack(columns, dim=1).to(device)


def view_number(views: Tensor) -> Tensor:
    """Number the views ``(N, 3)`` of :func:`draw_views` from 0 to 161, as int64 ``(N,)``."""
    return (views[:, 0] * OFFSETS + views[:, 1]) * 2 + views[:, 2]


def crop_and_flip(images: Tensor, views: Tensor) -> Tensor:
    """Cut each image's window out of the black-padded image and mirror it where its view says so.

    Args:
        images: uint8 ``(N, 3, H, W)``, not yet normalised: the padding is black, not grey.
        views: int64 ``(N, 3)`` from :func:`draw_views`.

    Returns:
        uint8 ``(N, 3, H, W)``, a new tensor. ValueError where the images or views are of another kind.
    """
    require_images(images)
    if tuple(views.shape) != (len(images), 3):
        raise ValueError(f"views must be ({len(images)}, 3), one row an image; got {tuple(views.shape)}")
    n, channels, height, width = images.shape
    views = views.to(images.device)
    row_offset, column_offset, flip = views[:, :1], views[:, 1:2], views[:, 2:] == 1
    along = torch.arange(width, device=images.device)
    rows = row_offset + torch.arange(height, device=images.device)  # (N, H): rows of the padded image
    columns = column_offset + torch.where(flip, width - 1 - along, along)  # (N, W); a flip reads backwards
    padded = pad(images, (PADDING,) * 4)
    # One flat gather is four times as fast on the CPU as indexing with rows and columns.
    pixels = rows[:, :, None] * padded.shape[-1] + columns[:, None, :]
    pixels = pixels.view(n, 1, height * width).expand(n, channels, height * width)
    return padded.flatten(2).gather(2, pixels).view(images.shape)


def normalise(images: Tensor) -> Tensor:
    """Turn uint8 pixels ``(N, 3, H, W)`` into what the networks eat: ``(pixel / 255 - MEAN) / STD`` a channel.

    Returns float32 ``(N, 3, H, W)`` on the same device; ValueError where the images are not uint8 (normalised twice?).
    """
    require_images(images)
    shift, scale = _shift_and_scale(images.device)
    return torch.addcmul(shift, images.to(torch.float32), scale)  # one multiply-add a pixel


@functools.cache
def _shift_and_scale(device: torch.device) -> tuple[Tensor, Tensor]:
    # Kept on the device: made anew, they would have a GPU wait for the CPU in every step.
    mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (MEAN, STD))
    return -mean / std, 1 / (255 * std)


def require_images(images: Tensor) -> None:
    """Raise ValueError, with what to do, where ``images`` are not uint8 ``(N, 3, H, W)``."""
    if not isinstance(images, Tensor):
        raise ValueError(f"images must be a tensor, got {type(images).__name__}: write torch.as_tensor(images)")
    if images.dtype == torch.uint8 and images.ndim == 4 and images.shape[1] == 3:
        return
    got, remedy = f"{images.dtype} {tuple(images.shape)}", ""
    if images.ndim == 4 and images.shape[3] == 3:
        remedy = ": the channels stand last, write images.permute(0, 3, 1, 2)"
    elif images.dtype != torch.uint8:
        remedy = ": keep the pixels as they are, 0..255; the course itself normalises them, once"
    raise ValueError(f"expected uint8 images (N, 3, H, W), got {got}{remedy}")
