"""The eight pictures: every control moves picture, alt text and words, and the same drawing stands still."""

import base64
import functools
import hashlib
import html
import io
import os
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
from letters import SMALLEST, faults, shown_share
from PIL import Image

from classroom import sliders
from classroom.sliders import chains, gallery
from classroom.sliders.drawing import Labels
from classroom.sliders.ensemble import HOWS
from course_lib import look, report
from course_lib.data import CLASSES, load_dataset, sample_test_rows
from course_lib.files import repo_path
from course_lib.models import DISPLAY_NAMES
from course_lib.profiles import PROFILES
from course_lib.study.store import Logits, load_logits, load_results
from course_lib.training.losses import distillation_loss

LIMIT_MS = 500  # of processor time for a redraw; loose, for slow machines. The promise is 100

# Of every picture: settings to move to, one after the other from where it begins.
MOVES = {
    "Width": [{"width": width} for width in (0.5, 1.2, 4.0)],
    "Ghosts": [{"channels": 320}, {"parts": 6}, {"kernel": 7}, {"channels": 4}],
    "Schedule": [{"warmup": 0.0}, {"peak": 0.05}, {"warmup": 0.9}, {"peak": 0.001}],
    "StopAt": [{"epoch": 1}, {"epoch": 30}, {"epoch": 200}, {"network": "gn-d"}],
    "Temperature": [{"temperature": 0.5}, {"temperature": 20.0}, {"alpha": 0.0}, {"alpha": 1.0}, {"picture": 39}],
    "Surface": [{"temperature": 0.5}, {"temperature": 20.0}, {"alpha": 0.0}, {"alpha": 1.0}, {"picture": 0}],
    "Chains": [{"assistants": ()}, {"assistants": chains.ASSISTANTS}, {"points": 30}, {"points": 300}],
    "Ensemble": [{"chosen": ("ResNet-20", "ResNet-56")}, {"chosen": ("ResNet-32",)}, {"picture": 0}, {"chosen": ()}],
    "Detectable": [{"seeds": 30}, {"images": 100_000}, {"spread": 0.0}, {"spread": 0.5}, {"images": 500}],
}
pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def parts():
    """The shipped networks' logits, and the sample's images."""
    teacher, student = load_logits("resnet56"), load_logits("gn-s-1.0x")
    images = load_dataset("cifar10", "sample").test.images
    return {"teacher": teacher, "student": student, "images": images, "classes": CLASSES, "rows": sample_test_rows()}


@pytest.fixture(scope="module")
def seats(parts):
    return {"members": sliders.stored_members()} | {name: parts[name] for name in ("images", "classes", "rows")}


@pytest.fixture(scope="module")
def some_runs(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    fake_store(store, {"gn-s-1.0x": {0: 71.0, 1: 73.0}, "gn-s-1.3x": {0: 76.5}}, profile=PROFILES["laptop"])
    fake_store(store, {"gn-s-1.0x": {0: 91.23}}, profile=PROFILES["full"])
    return load_results(store)


@pytest.fixture(scope="module")
def make(parts, seats, some_runs):
    """A function that makes the picture of a name."""
    needs = {"Width": {"results": some_runs}, "Temperature": parts, "Surface": parts, "Ensemble": seats}
    return lambda name: getattr(sliders, name)(**needs.get(name, {}))


@pytest.fixture(scope="module")
def panels(make):
    """Every picture once, as its slider shows it."""
    return functools.cache(lambda name: sliders.explore(make(name)))


@pytest.fixture(scope="module")
def unmoved(make):
    """Every picture once, for tests that do not move it."""
    return functools.cache(make)


def part(box, hook: str):
    """The widget of the box that carries the class ``course-<hook>``."""
    (found,) = [widget for widget in box.children if f"course-{hook}" in widget._dom_classes]
    return found


def move(box, name: str, controls: dict, settings: dict) -> None:
    for setting, value in settings.items():
        widget = part(box, f"{name.lower()}-{setting}")
        if isinstance(value, tuple):
            for option, tick in zip(controls[setting].options, widget.children, strict=True):
                tick.value = option in value
        else:
            widget.value = value


def seen(box) -> tuple[str, str, str]:
    """Picture, alt text and words as the page has them."""
    tag = part(box, "image").value
    alt = html.unescape(re.search('alt="([^"]*)"', tag).group(1))
    return re.search('base64,([^"]*)"', tag).group(1), alt, html.unescape(part(box, "text").value)


def pixels(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), dtype=int)


