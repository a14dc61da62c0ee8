from collections.abc import Callable
from functools import partial

import pytest
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from holdfast.lab.server import LabServer, ServerStream


async def _websocket(stream: ServerStream) -> None:
    """Open a WebSocket, send one message and stay until the client closes (RFC 6455)."""
    protocol = ServerProtocol()
    while protocol.state is not protocol.state.CLOSED:
        data = await stream.read()
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        for event in protocol.events_received():
            if isinstance(event, Request):
                protocol.send_response(protocol.accept(event))
                if protocol.state is OPEN:
                    protocol.send_text(b"hello from the lab")
        for part in protocol.data_to_send():
            if not part:
                return
            await stream.write(part)


@pytest.mark.parametrize("recipe", ["asyncio", "Reconnecting", "threading"])
def test_recipe(recipe: str, expected: object, run_recipe: Callable[..., object]) -> None:
    """The recipe reaches the pinned and the unlisted host, and an impostor gets nothing."""
    serve = partial(LabServer, dialogue=_websocket)

    assert expected == run_recipe("websockets", recipe, serve=serve)
