"""The sliders: their arithmetic against torch and scipy; every position redraws picture, alt text and words."""

import base64
import html
import io
import re
import statistics
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from fabricated import fake_store
from PIL import Image
from scipy.special import softmax
from scipy.stats import entropy

from classroom import sliders
from classroom.sliders import entropy_bits, kl_divergence, loss_terms, softened
from course_lib import look
from course_lib.data import CLASSES, load_dataset, sample_test_rows
from course_lib.errors import DataError
from course_lib.files import repo_path
from course_lib.models import PAPER_WIDTHS, create_model, fold
from course_lib.models.cost import count_activations, count_macs, count_parameters
from course_lib.profiles import PROFILES
from course_lib.study.store import Logits, load_logits, load_results
from course_lib.training.losses import distillation_loss

LIMIT_MS = 500  # of processor time for a redraw; loose, for slow machines

rng = np.random.default_rng(0)
TEACHER, STUDENT = rng.normal(0, 3, (2, 50, 10))


# --- arithmetic ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.05, 0.5, 1, 4, 20, 1000])
def test_softened_is_softmax_of_logits_over_temperature(temperature):
    np.testing.assert_allclose(softened(TEACHER, temperature), softmax(TEACHER / temperature, axis=1), atol=1e-14)


def test_softening_makes_equal_probabilities_of_huge_temperatures_and_one_of_tiny_ones():
    np.testing.assert_allclose(softened(TEACHER, 1e9), 0.1, atol=1e-6)
    sharp = softened(TEACHER, 1e-4)
    assert np.isfinite(sharp).all()
    np.testing.assert_array_equal(sharp.argmax(axis=1), TEACHER.argmax(axis=1))
    np.testing.assert_allclose(sharp.max(axis=1), 1.0)


def test_huge_logits_do_not_overflow():
    assert softened(np.array([1e5, 0.0, -1e5]), 0.5).tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("temperature", [0.5, 1, 4, 20])
def test_entropy_agrees_with_scipy(temperature):
    p = softened(TEACHER, temperature)
    np.testing.assert_allclose(entropy_bits(p), entropy(p, base=2, axis=1), atol=1e-12)


def test_entropy_at_its_ends():
    assert entropy_bits([0, 1, 0, 0]) == 0
    assert entropy_bits(np.full(10, 0.1)) == pytest.approx(np.log2(10))


@pytest.mark.parametrize("temperature", [0.5, 1, 4, 20])
def test_kl_agrees_with_scipy_and_has_the_teacher_first(temperature):
    p, q = softened(TEACHER, temperature), softened(STUDENT, temperature)
    np.testing.assert_allclose(kl_divergence(TEACHER, STUDENT, temperature), entropy(p, q, axis=1), atol=1e-12)
    assert not np.allclose(kl_divergence(STUDENT, TEACHER, temperature), entropy(p, q, axis=1))


def test_kl_is_zero_at_equal_logits_and_finite_where_probabilities_vanish():
    np.testing.assert_array_equal(kl_divergence(TEACHER, TEACHER, 4), 0)
    assert kl_divergence(np.array([2000.0, 0.0]), np.array([0.0, 2000.0]), 1) == pytest.approx(2000)


@pytest.mark.parametrize(("temperature", "alpha"), [(1, 0.5), (4, 0.1), (0.5, 0), (20, 1)])
def test_loss_terms_are_those_that_training_minimises(temperature, alpha):
    for row in range(5):
        teacher, student = (torch.tensor(logits[row : row + 1]) for logits in (TEACHER, STUDENT))
        trained = distillation_loss(student, teacher, torch.tensor([row]), temperature, alpha)
        ours = loss_terms(TEACHER[row], STUDENT[row], row, temperature, alpha)
        assert tuple(ours) == pytest.approx([term.item() for term in trained])
        assert ours.hard == pytest.approx(F.cross_entropy(student, torch.tensor([row])).item())


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf")])
def test_impossible_temperatures_are_refused_in_one_line(temperature):
    for refuse in (
        lambda: softened(TEACHER, temperature),
        lambda: kl_divergence(TEACHER, STUDENT, temperature),
        lambda: loss_terms(TEACHER[0], STUDENT[0], 0, temperature, 0.5),
    ):
        with pytest.raises(ValueError, match="^temperature must be a number above 0[^\n]*$"):
            refuse()


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_outside_0_to_1_is_refused_in_one_line(alpha):
    with pytest.raises(ValueError, match="^alpha must lie between 0[^\n]*$"):
        loss_terms(TEACHER[0], STUDENT[0], 0, 4, alpha)


