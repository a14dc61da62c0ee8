import asyncio
import copy
import pickle
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

import holdfast
from holdfast.enforcement.clients.requests import PinningAdapter
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.server import LabServer, ServerStream
from holdfast.testing import PinnedServer


class _Sink:
    def __init__(self) -> None:
        self.hosts: list[str] = []

    def report(self, violation: holdfast.Violation) -> None:
        self.hosts.append(violation.verdict.host)


def _session(adapter: PinningAdapter) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", adapter)
    return session


def _violation(session: requests.Session, url: str) -> holdfast.Violation | None:
    with session, pytest.raises(requests.exceptions.SSLError) as caught:
        session.get(url)
    return holdfast.violation_from(caught.value)


async def _connect_proxy(stream: ServerStream) -> None:
    """Serve one CONNECT (RFC 9110 section 9.3.6), to loopback only."""
    target = (await stream.read_line()).split()[1].decode()
    while (await stream.read_line()).strip():
        pass
    reader, writer = await asyncio.open_connection("127.0.0.1", int(target.rpartition(":")[2]))
    await stream.write(b"HTTP/1.1 200 OK\r\n\r\n")

    async def back() -> None:
        while data := await reader.read(65536):
            await stream.write(data)

    answers = asyncio.create_task(back())
    while data := await stream.read():
        writer.write(data)
        await writer.drain()
    writer.close()
    await answers


def test_recipe(expected: object, run_recipe: Callable[..., object]) -> None:
    """The recipe reaches the pinned and the unlisted host, and an impostor gets nothing."""
    assert expected == run_recipe("requests", "Session")


@pytest.mark.parametrize("max_retries", [3, Retry(3)], ids=["number", "Retry"])
def test_violations_are_not_retried(max_retries: int | Retry, pinned_server: PinnedServer) -> None:
    """Whatever the caller asks for, an impostor is visited once."""
    adapter = PinningAdapter(pinned_server.context(), max_retries=max_retries)

    assert _violation(_session(adapter), pinned_server.impostor.url) is not None

    assert 1 == len(pinned_server.impostor.wait_for(closed=1))
    assert 0 == pinned_server.impostor.application_bytes


def test_other_failures_are_retried(pinned_server: PinnedServer) -> None:
    """What is no violation is retried as the caller asked."""
    retries = Retry(2, status_forcelist=[200])
    session = _session(PinningAdapter(pinned_server.context(), max_retries=retries))

    with session, pytest.raises(requests.exceptions.RetryError):
        session.get(pinned_server.url)

    assert 3 == sum(len(seen.requests) for seen in pinned_server.wait_for(closed=1))


@pytest.mark.threat("T30")
@pytest.mark.parametrize("verify", [False, None, ""])
def test_verification_cannot_be_switched_off(verify: bool, pinned_server: PinnedServer) -> None:
    """`verify=False` is a clear error and not a connection, and leaves the pins in force."""
    adapter = PinningAdapter(pinned_server.context())
    request = requests.Request("GET", pinned_server.impostor.url).prepare()

    with pytest.raises(holdfast.HoldfastError, match="verify=False"):
        adapter.send(request, verify=verify)

    assert () == pinned_server.impostor.connections
    assert _violation(_session(adapter), pinned_server.impostor.url) is not None


def test_session_wide_verify_false(pinned_server: PinnedServer) -> None:
    """A session that was told not to verify cannot reach anything through the adapter."""
    with _session(PinningAdapter(pinned_server.context())) as session:
        session.verify = False
        with pytest.raises(holdfast.HoldfastError, match="remove verify=False"):
            session.get(pinned_server.url)

    assert () == pinned_server.connections


def test_a_request_cannot_bring_a_client_certificate(pinned_server: PinnedServer) -> None:
    """One context serves all hosts: what a request loaded into it, others would be shown."""
    with _session(PinningAdapter(pinned_server.context())) as session:
        with pytest.raises(holdfast.HoldfastError, match="shown to other hosts"):
            session.get(pinned_server.url, cert="client.pem")

        assert () == pinned_server.connections
        assert 200 == session.get(pinned_server.url).status_code


def test_the_anchors_stay_those_of_the_context(pinned_server: PinnedServer) -> None:
    """A request adds no roots of certifi to the context."""
    context = pinned_server.context()
    with _session(PinningAdapter(context)) as session:
        assert 200 == session.get(pinned_server.url).status_code

    assert 2 == context.cert_store_stats()["x509_ca"]


def test_a_bundle_of_the_caller_widens_trust_only(pinned_server: PinnedServer) -> None:
    """`verify="ca.pem"` lets an unlisted host verify; the pinned one stays pinned."""
    own = PinningAdapter(pinned_server.policy, public_anchors=_only_first(pinned_server))
    impostor = pinned_server.impostor
    with _session(own) as session:
        unlisted = f"https://127.0.0.1:{impostor.port}"
        with pytest.raises(requests.exceptions.SSLError):
            session.get(unlisted)
        session.verify = str(pinned_server.anchors_path)

        assert 200 == session.get(unlisted).status_code

    assert _violation(session, impostor.url) is not None


def _only_first(server: PinnedServer) -> str:
    """Write the anchors without the impostor's CA."""
    end = "-----END CERTIFICATE-----\n"
    path = server.anchors_path.with_name("first.pem")
    path.write_text(server.anchors_path.read_text("ascii").partition(end)[0] + end, "ascii")
    return str(path)


