import shutil
import subprocess
from pathlib import Path

import pytest

from holdfast.errors import PolicyError
from holdfast.formats.hexadecimal import colons
from holdfast.formats.postfix import FORMAT
from tests.formats.test_round_trip import ONE, POLICY, TWO, write

HEX = [colons(pin) for pin in (ONE, TWO)]


def test_entries_are_read_as_postfix_does() -> None:
    """Folded lines, ports and brackets, several attributes; other levels are left alone."""
    text = (
        "# a comment\n"
        f"[mx.a.test]:25 fingerprint match={HEX[0]}\n"
        f"   match={HEX[1].replace(':', '').lower()}\n"
        "b.test secure\n"
        f"c.test fingerprint match={HEX[0]}|{HEX[1]}\n"
        f".d.test fingerprint match={HEX[0]}\n"
    )
    reading = FORMAT.read(text.encode())

    assert {"mx-a-test": (ONE, TWO), "c-test": (ONE, TWO)} == {
        rule.name: rule.leaf for rule in reading.rules
    }
    assert "hosts" in {loss.kind.value for loss in reading.losses}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.test fingerprint", "no digest"),
        ("a.test fingerprint match=AA:BB", "digest|pin|hex"),
        ("a/b fingerprint match=AA", "host"),
    ],
)
def test_mistakes_are_told_with_their_line(text: str, message: str) -> None:
    """From 1."""
    with pytest.raises(PolicyError, match=message) as caught:
        FORMAT.read(text.encode())

    assert "line 1" == caught.value.problems[0].place


@pytest.mark.skipif(shutil.which("postmap", path="/usr/sbin:/usr/bin") is None, reason="postfix")
def test_postmap_takes_the_map(tmp_path: Path) -> None:
    """And finds an entry in it."""
    (tmp_path / "main.cf").write_text("compatibility_level = 3.6\n")
    (tmp_path / "policy").write_bytes(write(FORMAT, POLICY))
    postmap = ["/usr/sbin/postmap", "-c", str(tmp_path), "-q"]

    found = subprocess.run(
        [*postmap, "api.example.com", f"texthash:{tmp_path}/policy"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert f"fingerprint match={HEX[0]}|{HEX[1]}\n" == found.stdout