# --- costs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "parameters"), [(1.0, 483_554), (2.8, 2_426_850)])
def test_kept_costs_are_what_counting_gives_today(width, parameters):
    kept = sliders.width_costs(width)
    pd.testing.assert_frame_equal(kept, sliders.measure_costs(width), check_dtype=False)
    assert kept["parameters"].sum() == parameters


def test_costs_add_up_to_those_of_the_whole_network():
    with torch.device("meta"):
        model = create_model("gn-s", width=1.3)
    totals = sliders.width_costs(1.3).sum(numeric_only=True)
    for network, prefix in ((model, ""), (fold(model), "folded_")):
        assert totals[f"{prefix}parameters"] == count_parameters(network)
        assert totals[f"{prefix}macs"] == count_macs(network)
        assert totals[f"{prefix}activations"] == count_activations(network)


def test_every_position_of_the_width_slider_is_kept():
    kept = sliders.costs._stored_costs(sliders.costs._costs_path())
    assert tuple(kept) == sliders.SLIDER_WIDTHS
    assert set(PAPER_WIDTHS) < set(kept)
    assert all((costs["channels"].iloc[:-1] % 4 == 0).all() for costs in kept.values())


def test_costs_can_be_written_and_read_back(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    measured = sliders.measure_costs(1.0)
    assert sliders.write_costs([1.0]) == tmp_path / "data" / "costs" / "gn-s.csv"
    pd.testing.assert_frame_equal(sliders.width_costs(1.0), measured, check_dtype=False)


@pytest.mark.parametrize("damage", [lambda text: text[: len(text) // 2], lambda text: "", lambda text: "a,b\n1,2\n"])
def test_damaged_costs_are_refused_in_one_line(damage, tmp_path):
    broken = tmp_path / "gn-s.csv"
    broken.write_text(damage(sliders.costs._costs_path().read_text()))
    with pytest.raises(DataError, match=r"^[^\n]*gn-s\.csv is damaged[^\n]*$"):
        sliders.costs._stored_costs(broken)


# --- the explorers ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def no_runs(tmp_path_factory):
    return load_results(tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="module")
def some_runs(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    fake_store(store, {"gn-s-1.0x": {0: 31.0, 1: 33.0}, "gn-s-1.3x": {0: 36.5}, "resnet18": {0: 40.0}})
    fake_store(store, {"gn-s-1.0x": {0: 91.25}}, profile=PROFILES["full"])
    return load_results(store)


@pytest.fixture(scope="module")
def networks():
    """Two made-up networks, right as often as a trained one, for the whole test set; and the sample's images."""
    sample, rows = load_dataset("cifar10", "sample").test, sample_test_rows().numpy()
    labels = np.random.default_rng(1).integers(0, 10, 10_000)
    labels[rows] = sample.labels.numpy()
    noise = np.random.default_rng(2).normal(0, 1.6, (2, 10_000, 10))
    noise[:, np.arange(10_000), labels] += np.random.default_rng(3).normal(4, 2.5, 10_000)
    made = [
        Logits(torch.tensor(logits, dtype=torch.float32), torch.tensor(labels), meta)
        for logits, meta in zip(
            noise, ({"model": "resnet18", "epochs": 7}, {"model": "gn-s", "width": 1.0}), strict=True
        )
    ]
    return {"teacher": made[0], "student": made[1], "images": sample.images, "classes": CLASSES, "rows": rows}


@pytest.fixture(scope="module")
def width_box(some_runs):
    return sliders.width_explorer(some_runs)


@pytest.fixture(scope="module")
def temperature_box(networks):
    return sliders.temperature_explorer(**networks)


def part(box, name):
    """The widget of the box that carries the class ``course-<name>``."""
    (found,) = [widget for widget in box.children if f"course-{name}" in widget._dom_classes]
    return found


def seen(box) -> tuple[bytes, str, str]:
    """Picture, alt text and words as the page has them."""
    tag = part(box, "image").value
    alt = html.unescape(re.search('alt="([^"]*)"', tag).group(1))
    return re.search('base64,([^"]*)"', tag).group(1).encode(), alt, html.unescape(part(box, "text").value)


def pixels(box) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(seen(box)[0]))).convert("RGB")


def positions(slider) -> list:
    return np.round(np.arange(slider.min, slider.max + slider.step / 2, slider.step), 10).tolist()


@pytest.mark.parametrize(
    ("box_name", "hook"),
    [
        ("width_box", "width"),
        ("temperature_box", "temperature"),
        ("temperature_box", "alpha"),
        ("temperature_box", "picture"),
    ],
)
def test_every_position_draws_a_picture_words_and_alt_text_of_its_own(box_name, hook, request):
    box = request.getfixturevalue(box_name)
    slider = part(box, hook)
    start, shown, milliseconds = slider.value, {}, []
    slider.value = slider.max
    for position in positions(slider):
        begin = time.process_time()  # of this process: other jobs on the machine do not count
        slider.value = int(position) if hook == "picture" else position
        milliseconds.append(1000 * (time.process_time() - begin))
        shown[position] = seen(box)
    slider.value = start
    print(
        f"\n{hook}: median {statistics.median(milliseconds):.0f} ms of processor time, slowest {max(milliseconds):.0f}"
    )
    assert len(shown) == round((slider.max - slider.min) / slider.step) + 1
    for what in zip(*shown.values(), strict=True):
        assert len(set(what)) == len(shown)
    assert statistics.median(milliseconds) < LIMIT_MS


def test_a_way_back_shows_what_was_shown_before(temperature_box):
    before, slider = seen(temperature_box), part(temperature_box, "temperature")
    slider.value = 11
    assert seen(temperature_box) != before
    slider.value = 4
    assert seen(temperature_box) == before


def test_the_picture_keeps_its_size(width_box):
    slider, sizes = part(width_box, "width"), set()
    for value in (0.5, 4.0, 1.0):
        slider.value = value
        told = re.search('width="(\\d+)" height="(\\d+)"', part(width_box, "image").value).groups()
        sizes.add((*told, *map(str, pixels(width_box).size)))
    assert sizes == {("1000", "560", "1000", "560")}


def test_redraws_reuse_one_figure(no_runs, monkeypatch):
    made = []

    class CountedFigure(sliders.width.Figure):
        def __init__(self, *arguments, **options):
            made.append(self)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(sliders.width, "Figure", CountedFigure)
    box = sliders.width_explorer(no_runs)
    artists = len(made[0].findobj())
    for value in (0.5, 4.0, 2.2):
        part(box, "width").value = value
    assert len(made) == 1
    assert len(made[0].findobj()) == artists


@pytest.mark.parametrize("kind", ["width", "temperature"])
def test_slider_and_still_figure_are_one_drawing(kind, width_box, temperature_box, some_runs, networks):
    if kind == "width":
        box, figure = width_box, sliders.width_figure(1.0, some_runs)
    else:
        box, figure = temperature_box, sliders.temperature_figure(**networks)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    still = np.asarray(Image.open(file).convert("RGB"), dtype=int)
    difference = np.abs(still - np.asarray(pixels(box), dtype=int)).max(axis=2)
    # The slider's picture has 256 colours, which leaves small differences, mostly in the photo and at edges.
    assert (difference > 60).mean() < 0.003
    assert look.alt_text(figure) == seen(box)[1]


def test_words_are_announced(width_box):
    assert 'aria-live="polite"' in part(width_box, "text").value


def test_width_words_tell_costs_and_measured_accuracies(width_box):
    part(width_box, "width").value = 1.0
    words = seen(width_box)[2]
    assert "483,554 parameters (374,174 folded)" in words
    assert "91.37 % (paper, best of 200 epochs; n = 1)" in words
    assert "91.25 % (ours, last epoch, full profile" in words
    assert re.search(r"32\.00 % \(ours, last epoch, quick profile: .*not a reproduction; n = 2\)", words)


def test_no_accuracy_is_made_up_between_measured_widths(width_box):
    slider = part(width_box, "width")
    slider.value = 1.2
    assert "not measured at this width" in seen(width_box)[2]
    assert "%" not in seen(width_box)[2].split("Accuracy")[1]
    slider.value = 2.8
    words = seen(width_box)[2]
    assert "93.94 % (paper" in words and "ours" not in words
    slider.value = 1.0


def test_the_width_explorer_works_with_an_empty_store(no_runs):
    words = seen(sliders.width_explorer(no_runs, start=3.4))[2]
    assert "93.61 % (paper" in words and "ours" not in words


def test_start_must_be_a_position(no_runs):
    with pytest.raises(ValueError, match="^start=9 is no position of the slider[^\n]*$"):
        sliders.width_explorer(no_runs, start=9)


def test_an_impossible_width_is_refused(no_runs):
    with pytest.raises(ValueError, match="width 99 is not possible"):
        sliders.width_figure(99, no_runs)


def test_temperature_words_give_the_numbers_of_eq_1(temperature_box, networks):
    part(temperature_box, "temperature").value = 2.0
    part(temperature_box, "alpha").value = 0.25
    words = seen(temperature_box)[2]
    row = int(re.search(r"test image (\d+) ", words).group(1))
    teacher, student = (networks[role].logits[row].double() for role in ("teacher", "student"))
    label = int(networks["teacher"].labels[row])
    p, log_q = F.softmax(teacher / 2, dim=0), F.log_softmax(student / 2, dim=0)
    hard, soft = F.cross_entropy(student, torch.tensor(label)), 4 * F.kl_div(log_q, p, reduction="sum")
    assert f"({CLASSES[label]}): the teacher gives {CLASSES[p.argmax()]} {p.max():.2f}" in words
    assert f"entropy {-(p * p.log2()).sum():.2f} of 3.32 bits" in words
    assert f"0.25 × {hard:.2f} + 0.75 × {soft:.2f} = {0.25 * hard + 0.75 * soft:.2f}" in words
    part(temperature_box, "temperature").value = 4.0
    part(temperature_box, "alpha").value = 0.5


def test_pictures_are_the_images_of_their_rows_even_over_the_classes_and_sorted_by_doubt(networks):
    gallery = sliders.gallery.choose(**networks)
    assert np.bincount(gallery.labels).tolist() == [4] * 10
    in_sample = np.searchsorted(networks["rows"], gallery.places)
    np.testing.assert_array_equal(networks["rows"][in_sample], gallery.places)
    np.testing.assert_array_equal(gallery.images.transpose(0, 3, 1, 2), networks["images"][in_sample])
    np.testing.assert_array_equal(gallery.teacher, networks["teacher"].logits[gallery.places])
    assert (np.diff(entropy_bits(softened(gallery.teacher, 1.0))) >= 0).all()


def test_the_figure_names_the_networks_with_their_measured_accuracy(networks):
    teacher = networks["teacher"]
    right = 100 * (teacher.logits.argmax(dim=1) == teacher.labels).double().mean()
    assert sliders.gallery.network_name(teacher) == f"ResNet-18 (7 epochs, {right:.1f} % right)"
    assert sliders.gallery.network_name(networks["student"]).startswith("GN-S 1.0x (")


def test_sample_rows_point_to_the_samples_labels_in_the_shipped_logits():
    sample, rows = load_dataset("cifar10", "sample").test, sample_test_rows()
    assert rows.shape == (1000,) and len(rows.unique()) == 1000
    shipped = sorted(repo_path("data", "logits").glob("*.npz"))
    assert shipped
    for path in shipped:
        np.testing.assert_array_equal(load_logits(path.stem).labels[rows], sample.labels)


def test_saturated_equal_networks_have_a_loss_of_zero():
    logits = Logits(100 * torch.eye(10), torch.arange(10), {})
    images = torch.zeros(10, 3, 32, 32, dtype=torch.uint8)
    figure = sliders.temperature_figure(logits, logits, images, CLASSES, temperature=0.5)
    assert "hard loss 0.00, T²·KL 0.00" in look.alt_text(figure)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"temperature": 0}, "temperature must be a number above 0"),
        ({"alpha": 1.5}, "alpha must lie between 0"),
        ({"picture": 40}, "there is no picture 40: choose 0 to 39"),
        ({"rows": None}, "1000 images and 10000 rows of logits"),
        ({"rows": np.arange(9_001, 10_001)}, "1000 images and 10000 rows of logits"),
        ({"classes": CLASSES[:9]}, "logits of 10 classes do not fit 9 class names"),
        ({"images": torch.zeros(1000, 3, 32, 32)}, "images must be uint8"),
        ({"student": Logits(torch.zeros(10_000, 10), torch.zeros(10_000), {})}, "not of the same images"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(change, complaint, networks):
    with pytest.raises(ValueError, match=rf"^[^\n]*{complaint}[^\n]*$"):
        sliders.temperature_figure(**(networks | change))


@pytest.mark.parametrize("change", [{"temperature": 0.1}, {"temperature": 30}, {"alpha": -0.1}, {"picture": -1}])
def test_the_explorer_refuses_positions_that_its_sliders_lack(change, networks):
    with pytest.raises(ValueError):
        sliders.temperature_explorer(**(networks | change))


def test_importing_and_drawing_needs_no_ipywidgets():
    code = (
        "import sys; from course_lib import interact; sliders.width_figure(1.0); "
        "print([name for name in ('ipywidgets', 'IPython', 'torchvision', 'matplotlib.pyplot') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
