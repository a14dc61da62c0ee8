"""The scenarios: the attacks of the lab, and variations of pins, paths, times, names and keys."""

from __future__ import annotations

import functools
import itertools
import ssl
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from holdfast.lab.attack import Attack, attacks
from holdfast.lab.authorities import (
    Authority,
    Identity,
    KeyKind,
    PrivateKey,
    new_key,
    self_signed,
    spki_pin,
)
from holdfast.lab.issuance import Signer, Validity, leaf_certificate
from holdfast.lab.server import LabServer
from holdfast.lab.stage import LOOPBACK, Stage
from tests.conformance.scenario import Pinned, Scenario, both_roots, no_pins

if TYPE_CHECKING:
    from cryptography import x509

# Attacks that no single TLS handshake decides. Those that begin without TLS are left out as well.
ATTACKS_NOT_ASKED = {
    "slow_loris": "the client's time limit decides, which is no judge's",
    "added_root": "it is about what a client trusts, and here it trusts both roots",
    "untrusted_root": "it is about what a client trusts, and here it trusts both roots",
    "secrets_logged": "what the client writes to its disk decides, and no handshake",
    "through_http_proxy": "a proxy stands in between, whom the judges would have to be told of",
    "through_https_proxy": "a proxy stands in between, whom the judges would have to be told of",
    **{one.id: "it takes more than one connection" for one in attacks() if one.follows},
}
# What succeeds where the CA is pinned, and has to: a pinned CA may certify any key.
_PASSES_A_PINNED_CA = {"misissued_by_own_ca"}

_DAY = timedelta(days=1)
_SERVICE = "api.example.com"

Shown = Callable[[Stage], Identity]


@functools.cache
def _key(name: str, kind: KeyKind) -> PrivateKey:
    """Return the key of this name, which several functions of one scenario need."""
    return new_key(kind)


def _pin(name: str, kind: KeyKind) -> str:
    return spki_pin(_key(name, kind))


def _leaf_pin(stage: Stage) -> Sequence[str]:
    return (stage.pin,)


def _other_leaf_pin(stage: Stage) -> Sequence[str]:
    return (stage.backup_pin,)


def _issuing_pin(stage: Stage) -> Sequence[str]:
    return (stage.issuing.spki_pin,)


def _honest_root_pin(stage: Stage) -> Sequence[str]:
    return (stage.honest.spki_pin,)


def _rogue_root_pin(stage: Stage) -> Sequence[str]:
    return (stage.rogue.spki_pin,)


_LEAF, _OTHER_LEAF = Pinned(leaf=_leaf_pin), Pinned(leaf=_other_leaf_pin)
_WHOLE_LEAF = Pinned(leaf=lambda stage: (stage.server.cert_pin,))
_CA, _OTHER_CA = Pinned(ca=_issuing_pin), Pinned(ca=_rogue_root_pin)
_ROOT = Pinned(ca=_honest_root_pin)
_RIGHT = {"leaf pin": _LEAF, "CA pin": _CA}
_WRONG = {"leaf pin wrong": _OTHER_LEAF, "CA pin wrong": _OTHER_CA}


def _honest(stage: Stage) -> Identity:
    return stage.server


def _shows(identity: Shown) -> Callable[[Stage], LabServer]:
    return lambda stage: LabServer(identity(stage))


def _of_attacks() -> Iterator[Scenario]:
    """Let each attack and its control meet a pinned leaf, and then a pinned CA."""
    for attack in attacks():
        if attack.transport == "https" and attack.id not in ATTACKS_NOT_ASKED:
            for is_rogue, pins_ca in itertools.product((False, True), repeat=2):
                yield _of_attack(attack, is_rogue=is_rogue, pins_ca=pins_ca)


