"""What is true of every explanation, whatever the certificates, hosts and owners say."""

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.certificates.spki import chain_certificate
from holdfast.findings import runbook as runbooks
from holdfast.findings.explain import explain_verdict
from holdfast.findings.layout import WIDTH, columns
from holdfast.findings.observed import IN_PLAIN_WORDS
from holdfast.lab.authorities import Authority, PrivateKey
from holdfast.lab.issuance import der
from holdfast.pins.chain import ChainCertificate, PresentedChain, VerifiedChain
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode
from holdfast.pins.verdict import Observed, Outcome, Verdict

ROOT = Path(__file__).parents[2]
# A common name has at most 64 octets of UTF-8, which holds everything but half a surrogate pair.
SUBJECTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=16) | st.text(
    st.characters(max_codepoint=127), min_size=1, max_size=64
)
CERTIFICATE_PIN = Pin.of_certificate(b"another certificate")


def _misfits(text: str) -> list[str]:
    """Return the lines that are too wide, end in spaces or hold a control character."""
    return [
        line
        for line in text.split("\n")
        if columns(line) > WIDTH
        or line != line.rstrip()
        or any(unicodedata.category(character)[0] == "C" for character in line)
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(subject=SUBJECTS, observed=st.sampled_from(Observed), with_certificate_pin=st.booleans())
def test_subjects_cannot_break_the_text(
    *,
    subject: str,
    observed: Observed,
    with_certificate_pin: bool,
    issuing: Authority,
    root: Authority,
    key: Callable[[int], PrivateKey],
    pin: Callable[[int], Pin],
    decide: Callable[..., Verdict],
) -> None:
    """Whatever a subject holds, on the path or beside it, lines fit and control nothing."""
    leaf = issuing.issue("api.example.com", common_name=subject, key=key(3))
    path = VerifiedChain(
        tuple(chain_certificate(der(link)) for link in (*leaf.chain, root.certificate))
    )
    beside = issuing.issue("api.example.com", common_name=subject, key=key(4))
    presented = PresentedChain((*path.certificates, chain_certificate(beside.der)))
    extra = (CERTIFICATE_PIN,) if with_certificate_pin else ()
    verdict = decide(path, leaf=(pin(4),), backup=(pin(5), *extra))

    assert [] == _misfits(explain_verdict(verdict, observed=observed, presented=presented))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    outcome=st.sampled_from(Outcome),
    allowed=st.booleans(),
    host=st.text(min_size=1, max_size=253),
    words=st.text(st.characters(), max_size=400),
)
def test_hosts_and_reasons_cannot_break_the_text(
    *,
    outcome: Outcome,
    allowed: bool,
    host: str,
    words: str,
    pin: Callable[[int], Pin],
    decide: Callable[..., Verdict],
) -> None:
    """Whatever the host, the owner or the reason is, for every outcome, lines fit."""
    decided = decide(leaf=(pin(4),), mode=Mode.REPORT_ONLY, owner=words)
    verdict = replace(
        decided, outcome=outcome, allowed=allowed, host=host, reason=words, hint=words
    )

    assert [] == _misfits(explain_verdict(verdict, observed=Observed.UNKNOWN))


def test_end_of_a_long_host_is_in_the_first_line(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict]
) -> None:
    """A host too long for the summary keeps its end there, and stands in full below."""
    host = f"{'api.example.com.' * 10}attacker.example"
    text = explain_verdict(replace(decide(leaf=(pin(3),), mode=Mode.REPORT_ONLY), host=host))

    first = text.partition("\n")[0]
    assert first.startswith("...")
    assert "attacker.example allowed: match" in first
    assert host in text.replace("\n", "").replace(" ", "")


def test_ipv6_address_is_set_apart_from_the_port(
    pin: Callable[[int], Pin],
    decide: Callable[..., Verdict],
    told: Callable[..., str],
) -> None:
    """An IPv6 address stands in brackets before a port."""
    verdict = replace(decide(leaf=(pin(4),), mode=Mode.REPORT_ONLY), host="2001:db8::1")

    assert told(verdict).startswith("\n[2001:db8::1]:443 let pass: mismatch")


def test_unreadable_certificate_is_still_explained(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict]
) -> None:
    """A certificate that cannot be parsed does not keep the refusal from being explained."""
    junk = ChainCertificate(b"junk", b"k" * 32, b"c" * 32)
    text = explain_verdict(
        decide(VerifiedChain((junk,)), leaf=(pin(4),), mode=Mode.REPORT_ONLY),
        observed=Observed.NEW_KEY,
    )

    assert [] == _misfits(text)
    assert "unreadable" in text


def test_every_observation_has_words_and_none_reassures() -> None:
    """Each thing observed is told in plain words, and no word calls it harmless."""
    assert set(Observed) == set(IN_PLAIN_WORDS)
    words = " ".join(IN_PLAIN_WORDS.values()).lower()
    assert [] == [word for word in ("harmless", "safe", "benign", "no risk") if word in words]


def test_words_for_a_new_key() -> None:
    """A new key is called what it is: either of two things that cannot be told apart."""
    assert (
        "a rotation or a mis-issued certificate, which look the same from here"
        in IN_PLAIN_WORDS[Observed.NEW_KEY]
    )


def test_nothing_invites_pinning_what_was_seen() -> None:
    """No text of this package tells anybody to add, pin or trust the key that was seen."""
    package = ROOT / "src" / "holdfast" / "findings"
    sources = " ".join(path.read_text("utf-8").lower() for path in package.glob("*.py"))
    phrases = ("add this pin", "add the pin", "pin this key", "trust this", "update the pin to")

    assert [] == [phrase for phrase in phrases if phrase in sources]


@pytest.mark.parametrize(
    "path", [runbooks.CLIENTS_REFUSE_NOW, runbooks.THE_KEY_LEAKED, runbooks.THE_BACKUP_IS_LOST]
)
def test_runbooks_exist(path: str) -> None:
    """Whoever follows a text to a runbook finds one."""
    assert (ROOT / path).is_file()
