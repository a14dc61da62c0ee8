"""Whether Holdfast and `openssl s_client` with DANE decide alike about live servers (RFC 7671).

| usage | here |
|---|---|
| 0, a CA on a PKIX path | a `ca` pin |
| 1, the leaf of a PKIX path | a `leaf` pin |

Selector 1 is a key pin, selector 0 a certificate pin. OpenSSL verifies as the policy's public trust
does: the same anchors, the name that is asked for, and the stricter rules where Python has them.
A match has to be found at the same place of the path.
"""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from holdfast.lab.attack import attacks
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage
from holdfast.pins.pin import Pin, PinAlgorithm
from tests.conformance.pinned_client import REQUEST, Answer, Decision, Difference, Hear, Judge
from tests.conformance.scenario import Scenario
from tests.conformance.scenarios import ATTACKS_NOT_ASKED, SCENARIOS

_DENIED = Difference(Decision.ACCEPTED, Decision.DENIED, "no record says that a key is denied")
_EARLIER = Difference(
    Decision.MISMATCH,
    Decision.UNTRUSTED,
    "both refuse: OpenSSL looks for a record while it builds the path, before it looks at "
    "signatures, dates and names; Holdfast judges what was verified",
)
_PARTIAL_WILDCARD = Difference(
    Decision.ACCEPTED,
    Decision.UNTRUSTED,
    "Python takes no wildcard within a label (RFC 9525 section 6.3), s_client does",
)
_OTHER_PATH = Difference(
    Decision.MISMATCH,
    Decision.ACCEPTED,
    "OpenSSL builds one path and does not look for another; Holdfast does, on a mismatch only",
)
_DOT = Difference(
    Decision.UNTRUSTED,
    Decision.ACCEPTED,
    "`host.` is `host`; OpenSSL compares it with the certificate letter by letter",
)
# And a scenario in which OpenSSL's one path is that other one.
OTHER_PATHS = {
    "CA signed by honest and rogue, honest and rogue trusted, rogue root pinned": (
        "CA signed by rogue and honest, honest and rogue trusted, rogue root pinned"
    ),
    "CA signed by rogue and honest, honest and rogue trusted, honest root pinned": (
        "CA signed by honest and rogue, honest and rogue trusted, honest root pinned"
    ),
    "root signed by rogue, honest and rogue trusted, rogue root pinned": (
        "root signed by rogue, rogue trusted, rogue root pinned"
    ),
}
# Attacks on verification itself, by a leaf that no record has.
_REFUSED_BY_RECORD = (
    "certificate_for_clients",
    "expired_ca",
    "explicit_curve",
    "leaf_as_ca",
    "name_constraints_broken",
    "name_in_another_field",
    "names_as_text",
    "nul_in_name",
    "path_length_exceeded",
    "space_in_name",
    "unknown_critical_extension",
    "wildcard_for_everything",
)
DIFFERENT = {
    **dict.fromkeys((f"{one}, rogue, leaf pin" for one in _REFUSED_BY_RECORD), _EARLIER),
    **dict.fromkeys(OTHER_PATHS, _OTHER_PATH),
    "denied_key, rogue, leaf pin": _DENIED,
    "denied_key, rogue, CA pin": _DENIED,
    "dot asked for, leaf pin": _DOT,
    "dot asked for, CA pin": _DOT,
    "intermediate expired, CA pin wrong": _EARLIER,
    "intermediate expired, leaf pin wrong": _EARLIER,
    "leaf expired, CA pin wrong": _EARLIER,
    "leaf expired, leaf pin wrong": _EARLIER,
    "forged_leaf_naming_pinned_ca, rogue, leaf pin": _EARLIER,
    "leaf of the future, CA pin wrong": _EARLIER,
    "leaf of the future, leaf pin wrong": _EARLIER,
    "self_signed, rogue, leaf pin": _EARLIER,
    "wildcard within a label, CA pin": _PARTIAL_WILDCARD,
    "wildcard within a label, leaf pin": _PARTIAL_WILDCARD,
}
_ADDRESS = "a record belongs to a name, and s_client compares an address with names only"
# Names begin with these.
NOT_EXPRESSIBLE = {
    "ip_literal, ": _ADDRESS,
    "address_as_name, ": _ADDRESS,
    "short_address, ": _ADDRESS,
    "address ": _ADDRESS,
    "name for an address, ": _ADDRESS,
}
ASKED = [name for name in SCENARIOS if not name.startswith(tuple(NOT_EXPRESSIBLE))]

