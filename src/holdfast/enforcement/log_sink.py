"""The default sink: violations go to the log, in full, once for each distinct one and hour."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from holdfast.enforcement.errors import explanation
from holdfast.pins.chain import ProvenLeaf
from holdfast.pins.verdict import Violation

LOGGER_NAME = "holdfast.violations"
_QUIET_SECONDS = 3600.0
_MEMORY_LIMIT = 1024


class LogSink:
    """Logs whole explanations: as error what was refused, as warning what was let pass."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start with nothing logged."""
        self._logger = logging.getLogger(LOGGER_NAME)
        self._monotonic = monotonic
        self._logged: dict[tuple[object, ...], float] = {}

    def report(self, violation: Violation) -> None:
        """Log a violation, unless the same one was logged within the hour."""
        now = self._monotonic()
        key = _identity(violation)
        last = self._logged.get(key)
        if last is not None and now - last < _QUIET_SECONDS:
            return
        if len(self._logged) >= _MEMORY_LIMIT:
            self._logged.clear()
        self._logged[key] = now
        # Reading a logging configuration disables by default every logger that is there already.
        # Who wants no violations sets a level, or another sink.
        self._logger.disabled = False
        level = logging.WARNING if violation.verdict.allowed else logging.ERROR
        self._logger.log(level, "%s", explanation(violation), extra={"violation": violation})


def _identity(violation: Violation) -> tuple[object, ...]:
    """Return what makes two violations the same: host, set, decision and the certificates seen."""
    verdict = violation.verdict
    seen = verdict.chain or violation.presented
    if isinstance(seen, ProvenLeaf):
        certificates: tuple[bytes, ...] = (seen.certificate.cert_sha256,)
    else:
        certificates = (
            tuple(certificate.cert_sha256 for certificate in seen.certificates) if seen else ()
        )
    set_name = verdict.pin_set.name if verdict.pin_set else None
    # A mismatch that was let pass and is refused now is news.
    decision = verdict.outcome, verdict.allowed, violation.observed
    return verdict.host, violation.port, *decision, set_name, certificates
