import asyncio
import pickle
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import NoReturn

import aiohttp
import httpx
import httpx2
import pytest
import requests
import urllib3

import holdfast
from holdfast.enforcement.clients.requests import PinningAdapter
from holdfast.pins.verdict import Observed, Verdict
from holdfast.testing import PinnedServer

VIOLATION = holdfast.Violation(
    verdict=Verdict(
        outcome=holdfast.Outcome.UNDECIDABLE,
        allowed=False,
        violation=True,
        host="api.example.com",
        reason="there is no path",
        hint="look at the policy source",
    ),
    observed=Observed.UNKNOWN,
    time=datetime(2026, 11, 23, tzinfo=UTC),
    port=443,
)


class _WrappingError(Exception):
    """Stands for a library's exception."""


def _caused(error: Exception) -> Exception:
    wrapper = _WrappingError()
    wrapper.__cause__ = error
    return wrapper


def _in_context(error: Exception) -> Exception:
    wrapper = _WrappingError()
    wrapper.__context__ = error
    return wrapper


def _attribute(name: str) -> Callable[[Exception], Exception]:
    def wrap(error: Exception) -> Exception:
        wrapper = _WrappingError()
        setattr(wrapper, name, error)
        return wrapper

    return wrap


WRAPPINGS: dict[str, Callable[[Exception], Exception]] = {
    "itself": lambda error: error,
    "cause": _caused,
    "context": _in_context,
    "argument": lambda error: _WrappingError("failed", error),
    "group": lambda error: ExceptionGroup("two", [ValueError(), ExceptionGroup("", [error])]),
    "reason": _attribute("reason"),
    "os_error": _attribute("os_error"),
    "certificate_error": _attribute("certificate_error"),
    "reasons": lambda error: _attribute("reasons")([SimpleNamespace(value=error)]),  # type: ignore[arg-type]
    "errors": lambda error: _attribute("errors")((ValueError(), error)),  # type: ignore[arg-type]
    "nested": lambda error: _WrappingError(_caused(_in_context(error))),
}


def _urllib(url: str, context: holdfast.PinningContext) -> None:
    urllib.request.urlopen(url, context=context)


def _urllib3(url: str, context: holdfast.PinningContext) -> None:
    with urllib3.PoolManager(ssl_context=context) as http:
        http.request("GET", url)


def _requests(url: str, context: holdfast.PinningContext) -> None:
    with requests.Session() as session:
        session.mount("https://", PinningAdapter(context))
        session.get(url)


def _httpx(url: str, context: holdfast.PinningContext) -> None:
    httpx.get(url, verify=context)


def _httpx2(url: str, context: holdfast.PinningContext) -> None:
    httpx2.get(url, verify=context)


def _aiohttp(url: str, context: holdfast.PinningContext) -> None:
    async def get() -> None:
        async with aiohttp.ClientSession() as session, session.get(url, ssl=context):
            pass

    asyncio.run(get())


LIBRARIES: list[tuple[Callable[[str, holdfast.PinningContext], None], type[Exception]]] = [
    (_urllib, urllib.error.URLError),
    (_urllib3, urllib3.exceptions.MaxRetryError),
    (_requests, requests.exceptions.SSLError),
    (_httpx, httpx.ConnectError),
    (_httpx2, httpx2.ConnectError),
    (_aiohttp, aiohttp.ClientConnectorCertificateError),
]


def test_it_is_the_standard_error_too() -> None:
    """Code that catches what `ssl` raises for a bad certificate catches a violation."""
    error = holdfast.PinViolationError(VIOLATION)

    assert isinstance(error, holdfast.HoldfastError)
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert VIOLATION is error.violation


def test_event_loops_do_not_retry_it() -> None:
    """Its number is that of a TLS failure: 2, 3 and 8 mean "try again" or "closed" to loops."""
    error = holdfast.PinViolationError(VIOLATION)

    assert ssl.SSL_ERROR_SSL == error.errno == 1
    assert ("HOLDFAST", "PIN_VIOLATION") == (error.library, error.reason)
    assert 50 == error.verify_code  # X509_V_ERR_APPLICATION_VERIFICATION
    assert error.message == error.verify_message


