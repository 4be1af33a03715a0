"""Pages that move, opened from a folder in a real browser: numbers follow the keyboard and are Python's to 1e-6.

The page under test is made here, of questions, sliders and the reader's own picture; no lesson's state matters.
"""

import io
import itertools
import os
import re

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

from classroom import predict, sliders
from course_lib.data import CLASSES
from course_lib.data.augment import normalise
from course_lib.models import fold
from course_lib.models.weights import load_weights
from course_lib.report import authors_histories
from course_lib.study.store import load_logits
from course_lib.training.recipe import Recipe, learning_rate

decks = pytest.importorskip("decks", reason="the site's packages are not installed: pip install -e '.[site]'")
moving = pytest.importorskip("moving")
slider_data = pytest.importorskip("slider_data")

pytestmark = pytest.mark.slow

PAGE = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Test</title><body>'
NO_STORAGE = (
    "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"
)
SHOWN = """place => Object.fromEntries([...place.querySelectorAll('data[data-key]')].map(
    each => [each.dataset.key, Number(each.value)]))"""
ASK = """() => {
    const data = course.data.picture, ask = course.network(data), size = 3 * 32 * 32;
    const bytes = course.bytes(data.examples);
    return data.labels.map((_, at) => ask(bytes.subarray(at * size, (at + 1) * size)));
}"""
SEEN = """() => [...document.querySelector('.course-own canvas[role=img]').getContext('2d')
    .getImageData(0, 0, 32, 32).data]"""
