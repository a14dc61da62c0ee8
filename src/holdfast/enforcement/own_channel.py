"""The way to Holdfast's own origins: verified as ever, not pinned, and to nobody else.

Process-wide enforcement does not reach these contexts, so that a policy which refuses everything
unlisted does not cut Holdfast off from the update that would mend it.
"""

from __future__ import annotations

import os
import ssl
from typing import Any, Self

from holdfast.certificates.trust_anchors import load_anchors
from holdfast.enforcement.context_pinning import canonical_name
from holdfast.enforcement.genuine_context import BareContext, CContext
from holdfast.enforcement.sealed_verification import SealedVerification, load_public_anchors
from holdfast.errors import PinnedContextError
from holdfast.pins.host_pattern import canonical_host

__all__ = ["VerifiedChannel"]


class VerifiedChannel:
    """An `OwnChannel` to some hosts."""

    def __init__(self, *hosts: str, public_anchors: str | os.PathLike[str] | None = None) -> None:
        """Name the hosts.

        Args:
            hosts: Host names or IP addresses, exactly.
            public_anchors: A PEM file of trust anchors to use instead of the platform's store.

        Raises:
            HostNameError: A name is none.
            TrustStoreError: The anchors cannot be used.
        """
        self._hosts = frozenset(map(canonical_host, hosts))
        self._anchors = () if public_anchors is None else load_anchors(public_anchors)

    def context(self) -> ssl.SSLContext:
        """Return a new context that connects to these hosts and no others.

        Raises:
            TrustStoreError: The platform has no trust anchors.
        """
        return _OwnContext(self._hosts, self._anchors)


class _OwnContext(SealedVerification, BareContext):
    """What a `VerifiedChannel` hands out."""

    def __new__(cls, _hosts: frozenset[str], _anchors: tuple[bytes, ...]) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, hosts: frozenset[str], anchors: tuple[bytes, ...]) -> None:
        self._hosts = hosts
        self.seal()
        load_public_anchors(self, anchors)

    def _wrap_socket(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse_others(args, kwargs, 2)
        return CContext._wrap_socket(self, *args, **kwargs)  # noqa: SLF001

    def _wrap_bio(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse_others(args, kwargs, 3)
        return CContext._wrap_bio(self, *args, **kwargs)  # noqa: SLF001

    def _refuse_others(self, args: tuple[Any, ...], kwargs: dict[str, Any], place: int) -> None:
        """Refuse other hosts; the name stands at this place where it is not given by name."""
        name = args[place] if len(args) > place else kwargs.get("server_hostname")
        host = canonical_name(name)
        if host not in self._hosts:
            raise PinnedContextError(
                f"{host} is not an origin of Holdfast's own",
                hint="connect to other hosts with a context of your own",
            )
