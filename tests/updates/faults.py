"""What an origin may do to a file instead of serving it."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

from tests.updates.origin import Answer, Origin, send, sending
from tests.updates.signed_repository import FILES, SignedRepository

__all__ = ["FAULTS", "STAGES", "drip", "path_of"]


def drip(origin: Origin) -> Answer:
    """Send a body piece by piece, and never its last one."""
    return origin.drip(b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")


def _endless(origin: Origin) -> Answer:
    return origin.drip(bytes(65536), b"HTTP/1.1 200 OK\r\n\r\n", pause=0)


def _zip(_origin: Origin) -> Answer:
    return sending(gzip.compress(bytes(10_000_000)), content_encoding="gzip")


def _redirect(origin: Origin) -> Answer:
    return sending(b"", status=302, location=f"{origin.url}/elsewhere")


def _truncate(origin: Origin) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        content = origin.files[request.path.removeprefix("/repository/")]
        send(request, content[: len(content) // 2], content_length=str(len(content)))

    return answer


def _nested(_origin: Origin) -> Answer:
    return sending(b'{"signed":' * 3000)


FAULTS: dict[str, Callable[[Origin], Answer]] = {
    "drip": drip,
    "endless": _endless,
    "gzip bomb": _zip,
    "redirect": _redirect,
    "truncation": _truncate,
    "nested JSON": _nested,
}

# Of an update after a first one, to roots, snapshots and pins whose versions are one higher.
STAGES = ("root", "timestamp", "snapshot", "pins", "target")


def path_of(repository: SignedRepository, stage: str) -> str:
    """Return where the newest file of a stage is."""
    if stage == "timestamp":
        return "metadata/timestamp.json"
    if stage != "target":
        return f"metadata/{repository.signed(stage).version}.{stage}.json"
    info = repository.signed("pins").targets[FILES["pins"]]
    return f"targets/pins/{info.hashes['sha256']}.bundle.json"
