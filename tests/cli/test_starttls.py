import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast.cli.starttls import StartTlsError, start_tls

AGREES = {
    "smtp": [b"220-hello\r\n220 there\r\n", b"250-lab\r\n250 STARTTLS\r\n", b"220 go\r\n"],
    "imap": [b"* OK ready\r\n", b"* CAPABILITY X\r\na ok begin\r\n"],
    "pop3": [b"+OK ready\r\n", b"+OK begin\r\n"],
    "ftp": [b"220-hello\r\n220 ready\r\n", b"234 begin\r\n"],
}
COMMANDS = {
    "smtp": [b"EHLO localhost\r\n", b"STARTTLS\r\n"],
    "imap": [b"a STARTTLS\r\n"],
    "pop3": [b"STLS\r\n"],
    "ftp": [b"AUTH TLS\r\n"],
}


def _talk(scheme: str, answers: list[bytes]) -> list[bytes]:
    """Run the dialogue against scripted answers; return what the server received."""
    client, server = socket.socketpair()
    received = []

    def serve() -> None:
        with server:
            for answer in answers[:-1]:
                server.sendall(answer)
                received.append(server.recv(1000))
            server.sendall(answers[-1])

    client.settimeout(0)
    with client, ThreadPoolExecutor(1) as thread:
        serving = thread.submit(serve)
        try:
            asyncio.run(start_tls(client, scheme))
        finally:
            client.close()
            serving.result(10)
    return received


@pytest.mark.parametrize("scheme", AGREES)
def test_dialogue_leads_to_tls(scheme: str) -> None:
    """Each protocol's command is sent after its greeting; several lines may be one answer."""
    assert COMMANDS[scheme] == _talk(scheme, AGREES[scheme])


def test_https_begins_at_once() -> None:
    """Where TLS comes first nothing is said in the clear."""
    client, server = socket.socketpair()
    client.settimeout(0)
    with client, server:
        asyncio.run(start_tls(client, "https"))
        client.close()
        assert b"" == server.recv(1000)


@pytest.mark.parametrize("scheme", AGREES)
def test_refusal_ends_the_dialogue(scheme: str) -> None:
    """A server that does not offer TLS is told apart, with its answer escaped."""
    refusal = {"imap": b"a NO \x1b[2J\r\n"}.get(scheme, b"502 \x1b[2J\r\n")

    with pytest.raises(StartTlsError, match=r"does not start TLS: '.*\\x1b\[2J'"):
        _talk(scheme, [*AGREES[scheme][:-1], refusal])


@pytest.mark.parametrize("scheme", AGREES)
def test_text_behind_the_agreement_is_refused(scheme: str) -> None:
    """Plain text sent along with the agreement is an injection (CVE-2011-0411), not TLS."""
    *rest, last = AGREES[scheme]

    with pytest.raises(StartTlsError, match="sent plain text after it had agreed"):
        _talk(scheme, [*rest, last + b"250 injected\r\n"])


@pytest.mark.parametrize("greeting", [b"", b"220", b"220-" + b"x" * 70_000])
def test_end_and_flood_are_bounded(greeting: bytes) -> None:
    """A server that hangs up, or talks without end, does not hold the dialogue up."""
    with pytest.raises(OSError, match=r"ended the smtp dialogue|reset|Broken pipe"):
        _talk("smtp", [greeting])
