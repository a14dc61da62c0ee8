import asyncio
import socket
import subprocess
import sys
from threading import Event

import pytest

from holdfast.cli.resolve import resolve
from holdfast.pins.endpoint import Endpoint


def test_each_address_comes_once() -> None:
    """Each address comes once, with the name at which the aliases end."""
    resolved = asyncio.run(resolve(Endpoint("https", "localhost", 443), 10.0))

    assert {"127.0.0.1"} <= set(resolved.addresses) <= {"127.0.0.1", "::1"}
    assert len(set(resolved.addresses)) == len(resolved.addresses)


def test_name_without_address_is_an_error() -> None:
    """A name that does not exist is told so."""
    with pytest.raises(OSError, match=r"(?i)name|nodename|resolution"):
        asyncio.run(resolve(Endpoint("https", "nowhere.invalid", 443), 10.0))


def test_slow_resolver_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that does not answer costs the deadline, and its late answer harms nobody."""
    answered, asked = Event(), Event()

    def late(*_arguments: object, **_options: object) -> list[object]:
        answered.wait()
        asked.set()
        return [(0, 0, 0, "", ("127.0.0.1", 0))]

    async def give_up() -> None:
        with pytest.raises(OSError, match=r"the resolver did not answer for a\.example"):
            await resolve(Endpoint("https", "a.example", 443), 0.05)

    monkeypatch.setattr(socket, "getaddrinfo", late)
    asyncio.run(give_up())  # returns although the thread still waits
    assert not asked.is_set()
    answered.set()
    assert asked.wait(10.0)


def test_process_does_not_wait_for_the_resolver() -> None:
    """A process ends although the resolver has not answered yet."""
    program = (
        "import asyncio, socket, threading\n"
        "from holdfast.cli.resolve import resolve\n"
        "from holdfast.pins.endpoint import Endpoint\n"
        "socket.getaddrinfo = lambda *_, **__: threading.Event().wait()\n"
        "asyncio.run(resolve(Endpoint('https', 'a.example', 443), 0.05))\n"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=15
    )

    assert ran.stderr.endswith("OSError: the resolver did not answer for a.example\n")
