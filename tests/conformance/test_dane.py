"""OpenSSL's DANE cases (RFC 6698, RFC 7671) as policies.

| usage | here |
|---|---|
| 0, a CA on a PKIX path | public trust, a `ca` pin |
| 1, the leaf of a PKIX path | public trust, a `leaf` pin |
| 2, a CA that is its own anchor | private trust: the root that was sent is the anchor, a `ca` pin |
| 3, the leaf and nothing else | pins-only trust, a `leaf` pin |

Selector 1 is a key pin, selector 0 a certificate pin. A record with the whole key or certificate
is the pin of its SHA-256. Paths are OpenSSL's, since the certificates are older than the rules of
`cryptography`'s verifier (the last test).
"""

from __future__ import annotations

import base64
import json
import shutil
import ssl
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import load_der_x509_certificate

from holdfast.certificates.offline_decision import decide_offline
from holdfast.certificates.spki import chain_certificate
from holdfast.certificates.verifier_differences import differences
from holdfast.certificates.verify_path import PathFailure, verify_path
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.evaluate import evaluate, untrusted
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode, PinSet, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Outcome, Verdict

AGREEING = {
    "dane #2": "usage 3, the key, neither name nor validity checked",
    "dane #6": "usage 3, one bit wrong",
    "dane #9": "usage 3, the certificate",
    "dane #13": "usage 2, the intermediate's certificate",
    "dane #14": "usage 2, the intermediate's key",
    "dane #17": "usage 2, the root's certificate",
    "dane #18": "usage 2, the root's key",
    "dane #26 lower-case hex, full SPKI": "usage 0, the intermediate's key, the root not sent",
    "dane #37 wrong intermediate digest": "usage 0, no such intermediate",
    "dane #38 wrong root digest": "usage 0, no such root",
    "dane #43 root from DNS": "usage 2, the whole root: an anchor of a private set",
    "dane #48 name mismatch fails despite DANE-TA intermediate": "the name is always checked",
}
# What is decided otherwise on purpose: the outcome here, the place of the match, and why.
DIFFERENT = {
    "dane #35 missing intermediate provided via DNS": (
        Outcome.UNTRUSTED,
        None,
        "a policy brings pins, not certificates: the server must send its intermediates",
    ),
    "dane #41 DANE-TA(2) depth2 beats PKIX-TA(0) depth1": (
        Outcome.MATCH,
        1,
        "pins have no precedence among each other: the one nearest to the leaf is named",
    ),
    "dane #44 intermediate from DNS": (
        Outcome.UNTRUSTED,
        None,
        "an intermediate is no anchor: partial chains are off",
    ),
}
_SHA512 = "matching type 2 is SHA-512, which no pin has"
NOT_EXPRESSIBLE = {
    "dane #7": _SHA512,
    "dane #11": _SHA512,
    "dane #15": _SHA512,
    "dane #19": _SHA512,
    "dane #29": _SHA512,
    "dane #32": _SHA512,
    "dane #39 DANE-EE(3) beats DANE-TA(2)": _SHA512,
    "dane #40 DANE-TA depth1 beats depth2": _SHA512,
}

NOW = datetime.now(UTC)
needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="paths are built by the openssl command"
)


@dataclass(frozen=True)
class Dane:
    """The cases by name, and the certificates that they name."""

    cases: dict[str, dict[str, Any]]
    certificates: dict[str, bytes]
    folder: Path

    def judge(self, name: str) -> Verdict:
        """Answer a case: its records as a policy, its chain as a path."""
        asked = self.cases[name]["input"]
        host = asked["reference_name"]
        chain = tuple(self.certificates[link] for link in asked["chain"])
        usages = {record["usage"] for record in asked["tlsa"]}
        pins: dict[int, list[Pin]] = {record["usage"]: [] for record in asked["tlsa"]}
        for record in asked["tlsa"]:
            pins[record["usage"]].append(self._pin(record))
        leaf, ca = pins.get(1, []) + pins.get(3, []), pins.get(0, []) + pins.get(2, [])
        root = self.certificates["RCA2" if "RCA2" in asked["chain"] else "ROOT"]
        if 3 in usages:
            check_name = False if asked["no_name_checks"] else None
            policy = _policy(
                host, trust=Trust.PINS_ONLY, leaf=leaf, check_name=check_name, check_validity=False
            )
            return decide_offline(policy, host, chain, (), NOW)[0]
        if 2 in usages:
            whole = [self._whole(record) for record in asked["tlsa"] if record["mtype"] == 0]
            anchors = tuple(whole) or (root,)
            policy = _policy(host, trust=Trust.PRIVATE, anchors=anchors, ca=ca)
        else:
            anchors = (root,)
            policy = _policy(host, leaf=leaf, ca=ca)
        path = self.openssl_path(chain, anchors, host)
        if path is None:
            return untrusted(policy, host, "OpenSSL finds no path")
        return evaluate(policy, host, path, NOW)

    def openssl_path(
        self, chain: tuple[bytes, ...], anchors: tuple[bytes, ...], host: str
    ) -> VerifiedChain | None:
        """Let OpenSSL verify a chain for a TLS server; certificates are known by their names."""
        files = {"leaf": chain[:1], "others": chain[1:], "anchors": anchors}
        for name, ders in files.items():
            pem = "".join(map(ssl.DER_cert_to_PEM_cert, ders))
            (self.folder / f"{name}.pem").write_text(pem)
        command = ["openssl", "verify", "-show_chain", "-purpose", "sslserver"]
        command += ["-auth_level", "2", "-verify_hostname", host]
        command += ["-no-CApath", "-no-CAstore", "-CAfile", "anchors.pem"]
        command += ["-untrusted", "others.pem"] if chain[1:] else []
        run = subprocess.run(
            [*command, "leaf.pem"], cwd=self.folder, check=False, capture_output=True, text=True
        )
        if run.returncode:
            return None
        by_name = {
            load_der_x509_certificate(der).subject.rfc4514_string(): der
            for der in (*anchors, *chain)
        }
        names = [
            line.partition(": ")[2].removesuffix(" (untrusted)").replace(" = ", "=")
            for line in run.stdout.splitlines()
            if line.startswith("depth=")
        ]
        return VerifiedChain(tuple(chain_certificate(by_name[name]) for name in names))

    def _pin(self, record: dict[str, Any]) -> Pin:
        selector, matching = record["selector"], record["mtype"]
        if matching == 1:
            algorithm = PinAlgorithm.SPKI if selector == 1 else PinAlgorithm.CERTIFICATE
            return Pin(algorithm, bytes.fromhex(record["data"]))
        if selector == 1:
            return Pin.of_spki(bytes.fromhex(record["data"]))
        return Pin.of_certificate(self._whole(record))

    def _whole(self, record: dict[str, Any]) -> bytes:
        return self.certificates[record["data"].removeprefix("<full DER of ").removesuffix(">")]


