"""`holdfast evaluate --as FORMAT`: what another platform's client would decide."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from holdfast.certificates.load_policy import load_policy
from holdfast.certificates.offline_decision import decide_offline
from holdfast.certificates.spki import chain_certificate
from holdfast.certificates.verify_path import PathFailure, verify_path
from holdfast.cli.losses import tell_losses
from holdfast.cli.output import Format as OutputFormat
from holdfast.cli.output import print_json, print_lines
from holdfast.cli.project_file import read_limited
from holdfast.errors import PolicyError
from holdfast.formats.decide import PlatformVerdict, decide
from holdfast.formats.from_policy import rules_of
from holdfast.formats.loss import Loss, loss_as_json
from holdfast.formats.platform import Rule
from holdfast.formats.registry import Format, format_named
from holdfast.pins.chain import PresentedChain, VerifiedChain
from holdfast.pins.host_pattern import canonical_host
from holdfast.pins.verdict import Verdict


def evaluate_as(
    format_name: str,
    policy: Path,
    host: str,
    presented: tuple[bytes, ...],
    public_anchors: tuple[bytes, ...],
    now: datetime,
    output_format: OutputFormat,
) -> int:
    """Decide as a platform, from a policy or from the platform's own file.

    Returns:
        The exit code: 0 where the connection goes on, and the policy, if there is one, says so too.
    """
    platform = format_named(format_name)
    rules, losses, ours = _rules(platform, policy, host, presented, public_anchors, now)
    path = verify_path(presented, public_anchors, canonical_host(host), now)
    chain: VerifiedChain | PresentedChain = (
        PresentedChain(tuple(map(chain_certificate, presented)))
        if isinstance(path, PathFailure)
        else path
    )
    theirs = decide(rules, platform.semantics, host, chain, now)
    differs = ours is not None and ours.allowed is not theirs.allowed
    if output_format is OutputFormat.JSON:
        print_json(_as_json(platform, host, theirs, ours, losses))
    else:
        print_lines(*_in_words(platform, host, theirs, ours))
        tell_losses(losses)
    return 0 if theirs.allowed and not differs else 1


def _rules(
    platform: Format,
    policy: Path,
    host: str,
    presented: tuple[bytes, ...],
    public_anchors: tuple[bytes, ...],
    now: datetime,
) -> tuple[Sequence[Rule], Sequence[Loss], Verdict | None]:
    data = read_limited(policy)
    if platform.recognizes(str(policy), data):
        try:
            reading = platform.read(data)
        except PolicyError as error:
            raise PolicyError(error.problems, source=str(policy)) from None
        return reading.rules, reading.losses, None
    own = load_policy(policy)
    verdict, _ = decide_offline(own, canonical_host(host), presented, public_anchors, now)
    translated = rules_of(own, platform.semantics)
    return translated.rules, translated.losses, verdict


def _in_words(
    platform: Format, host: str, theirs: PlatformVerdict, ours: Verdict | None
) -> list[str]:
    does = "connects" if theirs.allowed else "refuses"
    lines = [f"{platform.semantics.title} {does} to {host}: {theirs.reason}"]
    if ours is not None:
        does = "does too" if ours.allowed is theirs.allowed else "DIFFERS"
        lines.append(f"  Holdfast {does}: {ours.outcome.value}, {ours.reason}")
    return lines


def _as_json(
    platform: Format,
    host: str,
    theirs: PlatformVerdict,
    ours: Verdict | None,
    losses: Sequence[Loss],
) -> dict[str, object]:
    return {
        "format": platform.name,
        "host": host,
        "allowed": theirs.allowed,
        "reason": theirs.reason,
        "rules": list(theirs.rules),
        "policy": None
        if ours is None
        else {"allowed": ours.allowed, "outcome": ours.outcome.value},
        "losses": [loss_as_json(loss) for loss in losses],
    }
