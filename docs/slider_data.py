"""The numbers of the pages that move: exported by the functions that draw the notebooks' sliders.

``MAKERS`` has a function a slider, and one for the page of the reader's own picture; each returns what its script in
``docs/web`` reads.
"""

import base64
import functools
import io
import itertools
import math

import numpy as np
import pandas as pd
from network_steps import steps_of
from PIL import Image

from classroom import sliders
from classroom.sliders import chains as toy_chains
from classroom.sliders import controls, stop_at
from classroom.sliders import detectable as power
from classroom.sliders import ghosts as ghost_module
from classroom.sliders import schedule as parabola
from classroom.sliders.ensemble import HOWS
from classroom.sliders.gallery import Gallery, network_name
from course_lib.data import CLASSES, MEAN, STD, load_dataset, sample_test_rows
from course_lib.files import repo_path
from course_lib.models import fold
from course_lib.models.weights import load_weights
from course_lib.study.experiments import find
from course_lib.study.store import load_logits
from course_lib.training.recipe import LOWEST_RATE, Recipe

TEACHER, STUDENT = "resnet56", "gn-s-1.0x"
EVERY = 5  # one in so many of the 1,000 test images on board, in the order of the teacher's doubt, is on the slider
COLUMNS = 20  # images beside one another in a sprite
EXAMPLES = 2  # test images a class on the page of the reader's own picture


def exported(picture_controls: dict[str, controls.Control]) -> dict[str, dict]:
    """A picture's controls as the page reads them, in order."""
    return {name: _control(control) for name, control in picture_controls.items()}


def _control(control: controls.Control) -> dict:
    match control:
        case controls.Slider():
            names = ("start", "low", "high", "step", "digits", "log")
            return {"kind": "range", "label": control.words} | {name: getattr(control, name) for name in names}
        case controls.Choice():
            return {"kind": "choice", "label": control.words, "start": control.start, "options": control.options}
        case controls.Ticks():
            labels = [control.words.format(option) for option in control.options]
            return {"kind": "ticks", "start": control.start, "options": control.options, "labels": labels}
    raise TypeError(f"the page has no control for {control!r}")


