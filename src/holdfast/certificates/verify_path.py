"""Verify a presented chain without a handshake, for a name and a time (RFC 5280, RFC 9525).

The verifier is the one of `cryptography`. It answers with one path, and with little more than
"no" where there is none; what stands in the way is found by asking again with one thing changed.

1. Nothing here raises because of what a server sent: the answer is a path or a `PathFailure`.
2. Where a parser fails, or the verifier cannot take the question, the answer is "undecidable",
   never "untrusted".
3. A failure is put down to the clock, or to the name, only when that one change alone makes the
   chain verify.
"""

from __future__ import annotations

import ipaddress
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from holdfast.certificates.spki import chain_certificate
from holdfast.errors import CertificateError
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.host_pattern import is_ip_literal
from holdfast.pins.verdict import Observed, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.x509 import Certificate
    from cryptography.x509.verification import Store, Subject

# OpenSSL takes 100 KiB of certificates (SSL_CTX_set_max_cert_list), in practice fewer than these.
MAX_PRESENTED = 100
# How many other times, and how many other names, are tried on a chain that does not verify.
MAX_RETRIES = 8
_REASON_LIMIT = 200  # characters


@dataclass(frozen=True, slots=True)
class PathFailure:
    """Why there is no path: the outcome it leads to, and what was seen to stand in the way."""

    reason: str
    observed: Observed
    outcome: Literal[Outcome.UNTRUSTED, Outcome.UNDECIDABLE] = Outcome.UNTRUSTED


def verifier_name() -> str:
    """Return the name and version of what verifies here."""
    import cryptography

    return f"cryptography {cryptography.__version__}"


def verify_path(
    presented: tuple[bytes, ...], anchors: tuple[bytes, ...], host: str, now: datetime
) -> VerifiedChain | PathFailure:
    """Look for a path from the first certificate to an anchor.

    Args:
        presented: What the server sent, as DER, leaf first.
        anchors: The certificates to trust, as DER; each ends a path, also one that is no root.
        host: A canonical host name or IP literal.
        now: The time to verify for, with an offset.

    Returns:
        The path, leaf first and anchor last, or why there is none.
    """
    if not presented:
        return _undecidable("there is no certificate")
    if len(presented) > MAX_PRESENTED:
        return _undecidable(f"there are more than {MAX_PRESENTED} certificates")
    if not anchors:
        return _undecidable("there are no trust anchors")
    try:
        question = _Question.of(presented, anchors)
        path = question.ask(host, now)
        if isinstance(path, str):
            return _diagnose(question, host, now, path)
        return VerifiedChain(tuple(chain_certificate(question.ders[link]) for link in path))
    except CertificateError as error:  # our strict reader refuses what the verifier took
        return _undecidable(error.message)
    except _UndecidableError as error:
        return _undecidable(str(error))


def confirm_path(path: tuple[bytes, ...], host: str, now: datetime) -> VerifiedChain | None:
    """Verify one path as it stands, with nothing beside it that could be taken instead.

    No reason is looked for, so that each signature is checked once, as long as no two CAs of the
    path have the same name. The last certificate is the only anchor and must be a root: OpenSSL
    does not end a path elsewhere, unless partial chains are on.

    Args:
        path: DER, leaf first, anchor last; two certificates at least.
        host: A canonical host name or IP literal.
        now: The time to verify for, with an offset.

    Returns:
        The same path; None where it is not valid, or where that cannot be told.
    """
    if not path[1:]:
        return None
    try:
        question = _Question.of(path[:-1], path[-1:])
        found = question.ask(host, now)
        if isinstance(found, str) or [question.ders[link] for link in found] != list(path):
            return None
        if not _is_self_signed(question.anchors[0]):
            return None
        return VerifiedChain(tuple(map(chain_certificate, path)))
    except (CertificateError, _UndecidableError):
        return None


class _UndecidableError(Exception):
    """A parser failed, or the verifier cannot be asked."""


