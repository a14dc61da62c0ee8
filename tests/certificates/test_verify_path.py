from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.x509 import verification
from hypothesis import given
from hypothesis import strategies as st

from holdfast.certificates.verifier_differences import differences
from holdfast.certificates.verify_path import (
    MAX_PRESENTED,
    PathFailure,
    confirm_path,
    verifier_name,
    verify_path,
)
from holdfast.lab.authorities import Authority, Identity, new_key, self_signed
from holdfast.lab.issuance import der
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.verdict import Observed, Outcome

HOST = "api.example.com"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def root() -> Authority:
    """Return the trusted CA."""
    return Authority.new("Root")


def _sent(identity: Identity) -> tuple[bytes, ...]:
    return tuple(map(der, identity.chain))


def _anchors(*authorities: Authority) -> tuple[bytes, ...]:
    return tuple(der(authority.certificate) for authority in authorities)


def _failure(
    presented: tuple[bytes, ...],
    trusted: tuple[bytes, ...],
    host: str = HOST,
    now: datetime = NOW,
) -> PathFailure:
    answer = verify_path(presented, trusted, host, now)
    assert isinstance(answer, PathFailure)
    return answer


def _path(
    presented: tuple[bytes, ...],
    trusted: tuple[bytes, ...],
    host: str = HOST,
    now: datetime = NOW,
) -> tuple[bytes, ...]:
    answer = verify_path(presented, trusted, host, now)
    assert isinstance(answer, VerifiedChain)
    return tuple(certificate.der for certificate in answer.certificates)


def test_path_ends_in_an_anchor_that_was_not_sent(root: Authority) -> None:
    """The path is leaf first and anchor last, in the bytes that came."""
    identity = root.intermediate("CA").issue(HOST)

    assert (*_sent(identity), *_anchors(root)) == _path(_sent(identity), _anchors(root))


def test_what_is_not_on_the_path_is_left_out(root: Authority) -> None:
    """Certificates that were sent without need, before or after the right ones, are not in it."""
    stranger = Authority.new("Stranger")
    leaf, ca = _sent(root.intermediate("CA").issue(HOST))
    presented = (leaf, *_anchors(stranger), ca, *_anchors(root))

    assert (leaf, ca, *_anchors(root)) == _path(presented, _anchors(root))


def test_another_path_is_tried_when_the_first_leads_nowhere(root: Authority) -> None:
    """A cross-signed CA leads to the anchor that is trusted, whichever certificate comes first."""
    other = Authority.new("Other root")
    ca = root.intermediate("CA")
    crossed = other.cross_sign(ca)
    leaf = _sent(ca.issue(HOST))[0]
    presented = (leaf, *_anchors(crossed), *_anchors(ca))

    assert (leaf, *_anchors(ca, root)) == _path(presented, _anchors(root))
    assert (leaf, *_anchors(crossed, other)) == _path(presented, _anchors(other))


@pytest.mark.threat("T44")
def test_a_maze_of_issuers_ends(root: Authority) -> None:
    """Two CAs that issue each other, ninety times, are given up after a number of signatures."""
    one = Authority.new("One")
    other = Authority.new("Other", key=one.key)
    maze = _anchors(*[x.cross_sign(y) for x, y in [(other, one), (one, other)] * 45])
    answer = _failure((*_sent(one.issue(HOST)), *maze), _anchors(root))

    assert Outcome.UNTRUSTED is answer.outcome
    assert "signature check limit" in answer.reason


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_ip_literals_match_addresses(root: Authority, host: str) -> None:
    """A host that is an IP address is looked for among the addresses of the certificate."""
    identity = root.issue(host)

    assert (*_sent(identity), *_anchors(root)) == _path(_sent(identity), _anchors(root), host)


@pytest.mark.parametrize(
    ("after_issue", "reason"),
    [(-2 * DAY, "the path is not valid before"), (365 * DAY, "the path expired at")],
    ids=["early", "late"],
)
def test_wrong_time_is_put_down_to_the_clock(
    root: Authority, after_issue: timedelta, reason: str
) -> None:
    """A chain that would verify at another time says from when, or until when."""
    answer = _failure(_sent(root.issue(HOST)), _anchors(root), now=NOW + after_issue)

    assert (Observed.CLOCK, Outcome.UNTRUSTED) == (answer.observed, answer.outcome)
    assert answer.reason.startswith(reason)


def test_an_expired_intermediate_is_put_down_to_the_clock(root: Authority) -> None:
    """It need not be the leaf that is out of time; the reason gives the end of the whole path."""
    end = (NOW - DAY).replace(microsecond=0)
    ca = root.intermediate("CA", not_before=NOW - 9 * DAY, not_after=end)
    identity = ca.issue(HOST, not_before=NOW - 8 * DAY, not_after=NOW + DAY)
    old_root = Authority.new("Root", key=root.key, not_before=NOW - 99 * DAY, not_after=NOW + DAY)

    answer = _failure(_sent(identity), _anchors(old_root))

    assert PathFailure(f"the path expired at {end.isoformat()}", Observed.CLOCK) == answer


