import ssl
from collections.abc import Callable

import pytest

import holdfast
from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.request_check import RequestCheck
from holdfast.pins.pin_set import Mode
from holdfast.pins.policy import Policy
from holdfast.pins.redirects import Hop
from holdfast.pins.verdict import Outcome, Violation

Pinned = Callable[..., PinningContext]


class _Failing:
    """A source that fails once the context is made."""

    def __init__(self, policy: Policy) -> None:
        self._policy: Policy | None = policy

    def current(self) -> Policy:
        """Return the policy the first time only."""
        policy, self._policy = self._policy, None
        if policy is None:
            raise RuntimeError("the disk is gone")
        return policy


def test_what_passes_is_named_canonically(pinned: Pinned) -> None:
    """A request that may be made gives the hop that a redirect from it is judged by."""
    check = RequestCheck.of(pinned())

    assert Hop("https", "localhost") == check.check("HTTPS", "LOCALHOST.", 443)
    assert Hop("http", "::1") == check.check("http", "[::1]", 80)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost."])
def test_each_spelling_is_the_same_host(host: str, pinned: Pinned) -> None:
    """No spelling of a pinned name goes out in plain text."""
    with pytest.raises(holdfast.PinViolationError, match="plain text") as caught:
        RequestCheck.of(pinned()).check("http", host, 80)

    assert "localhost:80 refused: undecidable" in str(caught.value)


def test_what_is_let_pass_is_reported(
    pinned: Pinned, policy_for: Callable[..., Policy], violations: list[Violation]
) -> None:
    """A report-only set says so and lets the request pass."""
    context = pinned(policy_for(mode=Mode.REPORT_ONLY))

    RequestCheck.of(context).check("http", "localhost", 80)

    assert [(Outcome.UNDECIDABLE, True)] == [
        (violation.verdict.outcome, violation.verdict.allowed) for violation in violations
    ]


def test_a_source_that_fails_refuses(
    pinned: Pinned, policy: Policy, violations: list[Violation]
) -> None:
    """Where the policy cannot be had, nothing is sent."""
    context = pinned(_Failing(policy))

    with pytest.raises(holdfast.PinViolationError, match="the policy source failed"):
        RequestCheck.of(context).check("https", "elsewhere.example", 443)

    assert 1 == len(violations)


@pytest.mark.parametrize("host", ["", "local host", "127.1", "loc\u212aalhost.example"])
def test_what_is_no_name_is_refused(host: str, pinned: Pinned) -> None:
    """A host that is none is an error, over TLS or not."""
    for scheme in ("http", "https"):
        with pytest.raises(holdfast.HoldfastError):
            RequestCheck.of(pinned()).check(scheme, host, None)


def test_a_stock_context_has_no_policy() -> None:
    """What does not pin cannot say where requests may go."""
    with pytest.raises(TypeError, match="PinningContext is needed"):
        RequestCheck.of(ssl.create_default_context())  # type: ignore[arg-type]
