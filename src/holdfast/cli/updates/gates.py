"""What `holdfast updates publish` and `new-epoch` look at first, and how they tell of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.certificates.load_policy import load_policy
from holdfast.cli.endpoint_check import Checked, look_at, not_probed
from holdfast.cli.options import anchors_option, timeout_option
from holdfast.cli.output import (
    Format,
    complain,
    print_findings,
    print_json,
    print_lines,
)
from holdfast.cli.public_suffixes import is_public_suffix
from holdfast.cli.trust import given_anchors
from holdfast.cli.updates.options import published, read_only, signed_by
from holdfast.findings.finding import Finding, Severity, finding_as_json
from holdfast.formats.lint import lint
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode
from holdfast.pins.policy import Policy
from holdfast.updates.effective import effective_policy
from holdfast.updates.publication_gate import (
    LIMITS,
    UNSEEN,
    Leave,
    Seen,
    endpoints_to_visit,
    gate_findings,
    more_than_pins,
    nothing_seen,
)
from holdfast.updates.weakening import Change, changes

if TYPE_CHECKING:
    from holdfast.updates.publisher import Publication, Publisher
    from holdfast.updates.roll_out import Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What the options say of the gates.

    Attributes:
        skip_live: Whether to look at no endpoint.
        leave: What is meant, although it is grave.
        anchors: What public sets trust instead of the public CAs.
        timeout: Seconds for each endpoint.
        is_dry: Whether to publish nothing.
    """

    skip_live: bool
    leave: Leave
    anchors: Path | None
    timeout: float
    is_dry: bool


