from collections.abc import Callable

import pytest


@pytest.mark.parametrize("recipe", ["asyncio", "http.server", "wsgiref"])
def test_recipe(recipe: str, expected: object, run_recipe: Callable[..., object]) -> None:
    """The right client is served by name, and nothing of any other reaches the application."""
    assert expected == run_recipe("standard-library", recipe)
