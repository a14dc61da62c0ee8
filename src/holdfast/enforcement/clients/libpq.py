"""Pins for libpq, and so for psycopg and psycopg2: a file of roots, and options that insist on it.

    pinned = pinned_options(policy, "db.example.com", root_file="db-roots.pem")
    psycopg.connect(dbname="app", **pinned.options)

libpq verifies with OpenSSL and has no callback: it can be told which roots to trust, and no more.
What is lost of the policy stands beside the options.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.enforcement.clients.pinned_roots import RootStack, pinned_roots
from holdfast.formats.loss import Loss
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.interfaces import PolicySource

__all__ = ["PinnedOptions", "pinned_options"]

_STACK = RootStack("libpq", takes_any=False)


class PinnedOptions(NamedTuple):
    """Options for connections to one server, and what they do not hold.

    Attributes:
        options: Connection parameters of libpq. A parameter that is given twice would win or lose
            by its place: give none of these again.
        losses: What of the policy is lost.
    """

    options: dict[str, Any]  # text, each; so typed, psycopg takes them as its own keywords
    losses: tuple[Loss, ...]


def pinned_options(
    policy: PolicySource,
    host: str,
    *,
    root_file: str | os.PathLike[str],
    certificates: str | os.PathLike[str] | None = None,
    strict: bool = False,
) -> PinnedOptions:
    """Write the file of roots, and return the options that make libpq verify by it.

    Args:
        policy: A `Policy`, or a source, whose policy of now is taken.
        host: The host that is connected to.
        root_file: The file to write; what is there is replaced at once.
        certificates: A PEM file of pinned root certificates. Not needed for a private set without
            pins, whose anchors are the roots.
        strict: Whether losses that change who is connected to are an error.

    Raises:
        CertificateError: The file has no certificate, or one that cannot be read.
        HostNameError: The host is none.
        LossError: The set holds only digests, a root does not sign itself, or `strict` refuses what
            is lost.
        OSError: The file cannot be written.
        PinnedContextError: No set covers the host, or a certificate must not be a root for it.
    """
    roots = pinned_roots(policy, host, _STACK, certificates=certificates, strict=strict)
    path = Path(root_file).absolute()
    _replace(path, roots.pem)
    options = {
        "host": canonical_host(host),
        "sslmode": "verify-full",
        "sslrootcert": str(path),
        # Else libpq may take encryption by Kerberos instead, which knows no certificates.
        "gssencmode": "disable",
    }
    return PinnedOptions(options, roots.losses)


def _replace(path: Path, text: str) -> None:
    """Write a file so that a connection that begins meanwhile finds the old one or the new."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
