"""Ensembles of stored networks: their measures against torch, all choices of members, and which networks ship."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from classroom import sliders
from classroom.sliders.pool import HOWS, MOST_CHOICES, Pool
from course_lib.data import load_dataset, sample_test_rows
from course_lib.study.store import Logits, save_logits

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


# --- arithmetic -----------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [(0,), (1,), (0, 1), (0, 1, 2)])
def test_measures_agree_with_torch(members, chosen):
    names, networks = list(members), [list(members.values())[k] for k in chosen]
    labels, z = networks[0].labels, torch.stack([network.logits.double() for network in networks])
    ticks, pool = [k in chosen for k in range(3)], Pool(members)
    scaled = torch.stack([m * z.std(dim=(1, 2), correction=0).mean() / m.std(correction=0) for m in z])
    expected = {
        HOWS[0]: F.softmax(z.mean(dim=0), dim=1),
        HOWS[1]: F.softmax(scaled.mean(dim=0), dim=1),
        HOWS[2]: F.softmax(z, dim=2).mean(dim=0),
    }
    for how, p in expected.items():
        measures, ours = pool.measure(ticks, how)
        np.testing.assert_allclose(ours, p, atol=1e-4)
        assert measures.accuracy == pytest.approx(100 * (p.argmax(dim=1) == labels).double().mean().item(), abs=0.02)
        assert measures.loss == pytest.approx(F.nll_loss(p.log(), labels).item(), abs=1e-3)
        assert measures.entropy == pytest.approx(-(p * p.log2()).sum(dim=1).mean().item(), abs=1e-3)
        assert measures.confidence == pytest.approx(100 * p.max(dim=1).values.mean().item(), abs=0.01)
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


def test_equal_voices_do_not_hear_how_loud_a_member_is(members):
    pool = Pool(members)
    louder = Pool(members | {"loud": Logits(5 * members["loud"].logits, members["loud"].labels, {})})
    ticks = [True, True, False]
    same, plain = ([a.measure(ticks, how)[0].accuracy for a in (pool, louder)] for how in (HOWS[1], HOWS[0]))
    assert same[0] == pytest.approx(same[1]) and plain[0] != plain[1]


def test_the_cloud_holds_every_choice_once_with_its_accuracy(members):
    pool = Pool(members)
    for how in HOWS:
        sizes, accuracies = pool.cloud(how)
        assert sorted(sizes) == [1, 1, 1, 2, 2, 2, 3]
        choices = list(itertools.product((False, True), repeat=3))[1:]
        expected = [pool.measure(ticks, how)[0].accuracy for ticks in choices]
        np.testing.assert_allclose(accuracies, expected, atol=0.02)


def test_many_members_have_a_cloud_of_some_choices(members):
    small = {f"m{k}": Logits(network.logits[:50], network.labels[:50], {})
             for k, network in enumerate(list(members.values()) * 4)}  # fmt: skip
    sizes, accuracies = Pool(small).cloud(HOWS[0])
    assert len(sizes) == len(accuracies) == MOST_CHOICES


def test_logits_of_other_images_and_too_few_members_are_refused(members):
    odd = Logits(members["loud"].logits, members["loud"].labels.roll(1), {})
    with pytest.raises(ValueError, match="the logits of odd are not of the same images"):
        Pool(members | {"odd": odd})
    with pytest.raises(ValueError, match="1 to 12 members to choose from, not 0"):
        Pool({})


# --- what ships -----------------------------------------------------------------------------------


def test_all_that_lies_there_becomes_a_member_with_a_name_for_people(tmp_path, monkeypatch, members):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    networks = list(members.values())
    folder = tmp_path / "data" / "logits"
    save_logits("gn-s-1.0x", networks[0].logits, networks[0].labels, {"model": "gn-s", "width": 1.0}, folder)
    save_logits("gn-s-other", networks[2].logits, networks[0].labels, {"model": "gn-s", "width": 1.0}, folder)
    save_logits("plain-7", networks[1].logits, networks[0].labels, {"model": "plain"}, folder / "members")
    save_logits("foreign", networks[1].logits[:50], networks[0].labels[:50], {"model": "plain"}, folder / "members")
    assert list(sliders.stored_members()) == ["GN-S 1.0x", "GN-S 1.0x (gn-s-other)", "plain-7"]


def test_of_a_profile_the_best_networks_without_a_teacher_are_members(tmp_path, monkeypatch, members):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    folder = tmp_path / "data" / "logits" / "full"
    assert sliders.stored_members("full") == {}
    runs = {
        "resnet50.full.paper.seed0": {"model": "resnet50", "key": "resnet50", "recipe_name": "paper"},
        "resnet50.full.repaired.seed0": {"model": "resnet50", "key": "resnet50", "recipe_name": "repaired"},
        "gn-s-1.0x_from_vgg13.full.paper.seed0": {"model": "gn-s", "width": 1.0, "key": "gn-s-1.0x<vgg13"},
    }
    for run, meta in runs.items():
        save_logits(run, members["loud"].logits[:50], members["loud"].labels[:50], meta, folder)
    assert list(sliders.stored_members("full")) == ["ResNet-50"]
    for k in range(13):
        z = members["loud"].logits[:50] + k
        save_logits(f"n{k}", z, members["loud"].labels[:50], {"key": f"n{k}"}, folder)
    assert len(sliders.stored_members("full")) == 12
