"""An endpoint: protocol, host and port, as in a policy's `endpoints` and on the command line."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.errors import HostNameError
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.pin import quoted

# The schemes a probe can speak, and their usual ports. smtp, imap, pop3 and ftp start in plain text
# (STARTTLS).
DEFAULT_PORTS = {"https": 443, "smtp": 25, "imap": 143, "pop3": 110, "ftp": 21}
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect, and what to speak before TLS begins."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Return the endpoint as a URL without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @classmethod
    def parse(cls, text: str, *, default_scheme: str = "https") -> Endpoint:
        """Read `[SCHEME://]HOST[:PORT]`; an IPv6 address stands in brackets when a port follows.

        The case of the scheme does not matter (RFC 3986 section 3.1).

        Raises:
            HostNameError: The scheme is unknown, the port is none, or the host is none; or there is
                user information.
        """
        if "@" in text:
            # What stands before it may be a password, which belongs in no log.
            raise HostNameError(
                "an endpoint has no user information (the text is not repeated here)",
                hint="leave out the @ and what stands before it",
            )
        scheme, separator, rest = text.partition("://")
        if not separator:
            scheme, rest = default_scheme, text
        scheme = scheme.lower()
        if scheme not in DEFAULT_PORTS:
            raise HostNameError(
                f"{quoted(text)} is not an endpoint",
                hint=f"the scheme is one of {', '.join(DEFAULT_PORTS)}",
            )
        host, port = _split_port(rest.removesuffix("/"))
        if port is None:
            return cls(scheme, canonical_host(host), DEFAULT_PORTS[scheme])
        if not (
            port.isascii()
            and port.isdigit()
            and len(port) <= len(str(_MAX_PORT))
            and 0 < int(port) <= _MAX_PORT
        ):
            raise HostNameError(
                f"{quoted(text)} is not an endpoint",
                hint=f"a port is a number from 1 to {_MAX_PORT}",
            )
        return cls(scheme, canonical_host(host), int(port))


def _split_port(text: str) -> tuple[str, str | None]:
    """Split a port off, leaving a bare IPv6 address alone."""
    if text.startswith("["):
        host, bracket, port = text.partition("]:")
        return (f"{host}]", port) if bracket else (text, None)
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, None
