"""Short campaigns of the scripts in `fuzz/`: nothing is found, and a planted bug is."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "fuzz"
MUTANTS = {
    "host_names": ["suffix-without-dot", "kelvin-sign"],
    "pin_text": ["lax-base64", "unchecked-spelling"],
    "policy": ["last-key-wins", "no-backup-rule"],
    "spki": ["longer-lengths", "anything-after-the-key"],
}
SECONDS = 15
# The slowest target does several hundred in one second of a whole core.
LEAST_EXECUTED = 300
# Of a hundred; they accept from 8 to 50.
LEAST_ACCEPTED = 3

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris has wheels only for CPython 3.11 to 3.14 on Linux (glibc, x86-64)",
)


def campaign(folder: Path, target: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a target where it may leave the inputs that it finds."""
    return subprocess.run(
        [sys.executable, FUZZ / f"{target}.py", *arguments],
        cwd=folder,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def found(output: str) -> list[str]:
    """Return what was found, and the input as a Python expression."""
    return [line for line in output.splitlines() if line.startswith("found")]


def statistics(output: str) -> tuple[int, int]:
    """Return how many inputs were executed, and how many of them accepted."""
    counts = re.search(r"^statistics: executed=(\d+) accepted=(\d+)$", output, re.MULTILINE)
    assert counts is not None, output
    return int(counts[1]), int(counts[2])


def test_each_target_has_its_campaign() -> None:
    """A script that can be run is among those that the other tests run."""
    runnable = {path.stem for path in FUZZ.glob("*.py") if "__main__" in path.read_text("utf-8")}

    assert MUTANTS.keys() == runnable


@pytest.mark.full
@pytest.mark.timeout(180)
@needs_atheris
@pytest.mark.parametrize("target", MUTANTS)
def test_nothing_is_found(target: str, tmp_path: Path) -> None:
    """A short campaign finds nothing, though it gets past the first checks."""
    ran = campaign(tmp_path, target, f"-max_total_time={SECONDS}")

    assert [] == found(ran.stdout)
    assert (0, []) == (ran.returncode, list(tmp_path.iterdir())), ran.stdout
    executed, accepted = statistics(ran.stdout)
    assert LEAST_EXECUTED < executed
    assert LEAST_ACCEPTED < 100 * accepted / executed


@pytest.mark.full
@pytest.mark.timeout(180)
@needs_atheris
@pytest.mark.parametrize(
    ("target", "mutant"),
    [(target, mutant) for target, mutants in MUTANTS.items() for mutant in mutants],
)
def test_a_planted_bug_is_found(target: str, mutant: str, tmp_path: Path) -> None:
    """With a bug in the code under test, the same campaign ends with an input that shows it."""
    ran = campaign(tmp_path, target, "--mutant", mutant, "-seed=1", "-max_total_time=120")

    assert 0 != ran.returncode
    assert ["found: DisagreementError", "found with"] == [
        re.sub(r"^(found: \w+|found with):.*", r"\1", line) for line in found(ran.stdout)
    ]
    assert 1 == len(list(tmp_path.glob("crash-*"))), ran.stdout
