"""Other paths of one shape: `leaf <- YE1 <- YE`, where YE is a root that X1 has signed as well."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.certificates import other_paths, verifier_differences
from holdfast.certificates.other_paths import (
    MAX_CANDIDATES,
    MAX_SIGNATURES,
    OtherMatch,
    match_on_other_path,
)
from holdfast.certificates.spki import chain_certificate
from holdfast.certificates.verify_path import confirm_path, verify_path
from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.issuance import der
from holdfast.pins.chain import ProvenLeaf, VerifiedChain
from holdfast.pins.evaluate import evaluate
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode, OnExpiry, PinSet, Require, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.x509 import Certificate

HOST = "api.example.com"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def _ders(*authorities: Authority) -> tuple[bytes, ...]:
    return tuple(der(authority.certificate) for authority in authorities)


@dataclass(frozen=True)
class Shape:
    """The authorities, and the leaf that they end in."""

    x1: Authority
    ye: Authority
    crossed: Authority
    ye1: Authority
    server: Identity

    @property
    def presented(self) -> tuple[bytes, ...]:
        """What the server sends: leaf, YE1, and YE as X1 signed it."""
        return self.server.der, *_ders(self.ye1, self.crossed)

    @property
    def first(self) -> tuple[bytes, ...]:
        """The path that ends in YE."""
        return self.server.der, *_ders(self.ye1, self.ye)

    @property
    def other(self) -> tuple[bytes, ...]:
        """The path that ends in X1."""
        return *self.presented, *_ders(self.x1)


@pytest.fixture(scope="module")
def shape() -> Shape:
    """Return the shape in good order."""
    x1, ye = Authority.new("X1"), Authority.new("YE")
    crossed, ye1 = x1.cross_sign(ye), ye.intermediate("YE1")
    return Shape(x1, ye, crossed, ye1, ye1.issue(HOST))


def _policy(*ca: str, denied: Sequence[str] = (), host: str = HOST, **fields: Any) -> Policy:  # noqa: ANN401
    pin_set = PinSet(
        name="test",
        hosts=(HostPattern.parse(host),),
        mode=Mode.ENFORCE,
        ca=tuple(map(Pin.parse, ca)),
        single_pin=ACCEPT_LOCK_OUT if ca or "leaf" in fields else None,
        **fields,
    )
    denied_keys = tuple(map(Pin.parse, denied))
    return Policy(unlisted=Unlisted.ALLOW, pin_sets=(pin_set,), denied=denied_keys)


def _missed(policy: Policy, path: tuple[bytes, ...], host: str = HOST) -> Verdict:
    """Return the verdict on the first path, which is no match."""
    verdict = evaluate(policy, host, VerifiedChain(tuple(map(chain_certificate, path))), NOW)
    assert Outcome.MATCH is not verdict.outcome
    return verdict


def _look(
    shape: Shape,
    policy: Policy | None = None,
    *,
    presented: tuple[bytes, ...] | None = None,
    anchors: tuple[bytes, ...] | None = None,
    now: datetime = NOW,
) -> OtherMatch | None:
    """Look at a server of the shape, by default for a pin on X1, with both roots trusted."""
    rules = policy or _policy(shape.x1.spki_pin)
    sent = shape.presented if presented is None else presented
    trusted = _ders(shape.x1, shape.ye) if anchors is None else anchors
    return match_on_other_path(rules, _missed(rules, shape.first), sent, trusted, now)


def test_the_other_path_matches(shape: Shape) -> None:
    """The verdict has the other path, says where it matched and why the first did not."""
    match = _look(shape)

    assert match is not None
    assert match.chain is match.verdict.chain
    assert shape.other == match.path
    assert (Outcome.MATCH, True, False) == (
        match.verdict.outcome,
        match.verdict.allowed,
        match.verdict.violation,
    )
    assert match.verdict.matched is not None
    assert 3 == match.verdict.matched.position
    assert (
        "the ca at position 3 has a pin of the set, on another valid path; "
        "of the first path: no pin of the set is on the path"
    ) == match.verdict.reason
    assert match.verdict.hint is not None
    assert "old and the new generation of the root" in match.verdict.hint


def test_hints_of_the_match_are_kept(shape: Shape) -> None:
    """What the match has to say for itself stands before what the second look says."""
    expired = _policy(shape.x1.spki_pin, expires=NOW - DAY, on_expiry=OnExpiry.ENFORCE)
    match = _look(shape, expired)

    assert match is not None
    assert match.verdict.hint is not None
    assert match.verdict.hint.startswith("the pin set expired at")
    assert "generation" in match.verdict.hint


def test_validity_is_that_of_the_whole_path(shape: Shape) -> None:
    """It begins with the last certificate to begin, and ends with the first to end."""
    begin, end = (NOW - DAY / 48).replace(microsecond=0), (NOW + DAY).replace(microsecond=0)
    crossed = shape.x1.cross_sign(shape.ye, not_before=begin, not_after=end)
    match = _look(shape, presented=(*shape.presented[:2], *_ders(crossed)))

    assert match is not None
    assert (begin, end) == (match.since, match.until)


@pytest.mark.parametrize("pin", ["spki_pin", "cert_pin"])
def test_a_pin_on_the_cross_certificate(shape: Shape, pin: str) -> None:
    """Its certificate is on the other path only and is found there; its key is on both paths."""
    policy = _policy(getattr(shape.crossed, pin))
    if pin == "spki_pin":
        first = VerifiedChain(tuple(map(chain_certificate, shape.first)))
        assert Outcome.MATCH is evaluate(policy, HOST, first, NOW).outcome
    else:
        match = _look(shape, policy)
        assert match is not None
        assert match.verdict.matched is not None
        assert 2 == match.verdict.matched.position


@pytest.mark.parametrize("denied", ["x1", "crossed", "ye1", "server"])
def test_a_denied_key_is_on_no_match(shape: Shape, denied: str) -> None:
    """A key that is denied refuses on the other path as on the first."""
    policy = _policy(shape.x1.spki_pin, denied=[getattr(shape, denied).spki_pin])

    assert _look(shape, policy) is None


def test_a_denied_first_path_is_final(shape: Shape) -> None:
    """Where the first path is denied no other is looked for, though the key is not on that one."""
    other_ye = Authority.new("YE", key=shape.x1.key)  # a root whose key only the first path has
    ye1 = other_ye.intermediate("YE1", key=shape.ye1.key)
    denying = _policy(shape.x1.spki_pin, denied=[shape.ye.spki_pin])
    path = shape.server.der, *_ders(ye1, other_ye)
    verdict = _missed(denying, shape.first)

    assert Outcome.DENIED is verdict.outcome
    assert match_on_other_path(denying, verdict, path[:-1], path[-1:], NOW) is None
    missed = replace(verdict, outcome=Outcome.MISMATCH)
    assert match_on_other_path(denying, missed, path[:-1], path[-1:], NOW) is not None


@pytest.mark.parametrize(
    ("not_before", "not_after"), [(NOW - 9 * DAY, NOW - DAY), (NOW + DAY, NOW + 9 * DAY)]
)
def test_another_path_out_of_time(shape: Shape, not_before: datetime, not_after: datetime) -> None:
    """A cross certificate that has expired, or is not valid yet, leads nowhere now."""
    crossed = shape.x1.cross_sign(shape.ye, not_before=not_before, not_after=not_after)
    presented = *shape.presented[:2], *_ders(crossed)

    assert _look(shape, presented=presented) is None


def test_a_forged_cross_certificate(shape: Shape) -> None:
    """A namesake of X1 cannot sign for it."""
    namesake = Authority.new("X1").cross_sign(shape.ye)

    assert _look(shape, presented=(*shape.presented[:2], *_ders(namesake))) is None


def test_a_forged_anchor(shape: Shape) -> None:
    """A namesake of X1 that the server sends along is no anchor, though its key is pinned."""
    namesake = Authority.new("X1")
    presented = *shape.presented[:2], *_ders(namesake.cross_sign(shape.ye), namesake)

    assert _look(shape, _policy(namesake.spki_pin), presented=presented) is None


def test_another_host(shape: Shape) -> None:
    """The other path is verified for the name of the connection."""
    policy = _policy(shape.x1.spki_pin, host="other.example.com")
    verdict = _missed(policy, shape.first, "other.example.com")
    anchors = _ders(shape.x1, shape.ye)

    assert Outcome.MISMATCH is verdict.outcome
    assert match_on_other_path(policy, verdict, shape.presented, anchors, NOW) is None


@pytest.mark.parametrize("sent", [False, True])
def test_an_anchor_that_is_not_trusted(shape: Shape, *, sent: bool) -> None:
    """Without X1 among the anchors there is no other path, even where it was sent."""
    presented = shape.presented + (_ders(shape.x1) if sent else ())

    assert _look(shape, presented=presented, anchors=_ders(shape.ye)) is None
    assert _look(shape, presented=presented) is not None


def test_a_trusted_certificate_that_is_no_root_ends_no_path(shape: Shape) -> None:
    """Partial chains are off, as in OpenSSL: what X1 signed is no end, though it is trusted."""
    policy = _policy(shape.crossed.cert_pin)
    anchors = _ders(shape.crossed, shape.ye)

    assert _look(shape, policy, anchors=anchors) is None
    assert _look(shape, policy, anchors=(*anchors, *_ders(shape.x1))) is not None


def test_a_root_that_another_key_has_signed_is_no_root(shape: Shape) -> None:
    """A new key that the old one of the same name vouches for is not signed by itself."""
    old = Authority.new("X1")
    new_with_old = old.cross_sign(shape.x1)

    assert _look(shape, anchors=_ders(new_with_old, shape.ye)) is None


def test_an_intermediate_of_the_store_is_passed_through(shape: Shape) -> None:
    """What is not sent may come from the trust store, as in OpenSSL."""
    anchors = _ders(shape.x1, shape.ye, shape.crossed)
    match = _look(shape, presented=shape.presented[:2], anchors=anchors)

    assert match is not None
    assert shape.other == match.path


def test_pins_only_trust_has_no_other_path(shape: Shape) -> None:
    """Nothing vouches for a path there, and a leaf that is pinned needs none."""
    policy = _policy(trust=Trust.PINS_ONLY, leaf=(Pin.parse(shape.server.spki_pin),))
    leaf = ProvenLeaf(chain_certificate(shape.server.der))
    path = VerifiedChain(tuple(map(chain_certificate, shape.first)))
    verdict = evaluate(policy, HOST, leaf, NOW)

    assert Outcome.MATCH is verdict.outcome
    for chain in (leaf, path):
        missed = replace(verdict, outcome=Outcome.MISMATCH, chain=chain)
        anchors = _ders(shape.x1, shape.ye)
        assert match_on_other_path(policy, missed, shape.presented, anchors, NOW) is None


def test_only_the_leaf_of_the_first_path_is_looked_at(shape: Shape) -> None:
    """Another certificate in its place is none whose key was proven, whatever it leads to."""
    other = shape.ye1.issue(HOST).der

    assert _look(shape, presented=(other, *shape.presented[1:])) is None
    assert _look(shape, presented=(other, *shape.presented)) is None


@pytest.mark.parametrize("outcome", [one for one in Outcome if one is not Outcome.MISMATCH])
def test_only_a_mismatch_is_looked_at_again(shape: Shape, outcome: Outcome) -> None:
    """Any other outcome stands, also one that lets pass."""
    policy = _policy(shape.x1.spki_pin)
    verdict = replace(_missed(policy, shape.first), outcome=outcome)
    anchors = _ders(shape.x1, shape.ye)

    assert match_on_other_path(policy, verdict, shape.presented, anchors, NOW) is None


def test_a_set_that_the_host_does_not_have_is_not_looked_at_again(shape: Shape) -> None:
    """A verdict by another policy, or on a client, is not one on this host under this policy."""
    policy = _policy(shape.x1.spki_pin)
    missed = _missed(_policy(shape.x1.spki_pin), shape.first)
    anchors = _ders(shape.x1, shape.ye)

    assert match_on_other_path(policy, missed, shape.presented, anchors, NOW) is None


def test_a_private_set_has_its_own_anchors(shape: Shape) -> None:
    """The other path has to end in an anchor of the set, whatever else is handed in."""
    pins = (shape.x1.spki_pin,)
    own = _policy(*pins, trust=Trust.PRIVATE, anchors=_ders(shape.x1, shape.ye))
    foreign = _policy(*pins, trust=Trust.PRIVATE, anchors=_ders(shape.ye))

    assert _look(shape, own) is not None
    assert _look(shape, foreign) is None


def test_a_leaf_and_a_ca_may_be_asked_for(shape: Shape) -> None:
    """`require` holds for the other path: it needs both, and has both."""
    leaf = (Pin.parse(shape.server.spki_pin),)
    other_leaf = (Pin.parse(shape.ye1.spki_pin),)
    both = _policy(shape.x1.spki_pin, leaf=leaf, require=Require.LEAF_AND_CA)
    one = _policy(shape.x1.spki_pin, leaf=other_leaf, require=Require.LEAF_AND_CA)

    match = _look(shape, both)
    assert match is not None
    assert "they are not both there" in match.verdict.reason
    assert _look(shape, one) is None


@pytest.mark.parametrize("junk", [b"", b"\x30\x00", b"no certificate"])
def test_what_cannot_be_read_is_passed_over(shape: Shape, junk: bytes) -> None:
    """An unreadable certificate among others is no hindrance; an unreadable leaf has no path."""
    leaf, *rest = shape.presented
    anchors = junk, *_ders(shape.x1, shape.ye)

    assert _look(shape, presented=(leaf, junk, *rest), anchors=anchors) is not None
    assert _look(shape, presented=(junk, *rest)) is None
    assert _look(shape, presented=()) is None


def test_strange_certificates_with_the_right_name(shape: Shape) -> None:
    """One byte wrong anywhere in the cross certificate: no match and no error."""
    *before, crossed = shape.presented
    for at in range(0, len(crossed), 7):
        broken = crossed[:at] + bytes([crossed[at] ^ 0x11]) + crossed[at + 1 :]
        assert _look(shape, presented=(*before, broken)) is None


class PanicException(BaseException):
    """As the parser's Rust code raises it."""