# --- all of them --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MOVES)
def test_every_control_moves_picture_alt_text_and_words_and_back(name, make, panels):
    box, picture = panels(name), make(name)
    assert {setting for settings in MOVES[name] for setting in settings} >= set(picture.controls) - {"how"}
    start = {setting: control.start for setting, control in picture.controls.items()}
    first, artists, shown, milliseconds = seen(box), len(picture.figure.findobj()), [], []
    for settings in MOVES[name]:
        begin = time.process_time()  # of this process: other jobs on the machine do not count
        move(box, name, picture.controls, settings)
        milliseconds.append(1000 * (time.process_time() - begin))
        shown.append(seen(box))
    for what in zip(first, *shown, strict=True):
        assert len(set(what)) == len(shown) + 1, f"something of {name} did not follow"
    for settings in reversed(MOVES[name]):
        move(box, name, picture.controls, {setting: start[setting] for setting in settings})
    assert seen(box) == first
    print(
        f"\n{name}: median {statistics.median(milliseconds):.0f} ms of processor time, slowest {max(milliseconds):.0f}"
    )
    assert statistics.median(milliseconds) < LIMIT_MS
    sliders.still(picture, **MOVES[name][0])
    assert len(picture.figure.findobj()) == artists, "a move draws with the parts there are"


@pytest.mark.parametrize("name", MOVES)
def test_slider_and_still_figure_are_one_drawing(name, make, panels):
    file, shown = io.BytesIO(), seen(panels(name))
    figure = sliders.still(make(name))
    figure.savefig(file, format="png")
    still, moving = pixels(file.getvalue()), pixels(base64.b64decode(shown[0]))
    assert still.shape == moving.shape
    # The slider's picture has 256 colours, which leaves small differences, mostly in photographs and at edges.
    assert (np.abs(still - moving).max(axis=2) > 60).mean() < 0.005
    assert look.alt_text(figure) == shown[1]
    assert 'aria-live="polite"' in part(panels(name), "text").value
    assert f'width="{moving.shape[1]}" height="{moving.shape[0]}"' in part(panels(name), "image").value


@pytest.mark.parametrize("name", MOVES)
def test_printed_the_caption_says_what_to_see_and_the_alt_text_what_is_drawn(name, unmoved, monkeypatch):
    monkeypatch.setenv("COURSE_PRINTED", "1")
    picture = unmoved(name)
    page = sliders.explore(picture).data
    caption, alt = (html.unescape(re.search(what, page)[1]) for what in ("<figcaption>(.*?)</", 'alt="([^"]*)"'))
    assert caption == picture.see and alt.startswith(picture.shows)
    assert not set(re.split(r"(?<=[.?]) ", caption)) & set(re.split(r"(?<=[.?]) ", alt)), "the same twice"


@pytest.mark.parametrize("name", MOVES)
def test_its_letters_can_be_read_at_the_size_shown(name, make):
    picture = make(name)  # of its own: a figure without a layout is saved once
    assert faults(sliders.still(picture)) == {}
    sizes = [part.size for part in vars(picture).values() if isinstance(part, Labels)]
    assert sizes and shown_share(100 * picture.figure.get_figwidth()) * min(sizes) >= SMALLEST


