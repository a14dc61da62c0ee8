"""niquests and urllib3-future, in an environment of their own: they take the place of urllib3."""

import socket
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from holdfast.lab.server import LabServer, ServerStream
from holdfast.testing import PinnedServer

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]

_TWICE = """
import sys
for _ in range(2):
    session.get(sys.argv[1], timeout=5)
session.close()
"""
# As the recipe has it, but for HTTP/3.
_WITH_HTTP3 = (
    ("super().__init__(disable_http3=True)", "super().__init__(quic_cache_layer=LAYER)"),
    ("Session(disable_http3=True)", "Session()"),
    ("session.mount(", "LAYER = session.quic_cache_layer; session.mount("),
)


@pytest.fixture(scope="session")
def interpreter(python_with: Callable[..., Path]) -> Path:
    """A Python with niquests, and with requests, which is not told of it."""
    return python_with("requests", "niquests")


@pytest.mark.parametrize("recipe", ["niquests", "urllib3-future"])
def test_recipe(recipe: str, expected: object, run_recipe: Callable[..., object]) -> None:
    """The recipe reaches the pinned and the unlisted host, and an impostor gets nothing."""
    assert expected == run_recipe("niquests", recipe)


async def _offer_http3(stream: ServerStream) -> None:
    """Answer each request, and send the client on to HTTP/3 (RFC 7838)."""
    while await stream.read_line():
        while (await stream.read_line()).strip():
            pass
        offer = f'alt-svc: h3=":{stream.port}"; ma=60'
        await stream.write(f"HTTP/1.1 200 OK\r\n{offer}\r\ncontent-length: 0\r\n\r\n".encode())


@pytest.mark.threat("T23")
@pytest.mark.parametrize("is_off", [True, False], ids=["recipe", "HTTP/3 on"])
def test_http3_is_off(
    is_off: bool,
    recipe_code: Callable[..., str],
    run_script: Callable[..., CompletedProcess[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A server that offers HTTP/3 gets no datagram; without the setting it does, past the pins."""
    code = recipe_code("niquests", "niquests").partition("with session:")[0] + _TWICE
    for has, had in () if is_off else _WITH_HTTP3:
        assert has in code
        code = code.replace(has, had)
    serve = partial(LabServer, dialogue=_offer_http3)
    with (
        PinnedServer(tmp_path_factory.mktemp("server"), serve=serve) as server,
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as quic,
    ):
        quic.bind(("127.0.0.1", server.port))
        quic.setblocking(False)
        ended = run_script(code, server, server.url)
        assert 0 == ended.returncode, ended.stderr
        try:
            datagram = quic.recv(65536)
        except BlockingIOError:
            datagram = b""

    assert is_off is (datagram == b"")


def test_it_takes_the_place_of_urllib3(
    run_script: Callable[..., CompletedProcess[str]], pinned_server: PinnedServer
) -> None:
    """As the page says, whoever imports urllib3 in that environment gets urllib3-future."""
    ended = run_script("import requests, urllib3; print(urllib3.__version__)", pinned_server)

    assert ended.stdout.split(".")[2].startswith("9"), ended.stdout + ended.stderr


def test_the_adapter_for_requests_pins_or_refuses(
    run_script: Callable[..., CompletedProcess[str]], pinned_server: PinnedServer
) -> None:
    """`PinningAdapter` over urllib3-future lets no impostor through."""
    code = """
import sys, requests, holdfast
from holdfast.enforcement.clients.requests import PinningAdapter
session = requests.Session()
session.mount("https://", PinningAdapter(holdfast.load_policy("pins.toml")))
session.get(sys.argv[1], timeout=5)
"""
    ended = run_script(code, pinned_server, pinned_server.impostor.url)

    assert 0 != ended.returncode
    assert 0 == pinned_server.impostor.application_bytes
