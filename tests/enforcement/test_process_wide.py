import asyncio
import importlib
import logging
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests

from holdfast.enforcement import process_wide
from holdfast.enforcement.adopted_pinning import AdoptedPinning
from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.context_pinning import pinning_of
from holdfast.enforcement.errors import PinViolationError, violation_from
from holdfast.enforcement.gate import Gate
from holdfast.enforcement.process_wide import install, uninstall
from holdfast.errors import PinnedContextError
from holdfast.lab.authorities import Identity
from holdfast.lab.server import LabServer
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Outcome, Violation

NOTHING = (0, 0)
SERVED = b"HTTP/1.1 200 OK"

Connect = Callable[..., ssl.SSLSocket]
Exchange = Callable[..., tuple[bytes, ssl.SSLSession | None]]
Install = Callable[..., None]
PolicyFor = Callable[..., Policy]
Received = Callable[[LabServer], tuple[int, int]]
Start = Callable[..., LabServer]
Stock = Callable[[], ssl.SSLContext]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_stock_context_is_pinned(  # noqa: PLR0917  fixtures
    start: Start,
    identity: Identity,
    impostor: Identity,
    installed: Install,
    stock: Stock,
    exchange: Exchange,
    received: Received,
    violations: list[Violation],
    when: str,
) -> None:
    """Made before or after, over sockets and BIOs, it accepts only the right key."""
    server, rogue = start(identity), start(impostor)
    made_before = stock()
    installed()
    context = made_before if when == "before" else stock()

    answer, _ = exchange(server, context)
    with pytest.raises(PinViolationError):
        exchange(rogue, context)

    assert answer.startswith(SERVED)
    assert NOTHING == received(rogue)
    assert [Outcome.MISMATCH] == [violation.verdict.outcome for violation in violations]


def test_uninstalling_leaves_nothing(
    start: Start, impostor: Identity, installed: Install, stock: Stock, exchange: Exchange
) -> None:
    """Afterwards `ssl` is as it was, for contexts made before, meanwhile and after."""
    names = ("__new__", "wrap_socket", "wrap_bio", "sslsocket_class", "sslobject_class")
    original = {name: ssl.SSLContext.__dict__[name] for name in names}
    server, before = start(impostor), stock()
    installed()
    with pytest.raises(PinViolationError):
        exchange(server, before)
    meanwhile = stock()
    uninstall()

    answers = [exchange(server, context)[0] for context in (before, meanwhile, stock())]

    assert original == {name: ssl.SSLContext.__dict__[name] for name in names}
    assert not {"_wrap_socket", "load_cert_chain"} & ssl.SSLContext.__dict__.keys()
    assert all(answer.startswith(SERVED) for answer in answers)
    uninstall()  # twice is once


class _Equal(ssl.SSLContext):
    """A context that is equal to any other, and has no hash."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Equal)


def test_contexts_are_told_apart_whatever_they_are_equal_to(
    installed: Install,
) -> None:
    """Each is given back when enforcement ends."""
    installed()
    contexts = [_Equal(ssl.PROTOCOL_TLS_CLIENT) for _ in range(2)]
    uninstall()

    assert [None, None] == [pinning_of(context) for context in contexts]


def test_a_context_that_is_adopted_at_the_end_is_under_the_next_rules(
    installed: Install, stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread may end enforcement while a context is coming under it."""
    context = stock()
    installed()

    def adopting(*arguments: Any, **options: Any) -> AdoptedPinning:  # noqa: ANN401
        uninstall()
        return AdoptedPinning(*arguments, **options)

    with monkeypatch.context() as ending:
        ending.setattr(process_wide, "AdoptedPinning", adopting)
        first = pinning_of(context)
    installed()
    second = pinning_of(context)

    assert first is not None
    assert second is not None
    assert first.enforcement is not second.enforcement


def test_it_is_installed_once(installed: Install, policy: Policy) -> None:
    """A second policy does not silently take the place of the first."""
    installed()

    with pytest.raises(PinnedContextError, match="uninstall"):
        install(policy)


def test_it_takes_a_policy_source_only() -> None:
    """A path is no policy."""
    with pytest.raises(TypeError, match="load_policy"):
        install("pins.toml")  # type: ignore[arg-type]


def test_a_pinned_context_keeps_its_own_policy(
    start: Start,
    impostor: Identity,
    installed: Install,
    policy_for: PolicyFor,
    pinned: Callable[..., PinningContext],
    exchange: Exchange,
) -> None:
    """What pins itself is judged by its own policy and no other."""
    rogue = start(impostor)
    installed()
    context = pinned(policy_for(leaf=impostor.spki_pin))

    answer, _ = exchange(rogue, context)

    assert answer.startswith(SERVED)


def test_libraries_are_pinned_without_being_told(
    start: Start,
    identity: Identity,
    impostor: Identity,
    installed: Install,
    anchors: Path,
    stock: Stock,
    received: Received,
) -> None:
    """Each as it is used without pins; the adapter of requests made its context long before."""
    server, rogue = start(identity), start(impostor)
    installed()

    async def aiohttp_get(url: str) -> int:
        async with aiohttp.ClientSession() as session, session.get(url, ssl=stock()) as response:
            return response.status

    ways: list[Callable[[str], Any]] = [
        lambda url: urllib.request.urlopen(url, context=stock()).status,
        lambda url: requests.get(url, verify=str(anchors), timeout=5).status_code,
        lambda url: httpx.get(url, verify=stock()).status_code,
        lambda url: asyncio.run(aiohttp_get(url)),
    ]
    for get in ways:
        assert 200 == get(server.url)
        with pytest.raises(Exception) as caught:  # noqa: PT011  each library has its own
            get(rogue.url)
        assert violation_from(caught.value) is not None

    assert NOTHING == received(rogue)


