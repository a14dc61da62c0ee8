import pytest

from holdfast.cli.public_suffixes import is_public_suffix


@pytest.mark.parametrize(
    ("host", "is_public"),
    [("co.uk", True), ("github.io", True), ("example.co.uk", False), ("10.1.2.3", False)],
)
def test_only_listed_suffixes_are_public(host: str, is_public: bool) -> None:
    """A name that is not on the list belongs to whoever runs the network."""
    assert is_public == is_public_suffix(host)
    assert not is_public_suffix("svc.internal")
