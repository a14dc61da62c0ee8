import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

SOUND = """\
[holdfast]
format = 1
unlisted = "refuse"
[pin_set.bank]
hosts = ["{hosts}"]
mode = "enforce"
leaf = ["sha256/vZ1K36zIadWpkQFE3PJMRnnAya3xf1TYKtyRMtWKw9E="]
backup = ["sha256/q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="]
owner = "bank team <bank@example.com>"
{more}
"""


def _write(
    folder: Path, name: str = "pins.toml", hosts: str = "a.example.com", more: str = ""
) -> None:
    (folder / name).write_text(SOUND.format(hosts=hosts, more=more))


def test_policy_without_flaw(run: Run, folder: Path) -> None:
    """Nothing to say is said on one line, with code 0."""
    _write(folder)

    ran = run("lint")

    assert (0, "pins.toml: nothing found\n", "") == (ran.returncode, ran.stdout, ran.stderr)


@pytest.mark.threat("T18")
@pytest.mark.parametrize(
    ("hosts", "code"),
    [
        ("**.co.uk", 1),
        ("**.github.io", 1),
        ("**.example.co.uk", 0),
        ("**.svc.internal", 0),
        ("10.1.2.3", 0),
    ],
)
def test_public_suffixes_are_known(run: Run, folder: Path, hosts: str, code: int) -> None:
    """A wildcard over a public suffix is an error; a network's own suffix is not public."""
    _write(folder, hosts=hosts)

    ran = run("lint")

    assert (code, bool(code)) == (ran.returncode, "HF140" in ran.stdout)


def test_strict_counts_warnings(run: Run, folder: Path) -> None:
    """A warning is code 0, and 1 with --strict."""
    _write(folder, hosts="**.example.com")

    assert "warning  HF142" in run("lint").stdout
    assert (0, 1) == (run("lint").returncode, run("lint", "--strict").returncode)


def test_file_that_cannot_be_used(run: Run, folder: Path) -> None:
    """Each mistake of an unusable policy is a finding with its place, and the code is 2."""
    _write(folder, more='typo = 1\nstrict = "yes"')

    ran = run("lint")

    assert "error  HF100  pin_set.bank.typo: " in ran.stdout
    assert "error  HF100  pin_set.bank.strict: " in ran.stdout
    assert (2, "") == (ran.returncode, ran.stderr)


@pytest.mark.parametrize(
    ("pins", "rule"),
    [
        ('leaf = ["{0}"]', "HF116"),
        ('leaf = ["{0}", "{1}"]', "HF117"),
        ('leaf = ["{0}"]\nbackup = ["{0}"]', "HF115"),
        ('leaf = ["{0}"]\nbackup = ["sha256/AAAA"]', "HF113"),
    ],
)
def test_mistakes_with_a_rule_of_their_own(run: Run, folder: Path, pins: str, rule: str) -> None:
    """They are errors of a policy as they are of a platform's file."""
    text = SOUND.format(hosts="a.example.com", more="")
    kept = [line for line in text.splitlines() if not line.startswith(("leaf", "backup"))]
    known = re.findall(r"sha256/[A-Za-z0-9+/=]+", text)
    (folder / "pins.toml").write_text("\n".join([*kept, pins.format(*known)]))

    ran = run("lint")

    assert 2 == ran.returncode
    assert f"error  {rule}  pin_set.bank." in ran.stdout


def test_several_files(run: Run, folder: Path) -> None:
    """Every file has its own lines; the gravest decides about the code."""
    _write(folder, "a.toml")
    _write(folder, "b.toml", hosts="**.co.uk")

    ran = run("lint", "a.toml", "b.toml", "missing.toml")

    assert ["a.toml: nothing found", "missing.toml: 1 error"] == [
        line for line in ran.stdout.splitlines() if line.startswith(("a.toml", "missing.toml"))
    ]
    assert 2 == ran.returncode
    assert 1 == run("lint", "a.toml", "b.toml").returncode


def test_findings_for_programs(run: Run, folder: Path) -> None:
    """Every format names the rule, the place and the file."""
    _write(folder, "a.toml")
    _write(folder, "b.toml", hosts="**.co.uk")

    def lint(output_format: str) -> str:
        return run("lint", "a.toml", "b.toml", "--format", output_format).stdout

    (finding, *others) = json.loads(lint("json"))
    assert ("HF140", "error", "pin_set.bank.hosts[0]", "b.toml") == (
        finding["rule"],
        finding["severity"],
        finding["place"],
        finding["file"],
    )
    assert [finding, *others] == [json.loads(line) for line in lint("jsonl").splitlines()]
    assert "HF140" == json.loads(lint("sarif"))["runs"][0]["results"][0]["ruleId"]
    assert lint("github").startswith("::error file=b.toml,title=HF140 pin_set.bank.hosts[0]::")
    cases = ET.fromstring(lint("junit")).iter("testcase")
    assert {"a.toml", "b.toml: pin_set.bank.hosts[0]"} <= {case.get("name") for case in cases}
