"""The policy that the tests publish, as a file."""

from pathlib import Path

from holdfast.pins.pin import Pin

LEAF, BACKUP, OTHER = (str(Pin.of_spki(key)) for key in (b"leaf", b"backup", b"other"))
POLICY = """\
[holdfast]
format = 1
unlisted = "allow"

[pin_set.api]
hosts = ["api.example.com"]
mode = "{mode}"
leaf = ["{leaf}"]
backup = ["{backup}"]
owner = "pay@example.com"
"""


def write_policy(folder: Path, leaf: str, mode: str = "enforce") -> None:
    """Write `pins.toml`."""
    (folder / "pins.toml").write_text(POLICY.format(mode=mode, leaf=leaf, backup=BACKUP))
