"""A policy from a file: TOML or JSON in UTF-8, with the anchors that it names.

What the keys mean is decided in `pins/policy_document.py`; here are only the files.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NoReturn

from holdfast.certificates.load_chain import pem_certificates
from holdfast.certificates.pem import is_inline_certificate
from holdfast.certificates.spiffe_bundle import anchors_in
from holdfast.errors import PolicyError, Problem
from holdfast.pins.decode_document import decode_document
from holdfast.pins.policy import Policy
from holdfast.pins.policy_document import policy_from_document

# Bytes. 100,000 hosts with two pins each take 20 MB.
MAX_FILE_SIZE = 64 * 1024 * 1024
_BYTE_ORDER_MARK = "\ufeff"


def load_policy(path: str | os.PathLike[str]) -> Policy:
    """Read a policy.

    Args:
        path: The file. Its suffix says which language it is in, .toml or .json; with any other, its
            first character does. Anchors are looked up relative to it.

    Returns:
        The policy; it does not change when the file does (`PolicyFile` follows the file).

    Raises:
        PolicyError: The file cannot be read or has a mistake; every mistake is in its problems.
    """
    return read_policy(path, lambda _: None)


def read_policy(path: str | os.PathLike[str], before_read: Callable[[Path], None]) -> Policy:
    """Read a policy, and tell which files it is made of.

    Args:
        path: As for `load_policy`.
        before_read: Called with the path of the policy, then of each anchor file, before it is
            opened; also for files that turn out to be missing.

    Raises:
        PolicyError: As for `load_policy`.
    """
    file = Path(path)
    source = str(file)

    def read_anchors(entry: str) -> tuple[bytes, ...]:
        if is_inline_certificate(entry):
            return pem_certificates(entry, "the PEM text")
        before_read(file.parent / entry)
        return anchors_in(file.parent / entry)

    before_read(file)
    text = read_text(file, "check the path, or write the file with `holdfast pin HOST`")
    document = decode_document(text, _language(file, text), source=source)
    return policy_from_document(
        document, now=datetime.now(UTC), read_anchors=read_anchors, source=source
    )


def read_text(file: Path, if_missing: str) -> str:
    """Read the text of a document, in UTF-8.

    Args:
        file: The file.
        if_missing: The fix where there is no such file.

    Raises:
        PolicyError: It cannot be read, is too large, or is not UTF-8.
    """
    source = str(file)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_SIZE + 1)
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        fix = if_missing if isinstance(error, FileNotFoundError) else _fix_for(error)
        _refuse(source, f"it cannot be read: {reason}", fix)
    if len(data) > MAX_FILE_SIZE:
        _refuse(source, f"it has more than {MAX_FILE_SIZE} bytes", "give the right file")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse(source, f"it is not UTF-8 (at byte {error.start})", "save it as UTF-8")
    if text.startswith(_BYTE_ORDER_MARK):
        _refuse(source, "it begins with a byte order mark", "save it as UTF-8 without one")
    return text


def _language(file: Path, text: str) -> Literal["toml", "json"]:
    suffix = file.suffix.lower()
    if suffix == ".json":
        return "json"
    return "json" if suffix != ".toml" and text.lstrip().startswith("{") else "toml"


def _fix_for(error: OSError | ValueError) -> str:
    if isinstance(error, IsADirectoryError):
        return "give the file in it"
    return "check the path and its permissions"


def _refuse(source: str, message: str, fix: str) -> NoReturn:
    raise PolicyError([Problem(source, message, fix)], source=source) from None
