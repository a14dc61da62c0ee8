"""A pinned origin is not left silently: plain text and redirects, with each helper alike."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

import aiohttp
import anyio
import httpx
import httpx2
import pytest
import requests

import holdfast
from holdfast.enforcement.clients.aiohttp import pinned_session
from holdfast.enforcement.clients.httpx import AsyncPinningTransport, PinningTransport
from holdfast.enforcement.clients.httpx2 import AsyncPinningTransport as AsyncPinningTransport2
from holdfast.enforcement.clients.httpx2 import PinningTransport as PinningTransport2
from holdfast.enforcement.clients.requests import PinningAdapter
from holdfast.enforcement.context import PinningContext
from holdfast.lab.authorities import Identity
from holdfast.lab.server import LabServer
from holdfast.pins.pin_set import Mode, Redirects
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Outcome, Violation

ANSWER = "hello from the lab\n"

Fetch = Callable[..., str]
Pinned = Callable[..., PinningContext]
PolicyFor = Callable[..., Policy]


def _with_requests(context: PinningContext, url: str, *, follow: bool = True) -> str:
    adapter = PinningAdapter(context)
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        response = session.get(url, timeout=5, allow_redirects=follow)
        return response.text if response.status_code == 200 else str(response.status_code)


def _with_httpx(context: PinningContext, url: str, *, follow: bool = True) -> str:
    with httpx.Client(transport=PinningTransport(context), follow_redirects=follow) as client:
        response = client.get(url)
        return response.text if response.status_code == 200 else str(response.status_code)


def _with_httpx2(context: PinningContext, url: str, *, follow: bool = True) -> str:
    with httpx2.Client(transport=PinningTransport2(context), follow_redirects=follow) as client:
        response = client.get(url)
        return response.text if response.status_code == 200 else str(response.status_code)


def _with_async_httpx(context: PinningContext, url: str, *, follow: bool = True) -> str:
    async def fetch() -> str:
        transport = AsyncPinningTransport(context)
        async with httpx.AsyncClient(transport=transport, follow_redirects=follow) as client:
            response = await client.get(url)
        return response.text if response.status_code == 200 else str(response.status_code)

    return anyio.run(fetch, backend="trio")


def _with_async_httpx2(context: PinningContext, url: str, *, follow: bool = True) -> str:
    async def fetch() -> str:
        transport = AsyncPinningTransport2(context)
        async with httpx2.AsyncClient(transport=transport, follow_redirects=follow) as client:
            response = await client.get(url)
        return response.text if response.status_code == 200 else str(response.status_code)

    return asyncio.run(fetch())


def _with_aiohttp(context: PinningContext, url: str, *, follow: bool = True) -> str:
    async def fetch() -> str:
        async with (
            pinned_session(context) as session,
            session.get(url, allow_redirects=follow) as response,
        ):
            return await response.text() if response.status == 200 else str(response.status)

    return asyncio.run(fetch())


HELPERS: dict[str, Fetch] = {
    "requests": _with_requests,
    "httpx": _with_httpx,
    "httpx-async": _with_async_httpx,
    "httpx2": _with_httpx2,
    "httpx2-async": _with_async_httpx2,
    "aiohttp": _with_aiohttp,
}


@pytest.fixture(params=HELPERS)
def fetch(request: pytest.FixtureRequest) -> Fetch:
    """Each helper in turn: a function that takes a context and a URL."""
    return HELPERS[request.param]


@pytest.fixture
def elsewhere(impostor: Identity) -> Iterator[LabServer]:
    """Another TLS server, with a trusted certificate and no pinned key."""
    with LabServer(impostor) as running:
        yield running


@pytest.fixture
def plain() -> Iterator[LabServer]:
    """A server without TLS: each byte that it gets was readable on the way."""
    with LabServer(None) as running:
        yield running


def _refusal(fetch: Fetch, context: PinningContext, url: str) -> Violation:
    """Return the violation beneath what the library raises; it has to be one of its own errors."""
    own = (
        requests.exceptions.SSLError,
        httpx.ConnectError,
        httpx2.ConnectError,
        aiohttp.ClientConnectorCertificateError,
    )
    with pytest.raises(own) as caught:
        fetch(context, url)
    violation = holdfast.violation_from(caught.value)
    assert violation is not None
    return violation


def _any(policy: Policy) -> Policy:
    return replace(policy, pin_sets=(replace(policy.pin_sets[0], redirects=Redirects.ANY),))


@pytest.mark.threat("T21")
def test_plain_text_to_a_pinned_host(
    fetch: Fetch, pinned: Pinned, plain: LabServer, violations: list[Violation]
) -> None:
    """`http://` to an enforced host is refused before there is a connection, and reported."""
    violation = _refusal(fetch, pinned(), plain.url)

    assert Outcome.UNDECIDABLE is violation.verdict.outcome
    assert "plain text" in violation.verdict.reason
    assert [violation] == violations
    assert plain.port == violation.port
    assert () == plain.connections


@pytest.mark.threat("T19", "T20")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_redirect_away(
    *,
    fetch: Fetch,
    pinned: Pinned,
    identity: Identity,
    elsewhere: LabServer,
    plain: LabServer,
    scheme: str,
    violations: list[Violation],
) -> None:
    """A redirect to a host without pins, over TLS or not, ends before that host hears anything."""
    target = plain if scheme == "http" else elsewhere
    redirects = {"/": "/second", "/second": f"{scheme}://127.0.0.1:{target.port}/"}
    with LabServer(identity, redirects=redirects) as server:
        violation = _refusal(fetch, pinned(), server.url + "/")

    assert (Outcome.NOT_PINNED, "127.0.0.1") == (violation.verdict.outcome, violation.verdict.host)
    assert "a redirect from localhost (pin_set.lab)" in violation.verdict.reason
    assert [violation] == violations
    assert () == target.connections


@pytest.mark.threat("T20")
def test_a_redirect_to_plain_text_of_the_same_host(
    *, fetch: Fetch, pinned: Pinned, policy: Policy, identity: Identity, plain: LabServer
) -> None:
    """Where a set lets redirects lead anywhere, its own hosts are still not met in the clear."""
    with LabServer(identity, redirects={"/": plain.url}) as server:
        violation = _refusal(fetch, pinned(_any(policy)), server.url + "/")

    assert Outcome.UNDECIDABLE is violation.verdict.outcome
    assert () == plain.connections


@pytest.mark.parametrize("kind", ["any", "report-only"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_redirect_that_may_be_followed(
    *,
    fetch: Fetch,
    pinned: Pinned,
    policy_for: PolicyFor,
    identity: Identity,
    elsewhere: LabServer,
    plain: LabServer,
    kind: str,
    scheme: str,
    violations: list[Violation],
) -> None:
    """`redirects = "any"`, and a set that only reports, lead anywhere without a word."""
    policy = _any(policy_for()) if kind == "any" else policy_for(mode=Mode.REPORT_ONLY)
    target = plain if scheme == "http" else elsewhere
    redirects = {"/": f"{scheme}://127.0.0.1:{target.port}/"}
    with LabServer(identity, redirects=redirects) as server:
        assert ANSWER == fetch(pinned(policy), server.url + "/")

    assert [] == violations


def test_a_redirect_among_pinned_hosts(
    fetch: Fetch, pinned: Pinned, policy_for: PolicyFor, identity: Identity
) -> None:
    """What stays among pinned hosts, or comes to them, is followed."""
    policy = policy_for(hosts=("localhost", "127.0.0.1"))
    with LabServer(identity) as last:
        there = f"https://127.0.0.1:{last.port}/"
        with LabServer(identity, redirects={"/": "/on", "/on": there}) as server:
            assert ANSWER == fetch(pinned(policy), server.url + "/")
        with LabServer(None, name="127.0.0.1", redirects={"/": last.url}) as unlisted:
            assert ANSWER == fetch(pinned(), unlisted.url + "/")


def test_a_redirect_that_is_not_followed(
    fetch: Fetch, pinned: Pinned, identity: Identity, violations: list[Violation]
) -> None:
    """Who asks for the redirect itself gets it: nothing was left."""
    with LabServer(identity, redirects={"/": "http://127.0.0.1:1/"}) as server:
        assert "307" == fetch(pinned(), server.url + "/", follow=False)

    assert [] == violations


def test_unlisted_hosts_in_the_clear(
    fetch: Fetch, pinned: Pinned, policy_for: PolicyFor, violations: list[Violation]
) -> None:
    """Plain text to an unlisted host is allowed, reported or refused as TLS to it would be."""
    with LabServer(None, name="127.0.0.1") as server:
        assert ANSWER == fetch(pinned(), server.url)
        assert [] == violations
        assert ANSWER == fetch(pinned(policy_for(unlisted=Unlisted.REPORT_ONLY)), server.url)
        assert ["127.0.0.1"] == [violation.verdict.host for violation in violations]
        before = server.application_bytes
        violation = _refusal(fetch, pinned(policy_for(unlisted=Unlisted.REFUSE)), server.url)
        assert Outcome.NOT_PINNED is violation.verdict.outcome
        assert before == server.application_bytes


@pytest.mark.parametrize("name", ["requests", "httpx", "httpx2", "aiohttp"])
def test_a_context_alone_follows(
    name: str, pinned: Pinned, identity: Identity, plain: LabServer
) -> None:
    """Without the helper the same redirect is followed: the tests above can fail."""

    async def by_aiohttp(url: str) -> str:
        connector = aiohttp.TCPConnector(ssl=pinned())
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(url) as response,
        ):
            return await response.text()

    def by_requests(url: str) -> str:
        with requests.Session() as session:
            session.trust_env = False
            session.mount("https://", PinningAdapter(pinned()))  # and not under http://
            return session.get(url, timeout=5).text

    alone: dict[str, Callable[[str], str]] = {
        "requests": by_requests,
        "httpx": lambda url: httpx.get(url, verify=pinned(), follow_redirects=True).text,
        "httpx2": lambda url: httpx2.get(url, verify=pinned(), follow_redirects=True).text,
        "aiohttp": lambda url: asyncio.run(by_aiohttp(url)),
    }
    with LabServer(identity, redirects={"/": f"http://127.0.0.1:{plain.port}/"}) as server:
        assert ANSWER == alone[name](server.url + "/")

    assert plain.application_bytes > 0
