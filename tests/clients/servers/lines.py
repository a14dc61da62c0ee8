"""Protocols of lines that begin in the clear: IMAP (RFC 9051), POP3 (RFC 2595), FTP (RFC 4217)."""

from holdfast.lab.server import Dialogue, ServerStream


async def imap(stream: ServerStream) -> None:
    """Understand what needs no mailbox."""
    await stream.write(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n")
    while line := await stream.read_line():
        tag, command = line.decode("ascii").upper().split()[:2]
        if command == "CAPABILITY":
            await stream.write(b"* CAPABILITY IMAP4REV1 STARTTLS\r\n")
        await stream.write(f"{tag} OK done\r\n".encode())
        if command == "STARTTLS":
            await stream.start_tls()
        if command == "LOGOUT":
            return


async def pop3(stream: ServerStream) -> None:
    """Understand what needs no mailbox."""
    await stream.write(b"+OK ready\r\n")
    while line := await stream.read_line():
        command = line.strip().upper()
        await stream.write(b"+OK\r\nSTLS\r\n.\r\n" if command == b"CAPA" else b"+OK done\r\n")
        if command == b"STLS":
            await stream.start_tls()
        if command == b"QUIT":
            return


_FTP = {
    b"AUTH": b"234 go on",
    b"PASS": b"230 welcome",
    b"USER": b"331 and the password?",
    b"PWD": b'257 "/"',
    b"QUIT": b"221 bye",
}


async def ftp(stream: ServerStream) -> None:
    """Understand what needs no files."""
    await stream.write(b"220 ready\r\n")
    while line := await stream.read_line():
        command = line.split()[0].upper()
        await stream.write(_FTP.get(command, b"200 done") + b"\r\n")
        if command == b"AUTH":
            await stream.start_tls()
        if command == b"QUIT":
            return


def without_tls(greeting: bytes, refusal: bytes, answer: bytes) -> Dialogue:
    """Refuse what begins TLS in any of these protocols, and answer all else as done.

    Args:
        greeting: The first line.
        refusal: The answer to STARTTLS, STLS and AUTH; `TAG` stands for that of IMAP.
        answer: The answer to everything else.
    """

    async def talk(stream: ServerStream) -> None:
        await stream.write(greeting + b"\r\n")
        while line := await stream.read_line():
            words = line.upper().split()
            if words[:1] == [b"QUIT"]:
                return
            refused = {b"STARTTLS", b"STLS", b"AUTH"} & set(words[:2])
            said = (refusal if refused else answer).replace(b"TAG", line.split()[0])
            await stream.write(said + b"\r\n")

    return talk


smtp_without_tls = without_tls(b"220 ready", b"502 not here", b"250 done")
imap_without_tls = without_tls(
    b"* OK ready", b"TAG BAD not here", b"* CAPABILITY IMAP4REV1\r\nTAG OK done"
)
pop3_without_tls = without_tls(b"+OK ready", b"-ERR not here", b"+OK done\r\n.")
ftp_without_tls = without_tls(b"220 ready", b"502 not here", b"230 welcome")
