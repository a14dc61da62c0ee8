"""Whether Holdfast and `curl --pinnedpubkey` decide alike about live servers.

curl verifies as always and then compares the leaf's key, which is what a policy with `leaf` pins
asks for. Its exit code says why it refused. It knows neither CA pins nor certificate pins.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from holdfast.certificates.key_file import spki_from_key_file
from holdfast.enforcement.context import PinningContext
from holdfast.enforcement.errors import PinViolationError
from holdfast.lab.attack import attacks
from holdfast.lab.server import LabServer
from holdfast.lab.stage import Stage
from holdfast.pins.pin import Pin, PinAlgorithm
from tests.conformance.pinned_client import (
    Answer,
    Decision,
    Difference,
    Hear,
    Judge,
    ask_blocking,
)
from tests.conformance.scenario import Pinned, Scenario, no_pins
from tests.conformance.scenarios import SCENARIOS

DIFFERENT = {
    "denied_key, rogue, leaf pin": Difference(
        Decision.ACCEPTED, Decision.DENIED, "curl has a list of good keys and none of bad ones"
    ),
    "forged_leaf_naming_pinned_ca, rogue, leaf pin": Difference(
        Decision.BROKEN,
        Decision.UNTRUSTED,
        "both refuse: curl calls a signature that does not verify an error of TLS (35)",
    ),
    "intermediate as the only anchor, leaf pin": Difference(
        Decision.ACCEPTED,
        Decision.UNTRUSTED,
        "curl ends a path at any certificate of the store, Holdfast at roots only",
    ),
}
_WHOLE = "curl pins keys, not certificates"
NOT_EXPRESSIBLE = {
    "certificate pin": _WHOLE,
    "certificate pin wrong": _WHOLE,
    "same key renewed, certificate pin": _WHOLE,
    "same key under another CA, certificate pin": _WHOLE,
}
PINNED_LEAVES = [name for name, scenario in SCENARIOS.items() if scenario.pins.ca is no_pins]
ASKED = [name for name in PINNED_LEAVES if name not in NOT_EXPRESSIBLE]

# man curl, EXIT CODES; any other is none of these.
DECISIONS = {
    0: Decision.ACCEPTED,
    35: Decision.BROKEN,  # "A TLS/SSL connect error."
    60: Decision.UNTRUSTED,  # "Peer certificate cannot be authenticated"
    90: Decision.MISMATCH,  # "SSL public key does not matched pinned public key."
}


def _why_not_curl() -> str:
    if shutil.which("curl") is None:
        return "there is no curl command"
    command = ["curl", "--disable", "--version"]
    version = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return "" if " OpenSSL/" in version else "curl was built without OpenSSL"


_WHY_NOT = _why_not_curl()
needs_curl = pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT)


def curl(server: LabServer, host: str, anchors: Path, pinned: str, *options: str) -> Decision:
    """Ask curl for a page of a server, and return what it decided."""
    command = ["curl", "--disable", "--silent", "--noproxy", "*", "--max-time", "10", *options]
    command += ["--connect-to", f"::{server.address}:{server.port}", "--cacert", str(anchors)]
    command += ["--pinnedpubkey", pinned, f"https://{host}:{server.port}/"]
    run = subprocess.run(command, check=False, capture_output=True, timeout=15)
    return DECISIONS[run.returncode]


def as_curl_writes(*pins: str) -> str:
    """Return key pins as curl takes them."""
    parsed = [Pin.parse(text) for text in pins]
    assert {PinAlgorithm.SPKI} == {pin.algorithm for pin in parsed}
    return ";".join(str(pin).replace("sha256/", "sha256//", 1) for pin in parsed)


@pytest.fixture
def judge(stage: Stage) -> Judge:
    """Return a function that asks curl about a scenario."""

    def ask(scenario: Scenario, server: LabServer, anchors: Path) -> Answer:
        pinned = as_curl_writes(*scenario.pins.leaf(stage))
        return Answer(curl(server, scenario.host(stage), anchors, pinned))

    return ask


@pytest.fixture
def anchors(stage: Stage, tmp_path: Path) -> Path:
    """Return a file with both roots of the stage."""
    path = tmp_path / "anchors.pem"
    path.write_text(stage.anchors_pem, "ascii")
    return path


@needs_curl
@pytest.mark.full
@pytest.mark.parametrize("name", ASKED)
def test_decided_as_curl_does(hear: Hear, judge: Judge, name: str) -> None:
    """Both accept, or refuse for the same reason, as they have to."""
    ours, theirs = hear(SCENARIOS[name], judge)

    assert SCENARIOS[name].accepted == (ours.decision is Decision.ACCEPTED)
    if name in DIFFERENT:
        assert DIFFERENT[name][:2] == (theirs.decision, ours.decision), DIFFERENT[name].reason
    else:
        assert theirs.decision == ours.decision


def test_both_answers_are_asked_for() -> None:
    """Of the scenarios with leaf pins, many have to be accepted and many refused."""
    accepted = Counter(SCENARIOS[name].accepted for name in ASKED)

    assert accepted[True] >= 40
    assert accepted[False] >= 40
    assert DIFFERENT.keys() <= set(ASKED)


def test_what_cannot_be_expressed_is_a_certificate_pin(stage: Stage) -> None:
    """The only leaf pins that curl is not asked about are those of whole certificates."""
    whole = [
        name
        for name in PINNED_LEAVES
        if any(pin.startswith("cert-sha256/") for pin in SCENARIOS[name].pins.leaf(stage))
    ]

    assert sorted(NOT_EXPRESSIBLE) == sorted(whole)


@needs_curl
@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_key_file_of_curls_has_our_pin(
    stage: Stage, anchors: Path, tmp_path: Path, encoding: Encoding
) -> None:
    """A public key in a file pins, for curl, the servers that its pin by Holdfast does."""
    file = tmp_path / "key"
    for identity in (stage.server, stage.backup):
        public = identity.key.public_key()
        file.write_bytes(public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo))
        _, spki = spki_from_key_file(file.read_bytes(), str(file))
        pinned = as_curl_writes(str(Pin.of_spki(spki)))
        with LabServer(stage.server) as server:
            by_file = curl(server, stage.host, anchors, str(file))
            by_digest = curl(server, stage.host, anchors, pinned)

        is_shown = identity is stage.server
        assert (Decision.ACCEPTED if is_shown else Decision.MISMATCH) == by_file
        assert by_file == by_digest


@needs_curl
def test_a_pin_of_curls_has_no_host(stage: Stage, anchors: Path) -> None:
    """Different on purpose: curl's pin goes for any server, a pin set for the hosts it names."""
    policy = Pinned(leaf=lambda stage: (stage.pin,)).policy(stage, "elsewhere.example")
    with LabServer(stage.server) as server:
        theirs = curl(server, stage.host, anchors, as_curl_writes(stage.pin))
        ours = ask_blocking(policy, anchors, server, stage.host).decision

    assert (Decision.ACCEPTED, Decision.NOT_PINNED) == (theirs, ours)


