from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata

from holdfast.updates.publisher import Publisher
from holdfast.updates.roles import PROFILES
from tests.updates.signed_repository import NOW


@pytest.mark.parametrize("profile", PROFILES)
def test_each_role_is_signed_as_its_profile_says(tmp_path: Path, profile: str) -> None:
    """The threshold of each, and no more signatures than that."""
    rules = PROFILES[profile]
    made = {
        role: [CryptoSigner.generate_ed25519() for _ in range(rule.keys)]
        for role, rule in rules.items()
    }
    Publisher.created(tmp_path / "made", made, rules, NOW)

    for role, rule in rules.items():
        version = "" if role == "timestamp" else "1."
        file = tmp_path / "made" / "metadata" / f"{version}{role}.json"
        assert rule.threshold == len(Metadata.from_file(str(file)).signatures)
        assert 0o644 == file.stat().st_mode & 0o777
