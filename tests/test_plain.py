"""The small plain networks of lesson 05: shapes, seeds, and the weights that ship."""

import pytest
import torch

from classroom.plain import KINDS, PlainNet, load_plain
from course_lib.data import load_dataset, sample_test_rows
from course_lib.data.augment import normalise
from course_lib.files import CheckpointError, repo_path
from course_lib.study.store import load_logits


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_logits_and_follows_its_seed(kind):
    images = torch.randn(2, 3, 32, 32)
    one, same, other = (PlainNet(kind, num_classes=7, seed=seed).eval()(images) for seed in (1, 1, 2))
    assert one.shape == (2, 7)
    assert torch.equal(one, same) and not torch.allclose(one, other)


def test_grey_sees_no_colour():
    images = torch.randn(2, 3, 32, 32)
    network = PlainNet("grey", seed=0).eval()
    torch.testing.assert_close(network(images), network(images.flip(1)), atol=1e-5, rtol=1e-5)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="unknown kind 'mlp'"):
        PlainNet("mlp")


@pytest.mark.parametrize("name", ["plain-0", "patches-0"])
def test_shipped_weights_give_the_shipped_logits(name):
    network, meta = load_plain(name)
    stored = load_logits(name, repo_path("data", "logits", "members"))
    with torch.no_grad():
        logits = network(normalise(load_dataset("cifar10", "sample").test.images))
    torch.testing.assert_close(logits, stored.logits[sample_test_rows()], atol=0.08, rtol=0.001)  # kept in eighths
    assert meta["accuracy"] == stored.meta["accuracy"]
    assert not network.training


def test_missing_or_foreign_weights_are_told_in_one_line(tmp_path):
    for folder, name in ((tmp_path, "plain-0"), (None, "gn-s-1.0x")):
        with pytest.raises(CheckpointError, match=r"^[^\n]*make_members.py makes it$"):
            load_plain(name, folder)