@needs_curl
async def test_curl_looks_after_the_handshake(stage: Stage, anchors: Path, tmp_path: Path) -> None:
    """Different on purpose: curl's own certificate reaches the attacker, Holdfast's does not."""
    (attack,) = (one for one in attacks() if one.id == "client_certificate_asked_tls13")
    own = tmp_path / "client.pem"
    own.write_text(stage.client.key_pem + stage.client.chain_pem, "ascii")
    policy = Pinned(leaf=lambda stage: (stage.pin,)).policy(stage, stage.host)
    context = PinningContext(policy, public_anchors=anchors)
    context.load_cert_chain(own)

    with attack.rogue(stage) as server:
        pinned = as_curl_writes(stage.pin)
        decision = await asyncio.to_thread(
            curl, server, stage.host, anchors, pinned, "--cert", str(own)
        )
        with pytest.raises(PinViolationError):
            await asyncio.open_connection(
                server.address, server.port, ssl=context, server_hostname=stage.host
            )
        by_curl, by_holdfast = await asyncio.to_thread(server.wait_for, 2)

    assert Decision.MISMATCH == decision
    assert (stage.client.der, 0) == (by_curl.client_certificate, by_curl.application_bytes)
    assert (None, 0) == (by_holdfast.client_certificate, by_holdfast.application_bytes)
