from dataclasses import replace

import pytest

from holdfast.errors import PolicyError
from holdfast.formats.envoy import FORMAT
from holdfast.formats.from_policy import rules_of
from holdfast.formats.loss import Effect
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
