"""What an attack is, and the stage that all attacks of one run share.

Each module below `holdfast.lab.attacks` is one attack, found by being there. Its path below that
package is its id, the first line of its docstring its title, and the rest, with the chain drawn,
its published description: what an honest client sees, what a pinning client must do, which public
bug it stands for. It holds:

    ATTACK_CLASS    an `AttackClass`
    FOOLS_PLAIN     a bool: a client that verifies, but does not pin, falls for it
    rogue           a function: from the `Stage` to the attacking `LabServer`, not started

and, where the default does not fit:

    STANDS_FOR      a tuple of public bugs, such as "CVE-2016-2402"; none
    MASVS           a tuple of OWASP MASVS controls; MASVS-NETWORK-1 and MASVS-NETWORK-2
    TRANSPORT       "https" or "smtp" (STARTTLS); "https"
    host            a function: from the `Stage` to the name in the URL; `Stage.host`
    denied          a function: from the `Stage` to the pins that the policy denies; none
    pinned_ca       a function: from the `Stage` to the pin of a CA, which the policy then pins
                    instead of the server's key; none
    honest          a function like `rogue`, for the server that has to be accepted: a server of
                    the same shape with the right key; one that shows `Stage.server`
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Self

from holdfast.lab.authorities import Authority, Identity
from holdfast.lab.server import LabServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["LOOPBACK", "Attack", "AttackClass", "Stage", "Transport", "attacks"]

Transport = Literal["https", "smtp"]

LOOPBACK = "127.0.0.1"  # where each server of an attack listens

_HOST = "localhost"
_MASVS = ("MASVS-NETWORK-1", "MASVS-NETWORK-2")


class AttackClass(StrEnum):
    """What an attack is about."""

    CHAIN = "chain"
    NAME = "name"
    TIME = "time"
    KEY = "key"
    SESSION = "session"
    TRANSPORT = "transport"
    PROTOCOL = "protocol"


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
    """

    honest: Authority
    issuing: Authority
    rogue: Authority
    server: Identity
    backup: Identity
    client: Identity
    host: str = _HOST

    @classmethod
    def new(cls) -> Self:
        """Make all keys and certificates anew, in memory."""
        honest = Authority.new("Honest root")
        issuing = honest.intermediate("Honest issuing CA")
        return cls(
            honest=honest,
            issuing=issuing,
            rogue=Authority.new("Rogue root"),
            server=issuing.issue(_HOST, LOOPBACK),
            backup=issuing.issue(_HOST, LOOPBACK),
            client=honest.issue("client.example", usage="client"),
        )

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

    def policy_toml(self, denied: tuple[str, ...] = (), pinned_ca: str | None = None) -> str:
        """Return a `pins.toml` that pins both keys.

        Args:
            denied: Pins of keys that must never be accepted.
            pinned_ca: The pin of a CA, to be pinned instead, with the backup key as its second.
        """
        return (
            "[holdfast]\nformat = 1\n"
            'unlisted = "refuse"\n'
            f"denied = {_toml_array(denied)}\n\n"
            "[pin_set.lab]\n"
            f"hosts = {_toml_array((self.host, LOOPBACK))}\n"
            'mode = "enforce"\n'
        ) + (
            f"ca = {_toml_array((pinned_ca, self.backup_pin))}\n"
            if pinned_ca
            else f"leaf = {_toml_array((self.pin,))}\nbackup = {_toml_array((self.backup_pin,))}\n"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack; the fields are those of its module.

    Attributes:
        id: The module's path below `holdfast.lab.attacks`.
        title: The first line of its docstring.
        description: The rest of it.
        attack_class: What it is about.
        fools_plain: A client that verifies, but does not pin, falls for it.
        rogue: Makes the attacking server.
        honest: Makes the server that has to be accepted.
        host: Returns the name in the URL.
        denied: Returns the pins that the policy denies; None if the attack is not about them.
        pinned_ca: Returns the pin of the CA that the policy pins instead of the server's key; None
            if it pins that.
        transport: What the client has to speak.
        stands_for: Public bugs.
        masvs: Controls of OWASP MASVS that it tests.
    """

    id: str
    title: str
    description: str
    attack_class: AttackClass
    fools_plain: bool
    rogue: Callable[[Stage], LabServer]
    honest: Callable[[Stage], LabServer]
    host: Callable[[Stage], str]
    denied: Callable[[Stage], tuple[str, ...]] | None = None
    pinned_ca: Callable[[Stage], str] | None = None
    transport: Transport = "https"
    stands_for: tuple[str, ...] = ()
    masvs: tuple[str, ...] = _MASVS

    def policy_toml(self, stage: Stage) -> str:
        """Return the `pins.toml` that a client under this attack is given."""
        return stage.policy_toml(
            self.denied(stage) if self.denied else (),
            self.pinned_ca(stage) if self.pinned_ca else None,
        )

    @classmethod
    def of(cls, module: ModuleType, attack_id: str) -> Self:
        """Build an attack from its module.

        Raises:
            AttributeError: The module lacks something.
        """
        title, _, description = (inspect.getdoc(module) or "").partition("\n")
        transport: Transport = getattr(module, "TRANSPORT", "https")
        return cls(
            id=attack_id,
            title=title,
            description=description.strip("\n"),
            attack_class=module.ATTACK_CLASS,
            fools_plain=module.FOOLS_PLAIN,
            rogue=module.rogue,
            honest=getattr(module, "honest", functools.partial(_honest_server, transport)),
            host=getattr(module, "host", _stage_host),
            denied=getattr(module, "denied", None),
            pinned_ca=getattr(module, "pinned_ca", None),
            transport=transport,
            stands_for=getattr(module, "STANDS_FOR", ()),
            masvs=getattr(module, "MASVS", _MASVS),
        )


@functools.cache
def attacks() -> tuple[Attack, ...]:
    """Return all attacks, sorted by id."""
    from holdfast.lab import attacks as package

    prefix = f"{package.__name__}."
    found = sorted(
        module.name
        for module in pkgutil.walk_packages(package.__path__, prefix)
        if not module.ispkg
    )
    return tuple(
        Attack.of(importlib.import_module(name), name.removeprefix(prefix)) for name in found
    )


def _honest_server(transport: Transport, stage: Stage) -> LabServer:
    return LabServer(stage.server, starttls="smtp" if transport == "smtp" else None)


def _stage_host(stage: Stage) -> str:
    return stage.host


def _toml_array(texts: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{text}"' for text in texts) + "]"
