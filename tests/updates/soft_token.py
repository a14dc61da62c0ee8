"""A PKCS#11 token in software (SoftHSM2), with an EC key for each person."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PIN = "123456"
LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/libsofthsm2.so")
_MAKE = """
import sys
import pkcs11
from pkcs11.util.ec import encode_named_curve_parameters
token = pkcs11.lib(sys.argv[1]).get_token(token_label=sys.argv[2])
with token.open(rw=True, user_pin=sys.argv[3]) as session:
    curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
    parameters = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
    parameters.generate_keypair(store=True, id=b"\\x02", label="pins")
"""


def make_tokens(folder: Path, *labels: str) -> dict[str, str]:
    """Make a token for each label, and return what the environment has to say for them.

    Args:
        folder: Where their files are.
        labels: Their names; each has a key with the id 2.
    """
    pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
    library = next((path for path in LIBRARIES if Path(path).exists()), None)
    if library is None or shutil.which("softhsm2-util") is None:
        pytest.skip("softhsm2 is not installed")
    tokens = folder / "tokens"
    tokens.mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\n")
    named = {"SOFTHSM2_CONF": str(settings), "PYKCS11LIB": library}
    environment = {**os.environ, **named}
    for label in labels:
        initialize = ["softhsm2-util", "--init-token", "--free", "--label", label]
        pins = ["--pin", PIN, "--so-pin", PIN]
        # In processes of their own: a loaded library does not see new tokens.
        for command in (
            [*initialize, *pins],
            [sys.executable, "-c", _MAKE, library, label, PIN],
        ):
            subprocess.run(command, check=True, capture_output=True, env=environment)
    return named
