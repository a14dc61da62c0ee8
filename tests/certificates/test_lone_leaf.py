from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from holdfast.certificates.lone_leaf import is_named, leaf_failure
from holdfast.lab.authorities import Authority, self_signed
from holdfast.lab.issuance import certified_again
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode, PinSet, Trust
from holdfast.pins.verdict import Observed, Outcome

NOW = datetime.now(UTC)
LEAF = self_signed("device.internal", "*.lab.internal", "10.1.2.3")


def _set(**fields: bool) -> PinSet:
    return PinSet(
        name="device",
        hosts=(HostPattern.parse("device.internal"),),
        mode=Mode.ENFORCE,
        trust=Trust.PINS_ONLY,
        leaf=(Pin.parse(LEAF.spki_pin),),
        single_pin=ACCEPT_LOCK_OUT,
        check_name=fields.get("check_name"),
        check_validity=fields.get("check_validity"),
    )


@pytest.mark.parametrize("host", ["device.internal", "one.lab.internal", "10.1.2.3"])
def test_a_sound_leaf(host: str) -> None:
    """Names, wildcards and addresses count, and there is nothing to say against it."""
    assert leaf_failure(_set(), host, (LEAF.der,), NOW) is None


@pytest.mark.parametrize("host", ["other.internal", "a.b.lab.internal", "lab.internal", "10.1.2.4"])
def test_another_host(host: str) -> None:
    """A name that is not there is a wrong host, unless names do not count."""
    failure = leaf_failure(_set(), host, (LEAF.der,), NOW)

    assert failure is not None
    assert (Observed.WRONG_HOST, Outcome.UNTRUSTED) == (failure.observed, failure.outcome)
    assert leaf_failure(_set(check_name=False), host, (LEAF.der,), NOW) is None


@pytest.mark.parametrize("written", ["10.1.2.4", "*.1.2.4", "::1"])
def test_an_address_that_is_written_as_a_name(written: str) -> None:
    """A DNS name that looks like an address is none, whoever asks."""
    names = x509.SubjectAlternativeName([x509.DNSName(written)])
    extension = x509.Extension(names.oid, critical=False, value=names)
    signer = Authority.new("Lab CA").signer
    certificate = certified_again(LEAF.certificate, signer, extensions=[extension])
    der = certificate.public_bytes(Encoding.DER)

    for host in ("10.1.2.4", "::1"):
        failure = leaf_failure(_set(), host, (der,), NOW)
        assert failure is not None
        assert failure.observed is Observed.WRONG_HOST
        assert not is_named(der, host)


def test_a_wildcard_for_a_top_level_domain() -> None:
    """For verifiers without a name check of their own it covers nothing."""
    leaf = self_signed("*.example", "*.lab.example")

    assert not is_named(leaf.der, "lab.example")
    assert is_named(leaf.der, "one.lab.example")


@pytest.mark.parametrize("days", [-1, 1000])
def test_another_time(days: int) -> None:
    """Outside its validity it is a matter of the clock, unless that does not count."""
    then = NOW + timedelta(days=days)
    failure = leaf_failure(_set(), "device.internal", (LEAF.der,), then)

    assert failure is not None
    assert failure.observed is Observed.CLOCK
    assert leaf_failure(_set(check_validity=False), "device.internal", (LEAF.der,), then) is None


@pytest.mark.parametrize("presented", [(), (b"nonsense",)])
def test_what_cannot_be_read(presented: tuple[bytes, ...]) -> None:
    """No certificate, or none that can be read, is undecidable."""
    failure = leaf_failure(_set(), "device.internal", presented, NOW)

    assert failure is not None
    assert failure.outcome is Outcome.UNDECIDABLE