def _of_attack(attack: Attack, *, is_rogue: bool, pins_ca: bool) -> Scenario:
    def leaf(stage: Stage) -> Sequence[str]:
        return stage.pin, stage.backup_pin

    def ca(stage: Stage) -> Sequence[str]:
        return (attack.pinned_ca(stage),) if attack.pinned_ca else _issuing_pin(stage)

    denied = attack.denied or no_pins
    return Scenario(
        name=f"{attack.id}, {'rogue' if is_rogue else 'honest'}, {'CA' if pins_ca else 'leaf'} pin",
        accepted=not is_rogue or (pins_ca and attack.id in _PASSES_A_PINNED_CA),
        server=attack.rogue if is_rogue else attack.honest,
        pins=Pinned(ca=ca, denied=denied) if pins_ca else Pinned(leaf=leaf, denied=denied),
        host=attack.host,
    )


def _of_pins() -> Iterator[Scenario]:
    """Vary the pins for the honest server."""
    right = {
        "leaf pin": _LEAF,
        "two leaf pins, one right": Pinned(leaf=lambda s: (s.backup_pin, s.pin)),
        "certificate pin": _WHOLE_LEAF,
        "intermediate pinned": _CA,
        "intermediate's certificate pinned": Pinned(ca=lambda s: (s.issuing.cert_pin,)),
        "root pinned, not sent": _ROOT,
        "root's certificate pinned, not sent": Pinned(ca=lambda s: (s.honest.cert_pin,)),
        "intermediate and root pinned": Pinned(
            ca=lambda s: (s.honest.spki_pin, s.issuing.spki_pin)
        ),
        "two CA pins, one right": Pinned(ca=lambda s: (s.rogue.spki_pin, s.issuing.spki_pin)),
        "leaf pin wrong, CA pin right": Pinned(leaf=_other_leaf_pin, ca=_issuing_pin),
        "leaf pin right, CA pin wrong": Pinned(leaf=_leaf_pin, ca=_rogue_root_pin),
    }
    wrong = {
        "leaf pin wrong": _OTHER_LEAF,
        "two leaf pins, none right": Pinned(leaf=lambda s: (s.backup_pin, _pin("other", "ec"))),
        "certificate pin wrong": Pinned(leaf=lambda s: (s.backup.cert_pin,)),
        "CA's key pinned as a leaf": Pinned(leaf=_issuing_pin),
        "leaf's key pinned as a CA": Pinned(ca=_leaf_pin),
        "another trusted root pinned": _OTHER_CA,
        "leaf pin wrong, CA pin wrong": Pinned(leaf=_other_leaf_pin, ca=_rogue_root_pin),
    }
    for name, pins in (right | wrong).items():
        yield Scenario(name=name, accepted=name in right, server=_shows(_honest), pins=pins)


def _of_issuers() -> Iterator[Scenario]:
    """Vary who certified the pinned key, and what is sent behind the leaf."""

    def by_rogue(stage: Stage) -> Identity:
        return stage.rogue.issue(stage.host, key=stage.server.key)

    def renewed(stage: Stage) -> Identity:
        return stage.issuing.issue(stage.host, key=stage.server.key)

    def sends(*authorities: str) -> Shown:
        return lambda stage: stage.server.with_chain(
            *[getattr(stage, name).certificate for name in authorities]
        )

    def by_namesake(stage: Stage) -> Identity:
        identity = stage.rogue.intermediate("Honest issuing CA").issue(stage.host)
        return identity.with_chain(stage.issuing.certificate, *identity.chain[1:])

    def by_a_leaf(stage: Stage) -> Identity:
        """Take a certificate that the pinned CA issued for a server, and issue more with it."""
        own = stage.issuing.issue("attacker.example")
        key, signer = new_key(), Signer(own.key, own.certificate)
        leaf = leaf_certificate([stage.host], None, key, signer, Validity.of(None, None), "server")
        return Identity(key, (leaf, *own.chain))

    shown: tuple[tuple[str, bool, Shown, Pinned], ...] = (
        ("namesake of the pinned CA, both sent", False, by_namesake, _CA),
        ("leaf as a CA, CA pin", False, by_a_leaf, _CA),
        ("leaf as a CA, root pin", False, by_a_leaf, _ROOT),
        ("same key under another CA, leaf pin", True, by_rogue, _LEAF),
        ("same key under another CA, CA pin", False, by_rogue, _CA),
        ("same key under another CA, certificate pin", False, by_rogue, _WHOLE_LEAF),
        ("same key renewed, leaf pin", True, renewed, _LEAF),
        ("same key renewed, certificate pin", False, renewed, _WHOLE_LEAF),
        ("root pinned, sent", True, sends("issuing", "honest"), _ROOT),
        ("chain out of order, CA pin", True, sends("honest", "issuing"), _CA),
        ("intermediate twice, CA pin", True, sends("issuing", "issuing"), _CA),
        ("pinned CA sent, off the path", False, sends("issuing", "rogue"), _OTHER_CA),
        ("intermediate not sent, leaf pin", False, sends(), _LEAF),
        ("intermediate not sent, root pin", False, sends(), _ROOT),
    )
    for name, accepted, identity, pins in shown:
        yield Scenario(name=name, accepted=accepted, server=_shows(identity), pins=pins)


