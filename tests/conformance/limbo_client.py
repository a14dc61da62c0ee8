"""Shows the chains of x509-limbo to Python's own TLS client and to Holdfast's, and notes what came.

A script for a fresh interpreter under libfaketime: `test_limbo.py` starts it and judges what it
notes. It reads a list of cases and writes a line of JSON for each, so that after a hang it is known
which case it was.

A chain is shown in up to three ways. Where the leaf's key is known and a TLS server can use it,
there are handshakes with Python's own server, TLS 1.3 and 1.2. Every chain is also sent as a TLS
1.2 flight written by hand, which needs no key since it ends after the Certificate message: a client
that asks for more, with a verified path at hand, has taken the chain.
"""

from __future__ import annotations

import json
import os
import resource
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Violation

_CPU_SECONDS = 20  # for one case; the slowest takes about one
_ROUNDS = 5  # of a handshake; TLS 1.2 needs two
_VERSIONS = {"TLS 1.3": ssl.TLSVersion.TLSv1_3, "TLS 1.2": ssl.TLSVersion.TLSv1_2}
_ECDHE_ECDSA_AES128_GCM, _ECDHE_RSA_AES128_GCM = b"\xc0\x2b", b"\xc0\x2f"
_RSA_KEY = bytes.fromhex("06092a864886f70d010101")  # rsaEncryption (RFC 3279), in any certificate
_EMPTY_RENEGOTIATION_INFO = b"\xff\x01\x00\x01\x00"  # RFC 5746
_RECORD_LIMIT = 2**14
_ANCHORS = "anchors.pem"

Answer = dict[str, Any]
Show = Callable[[ssl.SSLContext], Answer]


class _CannotServeError(Exception):
    """The server does not manage to show this chain, so nothing is learned about the client."""


class _Silence:
    def report(self, violation: Violation) -> None:
        """Drop it: the error that is raised says the same."""


def main() -> None:
    """Answer the cases of a file."""
    cases, answers = map(Path, sys.argv[1:])
    with answers.open("w") as lines:
        for case in json.loads(cases.read_text()):
            used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
            _, hard = resource.getrlimit(resource.RLIMIT_CPU)
            resource.setrlimit(resource.RLIMIT_CPU, (int(used) + _CPU_SECONDS, hard))
            lines.write(json.dumps({"id": case["id"], **_ask(case)}) + "\n")
            lines.flush()


def _ask(case: dict[str, Any]) -> Answer:
    """Show a case in every way that there is for it."""
    Path(os.environ["FAKETIME_TIMESTAMP_FILE"]).write_text(case["time"])
    presented = tuple(map(bytes.fromhex, case["presented"]))
    anchors = map(bytes.fromhex, case["anchors"])
    Path(_ANCHORS).write_text("".join(map(ssl.DER_cert_to_PEM_cert, anchors)))
    flight = partial(_show_flight, presented, case["host"])
    ways = {"flight": _ask_clients(flight, flight(_stock_context()), case)}
    for way, version in _VERSIONS.items() if case["key"] else ():
        try:
            serving = _serving_context(presented, case["key"], version)
            show = partial(_show_for_real, serving, case["host"])
            stock = show(_stock_context())
        except _CannotServeError as error:
            ways[way] = {"impossible": str(error)}
        else:  # a server that fails from here on fails the whole script
            ways[way] = _ask_clients(show, stock, case)
    clock = [int(time.time()), datetime.now(UTC).isoformat(timespec="seconds")]
    return {"clock": clock, "ways": ways}


def _ask_clients(show: Show, stock: Answer, case: dict[str, Any]) -> Answer:
    """Ask Holdfast's client what Python's has answered: without pins, and with every and each."""
    every = _policy(case["host"], **case["every_pin"])
    noted: Answer = {
        "stock": stock,
        "without pins": show(_pinned_context(Policy(unlisted=Unlisted.ALLOW))),
        "with every pin": show(_pinned_context(every)),
    }
    if stock["accepted"]:
        noted["with one pin"] = [
            show(_pinned_context(_policy(case["host"], **{role: [pin]})))
            for role, pin in case["single_pins"]
        ]
    return noted


# --- The clients ----------------------------------------------------------------------------------


