"""The error of a refused connection, and how to find it under a library's own exception."""

from __future__ import annotations

import ssl
import sys
from collections import deque
from collections.abc import Iterator

from holdfast.errors import HoldfastError
from holdfast.pins.verdict import Violation

# Event loops take 2, 3 and 8 (WANT_READ, WANT_WRITE, EOF) for "try again" or "closed": a refusal
# must be neither.
_SSL_ERROR_SSL = 1
_APPLICATION_VERIFICATION = (
    50  # X509_V_ERR_APPLICATION_VERIFICATION: refused by the application's own check
)
_SEARCH_LIMIT = 100
# Where libraries keep what they wrapped, beside __cause__, __context__ and args.
_WRAPPING_ATTRIBUTES = ("reason", "os_error", "certificate_error")
_COLLECTING_ATTRIBUTES = ("exceptions", "errors")  # exception groups; elastic_transport


class PinViolationError(HoldfastError, ssl.SSLCertVerificationError):
    """A connection was refused: its pins did not match, or could not be judged.

    Existing code that catches `ssl.SSLError`, `ssl.SSLCertVerificationError` or `OSError` catches
    this too. The text is the whole explanation, the expected pins and the path seen side by side.

    Attributes:
        violation: The typed facts behind the text.
    """

    def __init__(self, violation: Violation | str) -> None:
        """Take the violation; its explanation is made when somebody reads it.

        ldap3 makes another error of the same class, with a text, while it handles this one: then
        its violation is taken.

        Raises:
            TypeError: There is none.
        """
        if not isinstance(violation, Violation):
            handled = violation_from(sys.exception())
            if handled is None:
                raise TypeError("a PinViolationError takes a Violation")
            violation = handled
        self.violation = violation
        self.message = _summary(violation)
        self.hint = violation.verdict.hint
        ssl.SSLCertVerificationError.__init__(self, _SSL_ERROR_SSL, self.message)
        self.library = "HOLDFAST"
        self.reason = "PIN_VIOLATION"
        self.verify_code = _APPLICATION_VERIFICATION
        self.verify_message = self.message

    def __str__(self) -> str:
        """Return the whole explanation."""
        return explanation(self.violation)

    def __reduce__(self) -> tuple[type[PinViolationError], tuple[Violation]]:
        """Let the error cross a process boundary."""
        return type(self), (self.violation,)


def explanation(violation: Violation) -> str:
    """Return the whole explanation of a violation, or one line where it cannot be made.

    It reads what an attacker may have written, and libraries call `str()` while they handle an
    error: a failure here would take the place of the refusal.
    """
    try:
        from holdfast.findings.explain import explain  # loads `cryptography`: only when needed

        return explain(violation)
    except Exception as error:  # noqa: BLE001  as said above
        return f"{_summary(violation)} (no explanation: {type(error).__name__})"


def _summary(violation: Violation) -> str:
    verdict = violation.verdict
    return f"{verdict.host}: {verdict.outcome.value}: {verdict.reason}"


def violation_from(error: BaseException | None) -> Violation | None:
    """Return the violation beneath any library's exception, or None when it had another cause.

    Looks through `__cause__`, exceptions among the arguments, exception groups and the attributes
    in which urllib3, requests, aiohttp and elasticsearch keep what they wrapped; through
    `__context__` only where a traceback would show it. An error raised while a violation was being
    handled, as by a second attempt inside the `except` block, cannot be told from one that wraps
    it.
    """
    queue = deque([error])
    seen: set[int] = set()
    while queue and len(seen) < _SEARCH_LIMIT:
        candidate = queue.popleft()
        if candidate is None or id(candidate) in seen:
            continue
        if isinstance(candidate, PinViolationError):
            return candidate.violation
        seen.add(id(candidate))
        queue.extend(_wrapped_by(candidate))
    return None


def _wrapped_by(error: BaseException) -> Iterator[BaseException]:
    attributes = (getattr(error, name, None) for name in _WRAPPING_ATTRIBUTES)
    collected = (getattr(error, name, None) for name in _COLLECTING_ATTRIBUTES)
    grouped = [one for some in collected if isinstance(some, list | tuple) for one in some]
    # The rule by which tracebacks choose (`raise ... from ...` sets the flag).
    before = error.__cause__ if error.__suppress_context__ else error.__context__
    # Twisted keeps each in a Failure.
    failures = getattr(error, "reasons", ())
    if isinstance(failures, list):
        grouped += [getattr(failure, "value", None) for failure in failures]
    for inner in (before, *error.args, *attributes, *grouped):
        if isinstance(inner, BaseException):
            yield inner