def _of_depths() -> Iterator[Scenario]:
    """Pin each CA of a long path in turn."""

    def long_chain(stage: Stage) -> Identity:
        authority = stage.issuing
        for name in ("second", "third"):
            authority = authority.intermediate(f"{name} CA", key=_key(name, "ec"))
        return authority.issue(stage.host, key=stage.server.key)

    pinned = {
        "nearest CA": Pinned(ca=lambda _: (_pin("third", "ec"),)),
        "second CA": Pinned(ca=lambda _: (_pin("second", "ec"),)),
        "third CA": _CA,
        "root": _ROOT,
    }
    for name, pins in pinned.items():
        yield Scenario(
            name=f"long path, {name} pinned", accepted=True, server=_shows(long_chain), pins=pins
        )


def _of_cross_signing() -> Iterator[Scenario]:
    """Send the issuing CA as the honest root signed it, as the rogue root did, or both ways.

    OpenSSL's path follows the certificate that was sent first, whichever root is trusted. Where it
    is valid, a pin on any other valid path is as good.
    """

    def authorities(stage: Stage, names: Sequence[str]) -> Sequence[Authority]:
        return [{"honest": stage.honest, "rogue": stage.rogue}[name] for name in names]

    def scenario(
        sent: Sequence[str], trusted: Sequence[str], pinned: str, pins: Pinned
    ) -> Scenario:
        def identity(stage: Stage) -> Identity:
            signers = authorities(stage, sent)
            chain = [signer.cross_sign(stage.issuing).certificate for signer in signers]
            return stage.server.with_chain(*chain)

        signed, trust = " and ".join(sent), " and ".join(trusted)
        return Scenario(
            name=f"CA signed by {signed}, {trust} trusted, {pinned} pinned",
            accepted=sent[0] in trusted
            and pinned in {"CA", *(f"{root} root" for root in sent if root in trusted)},
            server=_shows(identity),
            pins=pins,
            trusted=lambda stage: [one.certificate for one in authorities(stage, trusted)],
        )

    pinned = {"CA": _CA, "honest root": _ROOT, "rogue root": _OTHER_CA}
    one, other = ("honest",), ("rogue",)
    for sent, trusted, (name, pins) in itertools.product(
        (one, other, one + other, other + one), (one, other, one + other), pinned.items()
    ):
        yield scenario(sent, trusted, name, pins)


