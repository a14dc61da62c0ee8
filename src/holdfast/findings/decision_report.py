"""A decision as the JSON object that `holdfast evaluate --json` prints.

The keys and their order are an interface: programs read them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.certificates.describe import describe
from holdfast.findings.escape import escaped
from holdfast.findings.explain import explain_verdict
from holdfast.findings.layout import rfc3339
from holdfast.findings.observed import path_of, sent
from holdfast.findings.runbook import hint
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.verdict import Match, Observed, Outcome, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from holdfast.pins.chain import ChainCertificate, PresentedChain

_TEXT_LIMIT = 1000


def decision_as_json(
    verdict: Verdict,
    *,
    observed: Observed | None,
    presented: PresentedChain | None,
    verifier: str,
) -> dict[str, object]:
    """Return a decision as plain data.

    Args:
        verdict: The decision.
        observed: What a refusal saw; left out where nothing is, or would be, refused.
        presented: What the server sent, if it is known.
        verifier: What verified the path, with its version.
    """
    observed = observed if verdict.violation else None
    is_untrusted = verdict.outcome is Outcome.UNTRUSTED
    path = sent(verdict, presented) if is_untrusted else path_of(verdict)
    return {
        "host": verdict.host,
        "outcome": verdict.outcome.value,
        "allowed": verdict.allowed,
        "mode": verdict.mode.value if verdict.mode else None,
        "pin_set": verdict.pin_set.name if verdict.pin_set else None,
        "matched": _match_as_json(verdict.matched) if verdict.matched else None,
        "path": [_certificate_as_json(place, link) for place, link in enumerate(path)],
        "observed": observed.value if observed else None,
        "explanation": explain_verdict(verdict, observed=observed, presented=presented),
        "hint": hint(verdict, observed),
        "verifier": verifier,
    }


def _match_as_json(match: Match) -> dict[str, object]:
    return {"pin": str(match.pin), "role": match.role.value, "position": match.position}


def _certificate_as_json(position: int, certificate: ChainCertificate) -> dict[str, object]:
    description = describe(certificate.der)
    return {
        "position": position,
        "subject": escaped(description.subject, _TEXT_LIMIT),
        "issuer": escaped(description.issuer, _TEXT_LIMIT),
        "spki": str(Pin(PinAlgorithm.SPKI, certificate.spki_sha256)),
        "cert": str(Pin(PinAlgorithm.CERTIFICATE, certificate.cert_sha256)),
        "not_before": _time(description.not_before),
        "not_after": _time(description.not_after),
        "key": escaped(description.key, _TEXT_LIMIT),
    }


def _time(time: datetime | None) -> str | None:
    return rfc3339(time) if time else None
