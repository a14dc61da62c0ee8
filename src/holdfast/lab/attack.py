"""What an attack is, and how attacks are found.

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
    TRANSPORT       "https", "smtp" or "imap" (STARTTLS); "https"
    host            a function: from the `Stage` to the name in the URL; `Stage.host`
    server          a function: from the `Stage` to the identity that is pinned, and that honest
                    servers show, instead of `Stage.server`, which it is for the others; none
    denied          a function: from the `Stage` to the pins that the policy denies; none
    pinned_ca       a function: from the `Stage` to the pin of a CA, which the policy then pins
                    instead of the server's key; none
    policy          a function: from the `Stage` to the whole policy, as TOML; `Stage.policy_toml`
                    with the two above
    misconfigure    a function: from the `Stage` to what the client is told otherwise during the
                    attack, by place-holder (`policy` and `anchors` are their texts); not to connect
                    is right then
    spelling        a function: from the `Stage` to how the name in the URL is written during the
                    attack; not to connect is right then
    PROXY           "http" or "https": the client has to come through a proxy of that kind, which is
                    where the server listens; None: it comes directly
    environment     a function: from a folder of the attacker's to variables of the client; none
    in_effect       a function: from that folder to whether they had an effect on the client in the
                    control; else the attack does not apply, by `MAY_DECLINE`
    loot            a function: from that folder to what the attacker found in it afterwards
    HOLDS           a tuple of the honest side's keys that the attacker holds; none. Where they are
                    not at hand, as against a client that was shipped, the attack does not apply
    FOLLOWS         True: the client is sent on, as by `lead_on`, and must follow; False
    MAY_DECLINE     why a client that does not accept the control is not at fault, so that the
                    attack does not apply to it; None: it is
    honest          a function like `rogue`, for the server that has to be accepted: a server of
                    the same shape with the right key; one that shows `Stage.server`
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Self

from holdfast.lab.server import LabServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from holdfast.lab.authorities import Identity
    from holdfast.lab.stage import Stage

__all__ = ["Attack", "AttackClass", "Proxy", "Transport", "attacks"]

Transport = Literal["https", "smtp", "imap"]
Proxy = Literal["http", "https"]

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
        holds: Which of the honest side's keys the attacker holds.
        policy: Returns the whole policy; None if it is the stage's, with `denied` and `pinned_ca`.
        misconfigure: Returns what the client is told otherwise during the attack; None if nothing.
        follows: The client must follow where it is sent on to.
        server: Returns the identity that is pinned instead of the stage's; None if it is that.
        spelling: Returns how the name is written during the attack; None if as in the control.
        proxy: The kind of proxy that the client has to come through; None if it comes directly.
        environment: Returns variables of the client, for a folder of the attacker's; None if none.
        in_effect: Tells whether they had an effect; None if that is not to be seen.
        loot: Returns what the attacker found in the folder; None if it does not look there.
        may_decline: Why a client that does not accept the control is not at fault; None if it is.
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
    holds: tuple[str, ...] = ()
    policy: Callable[[Stage], str] | None = None
    misconfigure: Callable[[Stage], dict[str, str]] | None = None
    follows: bool = False
    may_decline: str | None = None
    server: Callable[[Stage], Identity] | None = None
    spelling: Callable[[Stage], str] | None = None
    proxy: Proxy | None = None
    environment: Callable[[Path], dict[str, str]] | None = None
    in_effect: Callable[[Path], bool] | None = None
    loot: Callable[[Path], bytes] | None = None

    @property
    def control(self) -> object:
        """What the control depends on beside host and policy: the same, the same control."""
        return self.honest, self.server, self.proxy, self.environment

    @property
    def may_stay_away(self) -> bool:
        """Whether a client is right that does not connect during the attack."""
        return self.misconfigure is not None or self.spelling is not None

    def setting(self, stage: Stage) -> Stage:
        """Return the stage on which the attack takes place."""
        return replace(stage, server=self.server(stage)) if self.server else stage

    def told(self, stage: Stage) -> dict[str, str]:
        """Return what the client is told otherwise during the attack, by place-holder."""
        told = dict(self.misconfigure(stage)) if self.misconfigure else {}
        return told | ({"host": self.spelling(stage)} if self.spelling else {})

    def policy_toml(self, stage: Stage) -> str:
        """Return the `pins.toml` that a client under this attack is given."""
        if self.policy:
            return self.policy(stage)
        return stage.policy_toml(
            denied=self.denied(stage) if self.denied else (),
            pinned_ca=self.pinned_ca(stage) if self.pinned_ca else None,
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
            honest=getattr(module, "honest", _HONEST_SERVERS[transport]),
            host=getattr(module, "host", _stage_host),
            denied=getattr(module, "denied", None),
            pinned_ca=getattr(module, "pinned_ca", None),
            transport=transport,
            stands_for=getattr(module, "STANDS_FOR", ()),
            masvs=getattr(module, "MASVS", _MASVS),
            holds=getattr(module, "HOLDS", ()),
            policy=getattr(module, "policy", None),
            misconfigure=getattr(module, "misconfigure", None),
            follows=getattr(module, "FOLLOWS", False),
            may_decline=getattr(module, "MAY_DECLINE", None),
            server=getattr(module, "server", None),
            spelling=getattr(module, "spelling", None),
            proxy=getattr(module, "PROXY", None),
            environment=getattr(module, "environment", None),
            in_effect=getattr(module, "in_effect", None),
            loot=getattr(module, "loot", None),
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


def _honest_https(stage: Stage) -> LabServer:
    return LabServer(stage.server)


def _honest_smtp(stage: Stage) -> LabServer:
    return LabServer(stage.server, starttls="smtp")


def _honest_imap(stage: Stage) -> LabServer:
    return LabServer(stage.server, starttls="imap")


_HONEST_SERVERS: dict[Transport, Callable[[Stage], LabServer]] = {
    "https": _honest_https,
    "smtp": _honest_smtp,
    "imap": _honest_imap,
}


def _stage_host(stage: Stage) -> str:
    return stage.host
