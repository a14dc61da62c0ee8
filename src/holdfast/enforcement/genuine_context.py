"""CPython's own context class and the C type under it, whatever stands under their names now.

`truststore.inject_into_ssl()` puts a class of its own under the name `ssl.SSLContext`. The property
setters of the genuine class find their base through that *name* and recurse without end then; the
descriptors of the C type do not.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from holdfast.errors import UnsupportedRuntimeError

__all__ = ["CContext", "GenuineContext", "direct"]

CContext: Any = ssl._ssl._SSLContext  # type: ignore[attr-defined]  # noqa: SLF001


def _genuine_context() -> type[ssl.SSLContext]:
    """Return CPython's own context class, whatever stands under its name now."""
    for candidate in (ssl.SSLContext, *CContext.__subclasses__()):
        if candidate.__module__ == "ssl":
            return candidate  # type: ignore[no-any-return]
    raise UnsupportedRuntimeError(
        "ssl.SSLContext was replaced and the genuine class is gone",
        hint="import holdfast before the patch",
    )


if TYPE_CHECKING:
    GenuineContext = ssl.SSLContext
else:
    GenuineContext = _genuine_context()


def direct(name: str) -> Any:
    """Return a property that reads as in `ssl` and writes through the C type."""
    setter = getattr(CContext, name).__set__

    def write(context: ssl.SSLContext, value: int) -> None:
        setter(context, value)

    return property(getattr(GenuineContext, name).fget, write)