def test_expired_chain_of_an_unknown_root_is_not_put_down_to_the_clock(root: Authority) -> None:
    """With the right time it would still not verify, so the clock is not what stands in the way."""
    stranger = Authority.new("Stranger")
    answer = _failure(_sent(stranger.issue(HOST)), _anchors(root), now=NOW + 365 * DAY)

    assert Observed.UNKNOWN == answer.observed


@pytest.mark.parametrize(
    "name", ["www.example.org", "*.example.org", "10.0.0.1"], ids=["name", "wildcard", "address"]
)
def test_wrong_name_is_put_down_to_the_host(root: Authority, name: str) -> None:
    """A chain that would verify for a name of its leaf says which one."""
    answer = _failure(_sent(root.issue(name)), _anchors(root))

    assert PathFailure(f"the certificate is for {name}, not for {HOST}", Observed.WRONG_HOST) == (
        answer
    )


def test_wrong_name_of_an_unknown_root_is_not_put_down_to_the_host(root: Authority) -> None:
    """Under its own name it would still not verify."""
    stranger = Authority.new("Stranger")
    answer = _failure(_sent(stranger.issue("www.example.org")), _anchors(root))

    assert Observed.UNKNOWN == answer.observed


def test_wrong_name_and_time_are_put_down_to_neither(root: Authority) -> None:
    """Where two changes are needed no single one is named."""
    answer = _failure(_sent(root.issue("www.example.org")), _anchors(root), now=NOW + 80 * 2 * DAY)

    assert Observed.UNKNOWN == answer.observed


def test_unverifiable_names_do_not_hide_a_good_one(root: Authority) -> None:
    """A name that the verifier does not take is passed over when looking for the right one."""
    answer = _failure(_sent(root.issue("a_b.example.org", "www.example.org")), _anchors(root))

    assert Observed.WRONG_HOST == answer.observed


def test_self_signed_leaf(root: Authority) -> None:
    """A leaf that signed itself, and that nobody trusts, is named as such."""
    answer = _failure(_sent(self_signed(HOST)), _anchors(root))

    assert (Observed.SELF_SIGNED, Outcome.UNTRUSTED) == (answer.observed, answer.outcome)


def test_self_issued_is_not_self_signed(root: Authority) -> None:
    """A leaf in its own issuer's name, signed by another key, is not taken for self-signed."""
    impostor = Authority.new(HOST)
    answer = _failure(_sent(impostor.issue(HOST)), _anchors(root))

    assert Observed.UNKNOWN == answer.observed


def test_unknown_root(root: Authority) -> None:
    """A chain to a root that is not trusted says that no path leads to an anchor."""
    answer = _failure(_sent(Authority.new("Stranger").issue(HOST)), _anchors(root))

    assert (
        PathFailure("no path leads from the certificate to a trust anchor", Observed.UNKNOWN)
        == answer
    )


def test_same_name_and_another_key_is_no_anchor(root: Authority) -> None:
    """A CA that calls itself like the anchor is not the anchor."""
    impostor = Authority.new("Root")

    assert Outcome.UNTRUSTED is _failure(_sent(impostor.issue(HOST)), _anchors(root)).outcome


def test_client_certificate_is_refused(root: Authority) -> None:
    """A certificate for clients only does not identify a server."""
    answer = _failure(_sent(root.issue(HOST, usage="client")), _anchors(root))

    assert (
        PathFailure("no path to a trust anchor: required EKU not found", Observed.UNKNOWN) == answer
    )


def test_text_of_a_certificate_stays_out_of_the_reason(root: Authority) -> None:
    """What an attacker wrote into a certificate is not repeated as if the verifier had said it."""
    identity = root.issue(HOST, usage="client", common_name="\x1b[31m\u202eevil")

    assert "evil" not in _failure(_sent(identity), _anchors(root)).reason


@pytest.mark.parametrize("position", range(2), ids=["leaf", "intermediate"])
def test_unparsable_certificate_is_undecidable(root: Authority, position: int) -> None:
    """A certificate that the parser refuses makes the question undecidable, wherever it stands."""
    presented = list(_sent(root.intermediate("CA").issue(HOST)))
    presented[position] = b"\x30\x00"

    answer = _failure(tuple(presented), _anchors(root))

    assert Outcome.UNDECIDABLE is answer.outcome
    assert answer.reason.startswith(f"certificate {position} cannot be parsed")


def test_unparsable_anchor_is_undecidable(root: Authority) -> None:
    """An anchor that the parser refuses is not passed over: OpenSSL might read it."""
    answer = _failure(_sent(root.issue(HOST)), (*_anchors(root), b"\x30\x00"))

    assert Outcome.UNDECIDABLE is answer.outcome
    assert answer.reason.startswith("trust anchor 1 cannot be parsed")


def test_host_that_the_verifier_does_not_take_is_undecidable(root: Authority) -> None:
    """A name with an underscore cannot be asked about, which is not the server's fault."""
    host = "a_b.example.org"
    answer = _failure(_sent(root.issue(host)), _anchors(root), host)

    assert Outcome.UNDECIDABLE is answer.outcome
    assert answer.reason.startswith("the verifier does not take this host or time")