def gate_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of the gates, as one argument `gates`."""

    @functools.wraps(command)
    def with_gates(
        *,
        skip_live: bool,
        emergency: bool,
        large: bool,
        anchors: Path | None,
        timeout: float,
        dry_run: bool,
        **others: Any,  # noqa: ANN401  the options of the command
    ) -> Any:  # noqa: ANN401  what the command returns
        gates = Gates(
            skip_live=skip_live,
            leave=Leave(emergency=emergency, large=large),
            anchors=anchors,
            timeout=timeout,
            is_dry=dry_run,
        )
        return command(gates=gates, **others)

    options = (
        click.option("--dry-run", is_flag=True, help="Say what would change, and publish nothing."),
        click.option("--skip-live", is_flag=True, help="Look at no endpoint."),
        click.option("--emergency", is_flag=True, help="Remove pins although they are in use."),
        click.option("--large", is_flag=True, help="Change more pin sets at once than usual."),
        anchors_option("Trust these CAs instead of the public ones when looking at endpoints."),
        timeout_option(10.0),
    )
    for option in reversed(options):
        with_gates = option(with_gates)
    return with_gates


def publish_gated(
    folder: Path,
    file: Path,
    gates: Gates,
    *,
    opening: Callable[[], Publisher],
    publishing: Callable[[Publisher, Policy], Publication],
    output_format: Format,
    may_change_rules: bool = True,
    lifted: Iterable[Pin] = (),
) -> int:
    """Publish a policy if nothing stands against it, and tell what changes and what was found.

    Args:
        folder: The repository.
        file: The policy.
        gates: What the options say.
        opening: Opens the repository for publishing. It is called after endpoints were looked at,
            so that nobody else waits for them.
        publishing: Publishes.
        output_format: How to tell.
        may_change_rules: Whether more than pins may change.
        lifted: Keys that will be denied no longer.

    Returns:
        The exit code: 1 where something stands against it, 3 where that is only that an endpoint
        could not be looked at.
    """
    document = load_policy(file)
    publisher = read_only(folder)
    seen = _look(publisher, document, gates, lifted)
    if not gates.is_dry:
        publisher = opening()
    findings = _found(publisher, document, seen, gates, may_change_rules=may_change_rules)
    before = publisher.bundle()
    told = () if before is None else changes(before.policy, document)
    errors = {one.rule for one in findings if one.severity is Severity.ERROR}
    done = None if gates.is_dry or errors else publishing(publisher, document)
    placed = [replace(one, file=str(file)) for one in findings]
    if output_format is Format.JSON:
        print_json(_as_json(publisher, told, placed, done))
    else:
        _print_for_people(publisher, told, placed, done)
    if not errors:
        return 0
    complain(f"{file}: nothing was published", "what stands against it says what to do")
    return 3 if errors == {UNSEEN} else 1


def _look(
    publisher: Publisher, document: Policy, gates: Gates, lifted: Iterable[Pin]
) -> tuple[Seen, ...]:
    """Look at the endpoints that a new policy concerns, as its clients would."""
    if gates.skip_live:
        return ()
    before = publisher.bundle()
    visited = endpoints_to_visit(None if before is None else before.policy, document)
    deny = publisher.denied()
    deny = replace(deny, denied=deny.denied.difference(lifted))
    in_force, _ = effective_policy(document, deny, None, datetime.now(UTC))
    anchors = given_anchors(gates.anchors)
    return tuple(map(_seen, look_at(in_force, visited, anchors, gates.timeout)))


def _found(
    publisher: Publisher,
    document: Policy,
    seen: tuple[Seen, ...],
    gates: Gates,
    *,
    may_change_rules: bool,
) -> tuple[Finding, ...]:
    """Return everything that is to be said before a policy is published."""
    before = publisher.bundle()
    policy = None if before is None else before.policy
    denied = publisher.denied().denied.union(() if policy is None else policy.denied)
    checked = lint(document, now=datetime.now(UTC), public_suffix=is_public_suffix)
    beyond = "" if may_change_rules else publisher.beyond_pins(document)
    enforced = {one.name for one in document.pin_sets if one.mode is Mode.ENFORCE}
    unprobed = [one for one in not_probed(document) if one.subject in enforced]
    return (
        *(one for one in checked if one.severity is Severity.ERROR),
        *([more_than_pins(beyond)] if beyond else ()),
        *gate_findings(policy, document, seen, denied=denied, limits=LIMITS, leave=gates.leave),
        *([nothing_seen()] if gates.skip_live else unprobed),
    )


def _as_json(
    publisher: Publisher,
    told: Sequence[Change],
    findings: Sequence[Finding],
    done: Publication | None,
) -> dict[str, object]:
    return {
        "epoch": publisher.epoch,
        "serial": None if done is None else done.serial,
        "candidate_percent": _percent(None if done is None else done.candidate),
        "dropped_percent": _percent(None if done is None else done.dropped),
        "signed": [] if done is None else list(done.signed),
        "changes": [
            {"kind": one.kind.value, "place": one.place, "change": one.words} for one in told
        ],
        "findings": [finding_as_json(one) for one in findings],
    }


def _print_for_people(
    publisher: Publisher,
    told: Sequence[Change],
    findings: Sequence[Finding],
    done: Publication | None,
) -> None:
    print_lines(*(f"{one.kind.value}: {one.place}: {one.words}" for one in told))
    if findings:
        print_findings(findings)
    if done is None:
        print_lines("Nothing was published.")
        return
    of_epoch = "" if publisher.epoch == 1 else f" of epoch {publisher.epoch}"
    if done.dropped is not None:
        print_lines(f"The candidate for {done.dropped.percent} % of clients is dropped.")
    share = f" for {done.candidate.percent} % of clients" if done.candidate is not None else ""
    print_lines(f"{published()} serial {done.serial}{of_epoch}{share}, {signed_by(done.signed)}.")


def _percent(candidate: Candidate | None) -> str | None:
    return None if candidate is None else candidate.percent


def _seen(checked: Checked) -> Seen:
    first = next(iter(checked.findings), None)
    return Seen(
        endpoint=checked.endpoint,
        verdict=checked.verdict,
        reason="" if first is None else first.reason,
        action="" if first is None else first.action,
    )
