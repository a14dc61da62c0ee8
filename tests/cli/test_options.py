import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

PIN = "sha256/vZ1K36zIadWpkQFE3PJMRnnAya3xf1TYKtyRMtWKw9E="
POLICY = f"""\
[holdfast]
format = 1
unlisted = "refuse"
[pin_set.{{name}}]
hosts = ["a.example.com"]
mode = "report-only"
leaf = ["{PIN}"]
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("--json",),
        ("--format", "json"),
        ("--format", "table", "--json"),
        ("--json", "--format", "table"),
    ],
)
def test_json_is_short_for_format_json(run: Run, arguments: tuple[str, ...]) -> None:
    """`--json` says the same as `--format json`, and wins over another format."""
    ran = run("key", "pin", "--hex-spki", "ab" * 32, *arguments)

    assert ["--hex-spki"] == [row["file"] for row in json.loads(ran.stdout)]


def test_policy_is_the_option_then_the_variable_then_the_folder(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--policy` wins over $HOLDFAST_POLICY, which wins over ./pins.toml."""
    for name in ("option", "variable", "pins"):
        (folder / f"{name}.toml").write_text(POLICY.format(name=name))

    assert run("lint").stdout.startswith("pins.toml: ")
    monkeypatch.setenv("HOLDFAST_POLICY", "variable.toml")
    assert run("lint").stdout.startswith("variable.toml: ")
    assert run("lint", "--policy", "option.toml").stdout.startswith("option.toml: ")


def test_timeout_has_to_be_some_time(run: Run) -> None:
    """No time at all is refused before anything is connected to."""
    ran = run("pin", "localhost", "--timeout", "0")

    assert "holdfast: error: invalid value for '--timeout'" in ran.stderr
    assert 2 == ran.returncode