@dataclass(frozen=True, slots=True)
class _Question:
    """A chain and its anchors, parsed once, to be verified for several names and times."""

    leaf: Certificate
    others: list[Certificate]
    anchors: list[Certificate]
    store: Store
    ders: dict[Certificate, bytes]

    @classmethod
    def of(cls, presented: tuple[bytes, ...], anchors: tuple[bytes, ...]) -> _Question:
        """Parse the certificates."""
        from cryptography.x509 import load_der_x509_certificate
        from cryptography.x509.verification import Store

        ders: dict[Certificate, bytes] = {}
        chain: list[Certificate] = []
        trusted: list[Certificate] = []
        with warnings.catch_warnings():
            # They say that a later version will refuse what this one still reads.
            warnings.simplefilter("ignore")
            for what, found, kept in (
                ("certificate", presented, chain),
                ("trust anchor", anchors, trusted),
            ):
                for position, der in enumerate(found):
                    with _contained(f"{what} {position} cannot be parsed"):
                        kept.append(load_der_x509_certificate(der))
                        # `public_bytes` would encode again; pins are over the bytes that came.
                        ders[kept[-1]] = der
        return cls(chain[0], chain[1:], trusted, Store(trusted), ders)

    def ask(self, host: str, now: datetime) -> list[Certificate] | str:
        """Return the verified path, or what the verifier has to say against it."""
        from cryptography.x509.verification import PolicyBuilder, VerificationError

        with _contained("the verifier does not take this host or time"):
            builder = PolicyBuilder().store(self.store).time(now.astimezone(UTC))
            verifier = builder.build_server_verifier(_subject(host))
        with _contained("the verifier failed"):
            try:
                return verifier.verify(self.leaf, self.others)
            except VerificationError as error:
                return str(error)

    def other_times(self, now: datetime) -> list[datetime]:
        """Return the times to try, nearest first.

        A path that is valid at any time is valid when the last of its certificates begins to be.
        """
        leaf = self.leaf
        with _contained("the names or times of a certificate cannot be parsed"):
            issuers = {link.issuer for link in (leaf, *self.others)}
            trusted = [anchor for anchor in self.anchors if anchor.subject in issuers]
            times = {link.not_valid_before_utc for link in (leaf, *self.others, *trusted)}
            begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
            within = [time for time in times if begin <= time <= end]
            return sorted(within, key=lambda time: abs(time - now))[:MAX_RETRIES]

    def other_names(self) -> list[str]:
        """Return names that the leaf is for."""
        from cryptography.x509 import DNSName, IPAddress, SubjectAlternativeName

        with _contained("the extensions of the certificate cannot be parsed"):
            for extension in self.leaf.extensions:
                if isinstance(extension.value, SubjectAlternativeName):
                    names = extension.value.get_values_for_type(DNSName)
                    addresses = extension.value.get_values_for_type(IPAddress)
                    return [*names, *map(str, addresses)][:MAX_RETRIES]
        return []


def _diagnose(question: _Question, host: str, now: datetime, refusal: str) -> PathFailure:
    """Find the single change that would make the chain verify."""
    for time in question.other_times(now):
        path = question.ask(host, time)
        if not isinstance(path, str):
            return PathFailure(_out_of_time(path, now), Observed.CLOCK)
    for name in question.other_names():
        try:
            path = question.ask(name.replace("*", "any", 1), now)
        except _UndecidableError:  # a name that the verifier does not take
            continue
        if not isinstance(path, str):
            reason = f"the certificate is for {_fit(name)}, not for {host}"
            return PathFailure(reason, Observed.WRONG_HOST)
    if question.leaf not in question.anchors and _is_self_signed(question.leaf):
        reason = "the certificate is signed by itself and is no trust anchor"
        return PathFailure(reason, Observed.SELF_SIGNED)
    return PathFailure(_in_our_words(refusal), Observed.UNKNOWN)


def _is_self_signed(certificate: Certificate) -> bool:
    """Tell whether a certificate's own key signed it."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    with _contained("the signature of the certificate cannot be checked"):
        try:
            certificate.verify_directly_issued_by(certificate)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
            return False  # ValueError: its issuer has another name
        return True


def _out_of_time(path: list[Certificate], now: datetime) -> str:
    """Say how the time misses the path's validity."""
    begin = max(link.not_valid_before_utc for link in path)
    if now < begin:
        return f"the path is not valid before {begin.isoformat()}"
    end = min(link.not_valid_after_utc for link in path)
    return f"the path expired at {end.isoformat()}"


def _in_our_words(refusal: str) -> str:
    """Shorten the verifier's text, and leave out the certificate's own words."""
    text = refusal.partition(" (encountered processing")[0].removeprefix("validation failed: ")
    if text.endswith("no interior errors"):
        return "no path leads from the certificate to a trust anchor"
    return f"no path to a trust anchor: {_fit(text.removeprefix('candidates exhausted: '))}"


def _subject(host: str) -> Subject:
    """Return the name to verify for, in the verifier's own type."""
    from cryptography.x509 import DNSName, IPAddress

    return IPAddress(ipaddress.ip_address(host)) if is_ip_literal(host) else DNSName(host)


def _undecidable(reason: str) -> PathFailure:
    return PathFailure(reason, Observed.UNKNOWN, Outcome.UNDECIDABLE)


def _fit(text: str) -> str:
    """Return outside text fit for a message."""
    return ascii(text)[1:-1][:_REASON_LIMIT]


@contextmanager
def _contained(what: str) -> Iterator[None]:
    """Turn whatever a parser raises, a panic of its Rust code included, into "undecidable"."""
    try:
        yield
    except Exception as error:
        raise _UndecidableError(f"{what}: {_fit(str(error))}") from error
    except BaseException as error:
        # pyo3 derives PanicException from BaseException, and gives no name to import it by.
        if type(error).__name__ != "PanicException":
            raise
        raise _UndecidableError(f"{what}: the parser panicked") from error