def sprite(images: np.ndarray, **options) -> dict:
    """uint8 images (M, H, W, 3) as one picture, in rows: its address, the columns, the sides of one in pixels."""
    count, height, width, _ = images.shape
    rows = -(-count // COLUMNS)
    sheet = np.full((rows * COLUMNS, height, width, 3), 255, dtype=np.uint8)
    sheet[:count] = images
    sheet = sheet.reshape(rows, COLUMNS, height, width, 3).transpose(0, 2, 1, 3, 4)
    file = io.BytesIO()
    kind = options.pop("format", "webp")
    Image.fromarray(sheet.reshape(rows * height, COLUMNS * width, 3)).save(file, kind, **options)
    address = f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
    return {"address": address, "columns": COLUMNS, "rows": rows, "width": width, "height": height}


def test_images() -> dict:
    """What the pictures of test images take: the 2,000 on board, their rows, the names of the classes."""
    images = load_dataset("cifar10", "sample").test.images
    return {"images": images, "classes": CLASSES, "rows": sample_test_rows()}


@functools.cache
def temperature_picture() -> sliders.Temperature:
    """The notebook's slider of the same name."""
    return sliders.Temperature(load_logits(TEACHER), load_logits(STUDENT), **test_images())


# --- one function a slider ------------------------------------------------------------------------


def temperature() -> dict:
    """Both networks' logits on some 200 test images: those of the notebook's slider and others between them."""
    teacher, student, picture = load_logits(TEACHER), load_logits(STUDENT), temperature_picture()
    gallery, wide = picture.gallery, wider(picture.gallery, teacher, student, test_images())
    positions = {place: number for number, place in enumerate(wide.places.tolist())}
    moved = exported(picture.controls)
    moved["picture"] |= {"start": positions[gallery.places[moved["picture"]["start"]]], "high": len(wide.places) - 1}
    return {
        "controls": moved,
        "lesson": [positions[place] for place in gallery.places.tolist()],
        "note": f"Teacher: {network_name(teacher)}. Student: {network_name(student)}.",
        "classes": CLASSES,
        **{name: getattr(wide, name) for name in ("teacher", "student", "labels", "places")},
        "sprite": sprite(wide.images, quality=92, method=6),
    }


def wider(gallery: Gallery, teacher, student, on_board: dict) -> Gallery:
    """The gallery with more of the images on board, from the one the teacher is surest of to the one it doubts most."""
    rows = np.asarray(on_board["rows"])
    doubt = sliders.entropy_bits(sliders.softened(teacher.logits[rows], 1.0))
    order = np.argsort(doubt, kind="stable")
    kept = {*order[::EVERY].tolist(), *np.flatnonzero(np.isin(rows, gallery.places)).tolist()}
    chosen = np.array([place for place in order.tolist() if place in kept])
    images = np.asarray(on_board["images"])[chosen].transpose(0, 2, 3, 1)
    places = rows[chosen]
    logits = [np.asarray(network.logits)[places] for network in (teacher, student)]
    return Gallery(*logits, np.asarray(teacher.labels)[places], images, places, gallery.classes, gallery.networks)


@functools.cache
def width() -> dict:
    """Costs of every block at every width, the accuracies that the notebook's slider shows, and measured times."""
    costs = {f"{width:g}": sliders.width_costs(width) for width in sliders.SLIDER_WIDTHS}
    first = next(iter(costs.values()))
    counted = [name for name in first.columns if name not in ("block", "resolution", "channels")]
    times = pd.read_csv(repo_path("data", "costs", "networks.csv")).query("key.str.startswith('gn-s-')")
    at = [f"{find(key).width:g}" for key in times["key"]]
    return {
        "controls": exported(sliders.Width.controls),
        "blocks": first["block"],
        "channels": {at: frame["channels"] for at, frame in costs.items()},
        "counted": counted,
        "costs": {at: frame[counted].to_numpy() for at, frame in costs.items()},
        "accuracies": [
            {
                "name": one.name,
                "origin": one.origin,
                "reduced": one.reduced,
                "at": {f"{width:g}": value for width, value in one.accuracy.items()},
                "seeds": {f"{width:g}": n for width, n in one.seeds.items()},
            }
            for one in sliders.Width().series
        ],
        "times": [
            {"name": "training form", "at": dict(zip(at, times["training_form_ms"], strict=True))},
            {"name": "folded", "at": dict(zip(at, times["used_ms"], strict=True))},
        ],
        "note": f"Times: one image, {times['machine'].iloc[0]}.",
    }


@functools.cache
def ensemble() -> dict:
    """What every choice of the four published networks comes to, and their logits on the slider's pictures."""
    picture = sliders.Ensemble(sliders.stored_members(), **test_images())
    pool, measures = picture.pool, {}
    for how, ticks in itertools.product(HOWS, itertools.product((False, True), repeat=len(pool.names))):
        if any(ticks):
            found, p = pool.measure(ticks, how)
            right = int((p.argmax(axis=1) == pool.labels).sum())
            known = {name: value for name, value in found._asdict().items() if not math.isnan(value)}
            measures[f"{HOWS.index(how)} {''.join('01'[tick] for tick in ticks)}"] = {"right": right} | known
    return {
        "controls": exported(picture.controls),
        "classes": CLASSES,
        "names": pool.names,
        "hows": HOWS,
        "images": len(pool.labels),
        "measures": measures,
        "logits": pool.logits[:, picture.places].transpose(1, 0, 2).astype(np.float64),
        "labels": pool.labels[picture.places],
        "places": picture.places,
        "sprite": sprite(picture.images, quality=92, method=6),
        "note": "Four published networks, trained by others; accuracy, loss and entropy on all 10,000 test images.",
    }


@functools.cache
def stopat() -> dict:
    """The accuracies after each epoch of the authors' runs, and the paper's learning rates."""
    picture = sliders.StopAt()
    networks = picture.controls["network"].options
    return {
        "controls": exported(picture.controls),
        "accuracies": {network: picture.accuracies.loc[network].to_numpy() for network in networks},
        "rates": picture.rates,
        "swing": stop_at.SWING,
        "note": "From the authors' own logs: 200 epochs on 50,000 images, one seed each.",
    }


@functools.cache
def chains() -> dict:
    """Means over the seeds for every chain and number of points, and the maps as a sprite."""
    frame = sliders.chain_results()
    maps = toy_chains.stored_maps(repo_path("data", "toy", "maps.npz"))
    numbers = {}
    for points in toy_chains.POINTS:
        summary = toy_chains.means_of(points)
        numbers[points] = {
            "accuracy": summary.accuracy,
            "agreement": {name: value for name, value in summary.agreement.items() if value == value},
            "kl": {name: pair for name, pair in summary.kl.items() if pair[0] == pair[0]},
            "gain": summary.delta,
        }
    shown = np.stack([np.round(255 * colours).astype(np.uint8) for colours in maps.values()])
    return {
        "controls": exported(sliders.Chains.controls),
        "teacher": toy_chains.TEACHER,
        "student": toy_chains.STUDENT,
        "chains": [chain[1:-1] for chain in toy_chains.ALL_CHAINS],
        "numbers": numbers,
        "maps": {name: place for place, name in enumerate(maps)},
        "sprite": sprite(shown, format="png", optimize=True),
        "note": f"Maps: seed 0. Numbers: means over {frame['seed'].nunique()} seeds, 4,000 test points.",
    }


@functools.cache
def ghosts() -> dict:
    """The module that is drawn, and the input channels of GN-S's own modules."""
    return {
        "controls": exported(sliders.Ghosts.controls),
        "out": ghost_module.OUT_CHANNELS,
        "used": sorted(set(sliders.gn_s_channels())),
        "most": ghost_module.LONGEST,
    }


@functools.cache
def schedule() -> dict:
    """The noisy parabola and the recipe that the page's formulas take."""
    return {
        "controls": exported(sliders.Schedule.controls),
        "steps": parabola.STEPS,
        "lowest": LOWEST_RATE,
        "curvatures": parabola.CURVATURES,
        "noise": parabola.NOISE,
        "momentum": Recipe().momentum,
        "range": parabola.LOSS_RANGE,
    }


@functools.cache
def detectable() -> dict:
    """The paper's deltas, without sign, and what the page's formulas take."""
    return {
        "controls": exported(sliders.Detectable.controls),
        "deltas": sliders.Detectable().deltas,
        "z": power.Z,
        "disagreement": power.DISAGREEMENT,
        "range": (power.LOWEST, power.HIGHEST),
    }


# --- the reader's own picture ---------------------------------------------------------------------


def picture() -> dict:
    """The folded student as steps and weights, test images to try, and what it says on average of each class."""
    model, _ = load_weights(STUDENT)
    steps, weights = steps_of(fold(model).eval())  # a network that is folded already stays as it is
    known = load_logits(STUDENT)
    labels, p = np.asarray(known.labels), sliders.softened(known.logits, 1.0)
    confusion = np.zeros((len(CLASSES), len(CLASSES)), dtype=int)  # [answer, label]
    np.add.at(confusion, (p.argmax(axis=1), labels), 1)
    return {
        "classes": CLASSES,
        "mean": MEAN,
        "std": STD,
        "steps": steps,
        "weights": _base64(weights.astype("<f4")),
        "typical": [p[labels == c].mean(axis=0) for c in range(len(CLASSES))],
        "answers": [_when(counts, answer) for answer, counts in enumerate(confusion)],
        "examples": _base64(example_images()),
        "labels": [c for c in range(len(CLASSES)) for _ in range(EXAMPLES)],
        "note": f"The network: {network_name(known)}, folded, {len(weights):,} parameters, computed in this page in "
        "plain JavaScript. Your picture stays on this machine.",
    }


def example_images() -> np.ndarray:
    """The first test images on board of each class, uint8 (20, 3, 32, 32)."""
    on_board = load_dataset("cifar10", "sample").test
    labels = np.asarray(on_board.labels)
    chosen = [np.flatnonzero(labels == c)[:EXAMPLES] for c in range(len(CLASSES))]
    return np.asarray(on_board.images)[np.concatenate(chosen)]


def _when(counts: np.ndarray, answer: int) -> dict:
    """How often (%) an answer is right, and what it is most often where it is wrong."""
    others = np.where(np.arange(len(counts)) == answer, -1, counts)
    return {"share": 100 * counts[answer] / max(1, counts.sum()), "mostly": int(others.argmax())}


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


SHOWS_NUMBERS_OF = {"surface": "temperature"}  # sliders without numbers of their own, and whose they show
MAKERS = {
    "temperature": temperature,
    "width": width,
    "ensemble": ensemble,
    "stopat": stopat,
    "chains": chains,
    "ghosts": ghosts,
    "schedule": schedule,
    "detectable": detectable,
    "picture": picture,
}
