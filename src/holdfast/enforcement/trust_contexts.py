"""The trust of single hosts, beside a pinned context whose own trust is the public one.

OpenSSL takes the anchors of the context that a connection has when the certificate arrives, and the
verify mode of the one that it was made by. So

- a private set's connection is made by the pinned context, and is then given a context with the
  set's anchors and nothing else: what is public does not vouch for it, nor it for others;
- the connection to a host of a local exception is made by the pinned context, and is then given one
  with the public anchors and that of the exception, which so vouches for no other host;
- a pins-only set's connection is made by a context that verifies nothing, and is then given the
  pinned one. Only a leaf pin can accept it (`ProvenLeaf`).

All keep the settings that the pinned context has when the connection is made: what a connection
copies when it is made comes from its maker, ciphers and anchors from the context that it has later.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from holdfast.enforcement.genuine_context import BareContext, CContext

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TrustContexts"]

# Sets of anchors for which a context is kept. At the limit all are made anew.
_MEMORY_LIMIT = 64
_COPIED_BY_CONNECTIONS = (
    *(CContext.options, CContext.minimum_version, CContext.maximum_version),
    CContext.post_handshake_auth,
)


class TrustContexts:
    """Makes and keeps the contexts behind one pinned context."""

    def __init__(self) -> None:
        """Start without any trust."""
        self._kept: dict[object, ssl.SSLContext] = {}
        self._unverified: list[
            ssl.SSLContext
        ] = []  # the first one, once there is a device to reach
        self._for_unverified: dict[str, tuple[Any, ...]] = {}
        self._for_private: dict[str, Callable[[ssl.SSLContext], object]] = {}

    def private(self, anchors: tuple[bytes, ...]) -> ssl.SSLContext:
        """Return the context that trusts these anchors (DER) and nothing else.

        Raises:
            ssl.SSLError: OpenSSL cannot read an anchor.
        """

        def load(context: ssl.SSLContext) -> None:
            context.load_verify_locations(cadata=b"".join(anchors))

        return self._made_once(anchors, load)

    def excepted(
        self,
        pinned: ssl.SSLContext,
        anchors: tuple[bytes, ...],
        load_public: Callable[[ssl.SSLContext], object] | None,
    ) -> ssl.SSLContext:
        """Return the context that trusts these anchors (DER) beside the pinned one's.

        Args:
            pinned: The pinned context. What is loaded into it later is taken over, too.
            anchors: Those of local exceptions.
            load_public: Loads what a context looks up in a folder, and so cannot be copied.

        Raises:
            ssl.SSLError: OpenSSL cannot read an anchor.
        """

        def load(context: ssl.SSLContext) -> None:
            if load_public is not None:
                load_public(context)
            public = pinned.get_ca_certs(binary_form=True)
            context.load_verify_locations(cadata=b"".join((*public, *anchors)))

        return self._made_once((anchors, pinned.cert_store_stats()["x509_ca"]), load)

    def _made_once(self, key: object, load: Callable[[ssl.SSLContext], object]) -> ssl.SSLContext:
        kept = self._kept
        context = kept.get(key)
        if context is None:
            context = BareContext(ssl.PROTOCOL_TLS_CLIENT)
            load(context)
            self.equip(context)
            if len(kept) >= _MEMORY_LIMIT:
                kept.clear()
            kept[key] = context
        return context

    def unverified(self, pinned: ssl.SSLContext) -> ssl.SSLContext:
        """Return the context that verifies nothing, with the settings of the pinned one."""
        if not self._unverified:
            self._unverified.append(self._made_unverified())
        context = self._unverified[0]  # of two threads that made one, one has won
        for descriptor in _COPIED_BY_CONNECTIONS:
            value = descriptor.__get__(pinned)
            if value != descriptor.__get__(context):  # old versions warn when they are set
                descriptor.__set__(context, value)
        return context

    def is_unverified(self, context: object) -> bool:
        """Tell whether a connection was made by the context that verifies nothing."""
        return any(context is one for one in self._unverified[:1])

    def set_for_unverified(self, name: str, *arguments: Any) -> None:
        """Repeat a setting that connections copy when they are made."""
        self._for_unverified = {**self._for_unverified, name: arguments}
        for context in self._unverified:
            getattr(context, name)(*arguments)

    def _made_unverified(self) -> ssl.SSLContext:
        context = BareContext(ssl.PROTOCOL_TLS_CLIENT)
        CContext.check_hostname.__set__(context, False)  # noqa: FBT003
        CContext.verify_mode.__set__(context, int(ssl.CERT_NONE))
        for name, arguments in self._for_unverified.items():
            getattr(context, name)(*arguments)
        return context

    def equip(self, context: ssl.SSLContext) -> None:
        """Make the settings in a context that a connection is given."""
        for apply in self._for_private.values():
            apply(context)

    def set_for_private(self, name: str, apply: Callable[[ssl.SSLContext], object]) -> None:
        """Repeat a setting that is looked up in the context which a connection has.

        Contexts that are there are forgotten, in this order: one that another thread is just making
        without the setting is not kept.
        """
        self._for_private = {**self._for_private, name: apply}
        self._kept = {}
