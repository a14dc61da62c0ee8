"""Runs the recipes of `docs/servers`, as they stand there, each in a process of its own.

Only the port is replaced. Clients are stock TLS clients; what the application saw is what it wrote.
"""

import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.lab.authorities import Authority, Identity

PAYMENTS = "spiffe://example.org/payments"
PAGES = Path(__file__).parents[3] / "docs" / "servers"
_CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
_PATIENCE = 10  # seconds to start or to answer


def code_of(page: str, heading: str) -> str:
    """Return all Python under a heading of a page."""
    text = (PAGES / f"{page}.md").read_text("utf-8")
    blocks = _CODE.findall(text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0])
    assert blocks, f"{page}.md has no Python under the heading {heading}"
    return "\n".join(blocks)


@pytest.fixture
def folder(tmp_path: Path, honest: Authority, mesh: Authority, payments: Identity) -> Path:
    """A folder with what a recipe reads: the policy, its anchors, the server's certificate."""
    server = honest.issue("localhost")
    (tmp_path / "server.pem").write_text(server.key_pem + server.chain_pem, "ascii")
    (tmp_path / "mesh-root.pem").write_text(mesh.pem, "ascii")
    (tmp_path / "pins.toml").write_text(
        f"""
        [holdfast]
        format = 1
        unlisted = "allow"

        [pin_set.payments]
        clients = ["{PAYMENTS}"]
        mode = "enforce"
        trust = "private"
        anchors = ["mesh-root.pem"]
        leaf = ["{payments.spki_pin}"]
        """,
        "ascii",
    )
    return tmp_path


@pytest.fixture
def context_of(honest: Authority) -> Callable[..., ssl.SSLContext]:
    """Return a function that makes a stock client context, which shows an identity or none."""

    def make(shown: Identity | None, version: ssl.TLSVersion) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = context.maximum_version = version
        context.load_verify_locations(cadata=honest.pem)
        if shown is not None:
            shown.load_into(context)
        return context

    return make


@pytest.fixture
def clients(payments: Identity, mesh: Authority) -> dict[str, Identity | None]:
    """The right client, one with another key of the same CA, and one without a certificate."""
    return {
        "right": payments,
        "wrong key": mesh.issue(PAYMENTS, usage="both", common_name="payments"),
        "no certificate": None,
    }


@pytest.fixture
def answers_of(
    folder: Path,
    clients: dict[str, Identity | None],
    context_of: Callable[..., ssl.SSLContext],
) -> Callable[..., tuple[dict[str, list[str]], list[str]]]:
    """Return a function that runs a server and sends all clients to it, over both versions.

    It returns what each client got, and the lines that the application wrote.
    """

    def run(
        files: dict[str, str],
        *command: str,
        ask: Callable[[ssl.SSLContext, int], str] = ask_over_http1,
    ) -> tuple[dict[str, list[str]], list[str]]:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        for name, code in files.items():
            (folder / name).write_text(code.replace("8443", str(port)), "utf-8")
        with (folder / "output").open("w") as output, (folder / "errors").open("w") as errors:
            server = subprocess.Popen(
                [sys.executable, "-W", "error", *command],
                cwd=folder,
                stdout=output,
                stderr=errors,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            )
        try:
            _wait_for(port, server, folder / "errors")
            answers = {
                name: [ask(context_of(shown, version), port) for version in _VERSIONS]
                for name, shown in clients.items()
            }
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(_PATIENCE)
        lines = (folder / "output").read_text("utf-8").splitlines()
        return answers, [line for line in lines if line.startswith("request from")]

    return run


EXPECTED = (
    {
        "right": [f"200 hello {PAYMENTS}"] * 2,
        "wrong key": ["nothing"] * 2,
        "no certificate": ["nothing"] * 2,
    },
    [f"request from {PAYMENTS}"] * 2,
)


@pytest.fixture
def expected() -> tuple[dict[str, list[str]], list[str]]:
    """What must come of every recipe."""
    return EXPECTED


@pytest.fixture
def run_recipe(
    answers_of: Callable[..., tuple[dict[str, list[str]], list[str]]],
) -> Callable[..., tuple[dict[str, list[str]], list[str]]]:
    """Return a function that runs the recipe under a heading of a page; see `answers_of`."""

    def run(
        page: str,
        heading: str,
        ask: Callable[[ssl.SSLContext, int], str] = ask_over_http1,
    ) -> tuple[dict[str, list[str]], list[str]]:
        return answers_of({"recipe.py": code_of(page, heading)}, "recipe.py", ask=ask)

    return run


@pytest.fixture
def python_of() -> Callable[[str, str], str]:
    """Return the function that takes all Python under a heading of a page."""
    return code_of


def ask_over_http1(context: ssl.SSLContext, port: int) -> str:
    """Return the status and text of an answer, or "nothing" for a refusal."""
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=_PATIENCE)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        return f"{response.status} {response.read().decode()}"
    except (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected):
        return "nothing"
    finally:
        connection.close()


def _wait_for(port: int, server: subprocess.Popen[bytes], errors: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        assert server.poll() is None, errors.read_text("utf-8")
        assert time.monotonic() < deadline, errors.read_text("utf-8")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionError:
            time.sleep(0.05)
        else:
            return
