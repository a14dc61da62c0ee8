"""From plain text to TLS: RFC 3207 (SMTP), RFC 9051 (IMAP), RFC 2595 (POP3), RFC 4217 (FTP).

Four short dialogues do not need four protocol libraries, and one reader can be held to one deadline
and one size limit.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass

_CHUNK = 4096
_LONGEST_DIALOGUE = 64 * 1024  # bytes; greetings and capability lists are a few hundred


class StartTlsError(OSError):
    """The server did not agree to start TLS."""


def _ends_numbered(line: bytes) -> bool:
    """SMTP and FTP: the last line of a reply has no hyphen after its number."""
    return line[:3].isdigit() and line[3:4] != b"-"


def _ends_tagged(line: bytes) -> bool:
    """IMAP: the last line has our tag; untagged lines may come before it."""
    return line.startswith(b"a ")


def _ends_at_once(line: bytes) -> bool:
    """POP3, and the greeting of IMAP: one line."""
    return bool(line)


@dataclass(frozen=True, slots=True)
class _Step:
    command: bytes
    """What to send; nothing before the greeting."""
    accepted: bytes
    """How the last line of the answer begins when all is well."""
    is_last: Callable[[bytes], bool]


_DIALOGUES = {
    "smtp": (
        _Step(b"", b"220", _ends_numbered),
        _Step(b"EHLO localhost\r\n", b"250", _ends_numbered),
        _Step(b"STARTTLS\r\n", b"220", _ends_numbered),
    ),
    "imap": (
        _Step(b"", b"* OK", _ends_at_once),
        _Step(b"a STARTTLS\r\n", b"a OK", _ends_tagged),
    ),
    "pop3": (
        _Step(b"", b"+OK", _ends_at_once),
        _Step(b"STLS\r\n", b"+OK", _ends_at_once),
    ),
    "ftp": (
        _Step(b"", b"220", _ends_numbered),
        _Step(b"AUTH TLS\r\n", b"234", _ends_numbered),
    ),
}


async def start_tls(sock: socket.socket, scheme: str) -> None:
    """Lead a fresh connection to the point where TLS begins.

    Args:
        sock: Connected and non-blocking.
        scheme: A scheme of `holdfast.pins.endpoint`; TLS begins at once where it has no dialogue.

    Raises:
        StartTlsError: The server refused, or sent more than its answer in plain text.
        OSError: The connection broke.
    """
    loop = asyncio.get_running_loop()
    received = bytearray()
    budget = _LONGEST_DIALOGUE
    for step in _DIALOGUES.get(scheme, ()):
        await loop.sock_sendall(sock, step.command)
        line = b""
        while not step.is_last(line):
            while b"\n" not in received:
                data = await loop.sock_recv(sock, _CHUNK)
                budget -= len(data)
                if not data or budget < 0:
                    raise StartTlsError(f"the server ended the {scheme} dialogue before TLS")
                received += data
            end = received.index(b"\n") + 1
            line = bytes(received[:end])
            del received[:end]
        if not line.upper().startswith(step.accepted.upper()):
            raise StartTlsError(f"the server does not start TLS: {_shown(line)}")
    if received:
        # An attacker on the wire could have put it there to be taken for the server's
        # (CVE-2011-0411).
        raise StartTlsError("the server sent plain text after it had agreed to start TLS")


def _shown(line: bytes) -> str:
    return ascii(line.strip().decode("ascii", "replace")[:80])
