"""What the recipe does not show; that is run by `tests/clients`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.httpsession import URLLib3Session

import holdfast
from holdfast.enforcement.clients.botocore import pin_client
from holdfast.errors import PinnedContextError
from holdfast.lab.proxy import ConnectProxy
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Violation
from holdfast.testing import PinnedServer


def _client(url: str, *, verify: object = None, **config: Any) -> Any:  # noqa: ANN401
    return botocore.session.Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="id",
        aws_secret_access_key="secret",
        verify=verify,
        config=Config(s3={"addressing_style": "path"}, **config),
    )


def _status(client: Any) -> int:  # noqa: ANN401
    answer = client.head_object(Bucket="bucket", Key="key")
    return int(answer["ResponseMetadata"]["HTTPStatusCode"])


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may be behind a proxy."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    """A proxy that passes tunnels on."""
    with ConnectProxy("localhost", "") as running:
        yield running


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_a_violation_is_not_repeated(pinned_server: PinnedServer, mode: str) -> None:
    """An impostor is visited once and gets nothing, in each mode of retries."""
    client = _client(pinned_server.impostor.url, retries={"mode": mode, "max_attempts": 3})
    pin_client(client, pinned_server.context())

    with pytest.raises(holdfast.PinViolationError):
        _status(client)

    assert 1 == len(pinned_server.impostor.wait_for(closed=1))
    assert 0 == pinned_server.impostor.application_bytes


def test_verification_cannot_be_switched_off(pinned_server: PinnedServer) -> None:
    """`verify=False` of the client is not looked at."""
    client = _client(pinned_server.impostor.url, verify=False)
    pin_client(client, pinned_server.context())

    with pytest.raises(holdfast.PinViolationError):
        _status(client)


def test_other_failures_stay_what_they_are(pinned_server: PinnedServer) -> None:
    """Who catches botocore's errors goes on to catch them."""
    client = _client("https://localhost:1", retries={"max_attempts": 0})
    pin_client(client, pinned_server.context())

    with pytest.raises(botocore.exceptions.EndpointConnectionError):
        _status(client)


def test_the_last_policy_counts(
    pinned_server: PinnedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pinning a client again takes the place of the first time, and nothing is sent twice."""
    monkeypatch.setenv("SSL_CERT_FILE", str(pinned_server.anchors_path))
    client = _client(pinned_server.url)
    pin_client(client, pinned_server.context())
    seen: list[Violation] = []
    pin_client(client, _denying(pinned_server), sink=_Sink(seen))

    with pytest.raises(holdfast.PinViolationError):
        _status(client)

    assert [holdfast.Outcome.DENIED] == [one.verdict.outcome for one in seen]
    pin_client(client, pinned_server.context())
    assert 200 == _status(client)
    assert 1 == sum(len(one.requests) for one in pinned_server.connections)


class _Sink:
    def __init__(self, seen: list[Violation]) -> None:
        self._seen = seen

    def report(self, violation: Violation) -> None:
        self._seen.append(violation)


def _denying(server: PinnedServer) -> Policy:
    (pin_set,) = server.policy.pin_sets
    return replace(server.policy, denied=pin_set.leaf)


def test_a_version_that_takes_another_context_is_refused(
    pinned_server: PinnedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where botocore makes the connection otherwise, nothing is sent."""
    made = URLLib3Session._get_pool_manager_kwargs
    monkeypatch.setattr(
        URLLib3Session,
        "_get_pool_manager_kwargs",
        lambda self, **more: {**made(self, **more), "ssl_context": None},
    )
    client = _client(pinned_server.impostor.url, retries={"max_attempts": 0})
    pin_client(client, pinned_server.context())

    with pytest.raises(botocore.exceptions.HTTPClientError, match="did not make the connection"):
        _status(client)

    assert () == pinned_server.impostor.connections


@pytest.mark.parametrize("where", ["config", "environment"])
def test_a_proxy_changes_no_verdict(
    pinned_server: PinnedServer, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Through a proxy the pinned server is reached, and who intercepts there gets nothing."""
    settings: dict[str, Any] = {}
    if where == "config":
        settings["proxies"] = {"https": proxy.url}
    else:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    client = _client(pinned_server.url, **settings)
    pin_client(client, pinned_server.context())

    assert 200 == _status(client)
    proxy.target = pinned_server.impostor.address, pinned_server.impostor.port
    client = _client(pinned_server.url, **settings)
    pin_client(client, pinned_server.context())
    with pytest.raises(holdfast.PinViolationError):
        _status(client)

    assert 2 == len(proxy.to_host())
    assert 0 == pinned_server.impostor.application_bytes


def test_a_certificate_of_the_client_is_refused(pinned_server: PinnedServer) -> None:
    """It would not be looked at, and the context is the place for it."""
    client = _client(pinned_server.url, client_cert="client.pem")

    with pytest.raises(PinnedContextError, match="client_cert"):
        pin_client(client, pinned_server.context())


def test_a_sink_belongs_to_the_context(pinned_server: PinnedServer) -> None:
    """A sink beside a context would be silently without effect."""
    with pytest.raises(TypeError, match="sink belongs"):
        pin_client(_client(pinned_server.url), pinned_server.context(), sink=_Sink([]))