in_chromium = pytest.mark.skipif(
    "COURSE_FIREFOX" in os.environ, reason="Playwright neither permits Firefox the camera nor takes its JavaScript away"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the scripts and three pages: questions, sliders, the reader's own picture."""
    made = tmp_path_factory.mktemp("pages")
    moving.write(made / "web")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_PRINTED", "1")
        questions = [
            predict.number("How many percent?", 12, "because", unit="%").data,
            predict.choice("Which?", ["left", "right"], "right", sliders.Width()).data,
        ]
    shown = [
        f'<div class="course-slider" data-slider="{name}"><noscript>{moving.table(name)}</noscript></div>'
        for name in moving.TABLES
    ]
    pages = {
        "questions": "".join(questions) + moving.MINE,
        "sliders": "".join(shown),
        "own": '<div class="course-own"></div>',
    }
    for name, body in pages.items():
        (made / f"{name}.html").write_text(PAGE + body + moving.scripts(body, ""), encoding="utf-8")
    return made


@pytest.fixture
def opened(folder, browser):
    """A function that opens a page of the folder; what it asks for from elsewhere, or throws, fails the test."""
    contexts, outside, problems = [], [], []

    def go(name: str, script: str = "", **options):
        contexts.append(browser.new_context(viewport={"width": 1000, "height": 900}, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(180_000)  # a busy machine
        page.on("request", lambda made: outside.append(made.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        if script:
            page.add_init_script(script)
        page.goto((folder / f"{name}.html").as_uri())
        return page

    yield go
    for context in contexts:
        context.close()
    assert [url for url in outside if not url.startswith(("file:", "data:", "blob:"))] == [] and problems == []


# --- sliders --------------------------------------------------------------------------------------


def temperature(temperature: float, alpha: float, picture: int) -> dict[str, float]:
    place = slider_data.temperature()["places"][picture]
    teacher, student = (load_logits(name) for name in (slider_data.TEACHER, slider_data.STUDENT))
    return eq1(teacher.logits[place], student.logits[place], teacher.labels[place], temperature, alpha)


def eq1(teacher, student, label: int, temperature: float, alpha: float) -> dict[str, float]:
    terms = sliders.loss_terms(teacher, student, label, temperature, alpha)
    soft, answer = sliders.softened(teacher, temperature), sliders.softened(student, temperature)
    pulls = sliders.gradient_terms(teacher, student, label, temperature)
    found = {"entropy": sliders.entropy_bits(soft)} | terms._asdict()
    for c, name in enumerate(CLASSES):
        found |= {f"teacher {name}": soft[c], f"plain {name}": sliders.softened(teacher, 1.0)[c]}
        found |= {f"student {name}": answer[c], f"hard {name}": pulls[0, c], f"soft {name}": pulls[1, c]}
        found[f"gradient {name}"] = alpha * pulls[0, c] + (1 - alpha) * pulls[1, c]
    return found


def width(width: float) -> dict[str, float]:
    costs = sliders.width_costs(width).drop(columns=["block", "resolution", "channels"]).sum().to_dict()
    series = enumerate(sliders.Width().series)
    return costs | {f"accuracy {at}": one.accuracy[width] for at, one in series if width in one.accuracy}


def ensemble(chosen: list[str], how: str, picture: int) -> dict[str, float]:
    pool = sliders.Pool(sliders.stored_members())
    measures, p = pool.measure([name in chosen for name in pool.names], how)
    right = int((p.argmax(axis=1) == pool.labels).sum())
    place = slider_data.ensemble()["places"][picture]
    found = {"right": right} | measures._asdict() | {f"p {name}": p[place, c] for c, name in enumerate(CLASSES)}
    return found | {f"alone {name}": value for name, value in zip(pool.names, pool.accuracies, strict=True)}


def stopat(epoch: int, network: str) -> dict[str, float]:
    seen = authors_histories()["test_accuracy"].loc[network].to_numpy()[:epoch]
    swing = np.abs(np.diff(seen[-11:])).mean()
    return {"accuracy": seen[-1], "best": seen.max(), "swing": swing, "rate": sliders.StopAt().rates[epoch - 1]}


def chains(assistants: list[int], points: int) -> dict[str, float]:
    rows = sliders.chain_results().query("points == @points").set_index("chain")
    name = "-".join(str(size) for size in (128, *assistants, 6))
    gain = rows.loc[name].set_index("seed")["accuracy"] - rows.loc["128-6"].set_index("seed")["accuracy"]
    found = {"accuracy": rows.loc[name, "accuracy"].mean(), "kl": rows.loc[name, "kl"].mean(), "gain": gain.mean()}
    return found | {"error": 2 * gain.sem(), "alone": rows.loc["alone", "accuracy"].mean()}


def surface(temperature: float, alpha: float, picture: int) -> dict[str, float]:
    place = slider_data.temperature()["places"][picture]
    teacher, student = (load_logits(name) for name in (slider_data.TEACHER, slider_data.STUDENT))
    parts = teacher.logits[place], student.logits[place], teacher.labels[place]
    hard, soft = -sliders.gradient_terms(*parts, temperature) * [[alpha], [1 - alpha]]
    size, *sizes = np.linalg.norm([hard + soft, hard, soft], axis=1)
    whole = sliders.gradient_surface(*parts)
    found = {"size": size, "hard": sizes[0], "soft": sizes[1], "lowest": whole.min(), "highest": whole.max()}
    found["total"] = sliders.loss_terms(*parts, temperature, alpha).total
    if min(sizes) > 1e-6:
        found["cosine"] = hard @ soft / np.prod(sizes)
    for key, pulls in (("label", hard), ("teacher", soft), ("sum", hard + soft)):
        found |= {f"{key} {name}": pull for name, pull in zip(CLASSES, pulls, strict=True)}
    return found


def ghosts(channels: int, parts: int, kernel: int) -> dict[str, float]:
    cost = sliders.ghost_cost(channels, parts=parts, kernel=kernel)
    return cost._asdict() | {"ratio": cost.ratio, "even": kernel**2, "limit": 1 / parts}


def schedule(warmup: float, peak: float) -> dict[str, float]:
    recipe, steps = Recipe(lr=peak, warmup=warmup), slider_data.schedule()["steps"]
    rates = [learning_rate(step, steps, recipe) for step in range(steps)]
    ours, flat = sliders.expected_losses(rates), sliders.expected_losses([peak] * steps)
    found = {"start": ours[0], "end": ours[-1], "top": ours.max(), "half": ours[steps // 2], "flat": flat[-1]}
    found |= {"flat top": flat.max(), "flat half": flat[steps // 2], "rate half": rates[steps // 2]}
    return {key: value for key, value in found.items() if np.isfinite(value)}  # where it diverges it has no end


def detectable(seeds: int, images: int, spread: float) -> dict[str, float]:
    found, parts = (
        sliders.detectable_difference(seeds, images, spread),
        np.array(sliders.difference_variance(seeds, images, spread)),
    )
    by_seeds, by_images = 100 * parts / parts.sum()
    one_seed = np.hypot(spread, 100 * np.sqrt(0.08 / images / 2))
    large = (sliders.Detectable().deltas >= found).sum()
    return {"found": found, "seeds share": by_seeds, "images share": by_images, "measured": one_seed, "as large": large}


# Of each slider: the numbers in Python, and moves (control, key, times) with the settings they lead to.
MOVES = {
    "temperature": (
        temperature,
        [
            ("temperature", "ArrowRight", 3, {"temperature": 5.5}),
            ("temperature", "Home", 1, {"temperature": 0.5}),
            ("temperature", "End", 1, {"temperature": 20.0}),
            ("alpha", "ArrowLeft", 2, {"alpha": 0.4}),
            ("picture", "End", 1, {"picture": -1}),  # the last,
        ],
    ),
    "width": (width, [("width", "ArrowRight", 3, {"width": 1.3}), ("width", "End", 1, {"width": 4.0})]),
    "ensemble": (
        ensemble,
        [
            ("chosen", "Space", 1, {"chosen": 1}),
            ("how", "ArrowDown", 1, {"how": "mean of probabilities"}),
            ("picture", "ArrowLeft", 2, {"picture": 37}),
        ],
    ),
    "stopat": (
        stopat,
        [
            ("epoch", "ArrowRight", 1, {"epoch": 141}),
            ("epoch", "End", 1, {"epoch": 200}),
            ("network", "ArrowDown", 1, {"network": "gn-s-1.3x"}),
        ],
    ),
    "chains": (
        chains,
        [("assistants", "Space", 1, {"assistants": [64, 32]}), ("points", "ArrowRight", 1, {"points": 300})],
    ),
    "surface": (
        surface,
        [
            ("temperature", "ArrowLeft", 6, {"temperature": 1.0}),
            ("temperature", "End", 1, {"temperature": 20.0}),
            ("alpha", "Home", 1, {"alpha": 0.0}),
            ("picture", "Home", 1, {"picture": 0}),
            ("alpha", "ArrowRight", 3, {"alpha": 0.15}),
        ],
    ),
    "ghosts": (
        ghosts,
        [
            ("channels", "ArrowRight", 2, {"channels": 24}),
            ("parts", "End", 1, {"parts": 6}),
            ("kernel", "ArrowRight", 1, {"kernel": 5}),
            ("channels", "Home", 1, {"channels": 4}),
        ],
    ),
    "schedule": (
        schedule,
        [
            ("warmup", "ArrowRight", 5, {"warmup": 0.55}),
            ("peak", "ArrowLeft", 3, {"peak": 10**-2.15}),
            ("warmup", "Home", 1, {"warmup": 0.0}),
            ("peak", "End", 1, {"peak": 10**-1.35}),  # it diverges
        ],
    ),
    "detectable": (
        detectable,
        [
            ("seeds", "ArrowRight", 2, {"seeds": 3}),
            ("images", "ArrowRight", 1, {"images": 20_000}),
            ("spread", "Home", 1, {"spread": 0.0}),
            ("images", "Home", 1, {"images": 500}),
        ],
    ),
}


def started(name: str) -> dict:
    """Where a slider of the page begins."""
    data = moving.MAKERS[moving.SHOWS_NUMBERS_OF.get(name, name)]()
    return {key: control["start"] for key, control in data["controls"].items()}


@pytest.mark.parametrize("name", MOVES)
def test_every_key_moves_numbers_and_they_are_pythons(opened, name):
    page, (expected, moves), settings = opened("sliders"), MOVES[name], started(name)
    place = page.locator(f'[data-slider="{name}"]')
    before = place.evaluate(SHOWN)
    agrees(before, expected(**settings))
    drawing, words = place.locator("svg").first, place.locator(".course-words")
    for control, key, times, leads_to in moves:
        seen = drawing.inner_html(), words.inner_text(), drawing.get_attribute("aria-label")
        for _ in range(times):
            place.locator(f'[name="{control}"]').first.press(key)
        settings |= leads_to
        if leads_to == {"chosen": 1}:  # the first box is not ticked any more
            settings["chosen"] = list(slider_data.ensemble()["names"][1:])
        after = place.evaluate(SHOWN)
        assert after != before, f"{key} on {control} changes no number"
        now = drawing.inner_html(), words.inner_text(), drawing.get_attribute("aria-label")
        for then, one, what in zip(seen, now, ("picture", "words", "alt text"), strict=True):
            assert then != one, f"{key} on {control} changes no {what}"
        agrees(after, expected(**settings))
        before = after


def agrees(shown: dict[str, float], expected: dict[str, float]) -> None:
    for key, value in expected.items():
        assert shown[key] == pytest.approx(float(value), abs=1e-6, rel=1e-6), key


def test_every_choice_of_the_ensemble_is_pythons(opened):
    page = opened("sliders")
    boxes, names = page.locator('[name="chosen"]'), slider_data.ensemble()["names"]
    pool = sliders.Pool(sliders.stored_members())
    for ticks in itertools.product((False, True), repeat=len(names)):
        for at, tick in enumerate(ticks):
            boxes.nth(at).set_checked(tick)
        shown = page.locator('[data-slider="ensemble"]').evaluate(SHOWN)
        if any(ticks):
            assert shown["accuracy"] == pytest.approx(pool.measure(ticks, "mean of logits")[0].accuracy, abs=1e-6)
        else:
            assert "accuracy" not in shown
            assert "No network is chosen" in page.locator('[data-slider="ensemble"] .course-words').inner_text()


@pytest.mark.parametrize("t", [0.1, 1.0, 100.0])
def test_eq1_holds_at_the_ends_and_for_ties(opened, t):
    page = opened("sliders")
    rows = [[0.0] * 10, [9.5, 9.5, -30.0, *[0.25] * 7], [-3.0, *[88.0] * 9]]
    for teacher, student in itertools.product(rows, rows):
        made = {"teacher": [teacher], "student": [student], "labels": [2], "classes": CLASSES}
        call = "([data, settings]) => course.sliders.temperature.numbers(data, settings)"
        numbers = page.evaluate(call, [made, {"temperature": t, "alpha": 0.3, "picture": 0}])
        found = {number["key"]: number["value"] for number in numbers}
        agrees(found, eq1(np.array(teacher), np.array(student), 2, t, 0.3))


def test_a_slider_begins_where_the_lesson_left_it_and_says_so_to_screen_readers(folder, opened):
    at = slider_data.temperature_picture().controls["picture"].high  # of the notebook's slider
    settings = f"{{&quot;temperature&quot;: 2.0, &quot;picture&quot;: {at}}}"
    body = f'<div class="course-slider" data-slider="temperature" data-settings="{settings}"><img alt="still"></div>'
    (folder / "lesson.html").write_text(PAGE + body + moving.scripts(body, ""), encoding="utf-8")
    page = opened("lesson")
    place = slider_data.temperature()["lesson"][at]
    agrees(page.locator(".course-slider").evaluate(SHOWN), temperature(2.0, 0.5, place))
    assert page.get_by_label("T", exact=True).input_value() == "2"
    assert page.get_by_label("T", exact=True).get_attribute("aria-valuetext") == "2.0"
    assert page.locator("output").first.inner_text() == "2.0"
    assert page.locator(".course-words").get_attribute("aria-live") == "polite"
    assert not page.get_by_alt_text("still").is_visible() and page.locator("svg").first.get_attribute("aria-label")


@in_chromium
def test_without_javascript_tables_and_folded_answers_remain(opened):
    page = opened("sliders", java_script_enabled=False)
    assert page.locator("table").count() == len(moving.TABLES) and page.locator("td").first.is_visible()
    assert "483,554" in page.locator("td").all_inner_texts()
    page = opened("questions", java_script_enabled=False)
    page.locator("summary").first.click()
    assert page.locator("details b").first.is_visible()


# --- questions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["", NO_STORAGE], ids=["kept", "in memory"])
def test_the_answer_stays_shut_until_the_reader_has_said_one(opened, script):
    page = opened("questions", script)
    first = page.locator(".course-predict").first
    assert not first.locator("summary").is_visible() and not page.locator("details b").first.is_visible()
    field = first.get_by_label("How many percent?")
    for wrong in ("", "many", "1.2.3"):
        field.fill(wrong)
        field.press("Enter")
        assert "Write a number" in first.locator(".course-said").inner_text()
        assert not first.locator("details").is_visible()
    field.fill("5 %")
    field.press("Enter")
    assert first.locator(".course-said").inner_text() == "You said 5 %, it is 12 %."
    assert page.locator("details b").first.is_visible() and not field.is_visible()
    assert page.evaluate("document.activeElement.innerText") == "What it is", "the focus goes on where the answer is"
    assert "5 %" in page.locator(".course-mine").inner_text()
    assert ("keeps nothing" in page.locator(".course-mine").inner_text()) == bool(script)
    page.reload()
    again = page.locator(".course-said").first.inner_text()
    assert again == ("" if script else "You said 5 %, it is 12 %.")


def test_a_choice_by_keyboard_and_show_me(opened):
    page = opened("questions")
    first, second = page.locator(".course-predict").all()
    second.get_by_role("button", name="See").press("Enter")
    assert "Choose one" in second.locator(".course-said").inner_text()
    second.get_by_label("left").focus()
    page.keyboard.press("ArrowDown")
    second.get_by_role("button", name="See").press("Enter")
    assert second.locator(".course-said").inner_text() == "You said right, and so it is."
    slider = second.locator('[data-slider="width"]')
    shown = slider.evaluate(SHOWN)
    slider.locator("input").press("ArrowRight")
    assert slider.evaluate(SHOWN) != shown, "what was behind the lock moves"
    first.get_by_role("button", name="Show me").click()
    assert first.locator(".course-said").inner_text() == "It is 12 %."
    mine = page.locator(".course-mine").inner_text()
    assert "Which?" in mine and "How many percent?" not in mine, "who only looks has predicted nothing"
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Forget all").click()
    assert "No predictions yet" in page.locator(".course-mine").inner_text()


# --- the reader's own picture ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def examples() -> tuple[np.ndarray, np.ndarray]:
    """The page's test images, uint8 (20, 3, 32, 32), and PyTorch's logits for them."""
    images = slider_data.example_images()
    return images, answers(images)


def answers(images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return fold(load_weights(slider_data.STUDENT)[0]).eval()(normalise(torch.from_numpy(images))).numpy()


def test_the_page_answers_as_pytorch(opened, examples):
    logits = np.array(opened("own").evaluate(ASK))
    assert np.abs(logits - examples[1]).max() < 1e-3


def test_a_file_is_shrunk_and_answered_and_another_class_stands_beside(opened, examples):
    page, (images, logits) = opened("own"), examples
    for at, times in ((3, 1), (8, 7)):  # as it is, and seven times as large: the average of each square is the pixel
        large = images[at].transpose(1, 2, 0).repeat(times, axis=0).repeat(times, axis=1)
        file = io.BytesIO()
        Image.fromarray(large).save(file, "png")
        page.locator("#course-file").set_input_files(
            {"name": "mine.png", "mimeType": "image/png", "buffer": file.getvalue()}
        )
        wanted = CLASSES[logits[at].argmax()]
        page.get_by_text(f"It says {wanted}").wait_for()
        shown = page.locator(".course-own").evaluate(SHOWN)
        found = [shown[f"logit {name}"] for name in CLASSES]
        assert np.abs(np.array(found) - logits[at]).max() < 1e-3
    typical = shown[f"typical {CLASSES[0]}"]
    other = next(name for name in CLASSES if name != wanted)  # the page begins with its own answer
    page.get_by_label("Beside it").select_option(label=other)
    assert page.locator(".course-own").evaluate(SHOWN)[f"typical {CLASSES[0]}"] != typical


def test_what_is_no_picture_and_no_camera_get_one_clear_line(opened):
    page = opened("own")
    page.locator("#course-file").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"})
    page.get_by_text("a.png cannot be read as a picture").wait_for()
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_text("The camera cannot be had").wait_for()


@in_chromium
def test_the_camera_takes_a_picture_that_is_answered_and_is_let_go(opened, examples):
    page = opened("own", permissions=["camera"])
    page.evaluate("video = document.querySelector('video')")
    page.get_by_role("button", name="Use the camera").press("Enter")
    page.get_by_role("button", name="Take the picture").press("Enter")
    page.get_by_role("button", name="Use the camera").wait_for()
    assert not page.locator("video").is_visible()
    assert page.evaluate("video.srcObject.getTracks().map(track => track.readyState)") == ["ended"]
    seen = np.array(page.evaluate(SEEN), dtype=np.uint8).reshape(32, 32, 4)[:, :, :3].transpose(2, 0, 1)
    assert not any(np.array_equal(seen, image) for image in examples[0]), "it is no test image"
    shown = page.locator(".course-own").evaluate(SHOWN)
    assert np.abs(answers(seen[None])[0] - [shown[f"logit {name}"] for name in CLASSES]).max() < 1e-3


# --- slides ---------------------------------------------------------------------------------------


def test_a_deck_moves_by_keyboard_and_opens_an_answer_before_it_moves_on(folder, opened, tmp_path):
    question = (folder / "questions.html").read_text().removeprefix(PAGE).partition("</details></div>")[0]
    output = nbformat.v4.new_output("display_data", {"text/html": f"{question}</details></div>"})
    cells = [nbformat.v4.new_markdown_cell("# A test\n\nWhat becomes of a test, in the end?")]
    cells += [nbformat.v4.new_markdown_cell("## Why?\n\nBecause it must be so, as one can see.")]
    cells += [nbformat.v4.new_code_cell("ask()", outputs=[output]), nbformat.v4.new_markdown_cell("## Last\n\nEnd.")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "07_test.ipynb")
    (folder / "slides").mkdir(exist_ok=True)
    text = decks.deck(tmp_path / "07_test.ipynb").replace("../notebooks/", "")
    (folder / "slides" / "07.html").write_text(text.replace('<link rel="stylesheet" href="../_static/web.css">\n', ""))
    page = opened("slides/07")
    now = page.locator(".slide:visible")
    assert now.count() == 1 and "A test" in now.inner_text() and re.search("1 / 4", page.locator("#place").inner_text())
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    assert "How many percent?" in now.inner_text() and not page.locator("details b").first.is_visible()
    page.keyboard.press("ArrowRight")
    assert page.locator("details b").first.is_visible()
    page.keyboard.press("PageDown")
    assert "Last" in now.inner_text()
    page.keyboard.press("Home")
    assert "A test" in now.inner_text()