@pytest.mark.parametrize(
    ("name", "settings", "complaint"),
    [
        ("Ghosts", {"width": 1}, "Ghosts has no setting 'width': it has channels, parts, kernel"),
        ("Width", {"width": 9}, "width=9 is no position of the slider: choose a number from 0.5 to 4.0"),
        ("Schedule", {"warmup": -0.1}, "warmup=-0.1 is no position"),
        ("Schedule", {"peak": 0}, "peak=0 is no position"),
        ("StopAt", {"epoch": 201}, "epoch=201 is no position of the slider: choose a whole number from 1 to 200"),
        ("Temperature", {"temperature": 30}, "temperature=30 is no position"),
        ("Temperature", {"temperature": "4"}, "temperature='4' is no position"),
        ("Surface", {"alpha": float("nan")}, "alpha=nan is no position"),
        ("Surface", {"picture": 40}, "picture=40 is no position of the slider: choose a whole number from 0 to 39"),
        ("Surface", {"picture": 1.5}, "picture=1.5 is no position"),
        ("Chains", {"assistants": (7,)}, "assistants: there is no 7; choose from 64, 32, 16, 8"),
        ("Chains", {"points": 50}, "points: there is no 50; choose from 30, 100, 300"),
        ("Ensemble", {"chosen": ["nobody"]}, "chosen: there is no 'nobody'; choose from ResNet-20"),
        ("Ensemble", {"how": "median"}, "how: there is no 'median'"),
        ("Detectable", {"images": 1234}, "images: there is no 1234"),
    ],
)
@pytest.mark.parametrize("show", [sliders.explore, sliders.still])
def test_positions_that_a_control_lacks_are_refused_in_one_line(show, name, settings, complaint, unmoved):
    with pytest.raises(ValueError, match=rf"^{re.escape(complaint)}[^\n]*$"):
        show(unmoved(name), **settings)


def test_drawing_needs_no_ipywidgets_and_heeds_no_settings_of_the_readers(tmp_path):
    code = (
        "import io, sys, hashlib; from classroom.sliders import Detectable, still; file = io.BytesIO();"
        "still(Detectable()).savefig(file); print(hashlib.sha256(file.getvalue()).hexdigest());"
        "print([name for name in ('ipywidgets', 'IPython', 'matplotlib.pyplot') if name in sys.modules])"
    )
    settings = ("text.usetex: True", "figure.facecolor: black", "axes.grid: True", "font.size: 20", "savefig.dpi: 50")
    (tmp_path / "matplotlibrc").write_text("\n".join(settings))
    mine = os.environ | {"MATPLOTLIBRC": str(tmp_path / "matplotlibrc"), "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", code], env=mine, capture_output=True, text=True, check=True)
    file = io.BytesIO()
    sliders.still(sliders.Detectable()).savefig(file)
    assert ran.stdout.splitlines() == [hashlib.sha256(file.getvalue()).hexdigest(), "[]"]


# --- what the words say -------------------------------------------------------------------------------------------


def words(picture, /, **settings) -> str:
    return look.alt_text(sliders.still(picture, **settings))


def test_width_tells_costs_and_measured_accuracies_and_makes_none_up(make, tmp_path):
    picture = make("Width")
    said = words(picture, width=1.0)
    assert "483,554 parameters (374,174 folded)" in said
    assert "91.37 % (paper, best of 200 epochs; n = 1), 91.25 % (authors' log, last epoch; n = 1)" in said
    assert re.search(r"91\.23 % \(ours, last epoch, full profile: .*; n = 1\), 72", said)
    assert re.search(r"72\.00 % \(ours, last epoch, laptop profile: .*not a reproduction; n = 2\)", said)
    said = words(picture, width=1.2)
    assert "not measured at this width" in said and "%" not in said.split("Accuracy")[1]
    said = words(sliders.Width(load_results(tmp_path)), width=3.4)
    assert "93.61 % (paper" in said and "ours" not in said


def test_ghosts_and_schedule_tell_their_numbers(make):
    said = words(make("Ghosts"), channels=160, parts=2, kernel=3)
    assert "160 channels in" in said and "ratio 0.53" in said
    picture = make("Schedule")
    for warmup, peak in ((0.0, 0.001), (0.3, 0.01), (0.9, 0.05)):
        said = words(picture, warmup=warmup, peak=peak)
        assert f"{100 * warmup:.0f} % of 400 steps" in said and f"{peak:.4f}" in said
        assert ("diverges" in said) == (peak == 0.05)