@pytest.mark.parametrize("error", [ValueError("no"), PanicException("unwrap"), RecursionError()])
def test_whatever_a_parser_raises_is_no_match(
    shape: Shape, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that fails is not passed, and nothing is raised."""

    def fails(*_: object) -> bool:
        raise error

    monkeypatch.setattr(verifier_differences, "openssl_agrees", fails)

    assert _look(shape) is None


def test_an_interruption_is_not_swallowed(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is not about certificates."""

    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(verifier_differences, "openssl_agrees", interrupted)

    with pytest.raises(KeyboardInterrupt):
        _look(shape)


def test_a_path_that_openssl_would_refuse_is_none(
    shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the two verifiers differ, the stricter one counts."""
    monkeypatch.setattr(verifier_differences, "openssl_agrees", lambda *_: False)

    assert _look(shape) is None


@pytest.mark.parametrize("denied", [False, True])
def test_the_decision_is_on_what_was_verified(
    shape: Shape, monkeypatch: pytest.MonkeyPatch, *, denied: bool
) -> None:
    """The filter before a verification has no word: a path is evaluated once it is verified."""
    monkeypatch.setattr(other_paths, "is_worth_verifying", lambda *_: True)
    pinned = shape.x1.spki_pin if denied else Authority.new("Stranger").spki_pin
    keys = [shape.x1.spki_pin] if denied else []

    assert _look(shape, _policy(pinned, denied=keys)) is None


def test_going_round_ends(shape: Shape) -> None:
    """CAs that vouch for each other are no path, and not passed twice."""
    one, two = Authority.new("One"), Authority.new("Two")
    ring = _ders(one.cross_sign(two), two.cross_sign(one))
    leaf = one.issue(HOST).der

    assert [] == list(other_paths._candidates((leaf, *ring), _ders(shape.x1)))
    candidates = other_paths._candidates((leaf, *ring), _ders(one, two))
    assert [(leaf, *_ders(one)), (leaf, ring[1], *_ders(two))] == list(candidates)


def test_candidates_are_bounded(shape: Shape) -> None:
    """Behind as many namesakes as are looked at the right root is not found."""
    namesakes = _ders(*(Authority.new("X1") for _ in range(MAX_CANDIDATES)))
    roots = _ders(shape.x1)

    assert _look(shape, anchors=namesakes[1:] + roots) is not None
    assert _look(shape, anchors=namesakes + roots) is None


def test_signatures_are_bounded(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expired certificates with the pinned key above them are not verified without end."""
    checked: list[int] = []

    def confirm(path: tuple[bytes, ...], host: str, now: datetime) -> VerifiedChain | None:
        checked.append(len(path))
        return confirm_path(path, host, now)

    expired = [shape.x1.cross_sign(shape.ye, not_after=NOW - DAY) for _ in range(40)]
    monkeypatch.setattr(other_paths, "confirm_path", confirm)
    found = _look(shape, presented=(*shape.presented, *_ders(*expired)))

    assert found is None
    assert 0 < sum(checked) <= MAX_SIGNATURES
    assert _look(shape, presented=(*shape.presented, *_ders(*expired[:8]))) is not None


@pytest.mark.threat("T44")
def test_steps_are_bounded(shape: Shape) -> None:
    """A thicket in which each of ten names has nine certificates is not walked to its end."""
    layers = [Authority.new(f"Layer {number}") for number in range(10)]
    thicket = [
        below.cross_sign(above) for above, below in itertools.pairwise(layers) for _ in range(9)
    ]
    sent = layers[0].issue(HOST).der, *_ders(*thicket)

    assert [] == list(other_paths._candidates(sent, _ders(shape.x1)))


def test_more_certificates_than_a_handshake_has(shape: Shape) -> None:
    """Above the limit of `verify_path` nothing is looked at."""
    assert _look(shape, presented=shape.presented * 34) is None
    assert _look(shape, presented=shape.presented * 33) is not None


_ROOTS = [Authority.new(f"Root {number}") for number in range(3)]
_CA = Authority.new("CA")
_CERTIFICATES = [
    *_ROOTS,
    *(root.cross_sign(_CA) for root in _ROOTS),
    *(a.cross_sign(b) for a, b in itertools.permutations(_ROOTS, 2)),
]
_LEAF = _CA.issue(HOST)


@given(
    sent=st.lists(st.sampled_from(_CERTIFICATES), min_size=2, max_size=6, unique_by=id),
    trusted=st.lists(st.sampled_from(_ROOTS), min_size=1, max_size=3, unique_by=id),
    pinned=st.sampled_from(_CERTIFICATES),
    by_key=st.booleans(),
)
def test_the_same_paths_are_found_without_haste(
    sent: list[Authority], trusted: list[Authority], pinned: Authority, *, by_key: bool
) -> None:
    """There is a match exactly where trying everything in every order finds a path with the pin."""
    policy = _policy(pinned.spki_pin if by_key else pinned.cert_pin)
    other = Authority.new("Another root")
    first = _LEAF.der, *_ders(other)
    chain = VerifiedChain(tuple(map(chain_certificate, first)))
    missed = evaluate(policy, HOST, chain, NOW)
    found = match_on_other_path(policy, missed, (_LEAF.der, *_ders(*sent)), _ders(*trusted), NOW)

    pool = list(dict.fromkeys((*sent, *trusted)))
    in_order = (
        (*between, root)
        for root in trusted
        for length in range(1, 4)
        for between in itertools.permutations(pool, length)
    )
    matching = {
        path
        for links in in_order
        if _follow(_LEAF.certificate, *(link.certificate for link in links))
        if _is_path(path := (_LEAF.der, *_ders(*links))) and _has_pin(path, policy)
    }
    assert bool(matching) == (found is not None)
    assert found is None or found.path in matching


def _follow(*certificates: Certificate) -> bool:
    return all(below.issuer == above.subject for below, above in itertools.pairwise(certificates))


def _has_pin(path: tuple[bytes, ...], policy: Policy) -> bool:
    chain = VerifiedChain(tuple(map(chain_certificate, path)))
    return evaluate(policy, HOST, chain, NOW).outcome is Outcome.MATCH


def _is_path(path: tuple[bytes, ...]) -> bool:
    answer = verify_path(path[:-1], path[-1:], HOST, NOW)
    return isinstance(answer, VerifiedChain) and path == tuple(
        one.der for one in answer.certificates
    )