def _stock_context() -> ssl.SSLContext:
    """Return Python's own default, without the partial chains that Holdfast does not allow."""
    context = ssl.create_default_context(cafile=_ANCHORS)
    context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _pinned_context(policy: Policy) -> ssl.SSLContext:
    return PinningContext(policy, sink=_Silence(), public_anchors=_ANCHORS)


def _policy(host: str, *, leaf: Sequence[str] = (), ca: Sequence[str] = ()) -> Policy:
    """Return a policy that enforces these pins, and refuses every other host."""
    pin_set = PinSet(
        name="limbo",
        hosts=(HostPattern.parse(host),),
        mode=Mode.ENFORCE,
        leaf=tuple(map(Pin.parse, leaf)),
        ca=tuple(map(Pin.parse, ca)),
        single_pin=ACCEPT_LOCK_OUT,
    )
    return Policy(unlisted=Unlisted.REFUSE, pin_sets=(pin_set,))


# --- Showing a chain ------------------------------------------------------------------------------


def _show_flight(presented: tuple[bytes, ...], host: str, context: ssl.SSLContext) -> Answer:
    """Send ServerHello and Certificate (RFC 5246 section 7.4) and no more."""
    suite = _ECDHE_RSA_AES128_GCM if _RSA_KEY in presented[0] else _ECDHE_ECDSA_AES128_GCM
    no_session, no_compression = b"\x00", b"\x00"
    hello = b"\x03\x03" + os.urandom(32) + no_session + suite + no_compression
    hello += _vector(_EMPTY_RENEGOTIATION_INFO, 2)
    chain = b"".join(_vector(der, 3) for der in presented)
    messages = b"\x02" + _vector(hello, 3) + b"\x0b" + _vector(_vector(chain, 3), 3)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    def handshake() -> ssl.SSLObject | None:
        client = context.wrap_bio(incoming, outgoing, server_hostname=host)
        for data in (b"", messages):
            for start in range(0, len(data), _RECORD_LIMIT):
                incoming.write(b"\x16\x03\x03" + _vector(data[start : start + _RECORD_LIMIT], 2))
            try:
                client.do_handshake()
            except ssl.SSLWantReadError:
                continue
        return client

    return _answer(handshake)


def _serving_context(
    presented: tuple[bytes, ...], key: str, version: ssl.TLSVersion
) -> ssl.SSLContext:
    """Return the context of a server that shows whatever it is given."""
    Path("server.pem").write_text(key + "".join(map(ssl.DER_cert_to_PEM_cert, presented)))
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        context.load_cert_chain("server.pem")
    except ssl.SSLError as error:
        raise _CannotServeError(f"load: {error.reason}") from error
    return context


def _show_for_real(serving: ssl.SSLContext, host: str, context: ssl.SSLContext) -> Answer:
    """Do a handshake with Python's own server, which has the leaf's key."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(to_server, to_client, server_side=True)

    def handshake() -> ssl.SSLObject | None:
        client = context.wrap_bio(to_client, to_server, server_hostname=host)
        for _ in range(_ROUNDS):
            try:
                client.do_handshake()
            except ssl.SSLWantReadError:
                _serve(server)
            else:
                return client
        return None

    return _answer(handshake)


def _serve(server: ssl.SSLObject) -> None:
    try:
        server.do_handshake()
    except ssl.SSLWantReadError:
        pass
    except ssl.SSLError as error:
        raise _CannotServeError(f"handshake: {error.reason}") from error


def _answer(handshake: Callable[[], ssl.SSLObject | None]) -> Answer:
    """Note whether the client went on, along which path, or how it said no."""
    try:
        client: Any = handshake()
        links = client and client._sslobj.get_verified_chain()  # public from 3.13 on
        path = [link.public_bytes(ssl._ssl.ENCODING_DER) for link in links or ()]  # type: ignore[attr-defined]
    except PinViolationError as error:
        return {"accepted": False, "why": f"pins: {error.violation.verdict.outcome.value}"}
    except ssl.SSLCertVerificationError as error:
        return {"accepted": False, "why": f"untrusted: {error.verify_message}"}
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        return {"accepted": False, "why": f"{type(error).__name__}: {reason}"}
    if not path:
        return {"accepted": False, "why": "the client waits without having verified a path"}
    return {"accepted": True, "path": [sha256(der).hexdigest() for der in path]}


def _vector(data: bytes, length_bytes: int) -> bytes:
    return len(data).to_bytes(length_bytes) + data


if __name__ == "__main__":
    main()
