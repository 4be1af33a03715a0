"""Predict, then see: the lock opens for an answer or for "Show me", keeps what was said, and folds when printed."""

import json

import pytest

from classroom import predict


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "repo_path", lambda *parts: tmp_path.joinpath(*parts))
    monkeypatch.delenv("COURSE_PRINTED", raising=False)
    (tmp_path / "notebooks").mkdir()


def parts(widget):
    """Field, the two buttons, the words and what is below, of the shown question."""
    _, (field, see, show_me), words, below = (each if not hasattr(each, "children") else each.children
                                              for each in widget.children)  # fmt: skip
    return field, see, show_me, words, below


def test_a_number_opens_the_lock_and_is_kept(monkeypatch):
    last = "the figure of this cell"
    field, see, _, words, below = parts(predict.number("How many?", 1234, lambda: last, unit="images"))
    last = "that of a later cell"
    shown = []
    monkeypatch.setattr(predict, "display", lambda *what: shown.extend(each.data for each in what))
    field.value = " 1000 "
    see.click()
    assert "You said 1000 images, it is 1,234 images." in words.value and field.disabled
    assert shown == ["<p>the figure of this cell</p>"]
    kept = json.loads(predict.repo_path(*predict.FILE).read_text())
    assert kept == {"How many?": ["1000 images", "1,234 images"]}
    assert "1000 images" in predict.mine().data


@pytest.mark.parametrize("typed", ["", "many", "nan", "inf"])
def test_what_is_no_number_leaves_the_lock_shut(typed):
    field, see, _, words, _ = parts(predict.number("How many?", 5))
    field.value = typed
    see.click()
    assert "Write a number" in words.value and not field.disabled and not predict._kept()


@pytest.mark.parametrize("typed", ["6,5", "6.5 %"])
def test_numbers_as_people_write_them(typed):
    field, see, _, words, _ = parts(predict.number("How much?", 6.5, unit="%", digits=1))
    field.value = typed
    see.click()
    assert "You said 6" in words.value and words.value.count("%") >= 1


def test_a_choice_must_be_made():
    field, see, _, words, _ = parts(predict.choice("Which?", ["a", "b"], "b", "because"))
    see.click()
    assert "Choose one" in words.value and not field.disabled
    field.value = "b"
    see.click()
    assert "You said b, and so it is." in words.value
    with pytest.raises(ValueError, match="not among the options"):
        predict.choice("Which?", ["a", "b"], "c")


def test_show_me_shows_and_keeps_nothing():
    field, _, show_me, words, _ = parts(predict.number("How many?", 5))
    show_me.click()
    assert "It is 5." in words.value and field.disabled and "No predictions yet" in predict.mine().data


def test_printed_the_answer_is_folded_below_the_question(monkeypatch):
    monkeypatch.setenv("COURSE_PRINTED", "1")
    page = predict.choice("Which <one>?", ["a", "b"], "b", "because & so").data
    before, inside = page.split("<details>")
    assert "It is b." in inside and "because &amp; so" in inside
    assert "It is" not in before and "Which &lt;one&gt;?" in before and 'data-answer="b"' in before
