import ssl
from collections.abc import Callable

import httpx


def test_recipe(expected: object, run_recipe: Callable[..., object]) -> None:
    """The right client is served by name, and nothing of any other reaches the application."""
    assert expected == run_recipe("hypercorn", "asyncio")


def test_http2(expected: object, run_recipe: Callable[..., object]) -> None:
    """The same holds over HTTP/2, which is agreed on in the handshake."""

    def ask(context: ssl.SSLContext, port: int) -> str:
        try:
            with httpx.Client(http2=True, verify=context, trust_env=False) as client:
                response = client.get(f"https://localhost:{port}/")
        except httpx.TransportError:
            return "nothing"
        assert "HTTP/2" == response.http_version
        return f"{response.status_code} {response.text}"

    assert expected == run_recipe("hypercorn", "asyncio", ask=ask)
