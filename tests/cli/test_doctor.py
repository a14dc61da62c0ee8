import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_this_machine_can_enforce(run: Run) -> None:
    """Known-bad Pythons are warnings: the code is 0 and the self-test passes."""
    ran = run("doctor")

    assert "ok" in ran.stdout
    assert "right pin: answered; wrong pin: refused, 0 bytes sent" in ran.stdout
    assert ran.stdout.splitlines()[-1].startswith("Pins are enforced here")
    assert (0, "") == (ran.returncode, ran.stderr)


def test_answers_as_json(run: Run) -> None:
    """Each check has a name, a status, a detail, and what to do where there is something."""
    report = json.loads(run("doctor", "--json").stdout)

    assert {"facts_checked", "checks"} == report.keys()
    for check in report["checks"]:
        assert ["name", "status", "detail", "rule", "action", "source"] == list(check)
        assert (check["status"] == "ok") == (check["rule"] is None)
    assert {"Python", "verified path", "trust store", "self-test, asyncio"} <= {
        check["name"] for check in report["checks"]
    }


def test_error_is_code_one(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty trust store is an error, and so is the verdict on the machine."""
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "missing"))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))

    ran = run("doctor")

    assert "it is empty: nothing can be verified" in ran.stdout
    assert "Pins cannot be relied on here: see the errors." == ran.stdout.splitlines()[-1]
    assert 1 == ran.returncode
