import pytest
import urllib3
from urllib3 import Retry
from urllib3.exceptions import MaxRetryError, ResponseError, SSLError

import holdfast
from holdfast.enforcement.clients.retries import NoViolationRetry
from holdfast.testing import PinnedServer


class _Shouting(Retry):
    """Stands for the retry policy of some application."""

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        return status_code == 200


def _get(url: str, server: PinnedServer, retries: Retry | bool) -> urllib3.BaseHTTPResponse:
    with urllib3.PoolManager(ssl_context=server.context()) as http:
        return http.request("GET", url, retries=retries)


@pytest.mark.parametrize(
    ("retries", "connections"),
    [
        (Retry(3), 4),
        (NoViolationRetry(3), 1),
        (NoViolationRetry.of(Retry(3)), 1),
        (NoViolationRetry.of(_Shouting(3)), 1),
    ],
    ids=["stock", "ours", "converted", "converted-subclass"],
)
def test_violations(retries: Retry, connections: int, pinned_server: PinnedServer) -> None:
    """The stock class visits an impostor again and again, ours once; both with the same error."""
    with pytest.raises(MaxRetryError) as caught:
        _get(pinned_server.impostor.url, pinned_server, retries)

    assert isinstance(caught.value.reason, SSLError)
    assert holdfast.violation_from(caught.value) is not None
    assert connections == len(pinned_server.impostor.wait_for(closed=connections))
    assert 0 == pinned_server.impostor.application_bytes


def test_no_retries_at_all(pinned_server: PinnedServer) -> None:
    """`retries=False` keeps its meaning: the plain error, after one connection."""
    retries = NoViolationRetry.of(Retry.from_int(False))

    with pytest.raises(SSLError) as caught:
        _get(pinned_server.impostor.url, pinned_server, retries)

    assert holdfast.violation_from(caught.value) is not None
    assert 1 == len(pinned_server.impostor.wait_for(closed=1))


@pytest.mark.parametrize(
    "retries",
    [
        NoViolationRetry(2, status_forcelist=[200]),
        NoViolationRetry.of(Retry(2, status_forcelist=[200])),
        NoViolationRetry.of(_Shouting(2)),
    ],
    ids=["ours", "converted", "converted-subclass"],
)
def test_other_failures(retries: Retry, pinned_server: PinnedServer) -> None:
    """Everything else is retried as often as the caller asked, by the caller's own rules."""
    with pytest.raises(MaxRetryError) as caught:
        _get(pinned_server.url, pinned_server, retries)

    assert isinstance(caught.value.reason, ResponseError)
    assert holdfast.violation_from(caught.value) is None
    requests = [line for seen in pinned_server.connections for line in seen.requests]
    assert ["GET / HTTP/1.1"] * 3 == requests


def test_conversion_is_idempotent_and_leaves_the_original() -> None:
    """A converted policy is converted once, and what it was made from is unchanged."""
    original = Retry(3, backoff_factor=0.5)

    once = NoViolationRetry.of(original)

    assert type(once) is type(NoViolationRetry.of(once)) is NoViolationRetry
    assert Retry is type(original)
    assert (3, 0.5) == (once.total, once.backoff_factor)
