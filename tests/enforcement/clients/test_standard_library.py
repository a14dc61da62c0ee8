from collections.abc import Callable
from functools import partial

import pytest

from holdfast.lab.server import LabServer


@pytest.mark.parametrize("recipe", ["http.client", "urllib", "asyncio"])
def test_recipe(recipe: str, expected: object, run_recipe: Callable[..., object]) -> None:
    """The recipe reaches the pinned and the unlisted host, and an impostor gets nothing."""
    assert expected == run_recipe("standard-library", recipe)


def test_smtplib(expected: object, run_recipe: Callable[..., object]) -> None:
    """After STARTTLS the recipe talks on to the right server, and to an impostor not at all."""
    serve = partial(LabServer, starttls="smtp")

    assert expected == run_recipe("standard-library", "smtplib", serve=serve, answer="ok")