def test_its_text_never_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the explanation cannot be made, a line says what happened and nothing is raised."""

    def explain(_: holdfast.Violation) -> str:
        raise UnicodeError

    monkeypatch.setattr("holdfast.findings.explain.explain", explain)

    assert ("api.example.com: undecidable: there is no path (no explanation: UnicodeError)") == str(
        holdfast.PinViolationError(VIOLATION)
    )


def test_an_error_raised_from_none_hides_the_violation() -> None:
    """What a traceback would not show is not searched: the new error has another cause."""
    error = _in_context(holdfast.PinViolationError(VIOLATION))
    error.__suppress_context__ = True

    assert holdfast.violation_from(error) is None


def test_another_one_made_of_it_has_its_violation() -> None:
    """Where a library makes an error of the same class with a text of its own, nothing is lost."""

    def make_another(error: holdfast.PinViolationError) -> NoReturn:
        try:
            raise error
        except holdfast.PinViolationError:
            raise type(error)("start TLS failed") from None  # as ldap3 does

    with pytest.raises(holdfast.PinViolationError) as caught:
        make_another(holdfast.PinViolationError(VIOLATION))

    assert VIOLATION is caught.value.violation


def test_it_is_not_made_without_a_violation() -> None:
    """A text alone is no violation."""
    with pytest.raises(TypeError, match="takes a Violation"):
        holdfast.PinViolationError("refused")


def test_its_text_is_the_explanation() -> None:
    """The text names host, reason and hint, and not only the outcome."""
    text = str(holdfast.PinViolationError(VIOLATION))

    assert all(part in text for part in ("api.example.com", "there is no path"))
    assert len(text.splitlines()) > 1


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_crosses_processes(protocol: int) -> None:
    """A pickled error arrives with its violation and its text."""
    error = holdfast.PinViolationError(VIOLATION)

    arrived = pickle.loads(pickle.dumps(error, protocol))

    assert holdfast.PinViolationError is type(arrived)
    assert VIOLATION == arrived.violation
    assert (error.errno, str(error)) == (arrived.errno, str(arrived))


def test_a_real_one_crosses_processes(pinned_server: PinnedServer) -> None:
    """So does one with a pin set, a path and a presented chain in it."""
    with pytest.raises(urllib.error.URLError) as caught:
        _urllib(pinned_server.impostor.url, pinned_server.context())
    violation = holdfast.violation_from(caught.value)
    assert violation is not None
    assert violation.verdict.pin_set is not None

    arrived = pickle.loads(pickle.dumps(holdfast.PinViolationError(violation)))

    assert violation == arrived.violation


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS.keys())
def test_violation_is_found(wrap: Callable[[Exception], Exception]) -> None:
    """The violation is found wherever exceptions keep one another."""
    assert VIOLATION is holdfast.violation_from(wrap(holdfast.PinViolationError(VIOLATION)))


@pytest.mark.parametrize(
    ("fetch", "kind"), LIBRARIES, ids=[fetch.__name__.strip("_") for fetch, _ in LIBRARIES]
)
def test_violation_is_found_under_a_library(
    fetch: Callable[[str, holdfast.PinningContext], None],
    kind: type[Exception],
    pinned_server: PinnedServer,
) -> None:
    """The violation is found under what the real library raises."""
    with pytest.raises(kind) as caught:
        fetch(pinned_server.impostor.url, pinned_server.context())

    violation = holdfast.violation_from(caught.value)

    assert violation is not None
    assert "localhost" == violation.verdict.host


@pytest.mark.parametrize(
    "error",
    [
        None,
        KeyboardInterrupt(),
        ssl.SSLCertVerificationError(1, "certificate verify failed"),
        _WrappingError("PinViolationError", VIOLATION),
        _caused(_WrappingError(ConnectionResetError())),
        ExceptionGroup("none of them", [ValueError(), OSError()]),
    ],
    ids=repr,
)
def test_other_errors_hold_no_violation(error: BaseException | None) -> None:
    """An error with another cause has no violation."""
    assert None is holdfast.violation_from(error)


def test_a_cycle_of_errors_ends() -> None:
    """Errors that lead to one another are looked at once each."""
    first, second = _WrappingError(), _WrappingError()
    first.__cause__, second.__context__ = second, first
    first.args = (second, first)

    assert None is holdfast.violation_from(first)
    second.args = (holdfast.PinViolationError(VIOLATION),)
    assert VIOLATION is holdfast.violation_from(first)
