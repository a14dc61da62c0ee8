import pytest

from holdfast.facts.public_cas import CHECKED, PUBLIC_CAS, PublicCa, ca_of


@pytest.mark.parametrize("ca", PUBLIC_CAS, ids=lambda ca: ca.name)
def test_a_ca_is_found_by_the_organization_in_its_certificates(ca: PublicCa) -> None:
    """Whatever it writes there, and each fact has its source."""
    assert {ca} == {ca_of(organization) for organization in ca.organizations}
    assert ca.source.startswith("https://")


def test_others_are_none() -> None:
    """Nor is a certificate without an organization."""
    assert ca_of("Example") is ca_of(None) is None
    assert CHECKED.year >= 2026