def _of_cross_signed_roots() -> Iterator[Scenario]:
    """Send the honest root as the rogue root signed it, as CAs do with their newest root."""

    def identity(stage: Stage) -> Identity:
        crossed = stage.rogue.cross_sign(stage.honest)
        return stage.server.with_chain(stage.issuing.certificate, crossed.certificate)

    def honest_only(stage: Stage) -> Sequence[x509.Certificate]:
        return (stage.honest.certificate,)

    def rogue_only(stage: Stage) -> Sequence[x509.Certificate]:
        return (stage.rogue.certificate,)

    trusted = {"honest": honest_only, "rogue": rogue_only, "honest and rogue": both_roots}
    pinned = {"CA": _CA, "honest root": _ROOT, "rogue root": _OTHER_CA}
    for (trust, anchors), (name, pins) in itertools.product(trusted.items(), pinned.items()):
        yield Scenario(
            name=f"root signed by rogue, {trust} trusted, {name} pinned",
            accepted=name != "rogue root" or "rogue" in trust,
            server=_shows(identity),
            pins=pins,
            trusted=anchors,
        )


def _of_trust() -> Iterator[Scenario]:
    """Trust something else than roots, or more than them."""

    def issuing_only(stage: Stage) -> Sequence[x509.Certificate]:
        return (stage.issuing.certificate,)

    def whole_path(stage: Stage) -> Sequence[x509.Certificate]:
        return stage.issuing.certificate, stage.honest.certificate

    for name, pins in (_RIGHT | {"root pin": _ROOT}).items():
        yield Scenario(
            name=f"intermediate trusted like its root, {name}",
            accepted=True,
            server=_shows(_honest),
            pins=pins,
            trusted=whole_path,
        )
        yield Scenario(
            name=f"intermediate as the only anchor, {name}",
            accepted=False,
            server=_shows(_honest),
            pins=pins,
            trusted=issuing_only,
        )

    @functools.cache
    def device(host: str) -> Identity:
        return self_signed(host, key=_key("device", "ec"))

    def pin(_stage: Stage) -> Sequence[str]:
        return (_pin("device", "ec"),)

    shows_device = _shows(lambda stage: device(stage.host))
    for name, pins in {"leaf pin": Pinned(leaf=pin), "CA pin": Pinned(ca=pin)}.items():
        yield Scenario(name=f"self-signed, {name}", accepted=False, server=shows_device, pins=pins)
        yield Scenario(
            name=f"self-signed and trusted, {name}",
            accepted=name == "leaf pin",
            server=shows_device,
            pins=pins,
            trusted=lambda stage: (device(stage.host).certificate,),
        )


def _of_time() -> Iterator[Scenario]:
    """Let the pinned keys stand in certificates that are not valid now."""

    def leaf(not_before: timedelta | None, not_after: timedelta | None) -> Shown:
        def identity(stage: Stage) -> Identity:
            now = datetime.now(UTC)
            return stage.issuing.issue(
                stage.host,
                key=stage.server.key,
                not_before=None if not_before is None else now + not_before,
                not_after=None if not_after is None else now + not_after,
            )

        return identity

    def under_expired_ca(stage: Stage) -> Identity:
        expired = datetime.now(UTC) - _DAY
        ca = stage.honest.intermediate("Old CA", key=stage.issuing.key, not_after=expired)
        return ca.issue(stage.host, key=stage.server.key)

    def expired_root(stage: Stage) -> Sequence[x509.Certificate]:
        expired = datetime.now(UTC) - _DAY
        root = Authority.new("Honest root", key=stage.honest.key, not_after=expired)
        return (root.certificate,)

    shown = {
        "leaf expired": leaf(None, -_DAY),
        "leaf of the future": leaf(_DAY, None),
        "intermediate expired": under_expired_ca,
    }
    for (when, identity), (name, pins) in itertools.product(
        shown.items(), (_RIGHT | _WRONG).items()
    ):
        yield Scenario(name=f"{when}, {name}", accepted=False, server=_shows(identity), pins=pins)
    for name, pins in _RIGHT.items():
        yield Scenario(
            name=f"root expired, {name}",
            accepted=False,
            server=_shows(_honest),
            pins=pins,
            trusted=expired_root,
        )