def test_nothing_to_verify_is_undecidable(root: Authority) -> None:
    """No certificate, no anchor and a flood of certificates are answered before any parsing."""
    presented, trusted = _sent(root.issue(HOST)), _anchors(root)
    outcomes = [
        _failure((), trusted).outcome,
        _failure(presented, ()).outcome,
        _failure(presented * (MAX_PRESENTED + 1), trusted).outcome,
    ]

    assert [Outcome.UNDECIDABLE] * 3 == outcomes


def test_what_our_strict_reader_refuses_is_undecidable(
    root: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that only the verifier can read has no pins to compare, so there is no path."""
    from holdfast.certificates import verify_path as module
    from holdfast.errors import CertificateError

    def refuse(_: bytes) -> None:
        raise CertificateError("not strict DER")

    monkeypatch.setattr(module, "chain_certificate", refuse)

    answer = _failure(_sent(root.issue(HOST)), _anchors(root))

    assert PathFailure("not strict DER", Observed.UNKNOWN, Outcome.UNDECIDABLE) == answer


class PanicException(BaseException):
    """What pyo3 raises when Rust code panics: no `Exception`, and of a class without an address."""


def _raising(error: BaseException) -> type:
    class Failing:
        def store(self, _: object) -> None:
            raise error

    return Failing


def test_panic_of_the_parser_is_undecidable(
    root: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A panic in Rust code, which `except Exception` would let through, does not escape."""
    monkeypatch.setattr(verification, "PolicyBuilder", _raising(PanicException("unreachable")))

    assert Outcome.UNDECIDABLE is _failure(_sent(root.issue(HOST)), _anchors(root)).outcome


def test_interruption_is_not_swallowed(root: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C during verification still ends the program."""
    monkeypatch.setattr(verification, "PolicyBuilder", _raising(KeyboardInterrupt()))

    with pytest.raises(KeyboardInterrupt):
        verify_path(_sent(root.issue(HOST)), _anchors(root), HOST, NOW)


def _chain() -> tuple[bytes, ...]:
    root = Authority.new("Root")
    return (*_sent(root.intermediate("CA").issue(HOST)), *_anchors(root))


CHAIN = _chain()


@given(place=st.integers(0, 2), at=st.integers(0, 2000), value=st.integers(0, 255))
def test_no_bytes_make_it_raise(place: int, at: int, value: int) -> None:
    """Whatever one byte of one certificate becomes, the answer is a value."""
    links = [bytearray(der) for der in CHAIN]
    links[place][at % len(links[place])] = value
    *presented, anchor = map(bytes, links)
    answer = verify_path(tuple(presented), (anchor,), HOST, NOW)

    assert isinstance(answer, VerifiedChain | PathFailure)
    differences(tuple(presented), (anchor,), HOST, NOW, answer)


@pytest.mark.parametrize("kind", ["ec", "ec-384", "rsa"])
def test_usual_keys_verify(kind: str) -> None:
    """RSA and the two usual curves work for CAs and leaves."""
    root = Authority.new("Root", kind=kind)  # type: ignore[arg-type]
    identity = root.issue(HOST, key=new_key(kind))  # type: ignore[arg-type]

    assert (*_sent(identity), *_anchors(root)) == _path(_sent(identity), _anchors(root))


def test_verifier_has_name_and_version() -> None:
    """The name says which release of cryptography has judged."""
    name, version = verifier_name().split()

    assert "cryptography" == name
    assert version[0].isdigit()


def test_a_path_is_confirmed_as_it_stands(root: Authority) -> None:
    """It is the path itself or nothing: no shorter one, and none with a certificate too many."""
    ca = root.intermediate("CA")
    leaf = der(ca.issue(HOST).certificate)
    path = leaf, *_anchors(ca, root)
    found = confirm_path(path, HOST, NOW)

    assert found is not None
    assert path == tuple(certificate.der for certificate in found.certificates)
    for other in (
        (leaf, *_anchors(Authority.new("Stranger"), ca, root)),
        (leaf, *_anchors(ca, ca, root)),
        (leaf, *_anchors(ca, root, root)),
        (leaf, *_anchors(root)),
        _anchors(root),
        (b"junk", *path[1:]),
        (*path[:-1], b"junk"),
    ):
        assert confirm_path(other, HOST, NOW) is None


def test_a_path_is_confirmed_for_a_name_and_a_time(root: Authority) -> None:
    """Another host, another time and a host that the verifier does not take confirm nothing."""
    path = *_sent(root.issue(HOST)), *_anchors(root)

    assert confirm_path(path, "other.example.com", NOW) is None
    assert confirm_path(path, HOST, NOW + 365 * DAY) is None
    assert confirm_path(path, "a_b.example.com", NOW) is None


def test_a_confirmed_path_ends_in_a_root(root: Authority) -> None:
    """`verify_path` ends at any anchor, this at a certificate that has signed itself."""
    ca = root.intermediate("CA")
    path = der(ca.issue(HOST).certificate), *_anchors(ca)

    assert path == _path(path[:1], path[1:])
    assert confirm_path(path, HOST, NOW) is None
