"""`PinningContext`: an `ssl.SSLContext` that judges each verified path by a policy.

1. Verification is sealed: CERT_REQUIRED and the name check cannot be switched off, renegotiation
   stays off.
2. The base is the genuine `ssl.SSLContext`, also after `truststore.inject_into_ssl()`, whose
   replacement ignores the hooks that this builds on (`sslsocket_class`, `sslobject_class`;
   documented since Python 3.7).
3. Whatever was patched, no connection without the gate leaves `wrap_socket` or `wrap_bio`.
4. One canonical host name drives SNI, the certificate's name check and the pin look-up. No name, no
   connection: before Python 3.14 `wrap_bio` without one skips the name check silently
   (CVE-2026-19553).
"""

from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path
from typing import NoReturn, Self

from holdfast.certificates.trust_anchors import load_anchors
from holdfast.enforcement.context_pinning import ContextPinning, Enforcement
from holdfast.enforcement.genuine_context import CContext, GenuineContext, direct
from holdfast.enforcement.handshake import HandshakeJudge
from holdfast.enforcement.live_connections import LiveConnections
from holdfast.enforcement.log_sink import LogSink
from holdfast.enforcement.pinned_connections import ClassHook, PinnedSSLObject, PinnedSSLSocket
from holdfast.enforcement.pinned_methods import PinnedMethods
from holdfast.enforcement.verified_path import PathReader
from holdfast.errors import PinnedContextError, TrustStoreError
from holdfast.pins.interfaces import PolicySource, ViolationSink
from holdfast.pins.policy import Policy

_verify_mode_of = CContext.verify_mode.__get__
_checks_hostname = CContext.check_hostname.__get__
_options_of = CContext.options.__get__


class PinningContext(PinnedMethods, GenuineContext):  # type: ignore[misc]  # a property there
    """A TLS client context that talks only to servers whose verified path satisfies the policy.

    It *is* an `ssl.SSLContext`: what takes one is pinned by it, blocking and async. A refused
    connection raises `PinViolationError`, tells the sink, and is over. A context alone cannot stop
    `http://` or a redirect elsewhere.

    Args:
        source: A `Policy`, or a `PolicySource` such as `PolicyFile`.
        sink: Where violations go; without one, to the log `holdfast.violations`.
        public_anchors: A PEM file of trust anchors to use instead of the platform's store.

    Raises:
        TrustStoreError: There are no trust anchors.
    """

    sslsocket_class = ClassHook(PinnedSSLSocket)
    sslobject_class = ClassHook(PinnedSSLObject)
    verify_flags = direct("verify_flags")
    minimum_version = direct("minimum_version")
    maximum_version = direct("maximum_version")

    def __new__(
        cls,
        source: PolicySource,  # noqa: ARG004  __init__ takes them
        *,
        sink: ViolationSink | None = None,  # noqa: ARG004
        public_anchors: str | os.PathLike[str] | None = None,  # noqa: ARG004
    ) -> Self:
        """Make the underlying context; everything else is set up afterwards."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(
        self,
        source: PolicySource,
        *,
        sink: ViolationSink | None = None,
        public_anchors: str | os.PathLike[str] | None = None,
    ) -> None:
        """Bind the policy source and load the trust anchors."""
        if not isinstance(getattr(source, "current", lambda: None)(), Policy):
            raise TypeError(
                "a PinningContext takes a policy: holdfast.load_policy(path) or a PolicySource"
            )
        anchors = () if public_anchors is None else load_anchors(public_anchors)
        judge = HandshakeJudge(source, LogSink() if sink is None else sink, named_anchors=anchors)
        self._holdfast_pinning = ContextPinning(
            Enforcement(judge, PathReader(), LiveConnections(source))
        )
        self.options = self.options
        if sys.version_info >= (3, 13):  # what create_default_context() does there
            self.verify_flags |= ssl.VERIFY_X509_STRICT
        if anchors:
            self.load_verify_locations(cadata=b"".join(anchors))
        else:
            _load_platform_anchors(self)

    @property
    def options(self) -> ssl.Options:
        """The protocol options. Renegotiation stays off: it could bring another certificate."""
        return ssl.Options(_options_of(self))

    @options.setter
    def options(self, value: int) -> None:
        CContext.options.__set__(self, value | ssl.OP_NO_RENEGOTIATION)

    @property
    def verify_mode(self) -> ssl.VerifyMode:
        """Always CERT_REQUIRED: without verification a CA pin means nothing."""
        return ssl.VerifyMode(_verify_mode_of(self))

    @verify_mode.setter
    def verify_mode(self, value: int) -> None:
        if value != ssl.CERT_REQUIRED:
            raise PinnedContextError(
                "a pinned context always verifies certificates",
                hint="remove verify=False or CERT_NONE",
            )

    @property
    def check_hostname(self) -> bool:
        """Always True."""
        return bool(_checks_hostname(self))

    @check_hostname.setter
    def check_hostname(self, value: bool) -> None:
        if not value:
            raise PinnedContextError(
                "a pinned context always checks the host name",
                hint="remove check_hostname=False or assert_hostname",
            )

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be copied or pickled: the copy would not be pinned."""
        raise TypeError("a pinned context cannot be copied or pickled")


def _load_platform_anchors(context: ssl.SSLContext) -> None:
    """Load the platform's trust store; refuse an empty one, which could not say why it fails."""
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if context.cert_store_stats()["x509_ca"] > 0:
        return
    # OpenSSL reads the directory when it looks for an issuer, not before.
    directory: str | None = ssl.get_default_verify_paths().capath
    if directory and any(Path(directory).glob("*.0")):
        return
    raise TrustStoreError(
        "the platform's trust store is empty",
        hint="install the system's CA certificates, or pass public_anchors=certifi.where()",
    )
