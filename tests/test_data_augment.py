"""The augmentation is the paper's: torchvision's crop and flip, pixel for pixel, each image with its own draw."""

import pytest
import torch
from torchvision.transforms import functional

from course_lib.data.augment import MEAN, STD, crop_and_flip, draw_views, normalise

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


def photographs(n: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def all_views() -> torch.Tensor:
    return torch.cartesian_prod(torch.arange(9), torch.arange(9), torch.arange(2))


def by_torchvision(image: torch.Tensor, view: torch.Tensor) -> torch.Tensor:
    """What RandomCrop(32, padding=4) and RandomHorizontalFlip do with these draws."""
    row, column, flip = view.tolist()
    image = functional.crop(functional.pad(image, [4]), row, column, 32, 32)
    return functional.hflip(image) if flip else image


@pytest.mark.parametrize("device", DEVICES)
def test_every_view_is_torchvisions(device):
    views = all_views()
    images = photographs(len(views))
    ours = crop_and_flip(images.to(device), views.to(device)).cpu()
    theirs = torch.stack([by_torchvision(image, view) for image, view in zip(images, views, strict=True)])
    assert ours.dtype == torch.uint8
    assert torch.equal(ours, theirs)


def test_crop_flip_and_normalise_are_torchvisions_transforms():
    """The whole pipeline: pad and crop black before normalising, ToTensor, Normalize."""
    views = draw_views(64, torch.Generator().manual_seed(3))
    images = photographs(64)
    theirs = [
        functional.normalize(by_torchvision(image, view).to(torch.float32) / 255, MEAN, STD)
        for image, view in zip(images, views, strict=True)
    ]
    torch.testing.assert_close(normalise(crop_and_flip(images, views)), torch.stack(theirs), rtol=0, atol=1e-6)


def test_the_padding_is_black_and_not_grey():
    """Padding after normalising would put 0 there, the mean colour; black is about -2."""
    white = torch.full((1, 3, 32, 32), 255, dtype=torch.uint8)
    corner = normalise(crop_and_flip(white, torch.tensor([[0, 0, 0]])))[0, :, 0, 0]
    torch.testing.assert_close(corner, -torch.tensor(MEAN) / torch.tensor(STD))


def test_the_middle_view_changes_nothing():
    images = photographs(5)
    assert torch.equal(crop_and_flip(images, torch.tensor([[4, 4, 0]] * 5)), images)


def test_the_images_given_are_left_alone():
    images = photographs(8)
    before = images.clone()
    normalise(crop_and_flip(images, draw_views(8, torch.Generator().manual_seed(0))))
    assert torch.equal(images, before)


def test_views_follow_the_generator_and_only_it():
    torch.manual_seed(0)
    first = draw_views(256, torch.Generator().manual_seed(7))
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(7)
    assert torch.equal(draw_views(256, generator), first)
    assert not torch.equal(draw_views(256, generator), first)
    assert first.shape == (256, 3) and first.dtype == torch.int64


def test_each_image_of_a_batch_has_its_own_draw():
    """One draw a batch, a known mistake, would give one distinct row."""
    views = draw_views(256, torch.Generator().manual_seed(0))
    assert len(views.unique(dim=0)) > 100  # 129 are expected of 162


def test_all_162_views_are_equally_likely():
    n = 162 * 500
    views = draw_views(n, torch.Generator().manual_seed(0))
    assert views.min() == 0 and views[:, :2].max() == 8 and views[:, 2].max() == 1
    counts = torch.bincount(views[:, 0] * 18 + views[:, 1] * 2 + views[:, 2], minlength=162).double()
    chi_squared = ((counts - n / 162) ** 2 / (n / 162)).sum()
    assert counts.shape == (162,)
    assert chi_squared < 161 + 5 * (2 * 161) ** 0.5  # five standard deviations above what chance gives


def test_normalise_whitens_the_real_images():
    from course_lib.data import load_dataset

    pixels = normalise(load_dataset("cifar10", "sample").train.images)
    assert pixels.dtype == torch.float32
    assert pixels.mean(dim=(0, 2, 3)).abs().max() < 0.05
    assert (pixels.std(dim=(0, 2, 3)) - 1).abs().max() < 0.05


@pytest.mark.parametrize("wrong", [torch.zeros(2, 3, 32, 32), torch.zeros(3, 32, 32, dtype=torch.uint8)])
def test_what_is_not_a_batch_of_uint8_images_is_refused(wrong):
    with pytest.raises(ValueError, match="expected uint8 images"):
        normalise(wrong)
    with pytest.raises(ValueError, match="expected uint8 images"):
        crop_and_flip(wrong, torch.zeros(2, 3, dtype=torch.int64))


def test_one_view_an_image_is_wanted():
    with pytest.raises(ValueError, match="one row an image"):
        crop_and_flip(photographs(4), draw_views(1, torch.Generator()))
