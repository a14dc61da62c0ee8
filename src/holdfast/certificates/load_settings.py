"""Settings from a file, `holdfast.toml`: TOML in UTF-8, with the certificates that it names.

What the keys mean is decided in `pins/settings_document.py`; here are only the files.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from holdfast.certificates.describe import describe
from holdfast.certificates.load_chain import load_chain
from holdfast.certificates.load_policy import read_text
from holdfast.errors import CertificateError
from holdfast.pins.decode_document import decode_document
from holdfast.pins.settings_document import Settings, settings_from_document


def load_settings(path: str | os.PathLike[str]) -> Settings:
    """Read what is set beside the policy.

    Args:
        path: The file. Certificates are looked up relative to it.

    Raises:
        PolicyError: The file cannot be read or has a mistake; every mistake is in its problems.
    """
    file = Path(path)
    text = read_text(file, "check the path; every setting has a default without the file")
    return settings_from_document(
        decode_document(text, "toml", source=str(file)),
        now=datetime.now(UTC),
        read_anchor=lambda entry: _root(file.parent / entry),
        source=str(file),
    )


def _root(path: Path) -> bytes:
    """Read the one certificate of a file, of a CA that paths can end in.

    OpenSSL ends no path in a certificate that another one signed, unless it is told to
    (X509_V_FLAG_PARTIAL_CHAIN), which pinned contexts do not do.

    Raises:
        CertificateError: The file holds anything else.
    """
    chain = load_chain(path)
    if len(chain) != 1:
        raise CertificateError(
            f"{path}: there are {len(chain)} certificates in it",
            hint="give the root alone; what the proxy sends leads to it",
        )
    description = describe(chain[0])
    if not description.is_ca:
        raise CertificateError(
            f"{path}: it is no CA's certificate, or cannot be read",
            hint="give the root of the inspection CA",
        )
    if description.subject != description.issuer:
        raise CertificateError(
            f"{path}: another CA signed it, and a path does not end there",
            hint="give the root of the inspection CA",
        )
    return chain[0]
