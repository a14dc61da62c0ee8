"""One look at one endpoint: connect, STARTTLS where the scheme asks for it, handshake, path.

1. One deadline covers the name's resolution, every address tried, the STARTTLS dialogue and the
   handshake.
2. No application data is sent and nothing received is interpreted; a server that sends more than a
   handshake can need is given up.
3. A `VerifiedChain` comes only from a handshake in which OpenSSL verified the path and the name. A
   chain that did not verify is a `PresentedChain`, to be shown to people.

TLS runs over memory BIOs on a non-blocking socket, so that thousands of probes share one thread and
one loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto

from holdfast.certificates.spki import chain_certificate
from holdfast.cli.resolve import resolve
from holdfast.cli.starttls import start_tls
from holdfast.enforcement.verified_path import presented_chain, verified_path
from holdfast.errors import CertificateError, TrustStoreError
from holdfast.pins.chain import PresentedChain, ProvenLeaf, VerifiedChain
from holdfast.pins.endpoint import Endpoint

_CHUNK = 32 * 1024
# Bytes. OpenSSL takes certificates of 100 KiB (SSL_CTX_set_max_cert_list); the rest of a handshake
# is small.
_LARGEST_HANDSHAKE = 512 * 1024


class Failure(Enum):
    """Why a probe came back without a path."""

    UNREACHABLE = auto()
    """There was no TLS handshake to judge: no name, no connection, no TLS, no time left."""
    UNTRUSTED = auto()
    """The presented chain did not verify for this name and time."""
    UNREADABLE = auto()
    """The path verified, but a certificate on it is not strict DER."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What one probe saw: a path, or why there is none."""

    endpoint: Endpoint
    time: datetime
    address: str | None = None
    chain: VerifiedChain | ProvenLeaf | None = None
    presented: PresentedChain | None = None
    failure: Failure | None = None
    reason: str = ""
    verify_code: int | None = None
    """OpenSSL's number for the reason, where the chain did not verify."""


def verifying_context(anchors: Iterable[bytes], *, with_platform_store: bool) -> ssl.SSLContext:
    """Return a client's context that verifies the path and the name.

    It is as strict as the running Python's default. Partial chains stay off: with them, any
    certificate of the store is an anchor, an intermediate too.

    Args:
        anchors: Trusted certificates, DER.
        with_platform_store: Trust the machine's own store too.

    Raises:
        TrustStoreError: OpenSSL cannot read an anchor.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    if with_platform_store:
        context.load_default_certs()
    for position, anchor in enumerate(anchors):
        try:
            context.load_verify_locations(cadata=anchor)
        except ssl.SSLError:
            raise TrustStoreError(
                f"OpenSSL cannot read trust anchor {position} (counted from 0)",
                hint="remove it from the anchors, or have it issued again",
            ) from None
    return context


def unverified_context() -> ssl.SSLContext:
    """Return a context for pins-only hosts: the handshake proves the leaf's key, and only that."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def probe(
    endpoint: Endpoint, context: ssl.SSLContext, *, timeout: float, address: str | None = None
) -> Probed:
    """Look at an endpoint once. What goes wrong is part of the answer.

    Args:
        endpoint: Where to connect, and what to speak before TLS.
        context: What to verify; of `verifying_context` or `unverified_context`.
        timeout: Seconds for everything.
        address: The IP address to connect to, instead of those that the name resolves to.
    """
    time = datetime.now(UTC)
    sock: socket.socket | None = None
    try:
        async with asyncio.timeout(timeout):
            sock = await _connect(endpoint, address, timeout)
            with sock:
                await start_tls(sock, endpoint.scheme)
                return await _shake_hands(sock, endpoint, context, time)
    except TimeoutError:
        reason = f"no answer within {timeout:g} s"
    except OSError as error:
        reason = in_plain_words(error)
    return Probed(
        endpoint=endpoint, time=time, failure=Failure.UNREACHABLE, reason=reason, address=address
    )


