"""The pinned leaf with one wrong length, which parsers read differently.

    leaf (pinned key, its validity one byte too long) <-x- Honest issuing CA <- Honest root

A client that does not pin, but verifies, cannot read the certificate and refuses: nobody is fooled
whose TLS library reads strictly. This is the control for checks that read the certificate a second
time, with another parser, which may find a key in it that the TLS library did not see.

A pinning client must refuse whatever one of its parsers cannot read.
"""

from __future__ import annotations

from holdfast.lab.attack import AttackClass
from holdfast.lab.issuance import der
from holdfast.lab.server import LabServer, ServerStream
from holdfast.lab.server_flight import flight_without_key, read_client_random
from holdfast.lab.stage import Stage

ATTACK_CLASS = AttackClass.TRANSPORT
FOOLS_PLAIN = False
STANDS_FOR = ("CVE-2026-87866",)

# A Validity of two UTCTimes (RFC 5280 section 4.1.2.5): 30 bytes, the first of them a time.
_VALIDITY, _ONE_TOO_LONG = b"\x30\x1e\x17\x0d", b"\x30\x1f\x17\x0d"


def rogue(stage: Stage) -> LabServer:
    """Send the honest chain with a leaf that is broken in one byte."""
    leaf, *rest = (der(certificate) for certificate in stage.server.chain)
    chain = [leaf.replace(_VALIDITY, _ONE_TOO_LONG, 1), *rest]

    async def send(stream: ServerStream) -> None:
        await stream.write(flight_without_key(chain, await read_client_random(stream)))
        while await stream.read():
            pass

    return LabServer(stage.rogue.issue(stage.host), starttls=send)
