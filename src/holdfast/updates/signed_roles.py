"""The roles of a repository: what each says, whose it is, and how it signs anew.

1. Each role signs with the keys at hand, and what is missing is named.
2. What gets other keys is signed once more by the former ones: it verifies under either root.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from securesystemslib.signer import Key, Signer
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)

from holdfast.errors import UpdateError
from holdfast.updates.key_card import check_keys, who
from holdfast.updates.repository_settings import RepositorySettings
from holdfast.updates.roles import DELEGATED, ONLINE, TOP_LEVEL, RoleRule
from holdfast.updates.signing import sign

__all__ = ["SIGNING_ORDER", "Holder", "SignedRoles", "first_metadata", "public_key_of"]

# A key that is here, or one that somebody else has.
Holder = Signer | Key

# What others refer to comes first.
SIGNING_ORDER = ("root", *DELEGATED, "targets", *ONLINE)


class SignedRoles:
    """The metadata of all roles, and the keys that are here."""

    def __init__(
        self,
        signers: Mapping[str, Signer],
        now: datetime,
        metadata: Mapping[str, Metadata[Any]],
        settings: RepositorySettings,
    ) -> None:
        """Hold them.

        Args:
            signers: The keys at hand, by key id.
            now: The time, with an offset.
            metadata: Of each role.
            settings: How each role is to be signed.
        """
        self.now = now
        self.settings = settings
        self._signers = dict(signers)
        self._metadata = dict(metadata)
        self._outgoing: dict[str, list[Signer]] = {}

    def signed(self, role: str) -> Any:  # noqa: ANN401  each role signs a type of its own
        """Return what a role signs."""
        return self._metadata[role].signed

    def bytes_of(self, role: str) -> bytes:
        """Return the metadata of a role as it is served."""
        return self._metadata[role].to_bytes()

    def metadata(self, role: str) -> Metadata[Any]:
        """Return the metadata of a role."""
        return self._metadata[role]

    def rule(self, role: str) -> Any:  # noqa: ANN401  two types with the same fields
        """Return the key ids and the threshold of a role."""
        return self.delegator(role).get_delegated_role(role)

    def delegator(self, role: str) -> Any:  # noqa: ANN401  as above
        """Return what says who may sign a role."""
        return self.signed("root" if role in TOP_LEVEL else "targets")

    def at_hand(self, role: str) -> list[Signer]:
        """Return the keys of a role that are here."""
        return [self._signers[one] for one in self.rule(role).keyids if one in self._signers]

    def has_enough(self, role: str) -> bool:
        """Tell whether a role can sign here."""
        return bool(len(self.at_hand(role)) >= self.rule(role).threshold)

    def keys(self, role: str) -> list[Key]:
        """Return the public keys of a role."""
        return [self.delegator(role).get_key(keyid) for keyid in self.rule(role).keyids]

    def days(self, role: str) -> int:
        """Return for how long a signature of a role counts."""
        return self.settings.roles[role].days

    def exchange_keys(self, role: str, keys: Sequence[Holder], threshold: int) -> None:
        """Give a role other keys; the former ones that are here sign once more, for rule 2.

        Raises:
            UpdateError: A threshold of the root's keys is not here, or one person has two keys.
        """
        if role == "root":
            self.require(["root"])
        if role in TOP_LEVEL:
            self._outgoing[role] = self._signing(role)
        self._exchange(role, keys, threshold)

    def _exchange(self, role: str, keys: Sequence[Holder], threshold: int) -> None:
        public = [public_key_of(one) for one in keys]
        check_keys(role, public)
        owner = self.delegator(role)
        for keyid in list(self.rule(role).keyids):
            owner.revoke_key(keyid, role)
        for key in public:
            owner.add_key(key, role)
        self.rule(role).threshold = threshold
        self._signers |= {one.public_key.keyid: one for one in keys if isinstance(one, Signer)}

    def require(self, roles: Iterable[str]) -> None:
        """Refuse to go on where the keys of a role are missing; `write` does so too.

        Raises:
            UpdateError: They are.
        """
        for role in roles:
            if self.has_enough(role):
                continue
            rule, here = self.rule(role), {one.public_key.keyid for one in self.at_hand(role)}
            others = who(one for one in self.keys(role) if one.keyid not in here)
            raise UpdateError(
                f"{role} takes {rule.threshold} of its {len(rule.keyids)} keys, and "
                f"{len(here)} are here: there are also those of {others}",
                hint="name their folders with --keys, or let them sign a request: "
                "`holdfast updates stage`",
            )

    def _sign_anew(self, roles: Collection[str], by: int) -> None:
        """Sign the next versions of roles.

        Args:
            roles: What has changed.
            by: How much higher their versions are.
        """
        for role in sorted(roles, key=SIGNING_ORDER.index):
            self._refer(role)
            self._renew(role, by)
            self._sign(role)

    def _refer(self, role: str) -> None:
        """Let snapshot and timestamp say what they stand for."""
        if role == "snapshot":
            # Whatever else it names stays: a role that is gone from it would stop clients.
            self.signed(role).meta |= {
                f"{one}.json": MetaFile(self.signed(one).version) for one in ("targets", *DELEGATED)
            }
        if role == "timestamp":
            self.signed(role).snapshot_meta = MetaFile(self.signed("snapshot").version)

    def _renew(self, role: str, by: int) -> None:
        """Make what has changed the next version, which nobody has signed yet."""
        metadata = self._metadata[role]
        metadata.signed.version += by
        metadata.signed.expires = self.now + timedelta(days=self.days(role))
        metadata.signatures.clear()

    def _signing(self, role: str) -> list[Signer]:
        """Return as many keys as it takes, of those that are here."""
        return self.at_hand(role)[: self.rule(role).threshold]

    def _sign(self, role: str) -> None:
        signing = self._signing(role)
        known = {one.public_key.keyid for one in signing}
        outgoing = self._outgoing.get(role, [])
        signing += [one for one in outgoing if one.public_key.keyid not in known]
        for signer in signing:
            sign(self._metadata[role], signer, role)


def public_key_of(one: Holder) -> Key:
    """Return the public half of a key, whether it is here or not."""
    return one.public_key if isinstance(one, Signer) else one


def first_metadata(
    keys: Mapping[str, Sequence[Key]], rules: Mapping[str, RoleRule], now: datetime
) -> dict[str, Metadata[Any]]:
    """Return the metadata of a new repository, unsigned."""
    expires = {role: now + timedelta(days=rule.days) for role, rule in rules.items()}
    root, targets = Root(expires=expires["root"]), Targets(expires=expires["targets"])
    targets.delegations = Delegations(
        {},
        {
            role: DelegatedRole(role, [], rules[role].threshold, True, paths=[paths])  # noqa: FBT003
            for role, paths in DELEGATED.items()
        },
    )
    for role, several in keys.items():
        owner: Root | Targets = root if role in TOP_LEVEL else targets
        for key in several:
            owner.add_key(key, role)
        if role in TOP_LEVEL:
            root.roles[role].threshold = rules[role].threshold
    return {
        "root": Metadata(root),
        "targets": Metadata(targets),
        "snapshot": Metadata(Snapshot(expires=expires["snapshot"])),
        "timestamp": Metadata(Timestamp(expires=expires["timestamp"])),
        **{role: Metadata(Targets(expires=expires[role])) for role in DELEGATED},
    }
