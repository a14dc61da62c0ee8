"""Host names in one canonical form, and the patterns that cover them.

1. One canonical name drives SNI, the certificate's name check and the pin look-up (case, trailing
dot, IDNA, IP).
2. A name that is not plainly a name is refused, never "not pinned" (CVE-2015-0832: a trailing dot
escaped pins).
3. Folding never turns a character outside ASCII into one inside it: the Kelvin sign is not `k`.
4. Nothing here uses a regular expression; the work is linear in the length of the name.

Patterns: `h` is h exactly; `*.h` one label below h; `**.h` h itself and any depth below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from holdfast.errors import HostNameError
from holdfast.pins.pin import quoted

_LABEL_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789-_"
_NAME_CHARACTERS = _LABEL_CHARACTERS + "."
_DIGITS = "0123456789"
_MAX_NAME = 253  # RFC 1035 section 2.3.4, without the trailing dot
_MAX_LABEL = 63
# No pattern has such a label, so that only wildcards cover a name with it.
_ANY_LABEL = "*."


def canonical_host(text: str) -> str:
    """Return the one form of a host name or IP literal that Holdfast works with.

    ASCII letters are folded, one trailing dot is dropped, U-labels become A-labels (IDNA 2008), and
    an IP literal (brackets allowed) takes its canonical text, an IPv4-mapped IPv6 address that of
    the IPv4 address it reaches.

    Raises:
        HostNameError: The text is no host name: empty, with white space, control or percent
            characters, a port, a scheme, user information, an empty or overlong label, or a number
            that some resolver takes for an address.
    """
    name = text.lower() if text.isascii() else _to_a_labels(text)
    if ":" in name or name.startswith("["):
        return _canonical_ipv6(name, text)
    name = name.removesuffix(".")
    # strip() leaves the empty string exactly when every character is allowed.
    if not name or name.strip(_NAME_CHARACTERS):
        raise HostNameError(f"{quoted(text)} is not a host name", hint=_name_fix(text))
    # Every connection asks this, and most names are shorter than a label may be.
    is_overlong = len(name) > _MAX_LABEL and _is_overlong(name)
    if is_overlong or ".." in name or name[0] == "." or name[-1] == ".":
        raise HostNameError(
            f"{quoted(text)} is not a host name",
            hint=f"labels have 1 to {_MAX_LABEL} characters, the whole name at most {_MAX_NAME}",
        )
    last = name[name.rfind(".") + 1 :]
    return _canonical_ipv4(name, text) if last[0] in _DIGITS and _looks_numeric(last) else name


def is_ip_literal(host: str) -> bool:
    """Tell whether a canonical host is an IP address."""
    return ":" in host or not host[host.rfind(".") + 1 :].strip(_DIGITS)


class Reach(IntEnum):
    """How far below its host a pattern reaches; a smaller one is more specific."""

    EXACT = 0
    ONE_LABEL = 1
    ANY_DEPTH = 2


_PREFIXES = {Reach.EXACT: "", Reach.ONE_LABEL: "*.", Reach.ANY_DEPTH: "**."}


@dataclass(frozen=True, slots=True)
class HostPattern:
    """A canonical host and how far below it the pattern reaches."""

    host: str
    reach: Reach

    def __post_init__(self) -> None:
        """Make the host canonical: in another form it would cover nothing, without a word."""
        host = canonical_host(self.host)
        if host != self.host:
            object.__setattr__(self, "host", host)
        if self.reach is not Reach.EXACT and is_ip_literal(self.host):
            raise HostNameError(
                f"{quoted(str(self))} is not a host pattern", hint="list each IP address by itself"
            )

    def __str__(self) -> str:
        """Return the pattern's canonical text."""
        return _PREFIXES[self.reach] + self.host

    @classmethod
    def parse(cls, text: str) -> HostPattern:
        """Read a pattern.

        Raises:
            HostNameError: A wildcard stands anywhere but as the whole first label, or covers IP
                addresses or everything, or the rest is no host name.
        """
        if "*" not in text:
            return cls(text, Reach.EXACT)
        if text.startswith("**."):
            reach, rest = Reach.ANY_DEPTH, text[3:]
        elif text.startswith("*."):
            reach, rest = Reach.ONE_LABEL, text[2:]
        else:
            reach, rest = Reach.EXACT, text
        if "*" in rest:
            raise HostNameError(f"{quoted(text)} is not a host pattern", hint=_wildcard_fix(rest))
        return cls(rest, reach)

    def covers(self, host: str) -> bool:
        """Tell whether the pattern covers a canonical host."""
        if self.reach is Reach.EXACT:
            return host == self.host
        if self.reach is Reach.ONE_LABEL:
            return host.partition(".")[2] == self.host
        return host == self.host or host.endswith("." + self.host)

    @property
    def specificity(self) -> tuple[bool, int, bool]:
        """Return a key that sorts more specific patterns first.

        Exact ones, then those with a longer suffix, then `*.` before `**.`.
        """
        return self.reach is not Reach.EXACT, -self.host.count("."), self.reach is Reach.ANY_DEPTH