def test_stop_at_tells_what_the_authors_log_says(make):
    log = report.authors_histories()["test_accuracy"]
    for network, epoch in (("gn-s-1.0x", 30), ("gn-s-1.0x", 200), ("gn-d", 140)):
        said = words(make("StopAt"), epoch=epoch, network=network)
        assert f"{network}, stopped after epoch {epoch} of 200: {log[network, epoch]:.2f} %" in said
    assert "the rate at 0.01000;" in words(make("StopAt"), epoch=60), "the end of the warm-up"
    first = words(make("StopAt"), epoch=1)
    assert first.endswith("the rate at 0.00017.") and f"{log['gn-s-1.0x', 200]:.2f}" not in first, "no look ahead"


def test_temperature_and_surface_give_the_numbers_of_eq_1(make, parts):
    said, surface = (words(make(name), temperature=2.0, alpha=0.25, picture=30) for name in ("Temperature", "Surface"))
    row = int(re.search(r"test image (\d+) ", said).group(1))
    v, z = (parts[role].logits[row].double() for role in ("teacher", "student"))
    label = int(parts["teacher"].labels[row])
    p = F.softmax(v / 2, dim=0)
    total, hard, soft = (t.item() for t in distillation_loss(z[None], v[None], torch.tensor([label]), 2.0, 0.25))
    assert f"({CLASSES[label]}): the teacher gives {CLASSES[p.argmax()]} {p.max():.2f}" in said
    assert f"entropy {-(p * p.log2()).sum():.2f} of 3.32 bits" in said
    assert f"0.25 × {hard:.2f} + 0.75 × {soft:.2f} = {total:.2f}" in said
    hard = 0.25 * (z.softmax(0) - F.one_hot(torch.tensor(label), 10))
    soft = 0.75 * 2 * ((z / 2).softmax(0) - p)
    assert f"Eq. 1 gives {total:.2f};" in surface
    assert f"gradient has size {(hard + soft).norm():.2f} (" in surface
    assert f"the label's part {hard.norm():.2f}, the teacher's part {soft.norm():.2f}" in surface
    assert f"cosine {F.cosine_similarity(hard, soft, dim=0):+.2f}" in surface
    assert f"Pulled up most: {CLASSES[(hard + soft).argmin()]}" in surface


def test_saturated_equal_networks_have_a_loss_of_zero():
    logits = Logits(100 * torch.eye(10), torch.arange(10), {})
    picture = sliders.Temperature(logits, logits, torch.zeros(10, 3, 32, 32, dtype=torch.uint8), CLASSES)
    assert "hard loss 0.00, T²·KL 0.00" in words(picture, temperature=0.5)


def test_the_pulls_fill_their_axis_at_every_temperature(make):
    picture = make("Surface")
    for temperature in (0.5, 1.0, 8.0, 20.0):
        sliders.still(picture, temperature=temperature)
        ends = [np.abs(np.array(bars.get_segments())[:, 1, 0]).max() for bars in (picture.hard, picture.soft)]
        assert 0.39 < max(*ends, np.abs(picture.total.get_xdata()).max()) <= 1


def test_chains_tell_the_numbers_of_the_store(make):
    picture = make("Chains")
    said = words(picture, assistants=(32,), points=100)
    rows = pd.read_csv(repo_path("data", "toy", "chains.csv")).query("points == 100").set_index("chain")
    student, direct = (rows.loc[name].set_index("seed")["accuracy"] for name in ("128-32-6", "128-6"))
    gain = student - direct
    error = 2 * gain.std(ddof=1) / len(gain) ** 0.5
    assert f"right at {student.mean():.1f} %" in said
    assert f"{gain.mean():+.2f} ± {error:.2f} points against direct" in said
    assert f"32 units {rows.loc['128-32', 'kl'].mean():.3f}, 6 units {rows.loc['128-32-6', 'kl'].mean():.3f}" in said
    assert f"agrees with the teacher at {rows.loc['128-32-6', 'agreement'].mean():.1f} %" in said
    assert f"without a teacher at {rows.loc['alone', 'accuracy'].mean():.1f} %" in said
    assert "taught directly" in words(picture, assistants=())


