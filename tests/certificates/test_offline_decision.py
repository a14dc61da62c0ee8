from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.certificates.offline_decision import decide_offline
from holdfast.lab.authorities import Authority, Identity, self_signed
from holdfast.lab.issuance import der
from holdfast.pins.chain import PresentedChain, VerifiedChain
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode, PinSet, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Observed, Outcome, Verdict

HOST = "api.example.com"
NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=365)


@pytest.fixture(scope="module")
def public() -> Authority:
    """Return a CA that everyone trusts."""
    return Authority.new("Public root")


@pytest.fixture(scope="module")
def private() -> Authority:
    """Return a CA that only a pin set trusts."""
    return Authority.new("Private root")


def _sent(identity: Identity) -> tuple[bytes, ...]:
    return tuple(map(der, identity.chain))


def _anchors(*authorities: Authority) -> tuple[bytes, ...]:
    return tuple(der(authority.certificate) for authority in authorities)


def _ca_policy(pin: str, **fields: Any) -> Policy:  # noqa: ANN401
    """Return a policy with one enforced set of one CA pin."""
    return _policy(ca=(Pin.parse(pin),), single_pin=ACCEPT_LOCK_OUT, **fields)


def _policy(*pins: str, host: str = HOST, denied: tuple[Pin, ...] = (), **fields: object) -> Policy:
    """Return a policy with one enforced set of leaf pins."""
    pin_set = PinSet(
        name="test",
        hosts=(HostPattern.parse(host),),
        mode=Mode.ENFORCE,
        leaf=tuple(map(Pin.parse, pins)),
        **{"single_pin": ACCEPT_LOCK_OUT if pins else None} | fields,  # type: ignore[arg-type]
    )
    return Policy(unlisted=Unlisted.ALLOW, pin_sets=(pin_set,), denied=denied)


def _decided(verdict: Verdict) -> tuple[Outcome, bool]:
    return verdict.outcome, verdict.allowed


def test_public_trust_is_the_public_anchors(public: Authority) -> None:
    """A pinned leaf on a path to a public anchor matches, without a hint."""
    identity = public.issue(HOST)
    verdict, failure = decide_offline(
        _policy(identity.spki_pin), HOST, _sent(identity), _anchors(public), NOW
    )

    assert (Outcome.MATCH, True) == _decided(verdict)
    assert isinstance(verdict.chain, VerifiedChain)
    assert (None, None) == (verdict.hint, failure)


def test_pinned_leaf_without_a_path_is_untrusted(public: Authority, private: Authority) -> None:
    """A pin does not make up for a chain that does not verify."""
    identity = private.issue(HOST)
    verdict, failure = decide_offline(
        _policy(identity.spki_pin), HOST, _sent(identity), _anchors(public), NOW
    )

    assert (Outcome.UNTRUSTED, False) == _decided(verdict)
    assert isinstance(verdict.chain, PresentedChain)
    assert failure is not None
    assert failure.reason == verdict.reason


def test_private_trust_is_the_anchors_of_the_set_alone(
    public: Authority, private: Authority
) -> None:
    """Public anchors do not vouch for a host of a private set; its own do, without further pins."""
    rules = _policy(trust=Trust.PRIVATE, anchors=_anchors(private))
    decisions = [
        _decided(decide_offline(rules, HOST, _sent(ca.issue(HOST)), _anchors(public), NOW)[0])
        for ca in (public, private)
    ]

    assert [(Outcome.UNTRUSTED, False), (Outcome.MATCH, True)] == decisions


def test_private_anchors_do_not_vouch_for_unlisted_hosts(
    public: Authority, private: Authority
) -> None:
    """A host that no pattern covers has the public anchors."""
    rules = _policy(trust=Trust.PRIVATE, anchors=_anchors(private))
    decisions = [
        _decided(
            decide_offline(
                rules, "other.example", _sent(ca.issue("other.example")), _anchors(public), NOW
            )[0]
        )
        for ca in (public, private)
    ]

    assert [(Outcome.NOT_PINNED, True), (Outcome.UNTRUSTED, False)] == decisions


def test_denied_key_on_an_unlisted_host(public: Authority) -> None:
    """The CA's denied key refuses a host that no pattern covers."""
    rules = _policy(
        trust=Trust.PRIVATE, anchors=_anchors(public), denied=(Pin.parse(public.spki_pin),)
    )
    identity = public.issue("other.example")
    verdict, _ = decide_offline(rules, "other.example", _sent(identity), _anchors(public), NOW)

    assert (Outcome.DENIED, False) == _decided(verdict)


@pytest.mark.parametrize("presented", [(), (b"\x30\x00",)], ids=["nothing", "junk"])
@pytest.mark.parametrize("trust", [Trust.PUBLIC, Trust.PINS_ONLY])
def test_nothing_readable_is_undecidable(
    public: Authority, presented: tuple[bytes, ...], trust: Trust
) -> None:
    """Without a certificate that can be read there is nothing to judge, under any trust."""
    rules = _policy(public.spki_pin, trust=trust)
    verdict, failure = decide_offline(rules, HOST, presented, _anchors(public), NOW)

    assert (Outcome.UNDECIDABLE, False) == _decided(verdict)
    assert failure is not None
    assert Outcome.UNDECIDABLE is failure.outcome


def test_pins_only_leaf_matches_with_the_assumption_stated() -> None:
    """A self-signed device with its pin matches; the hint says that its key was not proven."""
    identity = self_signed(HOST)
    rules = _policy(identity.spki_pin, trust=Trust.PINS_ONLY)
    verdict, failure = decide_offline(rules, HOST, _sent(identity), (), NOW)

    assert (Outcome.MATCH, True) == _decided(verdict)
    assert failure is None
    assert verdict.hint is not None
    assert "only a handshake proves" in verdict.hint


