from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import PolicyError
from holdfast.formats.decide import decide
from holdfast.formats.from_policy import rules_of
from holdfast.formats.loss import Effect, Loss
from holdfast.formats.platform import Expiry, Kinds, Overlap, Places, Semantics
from holdfast.pins.chain import ChainCertificate, VerifiedChain
from holdfast.pins.evaluate import evaluate
from holdfast.pins.host_pattern import HostPattern, Reach
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode, OnExpiry, PinSet, Require
from holdfast.pins.policy import OnStale, Policy, Unlisted

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
HOSTS = ("h.test", "a.h.test", "b.a.h.test", "c.b.a.h.test", "other.test", "192.0.2.1")
PLATFORMS = {
    "longest, any depth": Semantics(
        title="A",
        entries=(Kinds.APEX, Kinds.ANY_DEPTH),
        expiry=Expiry.LOCAL_DAY,
        exemptions=(Kinds.APEX, Kinds.ANY_DEPTH),
        one_entry_a_host=True,
    ),
    "nearest": Semantics(
        title="N",
        entries=(Kinds.APEX, Kinds.ANY_DEPTH),
        overlap=Overlap.NEAREST,
        one_entry_a_host=True,
    ),
    "union": Semantics(
        title="O",
        entries=(Kinds.APEX, Kinds.ONE_BELOW, Kinds.ANY_DEPTH),
        overlap=Overlap.UNION,
    ),
    "union, two depths": Semantics(
        title="H", entries=(Kinds.APEX, Kinds.ONE_BELOW), overlap=Overlap.UNION
    ),
    "unknown, by role": Semantics(
        title="P",
        entries=(Kinds.APEX, Kinds.ONE_LABEL_DOWN),
        overlap=Overlap.UNKNOWN,
        places=Places.BOTH_ROLES,
        one_entry_a_host=True,
    ),
    "names only, two pins": Semantics(
        title="T",
        entries=(Kinds.APEX, Kinds.ANY_DEPTH),
        expiry=Expiry.UTC_DAY,
        report_only=True,
        addresses=False,
        exemptions=(Kinds.APEX,),
        one_entry_a_host=True,
        minimum=2,
    ),
    "either role": Semantics(
        title="D", entries=(Kinds.APEX,), places=Places.EITHER_ROLE, certificate_pins=True
    ),
    "leaf only": Semantics(
        title="L", entries=(Kinds.APEX,), places=Places.LEAF, certificate_pins=True
    ),
}


def certificate(name: str) -> ChainCertificate:
    """Return a stand-in for a certificate with the key of this name."""
    key, whole = Pin.of_spki(name.encode()), Pin.of_certificate(name.encode())
    return ChainCertificate(name.encode(), key.digest, whole.digest)


LEAVES = [certificate(f"leaf {number}") for number in range(4)]
AUTHORITIES = [certificate(f"ca {number}") for number in range(3)]


def pins_of(certificates: Iterable[ChainCertificate]) -> st.SearchStrategy[tuple[Pin, ...]]:
    """Choose some keys and whole certificates as pins."""
    offered = [Pin(PinAlgorithm.SPKI, one.spki_sha256) for one in certificates]
    offered += [Pin(PinAlgorithm.CERTIFICATE, one.cert_sha256) for one in certificates]
    return st.lists(st.sampled_from(offered), max_size=3, unique=True).map(tuple)


patterns = st.builds(HostPattern, st.sampled_from(HOSTS[:4]), st.sampled_from(Reach)) | st.just(
    HostPattern("192.0.2.1", Reach.EXACT)
)


@st.composite
def pin_sets(draw: st.DrawFn, name: str) -> PinSet | None:
    """Make a pin set for these hosts and keys, if the choice is one."""
    leaf, ca = draw(pins_of(LEAVES)), draw(pins_of(AUTHORITIES))
    expires = draw(st.sampled_from([None, datetime(2027, 1, 1, tzinfo=UTC), NOW.replace(day=20)]))
    try:
        return PinSet(
            name=name,
            hosts=tuple(draw(st.lists(patterns, min_size=1, max_size=2, unique=True))),
            mode=draw(st.sampled_from(Mode)),
            leaf=leaf[:1],
            backup=leaf[1:],
            ca=ca,
            require=draw(st.sampled_from(Require)),
            expires=expires,
            on_expiry=None if expires is None else draw(st.sampled_from(OnExpiry)),
            single_pin=ACCEPT_LOCK_OUT,
        )
    except PolicyError:
        return None


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Make a policy of up to three sets."""
    made = [draw(pin_sets(name)) for name in ("one", "two", "three")[: draw(st.integers(1, 3))]]
    taken: set[HostPattern] = set()
    kept = []
    for pin_set in made:
        if pin_set is not None and taken.isdisjoint(pin_set.hosts):
            taken.update(pin_set.hosts)
            kept.append(pin_set)
    denied = [Pin(PinAlgorithm.SPKI, LEAVES[0].spki_sha256)]
    return Policy(
        unlisted=draw(st.sampled_from(Unlisted)),
        pin_sets=tuple(kept),
        denied=tuple(denied[: draw(st.integers(0, 1))]),
        on_stale=OnStale.ENFORCE,
    )


chains = st.builds(
    lambda leaf, authorities: VerifiedChain((leaf, *authorities)),
    st.sampled_from(LEAVES),
    st.lists(st.sampled_from(AUTHORITIES), min_size=1, max_size=2, unique=True),
)


@pytest.mark.parametrize("platform", PLATFORMS)
@given(policy=policies(), host=st.sampled_from(HOSTS), chain=chains)
def test_what_is_decided_otherwise_is_a_loss(
    platform: str, policy: Policy, host: str, chain: VerifiedChain
) -> None:
    """A platform never refuses or lets through on its own account, but where a loss says so."""
    semantics = PLATFORMS[platform]
    translated = rules_of(policy, semantics)
    ours = evaluate(policy, host, chain, NOW)
    theirs = decide(translated.rules, semantics, host, chain, NOW)

    if ours.allowed is theirs.allowed:
        return
    effect = Effect.REFUSES if ours.allowed else Effect.LETS_THROUGH
    names = {None, ours.pin_set.name if ours.pin_set else None, *theirs.rules}
    assert _told(translated.losses, effect, names), (ours, theirs, translated)


def _told(losses: Iterable[Loss], effect: Effect, names: set[str | None]) -> bool:
    return any(loss.effect is effect and loss.subject in names for loss in losses)
