import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from holdfast.lab.authorities import Authority
from holdfast.lab.server import LabServer

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def pinned(run: Run, place: str) -> str:
    """Return the server's place after it was pinned, enforced."""
    ran = run("pin", place, "--anchors", "ca.pem", "--new-backup", "next.key")
    assert 0 == ran.returncode
    return place


def test_all_well(run: Run, pinned: str) -> None:
    """A server that shows a pinned key is code 0, on one line."""
    ran = run("check", "--anchors", "ca.pem")

    header, row, _, summary = ran.stdout.splitlines()
    assert ["ENDPOINT", "PIN", "SET", "RESULT"] == header.split()
    assert ["ok", f"https://{pinned}", "localhost", "match", "(leaf)"] == row.split()
    assert "1 endpoint: 1 match" == summary
    assert (0, "") == (ran.returncode, ran.stderr)


@pytest.mark.threat("T37")
def test_new_key_is_a_finding(
    run: Run, pinned: str, server: LabServer, authority: Authority
) -> None:
    """Another key of the same CA is code 1, with the whole explanation."""
    server.switch(authority.issue("localhost"))

    ran = run("check", "--anchors", "ca.pem")

    assert ["error", f"https://{pinned}", "localhost", "mismatch,", "refused"] == (
        ran.stdout.splitlines()[1].split()
    )
    assert "observed   new-key" in ran.stdout
    assert "docs/runbooks/clients-refuse-now.md" in ran.stdout
    assert (1, "") == (ran.returncode, ran.stderr)


def test_report_only_is_a_finding_too(
    run: Run, folder: Path, place: str, server: LabServer, authority: Authority
) -> None:
    """The mode decides about connections, not about the exit code."""
    run("pin", place, "--anchors", "ca.pem")
    server.switch(authority.issue("localhost"))

    ran = run("check", "--anchors", "ca.pem")

    assert "mismatch, reported" in ran.stdout
    assert 1 == ran.returncode


def test_only_unreachable_is_undetermined(run: Run, pinned: str, server: LabServer) -> None:
    """Nothing worse than silence is code 3; a finding beside it is code 1."""
    mixed = run("check", "localhost:1", pinned)
    server.close()
    alone = run("check", "--anchors", "ca.pem")

    assert (1, 3) == (mixed.returncode, alone.returncode)
    assert "unknown" == alone.stdout.splitlines()[1].split()[0]
    assert "1 endpoint: 1 unreachable" == alone.stdout.splitlines()[-1]


def test_unlisted_host_is_told(run: Run, pinned: str, server: LabServer) -> None:
    """A host that no pattern covers is not pinned: allowed here, so code 0, and a note."""
    server_place = f"127.0.0.1:{server.port}"
    ran = run("check", server_place, "--anchors", "ca.pem", "--json")

    (result,) = json.loads(ran.stdout)["endpoints"]
    assert f"https://{server_place}" == result["endpoint"]
    # The certificate is not for the address, so that the verdict is on the path first.
    assert ("untrusted", 1) == (result["outcome"], ran.returncode)


def test_results_as_json(run: Run, pinned: str) -> None:
    """Each endpoint has what `evaluate` prints, and where and when it was seen."""
    ran = run("check", "--anchors", "ca.pem", "--json")

    report = json.loads(ran.stdout)
    (result,) = report["endpoints"]
    assert [] == report["notes"]
    assert [
        *("endpoint", "address", "time"),
        *("host", "outcome", "allowed", "mode", "pin_set", "matched", "path", "observed"),
        *("explanation", "hint", "verifier", "findings"),
    ] == list(result)
    assert ("match", True, "enforce", "leaf", "127.0.0.1") == (
        result["outcome"],
        result["allowed"],
        result["mode"],
        result["matched"]["role"],
        result["address"],
    )


