"""Publishing policies: for everybody, for some clients first, or as the first of a new epoch.

Nothing is published that clients would refuse: it is measured as they measure it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from holdfast.errors import UpdateError
from holdfast.pins.pin import Pin
from holdfast.pins.policy import Policy
from holdfast.updates.document import (
    DENY_TARGET,
    PINS_TARGET,
    POLICY_TARGET,
    Bundle,
    DenyList,
    bundle_to_bytes,
    deny_list_to_bytes,
)
from holdfast.updates.epoch import EPOCH_FIELD
from holdfast.updates.publication import Publication, other_candidate, serial_after
from holdfast.updates.published import Published
from holdfast.updates.roles import ONLINE
from holdfast.updates.roll_out import SALT_BYTES, Candidate
from holdfast.updates.rule_comparison import in_words
from holdfast.updates.weakening import changes, may_be_made_by_pins_role

__all__ = ["PolicyPublisher"]


class PolicyPublisher(Published):
    """Publishes policies in one repository."""

    def publish(self, policy: Policy, *, refresh: timedelta, rules: bool = False) -> Publication:
        """Publish a policy for everybody; with it a candidate is gone.

        Args:
            policy: What is to be in force.
            refresh: How long clients wait before they ask again.
            rules: Whether more than pins may change; then the offline keys have to be at hand.

        Raises:
            UpdateError: More than pins changes, or keys are missing. Nothing was published.
            PolicyError: No client could read it. Nothing was published.
            OSError: It cannot be written. What was served still is.
        """
        before = self.bundle()
        bundle = Bundle(
            serial=serial_after(before), issued=self._repository.now, refresh=refresh, policy=policy
        )
        content = bundle_to_bytes(bundle)
        signing = ["pins"]
        if beyond := self.beyond_pins(policy):
            if not rules:
                raise UpdateError(
                    f"more than pins changes, which the offline keys have to sign: {beyond}",
                    hint="publish it with --rules, where the keys of `targets` are",
                )
            self._hosts.check(bundle.policy)
            self._repository.put("targets", POLICY_TARGET, content)
            signing.append("targets")
        self._repository.put("pins", PINS_TARGET, content)
        self._repository.write((*signing, *ONLINE))
        return _published(before, bundle, signing)

    def roll_out(self, policy: Policy, *, basis_points: int, refresh: timedelta) -> Publication:
        """Publish a policy for some clients, as a candidate beside the stable one.

        The same candidate keeps its salt: with more basis points the clients that have it keep it.

        Args:
            policy: What these clients are to follow.
            basis_points: Of how many of 10,000 clients it is the policy; 0 takes it back.
            refresh: How long all clients wait before they ask again.

        Raises:
            UpdateError: There is no stable policy, it is the same, more than pins changes, or keys
                are missing. Nothing was published.
            PolicyError: No client could read it. Nothing was published.
            OSError: It cannot be written. What was served still is.
        """
        before = self.bundle()
        measure = self._bundle("targets", POLICY_TARGET)
        if before is None or measure is None:
            raise UpdateError(
                "there is no stable policy beside which it could be rolled out",
                hint="publish one for everybody first, without --percent",
            )
        told = changes(before.policy, policy)
        if not told:
            raise UpdateError(
                "this is what the stable policy says already",
                hint="name the new policy; publishing without --percent drops a candidate",
            )
        found = changes(measure.policy, policy)
        if not may_be_made_by_pins_role(found):
            raise UpdateError(
                f"more than pins changes, which is not rolled out in steps: {in_words(found)}",
                hint="publish the rules for everybody with --rules first, then the pins",
            )
        dropped = other_candidate(before, policy)
        kept = before.candidate if dropped is None else None
        candidate = Candidate(
            policy=policy,
            basis_points=basis_points,
            salt=secrets.token_bytes(SALT_BYTES) if kept is None else kept.salt,
        )
        bundle = replace(
            before,
            serial=serial_after(before),
            issued=self._repository.now,
            refresh=refresh,
            candidate=candidate,
        )
        self._repository.put("pins", PINS_TARGET, bundle_to_bytes(bundle))
        signing = ("pins", *ONLINE)
        self._repository.write(signing)
        return Publication(bundle.serial, told, signing, candidate, dropped)

    def new_epoch(
        self, policy: Policy, *, refresh: timedelta, lift: Iterable[Pin] = ()
    ) -> Publication:
        """Publish a policy as the first of a new epoch: what came before counts no longer.

        It undoes a serial that a thief has used up, and denials. The rest of the deny list holds in
        the new epoch, since clients take it from the file.

        Args:
            policy: What is to be in force. More than pins may change.
            refresh: How long clients wait before they ask again.
            lift: Keys to be denied no longer; then the keys of `emergency` have to be at hand.

        Raises:
            UpdateError: A key is not denied, the policy itself denies it, or keys are missing.
                Nothing was published.
            PolicyError: No client could read it. Nothing was published.
            OSError: It cannot be written. What was served still is.
        """
        before, denied, lifted = self.bundle(), self.denied(), frozenset(lift)
        self._hosts.check(policy)
        for pin in sorted(lifted, key=str):
            if pin not in denied.denied:
                raise UpdateError(f"{pin} is not denied", hint="check the pins to be lifted")
            if pin in policy.denied:
                raise UpdateError(
                    f"{pin} stands in `denied` of the policy", hint="remove it there too"
                )
        bundle = Bundle(serial=1, issued=self._repository.now, refresh=refresh, policy=policy)
        content = bundle_to_bytes(bundle)
        signing = ["pins", "targets"]
        if lifted:
            after = DenyList(serial=denied.serial + 1, denied=denied.denied - lifted)
            self._repository.put("emergency", DENY_TARGET, deny_list_to_bytes(after))
            signing.append("emergency")
        self._repository.signed("targets").unrecognized_fields[EPOCH_FIELD] = self.epoch + 1
        self._repository.put("targets", POLICY_TARGET, content)
        self._repository.put("pins", PINS_TARGET, content)
        self._repository.write((*signing, *ONLINE))
        return _published(before, bundle, signing)


def _published(before: Bundle | None, bundle: Bundle, signing: Sequence[str]) -> Publication:
    """Say what was published for everybody."""
    return Publication(
        bundle.serial,
        changes(before.policy, bundle.policy) if before is not None else (),
        (*signing, *ONLINE),
        dropped=other_candidate(before, bundle.policy),
    )
