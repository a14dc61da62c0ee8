import os
import subprocess
import sys
from pathlib import Path

import pytest
from securesystemslib.signer import SSlibKey

from holdfast.errors import UpdateError
from holdfast.updates.key_card import KeyCard
from holdfast.updates.key_devices import card_of_device, device_signer
from holdfast.updates.key_folder import add_card, load_signers
from tests.updates.ceremony import signer_of
from tests.updates.key_service import KEY, key_service
from tests.updates.soft_token import PIN, make_tokens

# A token's library reads its settings once in a process, so each test of it has one of its own.
_TOKEN = """
import sys
from pathlib import Path
from holdfast.errors import UpdateError
from holdfast.updates.key_devices import card_of_device
from holdfast.updates.key_folder import add_card, load_signers

folder, pin = Path("keys"), sys.argv[1].encode()
card = card_of_device("hsm:2?label=alice", "alice", pin)
add_card(folder, card)
(signer,) = load_signers([folder], None, pin).values()
signature = signer.sign(b"data")
card.key.verify_signature(signature, b"data")
print(card.uri, card.owner, card.key.scheme)
for uri, given in (
    ("hsm:2?label=nobody", pin),
    ("hsm:9?label=alice", pin),
    ("hsm:9?label=alice", None),
    ("hsm:9?label=alice", b"0000"),
):
    try:
        card_of_device(uri, "alice", given)
    except UpdateError as error:
        print(error.message)
(without,) = load_signers([folder], None, None).values()
try:
    without.sign(b"data")
except UpdateError as error:
    print(error)
"""


def test_a_token_signs(tmp_path: Path) -> None:
    """With its PIN, and its card is all that others need; what is not there is told."""
    environment = os.environ | make_tokens(tmp_path, "alice", "bob")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _TOKEN, PIN],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )

    assert "" == done.stderr
    assert [
        "hsm:2?label=alice alice ecdsa-sha2-nistp256",
        "'hsm:2?label=nobody' cannot be used: No PKCS#11 token found for label nobody",
        "'hsm:9?label=alice' cannot be used: could not find ECDSA key on the PKCS#11 token",
        "the token asks for its PIN",
        "'hsm:9?label=alice' cannot be used: PinIncorrect",
        "the token asks for its PIN (name a file with it: HOLDFAST_PIN_FILE)",
    ] == done.stdout.splitlines()


def test_a_key_service_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key stays there; what the service says of a mistake is told."""
    pytest.importorskip("boto3", reason="boto3 is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with key_service() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", address)
        card = card_of_device(f"awskms:{KEY}", "pins", None)
        add_card(tmp_path, card)
        (signer,) = load_signers([tmp_path], None).values()
        signature = signer.sign(b"data")
        with pytest.raises(UpdateError, match=r"awskms:another' cannot be used: .*no such key"):
            card_of_device("awskms:another", "pins", None)

    card.key.verify_signature(signature, b"data")
    assert (f"awskms:{KEY}", "pins") == (card.uri, card.owner)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "file2:/etc/passwd",
        "gnupg:",
        "hv:key",
        "hsm:x",
        "hsm:2?pin=1234",
        "hsm:2?label=a&pin=1",
        "awskms:",
        "awskms:key?x",
        "gcpkms:other/key",
        "azurekms://vault.azure.net.example.com/keys/a",
        "azurekms://example.com/keys/a",
        "azurekms://a.vault.azure.net/secrets/a",
        "azurekms:a.vault.azure.net/keys/a",
    ],
)
def test_a_card_names_no_place_of_its_own_choice(uri: str) -> None:
    """It comes from somebody else: no files, no programs, no other hosts."""
    key = signer_of("alice").public_key

    with pytest.raises(UpdateError, match="is no address of a key"):
        card_of_device(uri, "alice", None)
    with pytest.raises(UpdateError, match="is no address of a key"):
        device_signer(KeyCard(key=key, uri=uri), None)


@pytest.mark.parametrize(
    ("uri", "module", "named", "package"),
    [
        ("hsm:", "hsm", "PKCS11", "holdfast[hsm]"),
        ("awskms:a", "aws", "AWS", "securesystemslib[awskms]"),
        ("gcpkms:projects/p", "gcp", "GCP", "securesystemslib[gcpkms]"),
        ("azurekms://a.vault.azure.net/keys/a", "azure", "AZURE", "securesystemslib[azurekms]"),
    ],
)
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, uri: str, module: str, named: str, package: str
) -> None:
    """As securesystemslib tells of it, with the command that installs it."""
    place = f"securesystemslib.signer._{module}_signer.{named}_IMPORT_ERROR"
    monkeypatch.setattr(place, "it is required")

    with pytest.raises(UpdateError, match="packages that are not installed") as raised:
        card_of_device(uri, "alice", None)

    assert f"pip install '{package}'" == raised.value.hint


def test_a_card_of_another_kind_of_key_is_told() -> None:
    """A token has no Ed25519 key that is used here."""
    pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
    key = signer_of("alice").public_key
    assert isinstance(key, SSlibKey)

    with pytest.raises(UpdateError, match="'hsm:2' cannot be used: unsupported scheme ed25519"):
        device_signer(KeyCard(key=key, uri="hsm:2"), None)
