"""Keeping a repository alive: new keys for its roles, and new signatures before the old expire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from holdfast.errors import UpdateError
from holdfast.updates.published import Published
from holdfast.updates.roles import DELEGATED, ONLINE
from holdfast.updates.signed_roles import Holder

__all__ = ["KeyUpkeep"]

_SIGN_NEW_KEYS = {
    "root": ("root",),
    "targets": ("root", "targets", *ONLINE),
    "snapshot": ("root", *ONLINE),
    "timestamp": ("root", "timestamp"),
}


class KeyUpkeep(Published):
    """Rotates keys and signs again, in one repository."""

    def rotate_keys(
        self, role: str, keys: Sequence[Holder], threshold: int | None = None
    ) -> tuple[str, ...]:
        """Give a role new keys.

        Args:
            role: Which.
            keys: As many as `repository.toml` says: what signs with them, or, of people who are
                elsewhere, the public halves.
            threshold: How many have to sign from now on; by default as `repository.toml` says.

        Returns:
            The roles that have signed: the one that says whose the role is, and the role itself.

        Raises:
            UpdateError: There are fewer keys or more, one person has two, those that have to sign
                are missing, or others are publishing or have since this was opened. Nothing was
                published.
            OSError: It cannot be written. What was served still is.
        """
        rule = self._repository.settings.roles[role]
        if len(keys) != rule.keys:
            raise UpdateError(
                f"{role} has {rule.keys} keys, and {len(keys)} are new",
                hint="repository.toml says how many there are",
            )
        self._repository.exchange_keys(role, keys, threshold or rule.threshold)
        # No more than it takes: the keys of the others may be lost too.
        signing = _SIGN_NEW_KEYS.get(role) or tuple(dict.fromkeys(("targets", role, *ONLINE)))
        with self._repository.alone():  # from the bins to the timestamp
            if role == "pins":
                self._repository.require(signing)  # before a bin is written
                self._hosts.sign_again()
            self._repository.write(signing)
        return signing

    def resign(self, roles: Sequence[str] = ()) -> tuple[str, ...]:
        """Sign again: some roles, or the timestamp and whatever is in the last third of its time.

        Args:
            roles: Which; without them, only roles whose keys are at hand are signed. Run that each
                hour.

        Returns:
            The roles that have signed.

        Raises:
            UpdateError: Keys are missing, or others are publishing or have since this was opened.
            OSError: It cannot be written. What was served still is.
        """
        due = [role for role in ("root", "targets", *DELEGATED) if self._is_due(role)]
        signing = list(roles) or [role for role in due if self._repository.has_enough(role)]
        with self._repository.alone():  # as above
            if self._repository.has_enough("pins") and self._hosts.sign_again(only_due=True):
                signing.append("pins")
            if {*signing} - {"root"} or self._is_due("snapshot"):
                signing.append("snapshot")
            signing = list(dict.fromkeys((*signing, "timestamp")))
            self._repository.write(signing)
        return tuple(signing)

    def _is_due(self, role: str) -> bool:
        left: timedelta = self._repository.signed(role).expires - self._repository.now
        return left < timedelta(days=self._repository.days(role)) / 3
