"""Blocks of PEM text (RFC 7468, strict form), and the DER in them.

Text outside the blocks is passed over, as OpenSSL does: bundles carry comments there. What looks
like a block and is not one is refused, since passing over it would lose a certificate without a
word.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass

from holdfast.errors import CertificateError

_DASHES = "-----"
_BEGIN = "-----BEGIN "
_END = "-----END "
_CERTIFICATE = "CERTIFICATE"
_LINE_LENGTH = 64  # RFC 7468 section 2


@dataclass(frozen=True, slots=True)
class PemBlock:
    """One block: its label, the lines between its boundaries, and where it stands, for messages."""

    label: str
    lines: tuple[str, ...]
    place: str

    def der(self) -> bytes:
        """Decode the content.

        Raises:
            CertificateError: It is not canonical base64 and nothing else.
        """
        body = "".join(self.lines)
        try:
            der = binascii.a2b_base64(body, strict_mode=True)
        except ValueError:
            der = b""
        # Decoding ignores the unused bits of the last character, so two texts could give the same
        # bytes.
        if not der or binascii.b2a_base64(der, newline=False).decode("ascii") != body:
            raise CertificateError(
                f"{self.place}: the {self.label} block is not canonical base64",
                hint="copy the file again; nothing but base64 may stand between BEGIN and END",
            )
        return der

    def text(self) -> str:
        """Return the block as PEM text."""
        boundary = f"{self.label}{_DASHES}"
        return "\n".join((f"{_BEGIN}{boundary}", *self.lines, f"{_END}{boundary}", ""))


def pem_blocks(text: bytes | str, place: str) -> tuple[PemBlock, ...]:
    """Find the blocks of a PEM text, whatever their labels; line length and CRLF do not matter.

    Args:
        text: The text. Outside the blocks it may be in any encoding.
        place: Where it comes from, for messages.

    Raises:
        CertificateError: A boundary is malformed, or a block has no beginning or no end.
    """
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    blocks: list[PemBlock] = []
    label: str | None = None
    first = 0
    lines: list[str] = []
    # Not splitlines(): it also splits at characters that are content elsewhere.
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.rstrip(" \t\r")
        if "-----BEGIN" not in line and "-----END" not in line:
            if label is not None:
                lines.append(line)
        elif label is None and line.startswith(_BEGIN) and _label_of(line, _BEGIN):
            label, first, lines = _label_of(line, _BEGIN), number, []
        elif label is not None and line == f"{_END}{label}{_DASHES}":
            blocks.append(PemBlock(label, tuple(lines), f"{place}, line {first}"))
            label = None
        else:
            raise CertificateError(
                f"{place}, line {number}: a PEM boundary that is malformed or out of place",
                hint="each block is -----BEGIN X-----, base64 lines, -----END X-----, "
                "each boundary alone on its line and not indented",
            )
    if label is not None:
        raise CertificateError(
            f"{place}, line {first}: the {label} block has no end",
            hint="the file seems to be cut off: copy it again",
        )
    return tuple(blocks)


def is_inline_certificate(text: str) -> bool:
    """Tell whether text in a document is a certificate's PEM rather than a path."""
    return text.lstrip().startswith(f"{_BEGIN}{_CERTIFICATE}{_DASHES}")


def certificate_text(der: bytes) -> str:
    """Return a certificate as PEM text, the same each time."""
    body = binascii.b2a_base64(der, newline=False).decode("ascii")
    lines = [body[at : at + _LINE_LENGTH] for at in range(0, len(body), _LINE_LENGTH)]
    return PemBlock(_CERTIFICATE, tuple(lines), "").text()


def _label_of(line: str, start: str) -> str:
    """Return the label of a boundary line, or nothing where the line is not one."""
    label = line[len(start) : -len(_DASHES)]
    return label if line.endswith(_DASHES) and "-" not in label else ""