def _policy(
    host: str,
    *,
    leaf: list[Pin] | None = None,
    ca: list[Pin] | None = None,
    **fields: Any,  # noqa: ANN401
) -> Policy:
    pin_set = PinSet(
        name="dane",
        hosts=(HostPattern.parse(host),),
        mode=Mode.ENFORCE,
        leaf=tuple(leaf or ()),
        ca=tuple(ca or ()),
        single_pin=ACCEPT_LOCK_OUT,
        **fields,
    )
    return Policy(unlisted=Unlisted.REFUSE, pin_sets=(pin_set,))


@pytest.fixture
def dane(conformance_folder: Path, conformance_cases: list[dict[str, Any]], tmp_path: Path) -> Dane:
    """Return the cases of this kind."""
    text = (conformance_folder / "dane_certs.json").read_text("utf-8")
    certificates = json.loads(text)["certs"]
    return Dane(
        {case["case"]: case for case in conformance_cases if case["kind"] == "dane"},
        {name: base64.b64decode(encoded) for name, encoded in certificates.items()},
        tmp_path,
    )


@needs_openssl
@pytest.mark.parametrize("name", AGREEING)
def test_decided_as_openssl_does(dane: Dane, name: str) -> None:
    """What DANE accepts matches at the same place; what it refuses is refused."""
    expected = dane.cases[name]["expected"]
    verdict = dane.judge(name)

    if expected["meaning"] == "OK":
        assert (Outcome.MATCH, True) == (verdict.outcome, verdict.allowed)
        assert verdict.matched is not None
        assert expected["match_depth"] == verdict.matched.position
    else:
        refusals = {"DANE_NO_MATCH": Outcome.MISMATCH, "HOSTNAME_MISMATCH": Outcome.UNTRUSTED}
        assert (refusals[expected["meaning"]], False) == (verdict.outcome, verdict.allowed)
        assert verdict.matched is None


@needs_openssl
@pytest.mark.parametrize("name", DIFFERENT)
def test_decided_otherwise_on_purpose(dane: Dane, name: str) -> None:
    """Where DANE's rules are not ours, the outcome is the one written in the table."""
    outcome, position, reason = DIFFERENT[name]
    verdict = dane.judge(name)
    place = verdict.matched.position if verdict.matched else None

    assert (outcome, position) == (verdict.outcome, place), reason
    assert (outcome, position) != (Outcome.MATCH, dane.cases[name]["expected"]["match_depth"])


def test_every_case_is_run_or_has_a_reason(dane: Dane) -> None:
    """The tables name each case once, and no case that is gone."""
    accounted = [*AGREEING, *DIFFERENT, *NOT_EXPRESSIBLE]

    assert sorted(dane.cases) == sorted(accounted)


@pytest.mark.parametrize("name", NOT_EXPRESSIBLE)
def test_what_cannot_be_expressed_is_sha512(dane: Dane, name: str) -> None:
    """The only records without a pin are those of matching type 2."""
    records = dane.cases[name]["input"]["tlsa"]

    assert {2} == {record["mtype"] for record in records}


@needs_openssl
@pytest.mark.parametrize(
    ("host", "names"),
    [("example.com", ("LEAF", "ISS", "ROOT")), ("example.org", ("ORG", "CA2", "RCA2"))],
)
def test_certificates_are_older_than_the_rules_of_the_verifier(
    dane: Dane, host: str, names: tuple[str, ...]
) -> None:
    """OpenSSL verifies the chains; cryptography's verifier refuses their CAs, as the table says."""
    *chain, root = (dane.certificates[name] for name in names)
    presented, anchors = tuple(chain), (root,)
    answer = verify_path(presented, anchors, host, NOW)

    assert dane.openssl_path(presented, anchors, host) is not None
    assert isinstance(answer, PathFailure)
    assert [
        "a CA has no key usage (VERIFY_X509_STRICT refuses it too)",
        "a CA has no critical basicConstraints (VERIFY_X509_STRICT refuses it too)",
    ] == list(differences(presented, anchors, host, NOW, answer))