def test_the_ensemble_names_members_mean_and_numbers(make, seats):
    picture = make("Ensemble")
    z = sum(seats["members"][name].logits for name in ("ResNet-20", "ResNet-56")) / 2
    labels = seats["members"]["ResNet-20"].labels
    said = words(picture, chosen=["ResNet-56", "ResNet-20"])
    assert "ResNet-20, ResNet-56; mean of logits" in said
    assert f"accuracy {100 * (z.argmax(dim=1) == labels).double().mean():.2f} % of 10,000 test images" in said
    assert f"loss {F.cross_entropy(z, labels):.3f}" in said
    assert len({words(picture, how=how) for how in HOWS}) == len(HOWS)
    assert "tick one at least" in words(picture, chosen=())


def test_detectable_gives_the_numbers_of_the_formula(make):
    said = words(make("Detectable"))
    found = sliders.detectable_difference(1, 10_000, 0.1)
    deltas = np.concatenate([report.paper_table(n)["delta"] for n in (2, 3, 4)])
    assert f"difference of {found:.2f} points" in said
    assert said.endswith(f"of the paper's 15 deltas: {(np.abs(deltas) >= found).sum()}.")


# --- the gallery --------------------------------------------------------------------------------------------------


def test_pictures_are_the_images_of_their_rows_even_over_the_classes_and_sorted_by_doubt(parts):
    chosen, rows = gallery.choose(**parts), parts["rows"].numpy()
    assert np.bincount(chosen.labels).tolist() == [4] * 10
    in_sample = np.searchsorted(rows, chosen.places)
    np.testing.assert_array_equal(rows[in_sample], chosen.places)
    np.testing.assert_array_equal(chosen.images.transpose(0, 3, 1, 2), parts["images"][in_sample])
    np.testing.assert_array_equal(chosen.teacher, parts["teacher"].logits[chosen.places])
    assert (np.diff(sliders.entropy_bits(sliders.softened(chosen.teacher, 1.0))) >= 0).all()


def test_networks_are_named_with_their_measured_accuracy(parts):
    teacher = parts["teacher"]
    right = 100 * (teacher.logits.argmax(dim=1) == teacher.labels).double().mean()
    assert gallery.network_name(teacher) == f"{DISPLAY_NAMES['resnet56']} ({right:.1f} % right)"
    assert gallery.network_name(parts["student"]).startswith("GN-S 1.0x (7 epochs, taught by ResNet-56 at T = 4, ")


def test_sample_rows_point_to_the_samples_labels_in_the_shipped_logits():
    sample, rows = load_dataset("cifar10", "sample").test, sample_test_rows()
    assert rows.shape == (1000,) and len(rows.unique()) == 1000
    shipped = sorted(repo_path("data", "logits").glob("*.npz"))
    assert shipped
    for path in shipped:
        np.testing.assert_array_equal(load_logits(path.stem).labels[rows], sample.labels)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"rows": None}, "1000 images and 10000 rows of logits"),
        ({"rows": np.arange(9_001, 10_001)}, "1000 images and 10000 rows of logits"),
        ({"classes": CLASSES[:9]}, "logits of 10 classes do not fit 9 class names"),
        ({"images": torch.zeros(1000, 3, 32, 32)}, "images must be uint8"),
        ({"images": torch.zeros(1000, 32, 32, 3, dtype=torch.uint8)}, "images must be uint8"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(change, complaint, parts, seats):
    with pytest.raises(ValueError, match=rf"^[^\n]*{complaint}[^\n]*$"):
        sliders.Temperature(**(parts | change))
    with pytest.raises(ValueError, match=rf"^[^\n]*{complaint}[^\n]*$"):
        gallery.aligned(
            *(({name: seats[name] for name in ("images", "classes", "rows")} | change).values()), (10_000, 10)
        )


def test_logits_of_other_images_are_refused_in_one_line(parts):
    student = Logits(torch.zeros(10_000, 10), torch.zeros(10_000), {})
    with pytest.raises(ValueError, match=r"^[^\n]*not of the same images[^\n]*$"):
        sliders.Surface(**(parts | {"student": student}))
