"""The stage of one run: the throw-away authorities and keys that all its attacks share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from holdfast.lab.authorities import Authority, Identity, new_key
from holdfast.lab.key_encoding import ecdsa_sha256, spki_for_pss, spki_of, with_spki

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cryptography import x509

__all__ = ["LOOPBACK", "Stage", "Unlisted", "UnusualKind"]

UnusualKind = Literal["ed25519", "ec-521", "rsa-pss"]
Unlisted = Literal["refuse", "allow"]

LOOPBACK = "127.0.0.1"  # where each server of an attack listens

_HOST = "localhost"


def _nobody_reads(_policy: str) -> None:
    """Publish nothing: no client is running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The throw-away authorities and keys of one run.

    Attributes:
        honest: The root above the pinned server.
        issuing: The CA below it that issues the server's certificates.
        rogue: The attacker's root, which clients trust as well.
        server: What the honest server shows: the pinned key, certified for `host` and 127.0.0.1.
        backup: The same with the backup key, which is pinned too.
        client: A client's certificate, for clients that show one; `honest` is above it.
        host: The name that clients connect to.
        publish: Replaces the policy that the client reads, while the client runs.
    """

    honest: Authority
    issuing: Authority
    rogue: Authority
    server: Identity
    backup: Identity
    client: Identity
    host: str = _HOST
    publish: Callable[[str], None] = _nobody_reads
    _kept: dict[UnusualKind, Identity] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def new(cls, host: str = _HOST) -> Self:
        """Make all keys and certificates anew, in memory."""
        honest = Authority.new("Honest root")
        issuing = honest.intermediate("Honest issuing CA")
        return cls(
            honest=honest,
            issuing=issuing,
            rogue=Authority.new("Rogue root"),
            server=issuing.issue(host, LOOPBACK),
            backup=issuing.issue(host, LOOPBACK),
            client=honest.issue("client.example", usage="client"),
            host=host,
        )

    @classmethod
    def around(cls, host: str, presented: Sequence[x509.Certificate]) -> Self:
        """Set the stage around a real server, of which the lab has the certificates and no key.

        The keys of `server`, `issuing` and `honest` are new ones that fit to nothing: attacks that
        need the real ones say so in their `HOLDS`.

        Args:
            host: The server's name.
            presented: What it sends, leaf first.
        """
        leaf, *above = presented
        issuer = Authority.new("No issuer was sent").certificate
        rogue = Authority.new("Rogue root")
        server = Identity(new_key(), (leaf, *above))
        return cls(
            honest=Authority(new_key(), above[-1] if above else issuer),
            issuing=Authority(new_key(), above[0] if above else issuer),
            rogue=rogue,
            server=server,
            backup=server,
            client=rogue.issue("client.example", usage="client"),
            host=host,
        )

    def unusual(self, kind: UnusualKind, authority: Authority | None = None) -> Identity:
        """Return an identity for `host` with a key of a kind that few servers have.

        Args:
            kind: The kind.
            authority: Who certifies it; `issuing`, and then it is the same key each time.
        """
        if authority is not None:
            return _unusual(authority, self.host, kind)
        if kind not in self._kept:
            # Two threads may come here at once: the first to be done counts.
            self._kept.setdefault(kind, _unusual(self.issuing, self.host, kind))
        return self._kept[kind]

    @property
    def pin(self) -> str:
        """The pin of the honest server's key, `sha256/...`."""
        return self.server.spki_pin

    @property
    def backup_pin(self) -> str:
        """The pin of the backup key."""
        return self.backup.spki_pin

    @property
    def anchors_pem(self) -> str:
        """What clients trust: the honest root and, as in a compromised store, the rogue one."""
        return self.honest.pem + self.rogue.pem

    def policy_toml(
        self,
        *,
        denied: tuple[str, ...] = (),
        pinned_ca: str | None = None,
        pins: tuple[str, ...] = (),
        others: Mapping[str, tuple[str, ...]] | None = None,
        hosts: tuple[str, ...] | None = None,
        unlisted: Unlisted = "refuse",
    ) -> str:
        """Return a `pins.toml` that pins both keys for `host` and 127.0.0.1.

        Args:
            denied: Pins of keys that must never be accepted.
            pinned_ca: The pin of a CA, to be pinned instead, with the backup key as its second.
            pins: Pins of other keys, to be pinned instead of the server's.
            others: Hosts that have pins of their own, of CAs.
            hosts: Hosts to pin them for instead.
            unlisted: What becomes of other hosts.
        """
        others = others or {}
        hosts = tuple(host for host in hosts or (self.host, LOOPBACK) if host not in others)
        pinned = (
            f"ca = {_toml_array((pinned_ca, self.backup_pin))}\n"
            if pinned_ca
            else f"leaf = {_toml_array(pins or (self.pin,))}\n"
            f"backup = {_toml_array((self.backup_pin,))}\n"
        )
        sets = [_pin_set("lab", hosts, pinned)] + [
            _pin_set(f"other-{number}", (host,), f"ca = {_toml_array(cas)}\n")
            for number, (host, cas) in enumerate(others.items(), 1)
        ]
        head = f'[holdfast]\nformat = 1\nunlisted = "{unlisted}"\ndenied = {_toml_array(denied)}\n'
        return "\n".join([head, *sets])


def _unusual(authority: Authority, host: str, kind: UnusualKind) -> Identity:
    if kind != "rsa-pss":
        return authority.issue(host, LOOPBACK, kind=kind)
    plain = authority.issue(host, LOOPBACK, kind="rsa")
    spki = spki_for_pss(spki_of(plain.certificate))
    leaf = with_spki(plain.certificate, spki, ecdsa_sha256(authority.key))
    return Identity(plain.key, (leaf, *plain.chain[1:]))


def _pin_set(name: str, hosts: tuple[str, ...], pins: str) -> str:
    return f'[pin_set.{name}]\nhosts = {_toml_array(hosts)}\nmode = "enforce"\n{pins}'


def _toml_array(texts: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{text}"' for text in texts) + "]"
