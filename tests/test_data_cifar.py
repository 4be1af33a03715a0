"""The data sets as tensors: the sample on board, the full set where it is at hand, the splits."""

import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pytest
import torch

from course_lib.data import CLASSES, ImageSet, load_dataset
from course_lib.data.fetch import SHA256
from course_lib.files import DataError, repo_path
from tools import make_sample
from tools.split import split_validation

SAMPLE = repo_path("data", "sample")


@pytest.fixture(scope="module")
def sample():
    return load_dataset("cifar10", "sample")


@pytest.fixture(scope="module")
def full():
    if not repo_path("data", "cache", "cifar10.npz").exists():
        pytest.skip("the full set is not in data/cache")
    return load_dataset("cifar10", "full")


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of data/sample to damage, in a course folder of its own."""
    shutil.copytree(SAMPLE, tmp_path / "data" / "sample")
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    return tmp_path / "data"


def fingerprint(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().numpy()).hexdigest()


# ---- the sample


def test_the_sample_is_balanced_and_small(sample):
    assert sample.train.images.shape == (2500, 3, 32, 32) and sample.train.images.dtype == torch.uint8
    assert sample.test.images.shape == (1000, 3, 32, 32) and sample.test.labels.dtype == torch.int64
    assert torch.bincount(sample.train.labels).tolist() == [250] * 10
    assert torch.bincount(sample.test.labels).tolist() == [100] * 10
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) < 6_000_000


def test_the_samples_pixels_are_the_committed_ones(sample):
    """Pinned here as well, so that sheets and checksums cannot be exchanged together."""
    assert fingerprint(sample.train.images) == "0c265c13eef29b38438c24a0a93a76d1fe1bccbecb234146b941ce2520e51520"
    assert fingerprint(sample.test.images) == "9774ce1f567c858742d9bd6458f31f0890be374deb0d3caa02a6cfe18f205817"


def test_the_sample_is_a_part_of_the_full_set(sample, full):
    splits = json.loads((SAMPLE / "sample.json").read_text())["splits"]
    for split in ("train", "test"):
        part, whole = getattr(sample, split), getattr(full, split)
        indices = torch.tensor(splits[split]["indices"])
        assert len(indices.unique()) == len(indices)
        assert torch.equal(part.images, whole.images[indices])
        assert torch.equal(part.labels, whole.labels[indices])


def test_the_script_draws_the_committed_sample(full, tmp_path, monkeypatch):
    monkeypatch.setattr(make_sample, "webp", lambda pixels: b"")  # packing takes seconds, and the pixels are hashed
    arrays = {}
    for split in ("train", "test"):
        images = getattr(full, split)
        arrays[f"{split}_images"] = images.images.permute(0, 2, 3, 1).contiguous().numpy()
        arrays[f"{split}_labels"] = images.labels.numpy().astype(np.uint8)
    make_sample.write_sample(arrays, tmp_path)
    assert (tmp_path / "sample.json").read_text() == (SAMPLE / "sample.json").read_text()


@pytest.mark.parametrize("damage", ["flipped", "half", "missing", "exchanged"])
def test_a_damaged_sheet_is_named(copy, damage):
    sheet = copy / "sample" / "train-2.webp"
    content = bytearray(sheet.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
        sheet.write_bytes(content)
    elif damage == "half":
        sheet.write_bytes(content[: len(content) // 2])
    elif damage == "missing":
        sheet.unlink()
    else:
        shutil.copy(copy / "sample" / "train-1.webp", sheet)
    with pytest.raises(DataError, match="train-2.webp is .*damaged.*get it from the course again") as caught:
        load_dataset("cifar10", "sample")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["label", "half", "missing"])
def test_a_damaged_manifest_is_named(copy, damage):
    manifest = copy / "sample" / "sample.json"
    content = manifest.read_text()
    if damage == "label":
        edited = json.loads(content)
        edited["splits"]["test"]["labels"][0] = (edited["splits"]["test"]["labels"][0] + 1) % 10
        manifest.write_text(json.dumps(edited))
    elif damage == "half":
        manifest.write_text(content[: len(content) // 2])
    else:
        manifest.unlink()
    with pytest.raises(DataError, match="sample.json is missing or damaged"):
        load_dataset("cifar10", "sample")


def test_a_sheet_is_laid_as_the_sample_is_read(sample, copy):
    images = sample.train.images[:500].permute(0, 2, 3, 1).numpy()
    sheet = make_sample.lay_sheet(images)
    assert sheet.shape == (640, 800, 3)
    np.testing.assert_array_equal(sheet[32:64, 64:96], images[27])
    (copy / "sample" / "train-0.webp").write_bytes(make_sample.webp(sheet))
    assert torch.equal(load_dataset("cifar10", "sample").train.images, sample.train.images)


# ---- the full set


def test_the_full_set_is_cifar_10(full):
    for split in ("train", "test"):
        images = getattr(full, split)
        pixels = images.images.permute(0, 2, 3, 1)
        assert fingerprint(pixels) == SHA256[f"{split}_images"]
        assert fingerprint(images.labels.to(torch.uint8)) == SHA256[f"{split}_labels"]
    assert (len(full.train), len(full.test), full.num_classes) == (50_000, 10_000, 10)
    assert full.label == "CIFAR-10 (50,000 training and 10,000 test images)"


# ---- parts and splits


def test_the_validation_split_of_the_full_set_is_fixed(full):
    fit, validation = split_validation(full)
    assert torch.bincount(fit.labels).tolist() == [4500] * 10
    assert torch.bincount(validation.labels).tolist() == [500] * 10
    assert fingerprint(validation.images) == "385f05501679f6e44a2472fec413c5d710ab91fcf17357a8099df2d5973b5d89"


def test_the_two_sides_of_a_split_share_no_image_and_lose_none(sample):
    fit, validation = split_validation(sample)
    assert (len(fit), len(validation)) == (2250, 250)
    assert torch.bincount(validation.labels).tolist() == [25] * 10

    def rows(images):
        return {image.numpy().tobytes() for image in images.images}

    assert not rows(fit) & rows(validation)
    assert rows(fit) | rows(validation) == rows(sample.train)
    assert torch.equal(split_validation(sample)[1].images, validation.images)


def test_a_part_is_balanced_nested_and_in_order(sample):
    part = sample.train.take(100)
    assert torch.bincount(part.labels).tolist() == [10] * 10
    smaller = part.take(37)
    assert len(smaller) == 37 and torch.bincount(smaller.labels).max() - torch.bincount(smaller.labels).min() == 1
    assert torch.equal(smaller.images, sample.train.take(37).images)
    assert torch.equal(sample.train.take(2500).images, sample.train.images)


@pytest.mark.parametrize("n", [0, -1, 2501, 20.0])
def test_a_part_larger_than_the_whole_is_refused(sample, n):
    with pytest.raises(ValueError, match=f"cannot take {n} of 2500"):
        sample.train.take(n)


IMAGES, LABELS = torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES.permute(0, 2, 3, 1), LABELS, r"\(2, 32, 32, 3\): the channels stand last, .*permute\(0, 3, 1, 2\)"),
        (IMAGES.float(), LABELS, "got torch.float32 .*: keep the pixels as they are, 0..255"),
        (IMAGES.numpy(), LABELS, r"images must be a tensor, got ndarray: write torch.as_tensor\(images\)"),
        (IMAGES[0], LABELS, r"expected uint8 images \(N, 3, H, W\)"),
        (IMAGES, [0, 1], r"labels must be a tensor, got list: write torch.as_tensor\(labels\)"),
        (IMAGES, LABELS[:, None], r"labels must be int64 \(2,\), got torch.int64 \(2, 1\): write labels.flatten"),
        (IMAGES, torch.eye(2), r"got torch.float32 \(2, 2\): write labels.argmax\(dim=1\)"),
        (IMAGES, LABELS.int(), r"got torch.int32 \(2,\): write labels.flatten\(\).long\(\)"),
        (IMAGES, LABELS[:1], "2 images and 1 labels"),
    ],
)
def test_images_and_labels_of_the_wrong_kind_are_refused_with_what_to_do(images, labels, message):
    with pytest.raises(ValueError, match=message) as caught:
        ImageSet(images, labels)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shift", "message"), [(1, "labels go from 1 to 10, but 10 classes .* 0 to 9: subtract 1"), (-1, "from -1 to 8")]
)
def test_labels_without_a_class_are_refused(sample, shift, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(sample, train=ImageSet(sample.train.images, sample.train.labels + shift))


def test_a_data_set_moves_as_a_whole():
    moved = load_dataset("cifar10", "sample").to("meta")
    assert moved.train.images.device.type == moved.test.labels.device.type == "meta"


# ---- names


@pytest.mark.parametrize(
    ("name", "subset", "message"),
    [
        ("mnist", "full", "unknown data set 'mnist': the course has cifar10"),
        ("cifar10", "half", "unknown subset 'half': full or sample"),
    ],
)
def test_unknown_names_are_refused_in_one_line(name, subset, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(name, subset)


def test_the_class_names_are_in_the_data_sets_order():
    assert len(CLASSES) == 10 and CLASSES[3] == "cat" and CLASSES[-1] == "truck"