def representatives(pattern: HostPattern) -> tuple[str, ...]:
    """Return a name for each kind of name that a pattern covers.

    Each name that the pattern covers and that no more specific pattern tells from the others is
    covered by the same patterns as one of these. Stand-in labels are `*`.
    """
    host = pattern.host
    if pattern.reach is Reach.EXACT:
        return (host,)
    if pattern.reach is Reach.ONE_LABEL:
        return (_ANY_LABEL + host,)
    return (host, _ANY_LABEL + host, _ANY_LABEL * 2 + host)


def _to_a_labels(text: str) -> str:
    """Turn the labels of a name outside ASCII into A-labels."""
    import idna  # only names outside ASCII need it

    if len(text) > _MAX_NAME:  # an A-label is longer than its U-label, so this cannot become a name
        raise HostNameError(
            f"{quoted(text)} is not a host name", hint=f"a name has at most {_MAX_NAME} characters"
        )
    folded = []
    for character in text:
        lowered = character.lower()
        if not character.isascii() and any(part.isascii() for part in lowered):
            raise HostNameError(
                f"{quoted(text)} is not a host name",
                hint="it holds a look-alike of an ASCII letter",
            )
        folded.append(lowered)
    try:
        return ".".join(
            label if label.isascii() else idna.alabel(label).decode("ascii")
            for label in "".join(folded).split(".")
        )
    except idna.IDNAError:
        raise HostNameError(
            f"{quoted(text)} is not a host name",
            hint="write its xn-- form; IDNA 2008 does not allow this one",
        ) from None


def _canonical_ipv6(name: str, text: str) -> str:
    """Return the canonical text of an IPv6 literal, with or without brackets."""
    import ipaddress  # a third of this module's import time, and most hosts are names

    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        address = ipaddress.IPv6Address(bare)
    except ValueError:
        raise HostNameError(f"{quoted(text)} is not a host name", hint=_name_fix(text)) from None
    if address.scope_id is not None:
        raise HostNameError(
            f"{quoted(text)} is not a host name",
            hint="a certificate cannot name a zone; leave it out",
        )
    mapped = address.ipv4_mapped
    return str(mapped) if mapped is not None else address.compressed


def _canonical_ipv4(name: str, text: str) -> str:
    """Return a dotted quad; other numbers are refused, since resolvers read 127.1 as one too."""
    import ipaddress

    try:
        return str(ipaddress.IPv4Address(name))
    except ValueError:
        raise HostNameError(
            f"{quoted(text)} is not a host name",
            hint="write an IPv4 address as four decimal numbers",
        ) from None


def _is_overlong(name: str) -> bool:
    """Tell whether a name or one of its labels is longer than the DNS allows."""
    return len(name) > _MAX_NAME or max(map(len, name.split("."))) > _MAX_LABEL


def _looks_numeric(label: str) -> bool:
    """Tell whether a resolver may take a name with this last label for an IPv4 address."""
    return not label.strip(_DIGITS) or (
        label.startswith("0x") and not label[2:].strip(_DIGITS + "abcdef")
    )


def _name_fix(text: str) -> str:
    """Say why a text is no host name."""
    if not text:
        return "it is empty"
    if any(character.isspace() for character in text):
        return "remove the white space"
    if "://" in text:
        return "write only the host, without the scheme"
    if "@" in text:
        return "write only the host, without user information"
    if text.count(":") == 1:
        return "write only the host, without the port: a pin set covers every port"
    if "/" in text:
        return "write only the host, without a path"
    return "a host name has letters, digits, hyphens and dots"


def _wildcard_fix(rest: str) -> str:
    """Say why a pattern with another wildcard is refused."""
    if rest == "*":
        return "for hosts that no pattern covers, set `unlisted`"
    return (
        "a wildcard is the whole first label: "
        "*.example.com (one label) or **.example.com (any depth, and itself)"
    )