def test_pins_only_leaf_without_its_pin_is_a_mismatch() -> None:
    """Another key is refused, and the assumption is stated there too."""
    rules = _policy(self_signed(HOST).spki_pin, trust=Trust.PINS_ONLY)
    verdict, _ = decide_offline(rules, HOST, _sent(self_signed(HOST)), (), NOW)

    assert (Outcome.MISMATCH, False) == _decided(verdict)
    assert verdict.hint is not None


@pytest.mark.parametrize(
    ("checks", "host", "now", "observed"),
    [
        ({}, HOST, LATER, Observed.CLOCK),
        ({}, HOST, NOW - timedelta(days=9), Observed.CLOCK),
        ({"check_name": False}, HOST, LATER, Observed.CLOCK),
        ({"check_validity": False}, HOST, LATER, None),
        ({}, "other.example.com", NOW, Observed.WRONG_HOST),
        ({"check_validity": False}, "other.example.com", NOW, Observed.WRONG_HOST),
        ({"check_name": False}, "other.example.com", NOW, None),
        ({"check_name": True, "check_validity": True}, HOST, NOW, None),
    ],
)
def test_pins_only_checks(
    checks: dict[str, Any], host: str, now: datetime, observed: Observed | None
) -> None:
    """Name and validity of a pinned leaf are checked unless the policy says false."""
    identity = self_signed(HOST)
    rules = _policy(identity.spki_pin, host=host, trust=Trust.PINS_ONLY, **checks)
    verdict, failure = decide_offline(rules, host, _sent(identity), (), now)

    assert (Outcome.MATCH if observed is None else Outcome.UNTRUSTED) is verdict.outcome
    assert observed is (failure.observed if failure else None)


@pytest.mark.parametrize(
    ("name", "host", "covers"),
    [
        ("device.example", "device.example", True),
        ("DEVICE.example", "device.example", True),
        ("*.example", "device.example", True),
        ("*.example", "a.device.example", False),
        ("*.example", "example", False),
        ("d*.example", "device.example", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.4", False),
        ("::1", "::1", True),
        ("*.2.3.4", "1.2.3.4", False),
    ],
)
def test_names_of_pins_only_leaves(name: str, host: str, *, covers: bool) -> None:
    """A name covers itself, a wildcard exactly one label, an address only itself."""
    identity = self_signed(name)
    rules = _policy(identity.spki_pin, host=host, trust=Trust.PINS_ONLY)
    verdict, _ = decide_offline(rules, host, _sent(identity), (), NOW)

    assert covers is (verdict.outcome is Outcome.MATCH)


def test_hint_says_where_openssl_may_accept(public: Authority) -> None:
    """A refusal that may be a matter of the verifier says so."""
    identity = public.issue(common_name=HOST)
    verdict, _ = decide_offline(
        _policy(identity.spki_pin), HOST, _sent(identity), _anchors(public), NOW
    )

    assert (Outcome.UNTRUSTED, False) == _decided(verdict)
    assert (
        "OpenSSL may accept this chain: the leaf names its host in the common name only"
    ) == verdict.hint


def test_hint_says_where_openssl_may_refuse(public: Authority) -> None:
    """A match that may be a matter of the verifier says so."""
    ca = public.intermediate("CA")
    identity = ca.issue(HOST)
    verdict, _ = decide_offline(
        _policy(identity.spki_pin), HOST, _sent(identity), _anchors(ca), NOW
    )

    assert (Outcome.MATCH, True) == _decided(verdict)
    assert (
        "OpenSSL may refuse this chain: the path ends in a trusted certificate that is no root"
    ) == verdict.hint


@pytest.mark.parametrize("trust", [Trust.PUBLIC, Trust.PRIVATE])
def test_each_path_of_a_cross_signed_ca_is_looked_at(
    public: Authority, private: Authority, trust: Trust
) -> None:
    """A pin on either root matches, one of them on another path than the verifier's first."""
    ca = public.intermediate("CA")
    identity = ca.issue(HOST).with_chain(ca.certificate, private.cross_sign(ca).certificate)
    anchors = _anchors(public, private)
    fields = {"trust": trust, "anchors": anchors} if trust is Trust.PRIVATE else {}
    verdicts = []
    for root in (public, private):
        rules = _ca_policy(root.spki_pin, **fields)
        verdict, failure = decide_offline(rules, HOST, _sent(identity), anchors, NOW)
        verdicts.append(verdict)

        assert (Outcome.MATCH, True) == _decided(verdict)
        assert failure is None
        assert isinstance(verdict.chain, VerifiedChain)
        assert _anchors(root) == (verdict.chain.certificates[-1].der,)
        assert verdict.hint is not None
        assert "a CA has several certificates, of which OpenSSL tries only one" in verdict.hint

    assert [False, True] == sorted("another valid path" in one.reason for one in verdicts)


def test_a_second_look_goes_past_an_anchor_that_is_no_root(public: Authority) -> None:
    """Where the first path ends in a trusted intermediate, the one to its root is found."""
    ca = public.intermediate("CA")
    rules = _ca_policy(public.spki_pin)
    anchors = _anchors(ca, public)
    verdict, _ = decide_offline(rules, HOST, _sent(ca.issue(HOST)), anchors, NOW)

    assert (Outcome.MATCH, True) == _decided(verdict)
    assert isinstance(verdict.chain, VerifiedChain)
    assert _anchors(public) == (verdict.chain.certificates[-1].der,)
    assert "the path ends in a trusted certificate" not in (verdict.hint or "")