_NO_MATCH = "65"  # X509_V_ERR_DANE_NO_MATCH
_VERIFY_ERROR = re.compile(r"verify error:num=(\d+):")
_MATCHED = re.compile(r"^DANE TLSA .* matched (?:TA|EE) certificate at depth (\d+)$", re.MULTILINE)
_IS_STRICT = bool(ssl.create_default_context().verify_flags & ssl.VERIFY_X509_STRICT)


def _why_not_openssl() -> str:
    if shutil.which("openssl") is None:
        return "there is no openssl command"
    command = ["openssl", "s_client", "-help"]
    usage = subprocess.run(command, check=False, capture_output=True, text=True)
    has_dane = "-dane_tlsa_rrdata" in usage.stdout + usage.stderr
    return "" if has_dane else "the openssl command was built without DANE"


_WHY_NOT = _why_not_openssl()
needs_dane = pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT)


@pytest.fixture
def openssl(stage: Stage) -> Judge:
    """Return a function that asks `openssl s_client`."""

    def ask(scenario: Scenario, server: LabServer, anchors: Path) -> Answer:
        host = scenario.host(stage)
        command = ["openssl", "s_client", "-brief", "-connect", f"{server.address}:{server.port}"]
        command += ["-CAfile", str(anchors), "-no-CApath", "-no-CAstore", "-verify_return_error"]
        command += ["-verify_hostname", host, "-dane_tlsa_domain", host]
        command += ["-x509_strict"] if _IS_STRICT else []
        for usage, pins in ((0, scenario.pins.ca(stage)), (1, scenario.pins.leaf(stage))):
            for pin in map(Pin.parse, pins):
                command += ["-dane_tlsa_rrdata", _record(usage, pin)]
        run = subprocess.run(command, check=False, input=REQUEST, capture_output=True, timeout=15)
        return _answer(run.returncode, run.stderr.decode())

    return ask


def _record(usage: int, pin: Pin) -> str:
    selector = 1 if pin.algorithm is PinAlgorithm.SPKI else 0
    return f"{usage} {selector} 1 {pin.digest.hex()}"


def _answer(code: int, output: str) -> Answer:
    if code == 0:
        assert "\nVerification: OK\n" in output
        matched = _MATCHED.search(output)
        assert matched, output
        return Answer(Decision.ACCEPTED, int(matched[1]))
    assert "CONNECTION ESTABLISHED" not in output
    error = _VERIFY_ERROR.search(output)
    if error is None:
        return Answer(Decision.BROKEN)
    return Answer(Decision.MISMATCH if error[1] == _NO_MATCH else Decision.UNTRUSTED)


@needs_dane
@pytest.mark.full
@pytest.mark.parametrize("name", ASKED)
def test_decided_as_openssl_does(hear: Hear, openssl: Judge, name: str) -> None:
    """Both accept, by a pin at the same place, or refuse for the same reason, as they have to."""
    ours, theirs = hear(SCENARIOS[name], openssl)

    assert SCENARIOS[name].accepted == (ours.decision is Decision.ACCEPTED)
    if name in DIFFERENT:
        assert DIFFERENT[name][:2] == (theirs.decision, ours.decision), DIFFERENT[name].reason
    else:
        assert theirs == ours


@needs_dane
@pytest.mark.full
@pytest.mark.parametrize("name", OTHER_PATHS)
def test_another_path_matches_as_openssl_would(hear: Hear, openssl: Judge, name: str) -> None:
    """Where only the second look matches, it is as OpenSSL does when it builds that path."""
    ours, _ = hear(SCENARIOS[name], openssl)
    _, theirs = hear(SCENARIOS[OTHER_PATHS[name]], openssl)

    assert theirs == ours
    assert Decision.ACCEPTED is ours.decision


def test_both_answers_are_asked_for() -> None:
    """Of the scenarios that both can express, many have to be accepted and many refused."""
    accepted = Counter(SCENARIOS[name].accepted for name in ASKED)

    assert accepted[True] >= 80
    assert accepted[False] >= 80
    assert DIFFERENT.keys() <= set(ASKED)


def test_each_attack_is_asked_about_or_has_a_reason() -> None:
    """All attacks of the lab that begin with TLS are among the scenarios, or in the table."""
    asked = {name.partition(",")[0] for name in SCENARIOS}
    attack_ids = {attack.id for attack in attacks() if attack.transport == "https"}

    assert set(ATTACKS_NOT_ASKED) == attack_ids - asked
