import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from holdfast.lab.evidence import Evidence, sha256_of

NOW = datetime(2026, 11, 2, 9, 30, 15, 999, UTC)


def test_program_and_files_are_hashed(tmp_path: Path) -> None:
    """The program, found on $PATH, and each file that the command names have their digests."""
    script = tmp_path / "client.py"
    script.write_text("print(1)")
    evidence = Evidence.gather(["sh", str(script), "{url}", "\0", "-x"], [], {}, NOW)

    assert {"sh", "client.py"} == {Path(name).name for name in evidence.files}
    assert hashlib.sha256(b"print(1)").hexdigest() == evidence.files[str(script)]


def test_everything_survives_json() -> None:
    """The object for JSON has the date with its offset, the versions and the digests."""
    evidence = Evidence.gather(["true"], ["--jobs=2"], {"rogue_ca": "ab"}, NOW)
    data = json.loads(json.dumps(evidence.as_json()))

    assert ("2026-11-02T09:30:15+00:00", ["--jobs=2"]) == (data["date"], data["arguments"])
    assert sys.version.split()[0] == data["versions"]["python"]
    assert {"holdfast", "python", "openssl", "system"} == data["versions"].keys()
    assert {"rogue_ca": "ab"} == data["policies"]


def test_no_command() -> None:
    """Where no command was run, there is no program."""
    assert {} == Evidence.gather([], [], {}, NOW).files


def test_large_files(tmp_path: Path) -> None:
    """A file larger than what is read at once has the digest of the whole."""
    data = bytes(3 * 1024 * 1024 + 1)
    (tmp_path / "large").write_bytes(data)

    assert hashlib.sha256(data).hexdigest() == sha256_of(tmp_path / "large")
