"""Verification that cannot be switched off by what a context offers for it."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from typing import NoReturn

from holdfast.enforcement.genuine_context import CContext, GenuineContext, direct
from holdfast.errors import PinnedContextError, TrustStoreError

__all__ = ["SealedVerification", "load_beside_copies", "load_public_anchors"]

_verify_mode_of = CContext.verify_mode.__get__
_checks_hostname = CContext.check_hostname.__get__
_options_of = CContext.options.__get__


class SealedVerification(GenuineContext):
    """A context that always verifies the other end's certificate and, of a server, the name."""

    verify_flags = direct("verify_flags")
    minimum_version = direct("minimum_version")
    maximum_version = direct("maximum_version")

    def seal(self) -> None:
        """Make the settings that stay, and those of `ssl.create_default_context()`."""
        self.options = self.options
        if sys.version_info >= (3, 13):
            self.verify_flags |= ssl.VERIFY_X509_STRICT

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


def load_public_anchors(context: ssl.SSLContext, anchors: tuple[bytes, ...]) -> None:
    """Load the given anchors (DER), or the platform's where there are none.

    Raises:
        TrustStoreError: The platform has none either.
    """
    if anchors:
        context.load_verify_locations(cadata=b"".join(anchors))
    else:
        _load_platform_anchors(context)


def load_beside_copies(anchors: tuple[bytes, ...], context: ssl.SSLContext) -> None:
    """Load what a copy of another context's CAs leaves out; nothing is read from a disk.

    Args:
        anchors: As given to `load_public_anchors` for the other context.
        context: The context that its CAs are copied into.
    """
    if anchors:
        context.load_verify_locations(cadata=b"".join(anchors))
    elif folder := ssl.get_default_verify_paths().capath:
        context.load_verify_locations(capath=folder)


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
