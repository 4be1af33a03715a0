"""The site in a real browser: nothing runs off the screen, on a phone either; nothing is fetched; the search finds."""

import os

import pytest

pytestmark = pytest.mark.slow

PAGES = ("index", "exercises", "library/index", "notebooks/README", "notebooks/03_knowledge_distillation")
PAGES += ("sliders", "picture", "predictions", "slides")
SCREENS = {"desktop": {"width": 1300, "height": 900}, "phone": {"width": 390, "height": 844}}
# What reaches beyond the screen and lies in no box that scrolls.
TOO_WIDE = """() => [...document.querySelectorAll('article *')].filter(element => {
    if (element.getBoundingClientRect().right <= window.innerWidth + 1) return false;
    for (let box = element.parentElement; box; box = box.parentElement)
        if (getComputedStyle(box).overflowX !== 'visible') return false;
    return true;
}).slice(0, 5).map(element => element.outerHTML.slice(0, 120))"""
# Contrast of the text with the page behind it, as WCAG counts it.
CONTRAST = """() => {
    const light = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(value => value / 255)
        .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
        .reduce((sum, value, place) => sum + value * [0.2126, 0.7152, 0.0722][place], 0);
    const text = light(getComputedStyle(document.querySelector('article p')).color);
    const page = light(getComputedStyle(document.body).backgroundColor);
    return (Math.max(text, page) + 0.05) / (Math.min(text, page) + 0.05);
}"""

# What has the focus: whether all of it or, where it is larger, some of it is on the screen, and whether it is marked.
FOCUS = """() => {
    const element = document.activeElement, box = element.getBoundingClientRect(), style = getComputedStyle(element);
    if (element === document.body) return null;
    return { what: element.outerHTML.slice(0, 120), marked: style.outlineStyle !== 'none' || style.boxShadow !== 'none',
             seen: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth };
}"""
AT_ONCE = "* { scroll-behavior: auto !important; transition: none !important }"


@pytest.fixture(params=[("desktop", "dark"), ("phone", "light")], ids="-".join)
def page(request, browser):
    """A page on one screen in one theme; ``page.asked`` collects requests that leave the folder."""
    screen, scheme = request.param
    opened = browser.new_context(viewport=SCREENS[screen], color_scheme=scheme).new_page()
    opened.asked, opened.problems = [], []
    opened.on("request", lambda made: opened.asked.append(made.url))
    opened.on("pageerror", lambda error: opened.problems.append(str(error)))
    yield opened
    opened.context.close()


def test_every_page_fits_and_asks_for_nothing(site, page):
    for name in PAGES:
        page.goto((site / f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
        assert page.evaluate(TOO_WIDE) == [], name
        assert page.evaluate(CONTRAST) > 7, name
        broken = "[...document.images].filter(image => image.complete && !image.naturalWidth).map(image => image.alt)"
        assert page.evaluate(broken) == [], name
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
    assert page.problems == []


def test_letters_of_a_figure_stay_readable_on_a_phone(site, browser):
    page = browser.new_context(viewport=SCREENS["phone"]).new_page()
    page.goto((site / "notebooks" / "03_knowledge_distillation.html").as_uri())
    shown = page.locator("figure img:visible").evaluate_all("all => all.map(one => one.width / one.naturalWidth)")
    assert shown and min(shown) > 0.6, "drawn in 10 points, shown in 6 at least"
    page.context.close()


@pytest.mark.parametrize("name", ["sliders", "picture", "notebooks/05_teacher_ensembles"])
def test_by_keyboard_alone_the_focus_is_marked_and_on_the_screen(site, page, name):
    page.goto((site / f"{name}.html").as_uri())
    page.add_style_tag(content=AT_ONCE)
    stops = []
    while not stops or stops[-1]:
        page.keyboard.press("Tab")
        stops.append(page.evaluate(FOCUS))
    assert len(stops) > 40
    assert [stop for stop in stops[:-1] if not (stop["seen"] and stop["marked"])] == []


@pytest.mark.skipif("COURSE_FIREFOX" in os.environ, reason="Playwright shows nothing of Firefox's paper")
@pytest.mark.parametrize("script", [True, False], ids=["moving", "without JavaScript"])
def test_on_paper_the_answers_stand_open_with_their_pictures_and_words(site, browser, script):
    page = browser.new_context(viewport=SCREENS["desktop"], java_script_enabled=script).new_page()
    page.goto((site / "notebooks" / "06_analysis.html").as_uri())
    slider = page.locator(".course-slider").first
    picture, words = map(slider.locator, ("svg[role=img]", ".course-words") if script else ("img", "figcaption"))
    assert not picture.is_visible() and not words.is_visible(), "on the screen the answer is folded"
    page.emulate_media(media="print")
    assert picture.is_visible() and words.is_visible() and not page.locator(".course-lock").first.is_visible()
    told = words.inner_text() if script else picture.get_attribute("alt")  # a still picture's caption says what to see
    assert picture.bounding_box()["width"] > 500 and "a true difference of 0.89 points" in told
    page.context.close()


def test_the_theme_can_be_changed(site, browser):
    page = browser.new_context(viewport=SCREENS["desktop"], color_scheme="light").new_page()
    page.goto((site / "index.html").as_uri())
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for _ in range(3):  # automatic, light, dark, in an order of the theme's own
        page.locator(".theme-toggle:visible").first.click()
        if page.evaluate("getComputedStyle(document.body).backgroundColor") != before:
            return
    raise AssertionError("the button changes nothing")


def test_the_search_finds_a_lesson_without_a_server(site, browser):
    page = browser.new_context(viewport=SCREENS["desktop"]).new_page()
    page.goto((site / "search.html").as_uri() + "?q=temperature")
    found = page.locator("ul.search li a")
    found.first.wait_for()
    assert any("03_knowledge_distillation" in link for link in found.evaluate_all("links => links.map(a => a.href)"))