def test_results_as_lines(run: Run, pinned: str) -> None:
    """JSON lines have one endpoint each, unreachable ones too."""
    ran = run("check", pinned, "localhost:1", "--anchors", "ca.pem", "--format", "jsonl")

    results = map(json.loads, ran.stdout.splitlines())
    assert {f"https://{pinned}": "match", "https://localhost:1": "unreachable"} == {
        result["endpoint"]: result["outcome"] for result in results
    }


def test_results_for_build_systems(run: Run, pinned: str) -> None:
    """SARIF, JUnit and GitHub's commands name the endpoint, the rule and the policy file."""
    wrong = (pinned, "localhost:1")

    sarif = json.loads(run("check", *wrong, "--format", "sarif").stdout)
    junit = ET.fromstring(run("check", *wrong, "--format", "junit").stdout)
    github = run("check", *wrong, "--format", "github").stdout.splitlines()

    results = sarif["runs"][0]["results"]
    assert ["HF202", "HF208"] == [result["ruleId"] for result in results]
    assert {"pins.toml"} == {
        location["physicalLocation"]["artifactLocation"]["uri"]
        for result in results
        for location in result["locations"]
    }
    assert 1 == len(junit.findall(".//failure"))
    assert github[0].startswith("::error file=pins.toml,title=HF202 ")
    assert github[1].startswith("::notice file=pins.toml,title=HF208 ")


def test_passed_endpoints_are_junit_cases(run: Run, pinned: str) -> None:
    """What is well is a case that passed, not silence."""
    junit = ET.fromstring(run("check", "--anchors", "ca.pem", "--format", "junit").stdout)

    (case,) = junit.iter("testcase")
    assert (f"https://{pinned}", []) == (case.get("name"), list(case))


def test_set_that_cannot_be_probed_is_a_note(run: Run, folder: Path, pinned: str) -> None:
    """A wildcard names no host to connect to: beside what was visited that is a note, code 0."""
    policy = folder / "pins.toml"
    policy.write_text(
        policy.read_text() + '[pin_set.w]\nhosts = ["*.example.com"]\nmode = "report-only"\n'
        'leaf = ["sha256/vZ1K36zIadWpkQFE3PJMRnnAya3xf1TYKtyRMtWKw9E="]\n'
    )

    ran = run("check", "--anchors", "ca.pem")

    assert "note  HF142  pin_set.w: cannot be probed" in ran.stdout
    assert (0, "") == (ran.returncode, ran.stderr)


def test_only_wildcards_are_undetermined(run: Run, folder: Path) -> None:
    """A policy that names no host to connect to is code 3 in every format, and says what to do."""
    (folder / "pins.toml").write_text(
        '[holdfast]\nformat = 1\nunlisted = "allow"\n[pin_set.w]\nhosts = ["*.example.com"]\n'
        'mode = "report-only"\nleaf = ["sha256/vZ1K36zIadWpkQFE3PJMRnnAya3xf1TYKtyRMtWKw9E="]\n'
    )

    ran = run("check")
    lines = run("check", "--format", "jsonl")

    assert "note  HF142  pin_set.w: cannot be probed" in ran.stdout
    assert "0 endpoints: nothing to check" == ran.stdout.splitlines()[-1]
    assert "HF142" == json.loads(lines.stdout)["rule"]
    assert (
        "holdfast: error: pins.toml: no endpoint to visit, so nothing was determined\n"
        "holdfast: hint: list hosts to connect to as `endpoints`, "
        "or name one: holdfast check HOST\n"
    ) == ran.stderr
    assert (3, 3, ran.stderr) == (ran.returncode, lines.returncode, lines.stderr)


def test_policy_without_sets_is_undetermined(run: Run, folder: Path) -> None:
    """Nothing pinned is nothing checked: code 3, never "all is well"."""
    (folder / "pins.toml").write_text('[holdfast]\nformat = 1\nunlisted = "refuse"\n')

    ran = run("check")

    assert "it has no pin set: holdfast pin HOST adds one" in ran.stderr
    assert (3, ["0 endpoints: nothing to check"]) == (ran.returncode, ran.stdout.split("\n")[1:-1])
