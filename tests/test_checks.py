"""What all checkers share; each lesson's checkers have a test file of their own."""

import torch

from classroom.checks.verdict import checker, require


@checker
def check_double(answer) -> str:
    """Asks for a function that doubles."""
    require(answer(2) == 4, "2 doubled is 4: multiply by two")
    return "doubled."


def test_right_answer():
    verdict = check_double(lambda x: 2 * x)
    assert verdict and verdict.state == "right" and "doubled" in repr(verdict)


def test_wrong_answer_says_why():
    verdict = check_double(lambda x: x + 1)
    assert not verdict and "multiply by two" in verdict._repr_markdown_()


def test_stubs_are_not_done():
    def raises(x):
        raise NotImplementedError

    for stub in (raises, lambda x: None, lambda x: ...):
        assert check_double(stub).state == "not done"


def test_an_error_in_the_answer_is_told_not_raised():
    verdict = check_double(lambda x: x.missing)
    assert verdict.state == "wrong" and "AttributeError" in verdict.words


def test_a_result_instead_of_a_function():
    assert "not its result" in check_double(4).words


def test_an_error_in_the_checker_itself_is_raised():
    @checker
    def broken(answer):
        return answer(1) / 0

    try:
        broken(lambda x: x)
    except ZeroDivisionError:
        return
    raise AssertionError("a checker's own mistake must not be shown as the reader's")


def test_only_an_empty_body_is_a_stub():
    def words(x):
        "What it does."
        ...  # your code

    def nothing(x):
        pass

    @torch.no_grad()
    def decorated(x): ...

    for stub in (words, nothing, decorated):
        assert check_double(stub).state == "not done"


def test_a_forgotten_return_is_told():
    def forgets(x):
        double = 2 * x
        print(double)

    verdict = check_double(forgets)
    assert verdict.state == "wrong" and "is `return` missing?" in verdict.words


def test_an_operation_that_a_library_lacks_is_no_stub():
    def library(x):
        return torch.nn.Module()(x)

    verdict = check_double(library)
    assert verdict.state == "wrong" and "NotImplementedError" in verdict.words


def test_an_error_inside_a_library_is_shown_by_the_readers_line():
    def deep(x):
        return torch.nn.Linear(3, 1)(torch.ones(x))  # the reader's line

    assert "the reader's line" in check_double(deep).words


def test_what_a_checkers_own_helper_finds_is_said_as_it_is():
    @checker
    def check_helper(answer):
        return answer(lambda: require(False, "told by the helper"))

    assert check_helper(lambda helper: helper()).words == "told by the helper"
