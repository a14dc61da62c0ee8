import pytest

from holdfast.errors import PolicyError
from holdfast.formats.trustkit_android import FORMAT
from tests.formats.test_round_trip import ONE, POLICY, TWO, write

PINS = "".join(
    f'<pin digest="SHA-256">{str(pin).removeprefix("sha256/")}</pin>' for pin in (ONE, TWO)
)
ENFORCED = '<trustkit-config enforcePinning="true" disableDefaultReportUri="true"/>'


def config(inner: str) -> bytes:
    """Return a configuration with this content."""
    return f"<network-security-config>{inner}</network-security-config>".encode()


def test_pins_are_reported_only_unless_it_says_otherwise() -> None:
    """And inherited, with what is to happen, from the configuration around."""
    rules = FORMAT.read(
        config(
            f"<domain-config><domain>a.test</domain><pin-set>{PINS}</pin-set>{ENFORCED}"
            "<domain-config><domain>b.a.test</domain></domain-config></domain-config>"
            f"<domain-config><domain>c.test</domain><pin-set>{PINS}</pin-set></domain-config>"
            "<domain-config><domain>localhost</domain></domain-config>"
        )
    ).rules

    assert {"a-test": True, "b-a-test": True, "c-test": False} == {
        rule.name: rule.enforced for rule in rules
    }
    assert all((ONE, TWO) == rule.anywhere for rule in rules)


def test_only_the_last_domain_is_kept() -> None:
    """A loss tells of the others."""
    reading = FORMAT.read(
        config(
            "<domain-config><domain>a.test</domain><domain>b.test</domain>"
            f"<pin-set>{PINS}</pin-set>{ENFORCED}</domain-config>"
        )
    )

    assert ["b.test"] == [host.host for rule in reading.rules for host in rule.hosts]
    assert "a.test" in reading.losses[0].consequence


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (f"<pin-set>{PINS[: len(PINS) // 2]}</pin-set>", "two distinct pins"),
        ("<pin-set/>", "empty"),
        (f"<pin-set>{PINS.replace('SHA-256', 'sha-256')}</pin-set>", "digest"),
    ],
)
def test_what_trustkit_refuses(inner: str, message: str) -> None:
    """Where it enforces."""
    with pytest.raises(PolicyError, match=message):
        FORMAT.read(
            config(f"<domain-config><domain>a.test</domain>{inner}{ENFORCED}</domain-config>")
        )


def test_reports_that_go_elsewhere_are_a_loss() -> None:
    """To the default address too, unless that is switched off."""
    reading = FORMAT.read(config("<domain-config><trustkit-config/></domain-config>"))

    assert ["reports"] == [loss.kind.value for loss in reading.losses]


def test_each_host_gets_a_configuration_of_its_own() -> None:
    """With what is to happen; an address for reports that is there stays."""
    text = write(FORMAT, POLICY)
    assert 4 == text.count(b"<domain-config>") == text.count(b"<trustkit-config ")
    assert 1 == text.count(b'enforcePinning="false"')

    reported = text.replace(
        b'<trustkit-config disableDefaultReportUri="true" enforcePinning="true"/>',
        b'<trustkit-config enforcePinning="false"><report-uri>https://r.example</report-uri>'
        b"</trustkit-config>",
        1,
    )
    again = write(FORMAT, POLICY, reported)
    assert b"<report-uri>https://r.example</report-uri>" in again
    assert 1 == again.count(b'enforcePinning="false"')
