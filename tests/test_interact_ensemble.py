"""The ensemble slider: its numbers against torch, every choice draws anew, and what does not fit is refused."""

import base64
import html
import io
import itertools
import re
import statistics
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from classroom import sliders
from classroom.sliders.ensemble import HOWS, MOST_CHOICES, PICTURES, Pool
from course_lib import look
from course_lib.data import CLASSES, load_dataset, sample_test_rows
from course_lib.study.store import Logits, save_logits

LIMIT_MS = 500  # of processor time for a redraw; loose, for slow machines
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


@pytest.fixture(scope="module")
def pictures():
    return {
        "images": load_dataset("cifar10", "sample").test.images,
        "classes": CLASSES,
        "rows": sample_test_rows().numpy(),
    }


@pytest.fixture(scope="module")
def box(members, pictures):
    return sliders.ensemble_explorer(members, **pictures)


def part(box, name):
    """The widget of the box that carries the class ``course-<name>``."""
    inside = itertools.chain(box.children, *(child.children for child in box.children if hasattr(child, "children")))
    (found,) = [widget for widget in inside if f"course-{name}" in widget._dom_classes]
    return found


def seen(box) -> tuple[str, str, str]:
    """Picture, alt text and words as the page has them."""
    tag = part(box, "image").value
    alt = html.unescape(re.search('alt="([^"]*)"', tag).group(1))
    return re.search('base64,([^"]*)"', tag).group(1), alt, html.unescape(part(box, "text").value)


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


# --- the explorer ---------------------------------------------------------------------------------


def test_every_control_draws_a_picture_words_and_alt_text_of_its_own(box):
    shown, milliseconds = [seen(box)], []
    moves = [("member-0", False), ("member-2", False), ("mean", HOWS[1]), ("mean", HOWS[2])]
    moves += [("member-2", True), *(("picture", place) for place in (0, 1, PICTURES - 1))]
    for name, value in moves:
        begin = time.process_time()  # of this process: other jobs on the machine do not count
        part(box, name).value = value
        milliseconds.append(1000 * (time.process_time() - begin))
        shown.append(seen(box))
    print(f"\nmedian {statistics.median(milliseconds):.0f} ms of processor time, slowest {max(milliseconds):.0f}")
    for what in zip(*shown, strict=True):
        assert len(set(what)) >= len(shown) - 1  # one member alone: the kind of mean changes nothing but its name
    assert statistics.median(milliseconds) < LIMIT_MS
    for name, value in (("member-0", True), ("mean", HOWS[0]), ("picture", PICTURES // 2)):
        part(box, name).value = value
    assert seen(box) == shown[0]


def test_nobody_chosen_says_so_and_goes_on(box):
    before = seen(box)
    for place in range(3):
        part(box, f"member-{place}").value = False
    assert "tick one at least" in seen(box)[2] and "tick one at least" in seen(box)[1]
    for place in range(3):
        part(box, f"member-{place}").value = True
    assert seen(box) == before


def test_words_name_members_mean_and_numbers(box, members):
    for place in range(3):
        part(box, f"member-{place}").value = place < 2
    z = (members["quiet"].logits + members["loud"].logits) / 2
    labels = members["quiet"].labels
    words = seen(box)[2]
    assert 'aria-live="polite"' in part(box, "text").value
    assert "quiet, loud; mean of logits" in words
    assert f"accuracy {100 * (z.argmax(dim=1) == labels).double().mean():.2f} % of 10,000 test images" in words
    assert f"loss {F.cross_entropy(z, labels):.3f}" in words
    part(box, "member-2").value = True


def test_slider_and_still_figure_are_one_drawing(box, members, pictures):
    figure, file = sliders.ensemble_figure(members, **pictures), io.BytesIO()
    figure.savefig(file, format="png")
    still = np.asarray(Image.open(file).convert("RGB"), dtype=int)
    moved = np.asarray(Image.open(io.BytesIO(base64.b64decode(seen(box)[0]))).convert("RGB"), dtype=int)
    assert (np.abs(still - moved).max(axis=2) > 60).mean() < 0.003
    assert look.alt_text(figure) == seen(box)[1]


def test_every_check_box_and_slider_has_a_name(box, members):
    names = [part(box, f"member-{place}").description for place in range(3)]
    assert names == list(members)
    assert all(part(box, name).description for name in ("mean", "picture"))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"chosen": ["nobody"]}, "no member is called nobody"),
        ({"how": "median"}, "unknown mean 'median'"),
        ({"picture": PICTURES}, f"there is no picture {PICTURES}"),
        ({"rows": None}, "1000 images and 10000 rows of logits"),
        ({"classes": CLASSES[:9]}, "logits of 10 classes do not fit 9 class names"),
        ({"images": torch.zeros(1000, 3, 32, 32)}, "images must be uint8"),
        ({"members": {}}, "1 to 12 members to choose from, not 0"),
    ],
)
@pytest.mark.parametrize("make", [sliders.ensemble_figure, sliders.ensemble_explorer])
def test_what_does_not_fit_is_refused_in_one_line(make, change, complaint, members, pictures):
    with pytest.raises(ValueError, match=rf"^[^\n]*{complaint}[^\n]*$"):
        make(**({"members": members} | pictures | change))


def test_logits_of_other_images_are_refused(members, pictures):
    odd = Logits(members["loud"].logits, members["loud"].labels.roll(1), {})
    with pytest.raises(ValueError, match="the logits of odd are not of the same images"):
        sliders.ensemble_figure(members | {"odd": odd}, **pictures)


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


def test_the_shipped_members_fit_the_slider(pictures):
    shipped = sliders.stored_members()
    assert {"ResNet-18", "GN-S 1.0x", "plain-0", "plain-1", "plain-2"} <= set(shipped)
    assert all("epochs" in network.meta and "train_images" in network.meta for network in shipped.values())
    assert look.alt_text(sliders.ensemble_figure(shipped, **pictures))
