"""Android's binary XML, as `aapt` writes it into packages, turned back into text."""

from __future__ import annotations

from holdfast.errors import HoldfastError

__all__ = ["as_xml", "is_binary_xml"]

_MAGIC = b"\x03\x00\x08\x00"
_LIMIT = 4 * 1024 * 1024  # bytes


def is_binary_xml(content: bytes) -> bool:
    """Tell whether a file is binary XML."""
    return content.startswith(_MAGIC)


def as_xml(content: bytes) -> bytes:
    """Return the text.

    Raises:
        HoldfastError: It cannot be read, or the library for it is missing.
    """
    try:
        from axml.axml import AXMLPrinter
    except ModuleNotFoundError as missing:
        raise HoldfastError(
            f"binary XML needs the package {missing.name}",
            hint="pip install 'holdfast[platforms]'",
        ) from missing
    if len(content) > _LIMIT:
        raise HoldfastError(f"it has more than {_LIMIT} bytes")
    try:
        printer = AXMLPrinter(content)
        text = printer.get_xml() if printer.is_valid() else None
    except Exception as error:  # outside input to a library with many errors
        raise HoldfastError(f"it is no binary XML that can be read: {error}") from error
    if not isinstance(text, bytes):
        raise HoldfastError("it is no binary XML that can be read")
    return text
