from collections.abc import Callable
from functools import partial

import pytest

from holdfast.lab.server import LabServer
from tests.clients.servers.websocket import websocket


@pytest.mark.parametrize("recipe", ["asyncio", "Reconnecting", "threading"])
def test_recipe(recipe: str, expected: object, run_recipe: Callable[..., object]) -> None:
    """The recipe reaches the pinned and the unlisted host, and an impostor gets nothing."""
    serve = partial(LabServer, dialogue=websocket)

    assert expected == run_recipe("websockets", recipe, serve=serve)
