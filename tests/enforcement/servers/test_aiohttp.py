from collections.abc import Callable


def test_recipe(expected: object, run_recipe: Callable[..., object]) -> None:
    """The right client is served by name, and nothing of any other reaches the application."""
    assert expected == run_recipe("aiohttp", "run_app")
