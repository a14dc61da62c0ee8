import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from websockets.sync.client import connect

import holdfast
from holdfast.enforcement.servers.uvicorn import PinnedConfig
from holdfast.lab.authorities import Identity
from holdfast.lab.loop_thread import LoopThread

PAYMENTS = "spiffe://example.org/payments"


def test_recipe(expected: object, run_recipe: Callable[..., object]) -> None:
    """The right client is served by name, and nothing of any other reaches the application."""
    assert expected == run_recipe("uvicorn", "uvicorn.Server")


@pytest.mark.parametrize("ws", ["websockets-sansio", "wsproto"])
def test_websockets(
    ws: str, folder: Path, context_of: Callable[..., ssl.SSLContext], payments: Identity
) -> None:
    """A WebSocket says who it is too, whichever protocol uvicorn uses for it."""
    context = holdfast.PinningContext.for_server(holdfast.load_policy(folder / "pins.toml"))
    context.load_cert_chain(folder / "server.pem")

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
        await receive()
        await send({"type": "websocket.accept"})
        told = scope["extensions"]["holdfast"]["identity"]
        await send({"type": "websocket.send", "text": told})

    config = PinnedConfig(
        app,
        ws=ws,
        lifespan="off",
        log_config=None,
        ssl_context_factory=lambda *_: context,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        loop = LoopThread(server._serve([listener]), "uvicorn")
        try:
            with connect(
                f"wss://localhost:{listener.getsockname()[1]}",
                ssl=context_of(payments, ssl.TLSVersion.TLSv1_3),
                proxy=None,
            ) as client:
                assert PAYMENTS == client.recv()
        finally:
            server.should_exit = True
            loop.stop()