def _of_names() -> Iterator[Scenario]:
    """Vary the names in the certificate and the one asked for; the pin is right."""

    def certified_for(*names: str) -> Shown:
        return lambda stage: stage.issuing.issue(*names, key=stage.server.key, common_name=_SERVICE)

    asked: tuple[tuple[str, bool, str, Sequence[str]], ...] = (
        ("name right", True, _SERVICE, [_SERVICE]),
        ("name wrong", False, _SERVICE, ["www.example.com"]),
        ("one name of several", True, _SERVICE, ["www.example.com", _SERVICE]),
        ("parent's name", False, _SERVICE, ["example.com"]),
        ("common name only", True, _SERVICE, []),  # as Python's ssl has it by default
        ("wildcard", True, _SERVICE, ["*.example.com"]),
        ("wildcard for its parent", False, "example.com", ["*.example.com"]),
        ("wildcard two labels above", False, "v1.api.example.com", ["*.example.com"]),
        ("wildcard within a label", False, _SERVICE, ["a*.example.com"]),
        ("upper case asked for", True, _SERVICE.upper(), [_SERVICE]),
        ("upper case certified", True, _SERVICE, [_SERVICE.upper()]),
        ("dot asked for", True, f"{_SERVICE}.", [_SERVICE]),
        ("address right", True, LOOPBACK, [LOOPBACK]),
        ("address wrong", False, LOOPBACK, ["127.0.0.2"]),
        ("name for an address", False, LOOPBACK, [_SERVICE]),
    )
    for (what, accepted, host, names), (name, pins) in itertools.product(asked, _RIGHT.items()):
        yield Scenario(
            name=f"{what}, {name}",
            accepted=accepted,
            server=_shows(certified_for(*names)),
            pins=pins,
            host=functools.partial(_always, host),
        )
    for name, pins in _RIGHT.items():
        yield Scenario(
            name=f"client's certificate, {name}",
            accepted=False,
            server=_shows(lambda s: s.issuing.issue(s.host, key=s.server.key, usage="client")),
            pins=pins,
        )


def _always(host: str, _stage: Stage) -> str:
    return host


def _of_keys() -> Iterator[Scenario]:
    """Vary the kind of the keys, and the version of TLS."""

    def server(kind: KeyKind, version: ssl.TLSVersion, stage: Stage) -> LabServer:
        ca = stage.honest.intermediate(f"{kind} CA", key=_key("CA", kind))
        identity = ca.issue(stage.host, key=_key("leaf", kind))
        return LabServer(identity, minimum_version=version, maximum_version=version)

    def pin(name: str, kind: KeyKind, _stage: Stage) -> Sequence[str]:
        return (_pin(name, kind),)

    kinds: tuple[KeyKind, ...] = ("ec", "ec-384", "rsa", "ed25519")
    versions = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
    for kind, (text, version) in itertools.product(kinds, versions.items()):
        right, wrong = functools.partial(pin, "leaf", kind), functools.partial(pin, "other", kind)
        ca = functools.partial(pin, "CA", kind)
        pinned = {
            "leaf pin": Pinned(leaf=right),
            "leaf pin wrong": Pinned(leaf=wrong),
            "CA pin": Pinned(ca=ca),
            "CA pin wrong": Pinned(ca=wrong),
        }
        for name, pins in pinned.items():
            yield Scenario(
                name=f"{kind} keys, TLS {text}, {name}",
                accepted=not name.endswith("wrong"),
                server=functools.partial(server, kind, version),
                pins=pins,
            )


def _by_name(*groups: Iterator[Scenario]) -> dict[str, Scenario]:
    found: dict[str, Scenario] = {}
    for scenario in itertools.chain(*groups):
        assert scenario.name not in found
        found[scenario.name] = scenario
    return found


SCENARIOS = _by_name(
    _of_attacks(),
    _of_pins(),
    _of_issuers(),
    _of_depths(),
    _of_cross_signing(),
    _of_cross_signed_roots(),
    _of_trust(),
    _of_time(),
    _of_names(),
    _of_keys(),
)
