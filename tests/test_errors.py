import re

import pytest

from holdfast import errors
from holdfast.enforcement.clients.pyopenssl import OpenSSLViolationError
from holdfast.enforcement.errors import PinViolationError
from holdfast.errors import HoldfastError, PolicyError, Problem

PROBLEM = Problem("leaf[0]", "this is no pin", "write sha256/<base64>")


def _all_errors(kind: type[HoldfastError]) -> set[type[HoldfastError]]:
    return {kind}.union(*map(_all_errors, kind.__subclasses__()))


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Each error stands in the drawing, with the standard error that it also is."""
    drawn = dict(re.findall(r"──\s(\w+)\s+([\w.]+)", errors.__doc__ or ""))

    assert drawn.keys() == {kind.__name__ for kind in _all_errors(HoldfastError)} - {
        HoldfastError.__name__
    }
    elsewhere = {PinViolationError, OpenSSLViolationError}
    for kind in _all_errors(HoldfastError) - {HoldfastError, *elsewhere}:
        assert drawn[kind.__name__] in {base.__name__ for base in kind.__mro__}


def test_a_traceback_shows_the_fix() -> None:
    """The hint stands in the text, behind the message."""
    assert "it is empty" == str(HoldfastError("it is empty"))
    assert "it is empty (fill it)" == str(HoldfastError("it is empty", hint="fill it"))


@pytest.mark.parametrize(
    ("problem", "place"),
    [
        (PROBLEM, "pin_set.a.leaf[0]"),
        (Problem("", "it has no pins", "add some"), "pin_set.a"),
        (Problem("[0]", "it is no pin", "write one"), "pin_set.a[0]"),
    ],
)
def test_a_problem_is_placed_from_further_out(problem: Problem, place: str) -> None:
    """Places are put together as they would be written in the file."""
    assert place == problem.under("pin_set.a").place


def test_a_policy_error_tells_all_problems() -> None:
    """The text counts the problems and has a line for each, with its place and fix."""
    error = PolicyError([PROBLEM, Problem("", "it is empty", "fill it")], source="pins.toml")

    assert (
        "pins.toml: 2 problems\n"
        "  leaf[0]: this is no pin; write sha256/<base64>\n"
        "  it is empty; fill it"
    ) == str(error)
    assert "policy: 1 problem\n" in str(PolicyError([PROBLEM]))