def test_servers_and_what_is_unlisted_stay_stock(
    start: Start, impostor: Identity, installed: Install, stock: Stock, connect: Connect
) -> None:
    """A server's own connections are of the stock class, and an unlisted host is let through."""
    installed()
    server = start(impostor)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    tls = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    client = connect(server, stock(), "127.0.0.1")
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    assert ssl.SSLObject is type(tls)
    assert client.recv(100).startswith(SERVED)


def test_a_listening_socket_stays_stock(installed: Install) -> None:
    """What is wrapped to accept connections has nothing of the gate."""
    installed()
    import socket

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wrapped = context.wrap_socket(listener, server_side=True)

        assert ssl.SSLSocket is type(wrapped)
        wrapped.close()


class _Own(ssl.SSLObject):
    """What an application may assign."""


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_assigned_class_is_kept(installed: Install, stock: Stock, when: str) -> None:
    """Assigned before or after, it is gated for a listed host, and as it was afterwards."""
    context = stock()
    if when == "after":
        installed()
    context.sslobject_class = _Own
    if when == "before":
        installed()

    def made(name: str) -> type[ssl.SSLObject]:
        return type(context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name))

    listed = made("localhost")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.sslobject_class = _Own
    accepting = server.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    context.sslobject_class = context.sslobject_class
    uninstall()

    assert (True, True) == (issubclass(listed, _Own), issubclass(listed, Gate))
    assert _Own is type(accepting)
    assert _Own is made("localhost")


def test_a_class_that_is_put_back_is_stock_afterwards(installed: Install, stock: Stock) -> None:
    """Who asks for the class, assigns another and puts it back has not kept the gate."""
    installed()
    context = stock()
    before = context.sslobject_class
    context.sslobject_class = _Own
    context.sslobject_class = before
    uninstall()

    assert ssl.SSLObject is context.sslobject_class


def test_unlisted_hosts_are_refused_if_the_policy_says_so(
    start: Start,
    identity: Identity,
    installed: Install,
    policy_for: PolicyFor,
    stock: Stock,
    exchange: Exchange,
) -> None:
    """Process-wide, `unlisted` is for everything that the process talks to."""
    server = start(identity)
    installed(policy_for(unlisted=Unlisted.REFUSE))

    with pytest.raises(PinViolationError) as caught:
        exchange(server, stock(), "127.0.0.1")

    assert Outcome.NOT_PINNED is caught.value.violation.verdict.outcome


_USES = """\
import ssl, sys, urllib.request
{first}
import holdfast
{patch}
holdfast.install(holdfast.load_policy(sys.argv[1]))
{after}
context = ssl.create_default_context(cafile=sys.argv[2])
for url in sys.argv[3:]:
    try:
        print(urllib.request.urlopen(url, context=context).status)
    except OSError as error:
        print("refused" if holdfast.violation_from(error) else repr(error))
"""
_INJECT = "import truststore; truststore.inject_into_ssl()"
_GEVENT = "from gevent import monkey; monkey.patch_all()"


@pytest.mark.parametrize(
    ("first", "patch", "after"),
    [
        ("", "", ""),
        (_INJECT, "", ""),
        ("", _INJECT, ""),
        ("", "", _INJECT),
        (_GEVENT, "", ""),
        ("from ssl import SSLContext, create_default_context", "", ""),
    ],
    ids=["plain", "truststore-first", "truststore-second", "truststore-last", "gevent", "names"],
)
def test_it_survives_what_else_is_patched(
    policy_file: Path,
    anchors: Path,
    identity: Identity,
    impostor: Identity,
    start: Start,
    first: str,
    patch: str,
    after: str,
) -> None:
    """Whatever stands in `ssl` before or after, the right key is accepted and the wrong one not."""
    if "gevent" in first:
        pytest.importorskip("gevent")
    urls = [start(identity).url, start(impostor).url]
    program = _USES.format(first=first, patch=patch, after=after)

    done = subprocess.run(
        [sys.executable, "-c", program, policy_file, anchors, *urls],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert ["200", "refused"] == done.stdout.split(), done.stderr


def test_pymongo_is_kept_from_another_stack(
    installed: Install, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it would take pyOpenSSL it goes on with `ssl`, and the log says so."""
    pytest.importorskip("pymongo")
    monkeypatch.delitem(sys.modules, "pymongo.pyopenssl_context", raising=False)
    caplog.set_level(logging.INFO, "holdfast.enforcement")
    installed()

    with pytest.raises(ImportError, match="pymongo with pyOpenSSL"):
        importlib.import_module("pymongo.pyopenssl_context")

    assert "pymongo with pyOpenSSL was not let in: ssl is used in its place" in caplog.messages


def test_the_log_says_what_is_in_force(
    installed: Install, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody has to guess whether pins are enforced or only reported."""
    caplog.set_level(logging.INFO, "holdfast.enforcement")
    installed()

    expected = "1 host pattern is enforced, 0 report-only; other hosts are let pass"
    assert expected in [record.getMessage() for record in caplog.records]
