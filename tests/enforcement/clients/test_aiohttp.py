from collections.abc import Callable


def test_recipe(expected: object, run_recipe: Callable[..., object]) -> None:
    """The recipe reaches the pinned and the unlisted host, and an impostor gets nothing."""
    assert expected == run_recipe("aiohttp", "ClientSession")
