"""Through an HTTP proxy with and without TLS of its own: pins of the proxy, and of the origin."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import botocore.session
import httpx
import httpx2
import pytest
import requests
import urllib3
from botocore.config import Config

import holdfast
from holdfast.enforcement.clients.botocore import pin_client
from holdfast.enforcement.clients.requests import PinningAdapter
from holdfast.enforcement.clients.retries import NoViolationRetry
from holdfast.enforcement.context import PinningContext
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.server import LabServer
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Violation
from tests.clients.servers.proxy import connecting_to

# Both lead to this machine, and have pins of their own.
ORIGIN, PROXY = "localhost", "127.0.0.1"
ANSWER = "hello from the lab\n"
ERRORS = (
    OSError,
    aiohttp.ClientError,
    httpx.HTTPError,
    httpx2.HTTPError,
    urllib3.exceptions.HTTPError,
)

Fetch = Callable[[PinningContext, str, str], str]


def _with_urllib3(context: PinningContext, url: str, proxy: str) -> str:
    with urllib3.ProxyManager(
        proxy, ssl_context=context, proxy_ssl_context=context, retries=NoViolationRetry(2)
    ) as http:
        return http.request("GET", url, timeout=5).data.decode()


def _with_requests(context: PinningContext, url: str, proxy: str) -> str:
    with requests.Session() as session:
        session.mount("https://", PinningAdapter(context))
        return session.get(url, proxies={"https": proxy}, timeout=5).text


def _with_httpx(context: PinningContext, url: str, proxy: str) -> str:
    to_proxy = context if proxy.startswith("https") else None
    through = httpx.Proxy(proxy, ssl_context=to_proxy)
    with httpx.Client(verify=context, proxy=through) as client:
        return client.get(url).text


def _with_httpx2(context: PinningContext, url: str, proxy: str) -> str:
    to_proxy = context if proxy.startswith("https") else None
    through = httpx2.Proxy(proxy, ssl_context=to_proxy)
    with httpx2.Client(verify=context, proxy=through) as client:
        return client.get(url).text


def _with_async_httpx(context: PinningContext, url: str, proxy: str) -> str:
    async def fetch() -> str:
        to_proxy = context if proxy.startswith("https") else None
        through = httpx.Proxy(proxy, ssl_context=to_proxy)
        async with httpx.AsyncClient(verify=context, proxy=through) as client:
            return (await client.get(url)).text

    return asyncio.run(fetch())


def _with_aiohttp(context: PinningContext, url: str, proxy: str) -> str:
    async def fetch() -> str:
        connector = aiohttp.TCPConnector(ssl=context)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(url, proxy=proxy) as response,
        ):
            return await response.text()

    return asyncio.run(fetch())


def _with_botocore(context: PinningContext, url: str, proxy: str) -> str:
    client = botocore.session.Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="id",
        aws_secret_access_key="secret",
        config=Config(s3={"addressing_style": "path"}, proxies={"https": proxy}),
    )
    pin_client(client, context)
    answer: bytes = client.get_object(Bucket="bucket", Key="key")["Body"].read()
    return answer.decode()


CLIENTS: dict[str, Fetch] = {
    "urllib3": _with_urllib3,
    "requests": _with_requests,
    "httpx": _with_httpx,
    "httpx, async": _with_async_httpx,
    "httpx2": _with_httpx2,
    "aiohttp": _with_aiohttp,
    "botocore": _with_botocore,
}


@pytest.fixture(scope="module")
def authority() -> Authority:
    """The CA of everybody, impostors included."""
    return Authority.new("CA of origin and proxy")


@pytest.fixture(scope="module")
def origin(authority: Authority) -> Identity:
    """What is pinned for the origin."""
    return authority.issue(ORIGIN)


@pytest.fixture(scope="module")
def proxy(authority: Authority) -> Identity:
    """What is pinned for the proxy."""
    return authority.issue(PROXY)


@pytest.fixture
def context(
    authority: Authority, origin: Identity, proxy: Identity, tmp_path: Path
) -> PinningContext:
    """Pins each of the two to its own key, and refuses all others."""
    anchors = tmp_path / "anchors.pem"
    anchors.write_text(authority.pem, "ascii")
    spare = Pin.parse(authority.issue("spare.example").spki_pin)
    sets = tuple(
        PinSet(
            name=name,
            hosts=(HostPattern.parse(host),),
            mode=Mode.ENFORCE,
            leaf=(Pin.parse(shown.spki_pin),),
            backup=(spare,),
        )
        for name, host, shown in (("origin", ORIGIN, origin), ("proxy", PROXY, proxy))
    )
    policy = Policy(unlisted=Unlisted.REFUSE, pin_sets=sets)
    return PinningContext(policy, public_anchors=anchors)


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def start(request: pytest.FixtureRequest) -> Iterator[Callable[..., LabServer]]:
    """Return a function that starts a server of this TLS version."""
    only = {"minimum_version": request.param, "maximum_version": request.param}
    with ExitStack() as servers:
        yield lambda shown, **how: servers.enter_context(LabServer(shown, **only, **how))


@pytest.fixture(params=CLIENTS)
def fetch(request: pytest.FixtureRequest) -> Fetch:
    """Each client in turn: a function that takes a context, a URL and the proxy's."""
    return CLIENTS[request.param]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may be behind a proxy, or have hosts that go past one."""
    for scheme in ("HTTP", "HTTPS", "ALL", "NO"):
        monkeypatch.delenv(f"{scheme}_PROXY", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".lower(), raising=False)


def _refusal(fetch: Fetch, context: PinningContext, url: str, proxy: str) -> Violation:
    """Return the violation beneath what the library raised."""
    with pytest.raises(ERRORS) as caught:
        fetch(context, url, proxy)
    violation = holdfast.violation_from(caught.value)
    assert violation is not None
    return violation


def _proxy_url(server: LabServer, scheme: str) -> str:
    return f"{scheme}://{PROXY}:{server.port}"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_pinned_origin_is_reached(
    *,
    scheme: str,
    fetch: Fetch,
    context: PinningContext,
    start: Callable[..., LabServer],
    origin: Identity,
    proxy: Identity,
) -> None:
    """Through a proxy in the clear, and through a pinned one over TLS."""
    server = start(origin)
    dialogue = connecting_to(server.address, server.port)
    through = start(proxy if scheme == "https" else None, dialogue=dialogue)

    assert ANSWER == fetch(context, server.url, _proxy_url(through, scheme))
    (line,) = through.connections[0].requests
    assert f"CONNECT {ORIGIN}:{server.port}" == line.rpartition(" ")[0]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_impostor_behind_the_proxy_gets_nothing(
    *,
    scheme: str,
    fetch: Fetch,
    context: PinningContext,
    start: Callable[..., LabServer],
    authority: Authority,
    proxy: Identity,
) -> None:
    """The origin is judged by its own pins, inside of the tunnel."""
    impostor = start(authority.issue(ORIGIN))
    dialogue = connecting_to(impostor.address, impostor.port)
    through = start(proxy if scheme == "https" else None, dialogue=dialogue)

    violation = _refusal(fetch, context, impostor.url, _proxy_url(through, scheme))

    assert (ORIGIN, holdfast.Outcome.MISMATCH) == (
        violation.verdict.host,
        violation.verdict.outcome,
    )
    impostor.wait_for(closed=1)
    assert 0 == impostor.application_bytes


def test_an_impostor_as_the_proxy_gets_nothing(
    fetch: Fetch,
    context: PinningContext,
    start: Callable[..., LabServer],
    authority: Authority,
    origin: Identity,
) -> None:
    """A proxy with TLS is a host like any other: it does not even see the CONNECT."""
    server = start(origin)
    impostor = start(authority.issue(PROXY), dialogue=connecting_to(server.address, server.port))

    violation = _refusal(fetch, context, server.url, _proxy_url(impostor, "https"))

    assert (PROXY, holdfast.Outcome.MISMATCH) == (
        violation.verdict.host,
        violation.verdict.outcome,
    )
    impostor.wait_for(closed=1)
    assert (0, ()) == (impostor.application_bytes, server.connections)
