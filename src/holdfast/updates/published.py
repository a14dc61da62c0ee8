"""What a repository says now: the policy, the denied keys, and how each role stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.updates.document import (
    DENY_TARGET,
    PINS_TARGET,
    POLICY_TARGET,
    Bundle,
    DenyList,
    bundle_from_bytes,
    deny_list_from_bytes,
)
from holdfast.updates.epoch import epoch_of
from holdfast.updates.host_publisher import HostPublisher
from holdfast.updates.key_card import owner_of
from holdfast.updates.publication import RoleStatus
from holdfast.updates.request_check import differences
from holdfast.updates.roles import ROLES
from holdfast.updates.rule_comparison import in_words
from holdfast.updates.weakening import changes, may_be_made_by_pins_role

if TYPE_CHECKING:
    from holdfast.pins.policy import Policy
    from holdfast.updates.repository import Repository
    from holdfast.updates.repository_settings import RepositorySettings

__all__ = ["Published"]


class Published:
    """What is published in one repository."""

    def __init__(self, repository: Repository) -> None:
        """Take a repository; see `Publisher.opened` and `Publisher.created`."""
        self._repository = repository
        self._hosts = HostPublisher(repository)

    @property
    def settings(self) -> RepositorySettings:
        """How the repository is to be signed."""
        return self._repository.settings

    @property
    def root(self) -> bytes:
        """The newest root metadata, to be shipped with applications."""
        return self._repository.bytes_of("root")

    @property
    def epoch(self) -> int:
        """In which bundles are counted."""
        return epoch_of(self._repository.signed("targets"))

    def bundle(self) -> Bundle | None:
        """Return the bundle that is published, or None before the first."""
        return self._bundle("pins", PINS_TARGET)

    def denied(self) -> DenyList:
        """Return the deny list that is published."""
        return deny_list_from_bytes(self._repository.content("emergency", DENY_TARGET) or b"")

    def beyond_pins(self, policy: Policy) -> str:
        """Say what of a policy the offline keys have to sign; nothing where pins alone change."""
        measure = self._bundle("targets", POLICY_TARGET)
        if measure is None:
            return "it is the first"
        found = changes(measure.policy, policy)
        return "" if may_be_made_by_pins_role(found) else in_words(found)

    def status(self) -> tuple[RoleStatus, ...]:
        """Return how each role stands.

        Raises:
            PolicyError: A card that `repository.toml` names cannot be read.
        """
        return tuple(
            RoleStatus(
                role,
                self._repository.signed(role).version,
                self._repository.signed(role).expires,
                self._repository.rule(role).threshold,
                len(self._repository.rule(role).keyids),
                len(self._repository.at_hand(role)),
                tuple(map(owner_of, self._repository.keys(role))),
                tuple(
                    differences(
                        role,
                        self._repository.delegator(role),
                        self._repository.settings,
                        self._repository.folder,
                    )
                ),
            )
            for role in ROLES
        )

    def _bundle(self, role: str, path: str) -> Bundle | None:
        content = self._repository.content(role, path)
        if content is None:
            return None
        return bundle_from_bytes(content, now=self._repository.now, source=path)
