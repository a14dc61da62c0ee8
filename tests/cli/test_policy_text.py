from datetime import UTC, datetime
from pathlib import Path

from holdfast.certificates.load_chain import pem_certificates
from holdfast.certificates.load_policy import load_policy
from holdfast.cli.policy_text import policy_as_toml
from holdfast.lab.authorities import Authority
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, OnExpiry, PinSet, Trust
from holdfast.pins.policy import Policy, Unlisted


def test_what_is_written_loads_again(tmp_path: Path) -> None:
    """Pins, times and anchors; a policy without sets too."""
    one, two = Pin.of_spki(b"1"), Pin.of_spki(b"2")
    policy = Policy(
        unlisted=Unlisted.REFUSE,
        denied=(Pin.of_spki(b"3"),),
        pin_sets=(
            PinSet(
                name="api",
                hosts=(HostPattern.parse("**.h.test"),),
                mode=Mode.ENFORCE,
                leaf=(one,),
                backup=(two,),
                expires=datetime(2027, 1, 1, tzinfo=UTC),
                on_expiry=OnExpiry.ALLOW,
                owner="somebody",
            ),
            PinSet(
                name="mesh",
                hosts=(HostPattern.parse("m.test"),),
                mode=Mode.REPORT_ONLY,
                trust=Trust.PRIVATE,
                anchors=pem_certificates(Authority.new("root").pem, "root"),
            ),
        ),
    )
    file = tmp_path / "pins.toml"
    for one_policy in (policy, Policy(unlisted=Unlisted.ALLOW)):
        file.write_text(policy_as_toml(one_policy))
        assert one_policy == load_policy(file)
    file.write_text(policy_as_toml(policy))
    assert "expires = 2027-01-01" in file.read_text()