def test_sink_and_anchors_are_passed_on(pinned_server: PinnedServer) -> None:
    """The adapter makes its context with the sink and the anchors that it was given."""
    sink = _Sink()
    adapter = PinningAdapter(
        pinned_server.policy, sink=sink, public_anchors=pinned_server.anchors_path
    )

    _violation(_session(adapter), pinned_server.impostor.url)

    assert ["localhost"] == sink.hosts


def test_a_context_brings_its_own_sink(pinned_server: PinnedServer) -> None:
    """A sink or anchors beside a finished context would be ignored, so they are an error."""
    context = pinned_server.context()

    with pytest.raises(TypeError, match="belong to the PinningContext"):
        PinningAdapter(context, sink=_Sink())
    with pytest.raises(TypeError, match="belong to the PinningContext"):
        PinningAdapter(context, public_anchors=pinned_server.anchors_path)


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_no_copies(duplicate: Callable[[object], object], pinned_server: PinnedServer) -> None:
    """An adapter, and a session with one, says that it cannot be pickled or copied."""
    adapter = PinningAdapter(pinned_server.context())

    with pytest.raises(TypeError, match="mount a new one"):
        duplicate(adapter)


def test_a_session_cannot_be_pickled(pinned_server: PinnedServer) -> None:
    """A pickled session would arrive without its pins, so there is none."""
    with pytest.raises(TypeError, match="mount a new one"):
        pickle.dumps(_session(PinningAdapter(pinned_server.context())))


@pytest.mark.parametrize("has_tls", [False, True], ids=["http-proxy", "https-proxy"])
def test_proxy(has_tls: bool, pinned_server: PinnedServer) -> None:
    """Behind a proxy the right server is reached, and an impostor gets nothing."""
    authority = Authority.new("CA of the proxy")
    anchors = pinned_server.anchors_path.read_text("ascii") + authority.pem
    pinned_server.anchors_path.write_text(anchors, "ascii")
    identity = authority.issue("127.0.0.1") if has_tls else None
    serve = partial(LabServer, name="127.0.0.1", dialogue=_connect_proxy)
    with serve(identity) as proxy, _session(PinningAdapter(pinned_server.context())) as session:
        session.proxies = {"https": proxy.url}

        assert "hello from the lab\n" == session.get(pinned_server.url).text
        assert _violation(session, pinned_server.impostor.url) is not None

        pinned_server.impostor.wait_for(closed=1)
        assert 0 == pinned_server.impostor.application_bytes
        assert 2 == len(proxy.wait_for(closed=2))


@pytest.mark.threat("T24")
def test_a_proxy_is_judged_like_any_other_host(pinned_server: PinnedServer) -> None:
    """A proxy spoken to over TLS under a pinned name needs a pinned key, or hears nothing."""
    with _session(PinningAdapter(pinned_server.context())) as session:
        session.proxies = {"https": pinned_server.impostor.url}

        with pytest.raises(requests.exceptions.RequestException) as caught:
            session.get(pinned_server.url)

    assert holdfast.violation_from(caught.value) is not None
    pinned_server.impostor.wait_for(closed=1)
    assert 0 == pinned_server.impostor.application_bytes


def test_another_context_cannot_take_its_place(pinned_server: PinnedServer) -> None:
    """What requests or a subclass puts into the pool manager gives way to the pinned context."""
    adapter = PinningAdapter(pinned_server.context())
    adapter.poolmanager.connection_pool_kw["ssl_context"] = ssl.create_default_context()

    assert _violation(_session(adapter), pinned_server.impostor.url) is not None


def test_another_context_is_noticed(
    pinned_server: PinnedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A requests that gets its own context under a connection, as 2.32.2 did, is refused."""

    def key_attributes(self: PinningAdapter, *args: Any) -> Any:  # noqa: ANN401 # as in requests
        host, how = HTTPAdapter.build_connection_pool_key_attributes(self, *args)
        return host, {**how, "ssl_context": ssl.create_default_context()}

    monkeypatch.setattr(PinningAdapter, "build_connection_pool_key_attributes", key_attributes)
    session = _session(PinningAdapter(pinned_server.context()))

    with session, pytest.raises(holdfast.HoldfastError, match="in place of the pinned one"):
        session.get(pinned_server.url)

    assert () == pinned_server.connections


def test_a_requests_that_hides_where_a_redirect_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a request no longer shares its hooks with the next, the adapter refuses to be made."""
    stock = requests.PreparedRequest.copy

    def copy(self: requests.PreparedRequest) -> requests.PreparedRequest:
        copied = stock(self)
        copied.hooks = dict(self.hooks)
        return copied

    monkeypatch.setattr(requests.PreparedRequest, "copy", copy)
    policy = holdfast.Policy(unlisted=holdfast.Unlisted.ALLOW)

    with pytest.raises(holdfast.HoldfastError, match="does not let redirects be followed back"):
        PinningAdapter(policy)


@pytest.mark.threat("T20")
def test_the_next_request_of_an_answer_is_checked_too(
    pinned: Callable[..., holdfast.PinningContext], identity: Identity
) -> None:
    """Who follows a redirect by hand, as requests offers it, is stopped in the same way."""
    with (
        LabServer(None, name="127.0.0.1") as plain,
        LabServer(identity, redirects={"/": plain.url + "/"}) as server,
        _session(PinningAdapter(pinned())) as session,
    ):
        session.mount("http://", session.get_adapter("https://"))
        answer = session.get(server.url + "/", allow_redirects=False)
        assert answer.next is not None
        with pytest.raises(requests.exceptions.SSLError) as caught:
            session.send(answer.next)
        assert 200 == session.get(plain.url).status_code  # which nothing led to

    assert holdfast.violation_from(caught.value) is not None
    assert 1 == len(plain.connections)
