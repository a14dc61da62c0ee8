"""Who a client is to a server that pins it: a SPIFFE ID, a whole trust domain, or a DNS name.

1. One identity has one text. Text that is not plainly an identity is an error, never a client that
   nobody is.
2. A SPIFFE ID follows the SPIFFE-ID specification, sections 2.1 to 2.3: trust domain in lower case,
   no port, user, query or fragment. Of a path it takes what SPIFFE's own libraries take: segments
   that are not empty, "." or "..", of letters, digits, ".", "-" and "_".
3. A DNS name is a `canonical_host`, exact: no wildcard, no IP address.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.errors import HostNameError
from holdfast.pins.host_pattern import canonical_host, is_ip_literal
from holdfast.pins.pin import quoted

SCHEME = "spiffe://"
_DOMAIN_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789.-_"
_SEGMENT_CHARACTERS = _DOMAIN_CHARACTERS + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MAX_DOMAIN = 255  # SPIFFE-ID section 2.3, as the next
_MAX_ID = 2048


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """One entry of `clients`, or one name of a client's certificate, in its only form.

    Raises:
        HostNameError: The text is neither a SPIFFE ID, nor a trust domain, nor a DNS name.
    """

    text: str

    def __post_init__(self) -> None:
        """Make a DNS name canonical: in another form it would be nobody's, without a word."""
        text = _canonical(self.text)
        if text != self.text:
            object.__setattr__(self, "text", text)

    def __str__(self) -> str:
        """Return the canonical text."""
        return self.text

    @property
    def trust_domain(self) -> ClientIdentity | None:
        """The trust domain of a SPIFFE ID, itself for a trust domain; None for a DNS name."""
        if not self.text.startswith(SCHEME):
            return None
        domain, slash, _ = self.text[len(SCHEME) :].partition("/")
        return ClientIdentity(SCHEME + domain) if slash else self

    @property
    def is_trust_domain(self) -> bool:
        """Whether it is a trust domain, and so covers every SPIFFE ID in it."""
        return self.trust_domain is self

    def covers(self, other: ClientIdentity) -> bool:
        """Tell whether an entry of `clients` is about a client of this identity."""
        return self == other or (self.is_trust_domain and self == other.trust_domain)


def _canonical(text: str) -> str:
    if "://" in text:
        _check_spiffe_id(text)
        return text
    try:
        host = canonical_host(text)
    except HostNameError as error:
        fix = "write spiffe://trust-domain/path, or a DNS name"
        if "*" in text:
            fix = "list each client by itself, or a whole trust domain as spiffe://trust-domain"
        raise _refused(text, f"{fix} ({error.hint})" if error.hint else fix) from None
    if is_ip_literal(host):
        raise _refused(text, "an address is nobody's name: write a SPIFFE ID or a DNS name")
    return host


def _check_spiffe_id(text: str) -> None:
    if not text.startswith(SCHEME):
        raise _refused(text, "of URIs, only SPIFFE IDs name clients: spiffe://trust-domain/path")
    if len(text) > _MAX_ID:
        raise _refused(text, f"a SPIFFE ID has at most {_MAX_ID} characters")
    domain, slash, path = text[len(SCHEME) :].partition("/")
    # strip() leaves the empty string exactly when every character is allowed.
    if not domain or domain.strip(_DOMAIN_CHARACTERS) or len(domain) > _MAX_DOMAIN:
        fix = "a trust domain has lower-case letters, digits, dots, hyphens and underscores"
        raise _refused(text, f"{fix}; no port, no user, no query")
    if not slash:
        return
    for segment in path.split("/"):
        if segment in ("", ".", "..") or segment.strip(_SEGMENT_CHARACTERS):
            fix = "between its slashes, a path has letters, digits, dots, hyphens and underscores"
            raise _refused(text, f"{fix}; no empty part, no . or .., no slash at the end")


def _refused(text: str, fix: str) -> HostNameError:
    return HostNameError(f"{quoted(text)} is not a client", hint=fix)
