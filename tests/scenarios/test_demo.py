import re
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import PinSet
from holdfast.pins.policy import Policy, Unlisted
from holdfast.scenarios.demo import Step, tell
from holdfast.scenarios.stage import HOST, Stage

BANK, FOOLED, REFUSED, RENEWED, SWITCHED, SURPRISED = range(6)
KEY = re.compile(r"key (sha256/\S+)")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield a stage of its own for each test."""
    with Stage(tmp_path) as built:
        yield built


@pytest.fixture
def steps(stage: Stage) -> list[Step]:
    """Return what happens when nothing was tampered with."""
    return list(tell(stage, stage.policy()))


def _says(step: Step) -> dict[str, str]:
    return dict(step.evidence)


def _key(step: Step) -> str:
    found = KEY.search(_says(step)["pinned client"])
    assert found is not None
    return found[1]


def _outcomes(stage: Stage, policy: Policy) -> list[bool]:
    return [step.as_expected for step in tell(stage, policy)]


def _pin_set(stage: Stage) -> PinSet:
    pin_set = stage.policy().pin_set_for(HOST)
    assert pin_set is not None
    return pin_set


def test_all_happens_as_told(steps: list[Step]) -> None:
    """On a sound installation each of the six steps ends as it was to end."""
    assert [True] * 6 == [step.as_expected for step in steps]


def test_bank_answers_the_pinned_client(steps: list[Step]) -> None:
    """To begin with, the pinned client reads the bank's answer, and the bank got the request."""
    says = _says(steps[BANK])

    assert "is the policy's leaf" in says["pinned client"]
    assert 'read "1200 EUR"' in says["pinned client"]
    assert "GET /balance HTTP/1.1" in says["bank's log"]


def test_client_without_pins_is_fooled(stage: Stage) -> None:
    """The client without pins reads the attacker's answer; its token is in the attacker's log."""
    says = _says(list(tell(stage, stage.policy()))[FOOLED])

    assert 'certificate from CN=Rogue CA; read "0 EUR"' == says["client"]
    assert f"Bearer {stage.token}" in says["attacker's log"]


def test_pinned_client_refuses_before_a_byte(stage: Stage, steps: list[Step]) -> None:
    """The pinned client raises, and the attacker's log ends with the handshake."""
    says = _says(steps[REFUSED])

    assert says["pinned client"].startswith(f"PinViolationError: {HOST}: mismatch: ")
    assert "TLSv1.3 handshake, then 0 bytes" == says["attacker's log"]
    assert [True, True] == [seen.handshake_completed for seen in stage.attacker.connections]
    assert 0 == stage.attacker.connections[-1].application_bytes


def test_renewal_goes_through(steps: list[Step]) -> None:
    """The renewed certificate is a new one for the same key, and the client reads the answer."""
    says = _says(steps[RENEWED])

    assert says["pinned client"].startswith("new certificate, ")
    assert 'read "1200 EUR"' in says["pinned client"]
    assert _key(steps[BANK]) == _key(steps[RENEWED])


def test_backup_key_goes_through(steps: list[Step]) -> None:
    """The backup key is another one, which the policy calls so, and the client reads the answer."""
    says = _says(steps[SWITCHED])

    assert "is the policy's backup" in says["pinned client"]
    assert 'read "1200 EUR"' in says["pinned client"]
    assert _key(steps[BANK]) != _key(steps[SWITCHED])


def test_unannounced_key_is_refused_and_explained(stage: Stage, steps: list[Step]) -> None:
    """The unannounced key gets no request; the text has the expected pins and whom to ask."""
    step = steps[SURPRISED]
    pin_set = _pin_set(stage)

    assert "TLSv1.3 handshake, then 0 bytes" == _says(step)["bank's log"]
    assert step.explanation is not None
    assert f"leaf    {pin_set.leaf[0]}" in step.explanation
    assert f"backup  {pin_set.backup[0]}" in step.explanation
    assert "the bank's API team" in step.explanation


def test_pinning_the_attacker_shows(stage: Stage) -> None:
    """With the attacker's key in place of the bank's, the steps that need the bank's say so."""
    client = ssl.create_default_context(cafile=str(stage.anchors_path))
    leaf = stage.ask(client, stage.attacker).leaf
    assert leaf is not None
    attackers_pin = Pin(PinAlgorithm.SPKI, leaf.spki_sha256)
    sabotaged = replace(_pin_set(stage), leaf=(attackers_pin,))
    policy = Policy(unlisted=Unlisted.REFUSE, pin_sets=(sabotaged,))

    assert [False, True, False, False, True, True] == _outcomes(stage, policy)


def test_not_pinning_shows(stage: Stage) -> None:
    """With a policy that pins nothing, only the client without pins does what was told."""
    policy = Policy(unlisted=Unlisted.ALLOW)

    assert [False, True, False, False, False, False] == _outcomes(stage, policy)


def test_attacker_that_is_not_trusted_shows(stage: Stage) -> None:
    """A refusal for want of trust is not counted as one by pins, though no byte was sent either."""
    end = "-----END CERTIFICATE-----\n"
    bank_ca, _, _ = stage.anchors_path.read_text("ascii").partition(end)
    stage.anchors_path.write_text(bank_ca + end, "ascii")

    assert [True, False, False, True, True, True] == _outcomes(stage, stage.policy())
