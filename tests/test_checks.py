"""What all checkers share, and each lesson's tables of right answers and of typical wrong ones with their words."""

import importlib
import pkgutil

import numpy as np
import pytest
import torch

from classroom import checks
from classroom.checks.declared import declared
from classroom.checks.verdict import checker, require

LESSONS = ("start", "architecture", "baselines", "distillation", "assistants", "ensembles", "analysis")
TABLES = [importlib.import_module(f"test_checks_{lesson}") for lesson in LESSONS]
RIGHT = {check: answer for table in TABLES for check, answer in table.RIGHT.items()}
WRONG = [row for table in TABLES for row in table.WRONG]


def name(check) -> str:
    return check.__name__


@pytest.mark.parametrize("check", RIGHT, ids=name)
def test_right_answers_pass_and_stubs_are_not_done(check):
    feedback = check(RIGHT[check])
    assert feedback.state == "right" and feedback.words, feedback
    assert check(lambda *anything: ...).state == "not done"


@pytest.mark.parametrize(("check", "answer", "words"), WRONG, ids=[f"{name(row[0])}: {row[2]}" for row in WRONG])
def test_a_typical_mistake_is_named(check, answer, words):
    feedback = check(answer)
    assert feedback.state == "wrong" and words in feedback.words, feedback
    assert "\n" not in feedback.words


def test_every_checker_is_tested_with_two_wrong_answers():
    modules = [
        importlib.import_module(f"{checks.__name__}.{each.name}") for each in pkgutil.iter_modules(checks.__path__)
    ]
    assert {each for module in modules for each in vars(module) if each.startswith("check_")} == set(map(name, RIGHT))
    for check in RIGHT:
        assert sum(row[0] is check for row in WRONG) >= 2, name(check)


@pytest.mark.parametrize("check", RIGHT, ids=name)
def test_a_function_of_other_arguments_is_told_in_one_line(check):
    too_many = check(lambda one, two, three, four, five, six, seven, eight: 1)
    assert too_many.state == "wrong" and "your function must take" in too_many.words
    if name(check) != "check_statements":
        too_few = check(lambda: 1)
        assert too_few.state == "wrong" and "yours is defined with ()" in too_few.words


# --- the mechanism ----------------------------------------------------------------------------------


@checker
def check_double(answer) -> str:
    """``double(x)``: asks for a function that doubles."""
    require(answer(2) == 4, "2 doubled is 4: multiply by two")
    return "doubled."


@declared([torch.ones(3), torch.arange(3.0)], "halved.", hint="half of each")
def check_halve(x):
    """``halve(x)``: half of a tensor."""
    return x / 2, {"you double": x * 2}


def test_right_and_wrong_in_words():
    feedback = check_double(lambda x: 2 * x)
    assert feedback and feedback.state == "right" and "doubled" in repr(feedback)
    feedback = check_double(lambda x: x + 1)
    assert not feedback and "multiply by two" in feedback._repr_markdown_()


def words(x):
    "What it does."
    ...  # your code


def nothing(x):
    pass


@torch.no_grad()
def decorated(x): ...


def raises(x):
    raise NotImplementedError


@pytest.mark.parametrize("stub", [words, nothing, decorated, raises, lambda x: None, lambda x: ...])
def test_only_an_empty_body_is_a_stub(stub):
    assert check_double(stub).state == "not done"


def forgets(x):
    double = 2 * x  # noqa: F841


def prints(x):
    print(2 * x)


def library(x):
    return torch.nn.Module()(x)


def deep(x):
    return torch.nn.Linear(3, 1)(torch.ones(x))  # the reader's line


def leaves(x):
    raise SystemExit(3)


def many_lines(x):
    raise ValueError("one\n  two\nthree")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (forgets, "is `return` missing?"),
        (prints, "print only shows a value"),
        (lambda x: x.missing, "AttributeError"),
        (library, "NotImplementedError"),
        (deep, "the reader's line"),
        (leaves, "stopped with SystemExit: 3"),
        (many_lines, "ValueError: one two three"),
        (lambda x, y: x, "must take 1 argument, (x): yours is defined with (x, y)"),
        (4, "not its result: int came"),
        (None, "not its result: NoneType came"),
        (torch.nn.Linear, "not the class Linear"),
    ],
)
def test_what_is_no_answer_is_told_in_one_line(answer, words):
    feedback = check_double(answer)
    assert feedback.state == "wrong" and words in feedback.words and "\n" not in feedback.words


def in_place(x):
    x /= 2
    return x


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: x * 2, "you double"),
        (lambda x: x, "half of each"),
        (in_place, "the value is right, but your function changes what it was given"),
        (lambda x: x.mean(), "must have the shape (3,), yours has ()"),
        (lambda x: "half", "must be a tensor of numbers, but 'half' (str) came"),
        (lambda x: torch.Tensor, "the class Tensor"),
        (lambda x: x.mean, "are the brackets of a call missing?"),
        (lambda x: x * torch.nan, "not finite"),
    ],
)
def test_a_declared_checker_says_what_is_wrong(answer, words):
    feedback = check_halve(answer)
    assert feedback.state == "wrong" and words in feedback.words and "\n" not in feedback.words, feedback


@pytest.mark.parametrize("form", [list, np.array, torch.Tensor.requires_grad_, lambda half: half.double()])
def test_a_right_answer_may_come_in_other_forms(form):
    assert check_halve(lambda x: form(x / 2))


def test_of_what_a_function_prints_the_last_call_is_shown(capsys):
    assert check_halve(lambda x: (print("here", float(x.sum())), x / 2)[1])
    assert capsys.readouterr().out == "here 3.0\n"
    assert check_double(lambda x: ([print(line) for line in range(500)], 2 * x)[1])
    assert len(capsys.readouterr().out.splitlines()) == 21


def test_an_error_in_the_checker_itself_is_raised():
    @checker
    def broken(answer):
        return answer(1) / 0

    with pytest.raises(ZeroDivisionError):
        broken(lambda x: x)


def test_what_a_checkers_own_helper_finds_is_said_as_it_is():
    @checker
    def check_helper(answer):
        return answer(lambda: require(False, "told by the helper"))

    assert check_helper(lambda helper: helper()).words == "told by the helper"
