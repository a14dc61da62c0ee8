"""What holds for HTTP clients alike: redirects, Host headers and proxies of the environment."""

import asyncio
import ssl
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from os import environ

import aiohttp
import httpx
import httpx2
import pytest
import requests
import urllib3

import holdfast
from holdfast.enforcement.clients.requests import PinningAdapter
from holdfast.enforcement.context import PinningContext
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.proxy import ConnectProxy
from holdfast.lab.server import LabServer
from holdfast.pins.pin_set import Redirects
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Outcome

ANSWER = "hello from the lab\n"
PROXY_VARIABLES = [f"{scheme}_PROXY" for scheme in ("HTTP", "HTTPS", "ALL", "NO")]
NO_HEADERS: Mapping[str, str] = {}

Fetch = Callable[[ssl.SSLContext, str, Mapping[str, str]], str]
Pinned = Callable[..., PinningContext]
PolicyFor = Callable[..., Policy]


def _with_urllib(context: ssl.SSLContext, url: str, headers: Mapping[str, str]) -> str:
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    request = urllib.request.Request(url, headers=dict(headers))
    with opener.open(request, timeout=5) as response:
        return str(response.read().decode())


def _with_urllib3(context: ssl.SSLContext, url: str, headers: Mapping[str, str]) -> str:
    proxy = environ.get("HTTPS_PROXY")  # it is the application that reads it
    pool = urllib3.ProxyManager(proxy, ssl_context=context) if proxy else None
    with pool or urllib3.PoolManager(ssl_context=context) as http:
        return http.request("GET", url, headers=headers, timeout=5, retries=1).data.decode()


def _with_requests(context: ssl.SSLContext, url: str, headers: Mapping[str, str]) -> str:
    assert isinstance(context, PinningContext)
    with requests.Session() as session:
        session.mount("https://", PinningAdapter(context))
        return session.get(url, headers=headers, timeout=5).text


def _with_httpx(context: ssl.SSLContext, url: str, headers: Mapping[str, str]) -> str:
    with httpx.Client(verify=context, follow_redirects=True) as client:
        return client.get(url, headers=headers).text


def _with_httpx2(context: ssl.SSLContext, url: str, headers: Mapping[str, str]) -> str:
    with httpx2.Client(verify=context, follow_redirects=True) as client:
        return client.get(url, headers=headers).text


def _with_aiohttp(context: ssl.SSLContext, url: str, headers: Mapping[str, str]) -> str:
    async def fetch() -> str:
        connector = aiohttp.TCPConnector(ssl=context)
        async with (
            aiohttp.ClientSession(connector=connector, trust_env=True) as session,
            session.get(url, headers=headers) as response,
        ):
            return await response.text()

    return asyncio.run(fetch())


CLIENTS: dict[str, Fetch] = {
    "urllib": _with_urllib,
    "urllib3": _with_urllib3,
    "requests": _with_requests,
    "httpx": _with_httpx,
    "httpx2": _with_httpx2,
    "aiohttp": _with_aiohttp,
}


@pytest.fixture(params=CLIENTS)
def fetch(request: pytest.FixtureRequest) -> Fetch:
    """Each client in turn: a function that takes a context, a URL and headers."""
    return CLIENTS[request.param]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may be behind a proxy."""
    for name in (*PROXY_VARIABLES, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server(identity: Identity) -> Iterator[LabServer]:
    """The server whose key is pinned for localhost."""
    with LabServer(identity) as running:
        yield running


@pytest.fixture
def rogue_server(impostor: Identity) -> Iterator[LabServer]:
    """Another one, with a trusted certificate for the same names."""
    with LabServer(impostor) as running:
        yield running


def _outcome(fetch: Fetch, context: ssl.SSLContext, url: str, **headers: str) -> Outcome | str:
    """Return the answer, or the outcome of the violation beneath what the library raised."""
    try:
        return fetch(context, url, headers)
    except (OSError, urllib3.exceptions.HTTPError, httpx.HTTPError, httpx2.HTTPError) as error:
        violation = holdfast.violation_from(error)
        if violation is None:
            raise
        return violation.verdict.outcome


@pytest.mark.threat("T19")
@pytest.mark.parametrize(
    ("host", "outcome"),
    [("localhost", Outcome.MISMATCH), ("127.0.0.1", Outcome.NOT_PINNED)],
    ids=["pinned", "unlisted"],
)
def test_a_redirect_is_judged_by_where_it_leads(
    *,
    fetch: Fetch,
    pinned: Pinned,
    policy_for: PolicyFor,
    identity: Identity,
    rogue_server: LabServer,
    host: str,
    outcome: Outcome,
) -> None:
    """Pins of the first host do not vouch for the next, and an unlisted one can be refused."""
    policy = policy_for(unlisted=Unlisted.REFUSE)
    followed = replace(policy.pin_sets[0], redirects=Redirects.ANY)
    context = pinned(replace(policy, pin_sets=(followed,)))
    elsewhere = f"https://{host}:{rogue_server.port}/"
    with LabServer(identity, redirects={"/": elsewhere}) as server:
        assert outcome == _outcome(fetch, context, server.url + "/")
        assert 1 == sum(len(seen.requests) for seen in server.connections)

    rogue_server.wait_until(lambda log: bool(log) and all(one.closed for one in log))
    assert 0 == rogue_server.application_bytes


@pytest.mark.threat("T13")
def test_a_host_header_does_not_choose_the_pins(
    fetch: Fetch, pinned: Pinned, server: LabServer, rogue_server: LabServer
) -> None:
    """The pins are those of the name that is connected to, whatever the request says."""
    context = pinned()

    assert ANSWER == _outcome(fetch, context, server.url, Host="other.example")
    assert Outcome.MISMATCH == _outcome(fetch, context, rogue_server.url, Host="other.example")
    assert Outcome.MISMATCH == _outcome(fetch, context, rogue_server.url, Host="127.0.0.1")


@pytest.mark.threat("T24", "T25")
def test_a_proxy_of_the_environment_changes_no_verdict(
    fetch: Fetch,
    pinned: Pinned,
    server: LabServer,
    rogue_server: LabServer,
    rogue: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Through HTTPS_PROXY the pinned server is reached, and who intercepts there gets nothing."""
    context = pinned()
    with ConnectProxy("localhost", rogue.pem) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        proxy.target = rogue_server.address, rogue_server.port
        assert Outcome.MISMATCH == _outcome(fetch, context, server.url)
        intercepted = len(proxy.to_host())
        proxy.target = None
        assert ANSWER == _outcome(fetch, context, server.url)

        assert 0 < intercepted < len(proxy.to_host())
    rogue_server.wait_for(intercepted)
    assert 0 == rogue_server.application_bytes


@pytest.mark.parametrize("name", ["urllib", "urllib3", "httpx", "httpx2", "aiohttp"])
def test_the_proxy_intercepts_who_does_not_pin(
    *,
    name: str,
    anchors: str,
    server: LabServer,
    rogue_server: LabServer,
    rogue: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without pins the same proxy reads the request: the test above can fail."""
    unpinned = ssl.create_default_context(cafile=anchors)
    with ConnectProxy("localhost", rogue.pem) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        proxy.target = rogue_server.address, rogue_server.port
        assert ANSWER == CLIENTS[name](unpinned, server.url, NO_HEADERS)

    assert rogue_server.application_bytes > 0
