"""The part of AWS KMS that signing takes, over HTTP on loopback, with a real key.

As its documentation says: `GetPublicKey` returns DER, `Sign` with `MessageType` DIGEST signs the
digest as it is. (moto hashes it once more: its signatures of digests do not verify.)
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
_ALGORITHM = "ECDSA_SHA_256"


class _Handler(BaseHTTPRequestHandler):
    """Answers the two requests for the one key."""

    key = ec.generate_private_key(ec.SECP256R1())

    def do_POST(self) -> None:
        """Answer one request."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"]
        if asked["KeyId"] != KEY:
            self._answer(400, {"__type": "NotFoundException", "message": "no such key"})
        elif operation == "TrentService.GetPublicKey":
            public = self.key.public_key().public_bytes(
                Encoding.DER, PublicFormat.SubjectPublicKeyInfo
            )
            self._answer(
                200,
                {
                    "PublicKey": base64.b64encode(public).decode(),
                    "SigningAlgorithms": [_ALGORITHM],
                },
            )
        elif asked["MessageType"] == "DIGEST" and asked["SigningAlgorithm"] == _ALGORITHM:
            digest = base64.b64decode(asked["Message"])
            signature = self.key.sign(digest, ec.ECDSA(Prehashed(SHA256())))
            self._answer(200, {"Signature": base64.b64encode(signature).decode()})
        else:
            self._answer(400, {"__type": "ValidationException", "message": operation})

    def _answer(self, status: int, table: dict[str, object]) -> None:
        content = json.dumps(table).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name there
        """Say nothing."""


@contextmanager
def key_service() -> Iterator[str]:
    """Run it, and yield its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
