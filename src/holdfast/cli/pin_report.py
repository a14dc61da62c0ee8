"""What `holdfast pin` says: what was seen, what was written, and what is left to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from holdfast.certificates.describe import describe
from holdfast.cli.against_pinning import against_pinning
from holdfast.cli.first_look import Look, Refusal
from holdfast.cli.output import print_findings, print_lines, print_text
from holdfast.cli.pins_file import NewSet
from holdfast.findings.finding import Finding, finding_as_json
from holdfast.findings.layout import rfc3339
from holdfast.pins.chain import ChainCertificate
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import Mode

_CONFIRM = (
    "Confirm this pin with the server's owner, by another way than this network, "
    "before clients rely on it."
)


def key_pin(certificate: ChainCertificate) -> Pin:
    """Return the pin of a certificate's key."""
    return Pin(PinAlgorithm.SPKI, certificate.spki_sha256)


def refused_as_json(policy: Path, refusals: list[Refusal]) -> dict[str, object]:
    """Return why nothing was written."""
    return {
        "policy": str(policy),
        "written": False,
        "refused": [
            {
                "endpoint": str(refusal.endpoint),
                "reason": refusal.reason,
                "hint": refusal.hint,
                "determined": refusal.determined,
            }
            for refusal in refusals
        ],
    }


def print_seen(looks: list[Look], sets: list[NewSet]) -> None:
    """Print the paths with the keys marked that are to be pinned, and what speaks against it."""
    pinned = {pin for new in sets for pin, _ in (*new.leaf, *new.ca)}
    for look in looks:
        for place, chain in look.paths:
            print_lines(f"{look.endpoint} at {place}")
            for position, certificate in enumerate(chain.certificates):
                is_last = position == len(chain.certificates) - 1
                role = "leaf" if position == 0 else "anchor" if is_last else "ca"
                print_lines(*_certificate_lines(role, certificate, pinned))
        if findings := _findings(look, sets):
            print_findings(findings)
        print_lines("")


@dataclass(frozen=True, slots=True)
class Written:
    """A policy that was written, and what it was made from."""

    policy: Path
    looks: list[Look]
    sets: list[NewSet]
    new_backup: Path | None
    anchors: Path | None

    def as_json(self) -> dict[str, object]:
        """Return all of it as plain data."""
        return {
            "policy": str(self.policy),
            "written": True,
            "pin_sets": [_set_as_json(new) for new in self.sets],
            "endpoints": [_look_as_json(look) for look in self.looks],
            "new_backup": str(self.new_backup) if self.new_backup else None,
            "findings": [
                finding_as_json(finding)
                for look in self.looks
                for finding in _findings(look, self.sets)
            ],
            "confirm": _CONFIRM,
        }

    def print_for_people(self) -> None:
        """Print what was written, and the next steps."""
        for new in self.sets:
            self._print_set(new)
        if self.new_backup:
            print_text(
                f"Made the backup key {self.new_backup}. Move it away from here: "
                "whatever happens to the server's key must not happen to this one."
            )
        if self.anchors:
            print_text(f"Clients and checks have to trust {self.anchors} too:")
            print_lines(
                f"  PinningContext(policy, public_anchors={str(self.anchors)!r})",
                f"  holdfast check --anchors {self.anchors}",
            )
        print_text(_CONFIRM)

    def _print_set(self, new: NewSet) -> None:
        head = f"Wrote {self.policy}: pin set {new.name} for {', '.join(new.hosts)}"
        if new.mode is Mode.ENFORCE:
            is_single = len(new.leaf + new.backup + new.ca) == 1
            lock_out = " with a single pin: lock-out accepted" if is_single else ""
            print_text(f"{head}, enforced{lock_out}.")
            return
        print_text(
            f"{head}, report-only: NOT ENFORCED. "
            "With one key only, its loss would lock every client out."
        )
        if new.ca:
            print_text('To enforce it, add the pin of a second CA and write mode = "enforce".')
            return
        print_text("To enforce it:")
        print_lines(
            "  holdfast key new next.key",
            f'  # in {self.policy}: backup = ["the pin it prints"] and mode = "enforce"',
        )


def _findings(look: Look, sets: list[NewSet]) -> tuple[Finding, ...]:
    """Say what speaks against pinning a host as the one set that is for it does."""
    ca_pins = [pin for new in sets if look.endpoint.host in new.hosts for pin, _ in new.ca]
    return against_pinning(look, ca_pins)


def _certificate_lines(
    role: str, certificate: ChainCertificate, pinned: set[Pin]
) -> tuple[str, str]:
    description = describe(certificate.der)
    until = f", until {description.not_after:%Y-%m-%d}" if description.not_after else ""
    pin = key_pin(certificate)
    return (
        f"  {role:<6}  {description.subject} ({description.key}{until})",
        f"          {pin}{'  <- pinned' if pin in pinned else ''}",
    )


def _set_as_json(new: NewSet) -> dict[str, object]:
    return {
        "name": new.name,
        "hosts": new.hosts,
        "mode": new.mode.value,
        "leaf": [str(pin) for pin, _ in new.leaf],
        "backup": [str(pin) for pin, _ in new.backup],
        "ca": [str(pin) for pin, _ in new.ca],
    }


def _look_as_json(look: Look) -> dict[str, object]:
    return {
        "endpoint": str(look.endpoint),
        "seen": [
            {"at": place, "path": [_certificate_as_json(link) for link in chain.certificates]}
            for place, chain in look.paths
        ],
    }


def _certificate_as_json(certificate: ChainCertificate) -> dict[str, object]:
    description = describe(certificate.der)
    return {
        "subject": description.subject,
        "issuer": description.issuer,
        "spki": str(key_pin(certificate)),
        "not_after": rfc3339(description.not_after) if description.not_after else None,
        "key": description.key,
    }
