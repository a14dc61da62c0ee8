"""A retry policy of urllib3 that does not repeat a connection which pins have refused.

urllib3 retries three times unless told otherwise, and counts a refusal as one more failure: the
impostor is visited four times, and four violations are reported.
"""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Self

from urllib3 import Retry
from urllib3.exceptions import MaxRetryError

from holdfast.enforcement.errors import violation_from

if TYPE_CHECKING:
    from types import TracebackType

    from urllib3.connectionpool import ConnectionPool
    from urllib3.response import BaseHTTPResponse


class NoViolationRetry(Retry):
    """Retries as `urllib3.Retry` does, with the same arguments, but never a violation.

    A violation ends in `urllib3.exceptions.MaxRetryError` at once, as if no retries were left.
    """

    @classmethod
    def of(cls, retries: Retry) -> NoViolationRetry:
        """Return the same retry policy, subclasses included, without the retries of violations."""
        changed = copy.copy(retries)
        changed.__class__ = _without_violations(type(retries))  # type: ignore[arg-type]  # hashable
        return changed  # type: ignore[return-value]  # its class was just changed

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """Count one failure.

        Raises:
            MaxRetryError: No retries are left, or the failure is a violation.
        """
        if self.total is not False and violation_from(error) is not None:
            # As urllib3 itself raises it: a pool is always there when there is an error.
            raise MaxRetryError(_pool, url, error) from error  # type: ignore[arg-type]
        return super().increment(method, url, response, error, _pool, _stacktrace)


@functools.cache
def _without_violations(kind: type[Retry]) -> type[Retry]:
    if issubclass(kind, NoViolationRetry):
        return kind
    if kind is Retry:
        return NoViolationRetry
    return type(kind.__name__, (NoViolationRetry, kind), {})
