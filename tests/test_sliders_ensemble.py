"""Ensembles of stored networks: their measures against torch, all choices of members, and which networks ship."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from classroom import sliders
from classroom.sliders.ensemble import HOWS, Pool
from course_lib.data import load_dataset, sample_test_rows
from course_lib.study.store import Logits

SPREADS = {"quiet": 0.5, "loud": 3.0, "weak": 1.0}


@pytest.fixture(scope="module")
def members():
    """Three made-up networks of unequal skill and loudness, for the whole test set."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (10_000,), generator=generator)
    labels[sample_test_rows()] = load_dataset("cifar10", "sample").test.labels
    made = {}
    for name, spread in SPREADS.items():
        noise = torch.randn(10_000, 10, generator=generator)
        z = spread * (noise + (0.5 if name == "weak" else 2.0) * F.one_hot(labels, 10))
        made[name] = Logits(z, labels, {})
    return made


@pytest.mark.parametrize("chosen", [(0,), (1,), (0, 1), (0, 1, 2)])
def test_measures_agree_with_torch(members, chosen):
    names, networks = list(members), [list(members.values())[k] for k in chosen]
    labels, z = networks[0].labels, torch.stack([network.logits.double() for network in networks])
    ticks, pool = [k in chosen for k in range(3)], Pool(members)
    expected = {HOWS[0]: F.softmax(z.mean(dim=0), dim=1), HOWS[1]: F.softmax(z, dim=2).mean(dim=0)}
    for how, p in expected.items():
        measures, ours = pool.measure(ticks, how)
        np.testing.assert_allclose(ours, p, atol=1e-4)
        assert measures.accuracy == pytest.approx(100 * (p.argmax(dim=1) == labels).double().mean().item(), abs=0.02)
        assert measures.loss == pytest.approx(F.nll_loss(p.log(), labels).item(), abs=1e-3)
        assert measures.entropy == pytest.approx(-(p * p.log2()).sum(dim=1).mean().item(), abs=1e-3)
    answers = z.argmax(dim=2)
    wrong = (answers != labels).double()
    pairs = list(itertools.combinations(range(len(chosen)), 2))
    if not pairs:
        assert np.isnan([measures.differ, measures.together]).all(), names
        return
    differ = np.mean([100 * (answers[i] != answers[j]).double().mean().item() for i, j in pairs])
    assert measures.differ == pytest.approx(differ)
    ratios = [((wrong[i] * wrong[j]).mean() / (wrong[i].mean() * wrong[j].mean())).item() for i, j in pairs]
    assert measures.together == pytest.approx(np.mean(ratios))


def test_every_choice_is_there_once_with_its_accuracy(members):
    pool = Pool(members)
    for how in HOWS:
        sizes, accuracies = pool.choices(how)
        assert sorted(sizes) == [1, 1, 1, 2, 2, 2, 3]
        ticked = list(itertools.product((False, True), repeat=3))[1:]
        np.testing.assert_allclose(accuracies, [pool.measure(ticks, how)[0].accuracy for ticks in ticked])


def test_logits_of_other_images_and_too_few_members_are_refused(members):
    odd = Logits(members["loud"].logits, members["loud"].labels.roll(1), {})
    with pytest.raises(ValueError, match="the logits of odd are not of the same images"):
        Pool(members | {"odd": odd})
    with pytest.raises(ValueError, match="1 to 6 members to choose from, not 0"):
        Pool({})


def test_the_four_published_networks_are_the_members():
    shipped = sliders.stored_members()
    assert list(shipped) == ["ResNet-20", "ResNet-32", "ResNet-44", "ResNet-56"]
    pool = Pool(shipped)
    assert list(pool.accuracies) == sorted(pool.accuracies) and pool.accuracies[0] > 91
    assert pool.measure([True] * 4, HOWS[0])[0].accuracy > pool.accuracies[-1] + 0.5