async def _connect(endpoint: Endpoint, address: str | None, timeout: float) -> socket.socket:
    """Connect to the first address that answers; each has its share of the time."""
    loop = asyncio.get_running_loop()
    addresses = (address,) if address else (await resolve(endpoint, timeout)).addresses
    failed = OSError(f"{endpoint.host} has no address")
    for candidate in addresses:
        family = socket.AF_INET6 if ":" in candidate else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(0)
        try:
            async with asyncio.timeout(timeout / len(addresses)):
                await loop.sock_connect(sock, (candidate, endpoint.port))
        except OSError as error:  # TimeoutError is one
            sock.close()
            failed = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed


async def _shake_hands(
    sock: socket.socket, endpoint: Endpoint, context: ssl.SSLContext, time: datetime
) -> Probed:
    address = str(sock.getpeername()[0])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=endpoint.host)
    try:
        await _drive(sock, tls, incoming, outgoing)
    except ssl.SSLCertVerificationError as error:
        # After a failed verification OpenSSL gives here what was presented.
        return Probed(
            endpoint=endpoint,
            time=time,
            address=address,
            presented=_presented(verified_path(tls)),
            failure=Failure.UNTRUSTED,
            reason=error.verify_message.rstrip("."),
            verify_code=error.verify_code,
        )
    presented = _presented(presented_chain(tls))
    try:
        chain = _proven(tls) if context.verify_mode is ssl.CERT_NONE else _verified(tls)
    except (CertificateError, ValueError) as error:
        return Probed(
            endpoint=endpoint,
            time=time,
            address=address,
            presented=presented,
            failure=Failure.UNREADABLE,
            reason=str(error),
        )
    return Probed(endpoint=endpoint, time=time, address=address, chain=chain, presented=presented)


async def _drive(
    sock: socket.socket, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
) -> None:
    """Do the handshake, and say good-bye; a refusal reaches the server as an alert."""
    loop = asyncio.get_running_loop()
    budget = _LARGEST_HANDSHAKE
    try:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await loop.sock_sendall(sock, outgoing.read())
                data = await loop.sock_recv(sock, _CHUNK)
                budget -= len(data)
                if budget < 0:
                    raise OSError("no TLS handshake: the server does not come to its end") from None
                if data:
                    incoming.write(data)
                else:
                    incoming.write_eof()
        with contextlib.suppress(ssl.SSLError):  # the server's own good-bye is not waited for
            tls.unwrap()
    finally:
        with contextlib.suppress(OSError):
            await loop.sock_sendall(sock, outgoing.read())


def _verified(tls: ssl.SSLObject) -> VerifiedChain:
    return VerifiedChain(tuple(map(chain_certificate, verified_path(tls))))


def _proven(tls: ssl.SSLObject) -> ProvenLeaf:
    leaf = tls.getpeercert(binary_form=True)
    if leaf is None:
        raise CertificateError("the server showed no certificate")
    return ProvenLeaf(chain_certificate(leaf))


def _presented(certificates: tuple[bytes, ...]) -> PresentedChain | None:
    """Return what the server sent, as far as it can be read."""
    readable = []
    for der in certificates:
        with contextlib.suppress(CertificateError):
            readable.append(chain_certificate(der))
    return PresentedChain(tuple(readable)) if readable else None


def in_plain_words(error: OSError) -> str:
    """Say what went wrong without numbers and C source lines."""
    if isinstance(error, ssl.SSLError):
        return f"no TLS handshake: {(error.reason or 'it failed').replace('_', ' ').lower()}"
    # asyncio replaces the text of connection errors; the resolver's numbers are no errno.
    is_resolver = isinstance(error, socket.gaierror)
    text = os.strerror(error.errno) if error.errno and not is_resolver else error.strerror
    text = text or str(error)
    return text[:1].lower() + text[1:]
