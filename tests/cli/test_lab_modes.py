"""The lab against pinning in all its forms, each with a client certificate to lose."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.lab.attack import attacks

Run = Callable[..., subprocess.CompletedProcess[str]]

CLIENTS = Path(__file__).parents[2] / "examples" / "clients"
MAIL = {attack.id for attack in attacks() if attack.transport != "https"}
# Where the resolver does not know the name with a dot, this one does not apply; urllib does not
# take an HTTPS proxy; under `holdfast run` the place in which gevent would be patched in is taken.
MAY_NOT_APPLY = {"trailing_dot", "through_https_proxy", "ssl_patched_by_gevent"}
# What is not TLS's to stop: urllib follows anywhere, and nobody tells it otherwise here.
LEFT = {"redirect_to_http", "redirect_to_unlisted_host"}

# A client that knows nothing of pins.
_PLAIN = """\
import os, ssl, sys
from urllib.request import urlopen
context = ssl.create_default_context(cafile=os.environ["HOLDFAST_LAB_ANCHORS"])
context.load_cert_chain(sys.argv[2])
urlopen(sys.argv[1], context=context, timeout=5).read()
"""
# A client whose sets have another trust; what pins a CA keeps it.
_OTHER_TRUST = """\
import os, sys
from dataclasses import replace
from urllib.request import urlopen
import holdfast
from holdfast.certificates.trust_anchors import load_anchors

ANCHORS = os.environ["HOLDFAST_LAB_ANCHORS"]
CHANGES = {
    "private": {"trust": holdfast.Trust.PRIVATE, "anchors": load_anchors(ANCHORS)},
    "pins-only": {"trust": holdfast.Trust.PINS_ONLY},
}[sys.argv[3]]

class Changed:
    inner = holdfast.PolicyFile(os.environ["HOLDFAST_LAB_POLICY"], check_interval=0.2)
    seen = None, None

    def current(self):
        policy, (before, changed) = self.inner.current(), self.seen
        if policy is not before:
            sets = [
                pin_set if pin_set.ca else replace(pin_set, **CHANGES)
                for pin_set in policy.pin_sets
            ]
            changed = replace(policy, pin_sets=tuple(sets))
            self.seen = policy, changed
        return changed

context = holdfast.PinningContext(Changed(), public_anchors=ANCHORS)
context.load_cert_chain(sys.argv[2])
urlopen(sys.argv[1], context=context, timeout=5).read()
"""


@pytest.fixture
def attacked(run: Run, tmp_path: Path) -> Callable[..., dict[str, tuple[str, str]]]:
    """Return a function that has a program attacked, and returns outcome and moment by attack."""

    def attack(
        text: str, *before: object, after: tuple[str, ...] = ()
    ) -> dict[str, tuple[str, str]]:
        client = tmp_path / "client.py"
        client.write_text(text, "utf-8")
        words = (*before, sys.executable, client, "{url}", "{client_certificate}", *after)
        done = run("lab", "run", "--json", "--timeout", "30", "--", *words)
        results = json.loads(done.stdout)["results"]
        return {one["attack"]: (one["outcome"], one["moment"]) for one in results}

    return attack


def _not_caught(results: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {attack: outcome for attack, (outcome, _) in results.items() if outcome != "caught"}


@pytest.mark.full
@pytest.mark.timeout(300)
def test_under_holdfast_run(attacked: Callable[..., dict[str, tuple[str, str]]]) -> None:
    """A program that knows nothing of pins stops everything, before its certificate leaves."""
    results = attacked(
        _PLAIN, sys.executable, "-m", "holdfast", "run", "--policy", "{policy}", "--"
    )

    assert dict.fromkeys(MAIL, "not-applicable") == {
        attack: outcome
        for attack, outcome in _not_caught(results).items()
        if attack not in MAY_NOT_APPLY or outcome != "not-applicable"
    }
    for attack in ("client_certificate_asked_tls12", "client_certificate_asked_tls13"):
        assert "before the client's certificate" == results[attack][1]


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("trust", ["private", "pins-only"])
def test_in_other_trust(attacked: Callable[..., dict[str, tuple[str, str]]], trust: str) -> None:
    """The same attacks, where a set's own anchors vouch for the server, or nobody does."""
    results = attacked(_OTHER_TRUST, after=(trust,))

    assert dict.fromkeys(MAIL, "not-applicable") | dict.fromkeys(LEFT, "missed") == {
        attack: outcome
        for attack, outcome in _not_caught(results).items()
        if attack not in MAY_NOT_APPLY or outcome != "not-applicable"
    }
    for attack in ("client_certificate_asked_tls12", "client_certificate_asked_tls13"):
        assert "before the client's certificate" == results[attack][1]
