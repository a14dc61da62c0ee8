import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from holdfast.cli import lint_files, project_file
from holdfast.formats.lint import RULES
from holdfast.formats.registry import format_named
from tests.formats.test_round_trip import PAY, POLICY, WRITTEN, write

Run = Callable[..., subprocess.CompletedProcess[str]]

BAD = Path(__file__).parent.parent / "formats" / "bad"
TELLS = {
    "cut_off.xml": "HF100",
    "report_only.plist": "HF103",
    "pinned_certificates.json": "HF105",
    "digicert_only.xml": "HF106",
    "apple_and.plist": "HF108",
    "empty_hash.xml": "HF111",
    "pins.toml": "HF111",
    "all_zero.plist": "HF112",
    "Pinner.kt": "HF113",
    "tls_policy": "HF113",
    "curlrc": "HF114",
    "url_safe.plist": "HF114",
    "upstream.yaml": "HF114",
    "pasted_twice.xml": "HF115",
    "OnePin.java": "HF116",
    "trustkit_one_pin.plist": "HF116",
    "no_backup.plist": "HF117",
    "over.xml": "HF120",
    "entry_over.json": "HF121",
    "ends_one_day.xml": "HF123",
    "outlived.xml": "HF126",
    "lets_encrypt_old_roots.xml": "HF128",
    "public_suffix.xml": "HF140",
    "plain_reports.xml": "HF146",
    "reports_to_pinned.xml": "HF147",
    "misspelt_key.plist": "HF148",
    "only_last_domain.xml": "HF149",
    "wildcard.xml": "HF150",
    "no_pins.xml": "HF160",
    "headers.txt": "HF161",
    "NoUpdate.java": "HF163",
}
SUFFIXES = {
    "android": ".xml",
    "trustkit-android": ".xml",
    "apple": ".plist",
    "trustkit-ios": ".plist",
    "apache": ".java",
    "okhttp": ".kt",
    "okhttp-java": ".java",
    "alamofire": ".swift",
    "envoy": ".yaml",
}


def found(output: str) -> set[tuple[str, str]]:
    """Return the files and the rules that are told of them."""
    return {(Path(one["file"]).name, one["rule"]) for one in json.loads(output)}


def test_each_bad_file_is_told_by_its_rule(run: Run) -> None:
    """A folder of configurations shaped like real ones, one for each mistake."""
    ran = run("lint", BAD, "--client-lives-until", "2100-01-01", "--json")

    assert {path.name for path in BAD.iterdir()} == TELLS.keys()
    assert set() == set(TELLS.items()) - found(ran.stdout)
    assert (2, "") == (ran.returncode, ran.stderr)


@pytest.mark.parametrize(
    ("name", "code"), [("over.xml", 1), ("NoUpdate.java", 0), ("cut_off.xml", 2), ("curlrc", 2)]
)
def test_the_gravest_finding_decides(run: Run, name: str, code: int) -> None:
    """An error is 1; what cannot be used at all is 2."""
    assert code == run("lint", BAD / name).returncode


def test_both_parts_of_a_property_list_are_looked_at(run: Run, folder: Path) -> None:
    """Apple's and TrustKit's, each by its own rules; with a format only that one."""
    apple, trustkit = format_named("apple"), format_named("trustkit-ios")
    pay = replace(POLICY, pin_sets=(replace(PAY, hosts=PAY.hosts[:1]),))
    text = write(trustkit, pay, write(apple, pay))
    (folder / "Info.plist").write_bytes(text.replace(b"2027-06-30", b"2020-06-30"))

    assert {"HF120", "HF163"} == {rule for _, rule in found(run("lint", ".", "--json").stdout)}
    only = run("lint", "Info.plist", "--from", "apple", "--json")
    assert {"HF163"} == {rule for _, rule in found(only.stdout)}


def test_good_files_have_no_error(run: Run, folder: Path) -> None:
    """What is exported of a sound policy, in each format."""
    for name in WRITTEN:
        target = format_named(name)
        sound = tuple(replace(one, expires=None, on_expiry=None) for one in POLICY.pin_sets)
        sets = sound if target.semantics.hosts else sound[:1]
        text = write(target, replace(POLICY, pin_sets=sets))
        (folder / f"{name}{SUFFIXES.get(name, '')}").write_bytes(text)
    pins = "; ".join(f'pin-sha256="{str(pin)[7:]}"' for pin in PAY.pins)
    (folder / "hpkp.txt").write_text(f"Public-Key-Pins: {pins}; max-age=5184000\n")
    texts = [str(pin)[7:] for pin in PAY.pins]
    pin_list = {
        "pinsets": [
            {"name": "pay", "static_spki_hashes_sha256": [str(one)[7:] for one in PAY.pins]}
        ],
        "host_pins": [{"hostname": "pay.example.com", "pinset_name": "pay"}],
    }
    (folder / "chromium.json").write_text(json.dumps(pin_list))
    whole = [{"name": "a.example.com", "fingerprint": text} for text in texts]
    (folder / "wultra.json").write_text(json.dumps({"fingerprints": whole}))

    ran = run("lint", ".", "--json")

    assert {"HF103", "HF105", "HF107", "HF142", "HF163"} >= {rule for _, rule in found(ran.stdout)}
    assert 0 == ran.returncode
    told = {line.partition(":")[0] for line in run("lint", ".").stdout.splitlines()}
    assert {path.name for path in folder.iterdir()} <= told


def test_every_format_for_programs(run: Run) -> None:
    """Findings in foreign files have their rule, file and place in each of them."""
    file = BAD / "wildcard.xml"

    def lint(output_format: str) -> str:
        return run("lint", file, "--format", output_format).stdout

    sarif = json.loads(lint("sarif"))["runs"][0]
    result = sarif["results"][0]
    assert (
        "HF150" == result["ruleId"] == sarif["tool"]["driver"]["rules"][result["ruleIndex"]]["id"]
    )
    assert {rule.id for rule in RULES} < {rule["id"] for rule in sarif["tool"]["driver"]["rules"]}
    assert lint("github").startswith(f"::error file={file},title=HF150 line 5%2C <domain>::")
    failure = ET.fromstring(lint("junit")).find(".//failure")
    assert failure is not None
    assert "HF150" == failure.get("type")
    assert ["HF150", "HF160"] == [json.loads(line)["rule"] for line in lint("jsonl").splitlines()]


def test_the_format_can_be_named(run: Run, folder: Path) -> None:
    """For files that nothing tells; of a wrong name the file is what is wrong."""
    shutil.copy(BAD / "wildcard.xml", folder / "config")

    assert {("config", "HF150"), ("config", "HF160")} == found(
        run("lint", "config", "--from", "android", "--json").stdout
    )
    assert {("config", "HF100")} == found(run("lint", "config", "--from", "apple", "--json").stdout)
    assert {("config", "HF100")} == found(run("lint", "config", "--json").stdout)
    of_folder = run("lint", ".", "--from", "android")
    assert (2, "") == (of_folder.returncode, of_folder.stdout)
    assert ". is a folder" in of_folder.stderr


def test_a_policy_stays_one_whatever_it_mentions(run: Run, folder: Path) -> None:
    """A comment about a TLSA record makes no zone file of it."""
    text = (BAD / "pins.toml").read_text() + "\n# _443._tcp.a. IN TLSA 1 1 1 00, pin-sha256\n"
    for name in ("pins.toml", "policy", "copy.conf"):
        (folder / name).write_text(text)
    (folder / "pins.json").write_text('{"holdfast": {"format": 1, "note": " TLSA "}}')

    assert ["HF100", "HF111", "HF116"] == sorted(
        {rule for _, rule in found(run("lint", ".", "--json").stdout)}
    )
    assert {"pins.toml", "policy", "copy.conf", "pins.json"} == {
        name for name, _ in found(run("lint", ".", "--json").stdout)
    }


def test_what_is_not_meant_is_passed_over(run: Run, folder: Path) -> None:
    """Prose, other code, binaries, hidden folders and links; in a folder that has more."""
    header = b"Public-Key-Pins: nothing pin-sha256\n"
    (folder / ".git").mkdir()
    for name in (".git/headers.txt", "README.md", "client.py", "settings.toml"):
        (folder / name).write_bytes(header)
    (folder / "program").write_bytes(b"\0" + header)
    (folder / "link.xml").symlink_to(BAD / "wildcard.xml")
    os.mkfifo(folder / "pipe.xml")
    alone = run("lint", ".")
    (folder / "sub").mkdir()
    shutil.copy(BAD / "NoUpdate.java", folder / "sub")

    assert (2, "") == (alone.returncode, alone.stdout)
    assert "holds neither a policy nor a file" in alone.stderr
    assert {("NoUpdate.java", "HF163")} == found(run("lint", ".", "--json").stdout)


def test_limits(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the number of files, and on the size of one."""
    for number in range(3):
        shutil.copy(BAD / "NoUpdate.java", folder / f"A{number}.java")
    monkeypatch.setattr(project_file, "_LIMIT", 10)
    large = run("lint", "A0.java", "--json")
    monkeypatch.setattr(lint_files, "MOST_FILES", 2)
    many = run("lint", ".")

    assert (2, {("A0.java", "HF100")}) == (large.returncode, found(large.stdout))
    assert "more than 10 bytes" in json.loads(large.stdout)[0]["reason"]
    assert (2, "") == (many.returncode, many.stdout)
    assert "more than 2 files" in many.stderr


def test_what_nobody_reads_is_cut(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gravest findings stay, and that there are more is one too."""
    monkeypatch.setattr(lint_files, "MOST_FINDINGS", 1)
    (folder / "Pinner.kt").write_bytes((BAD / "Pinner.kt").read_bytes())
    shutil.copy(BAD / "NoUpdate.java", folder)
    shutil.copy(BAD / "OnePin.java", folder)
    broken, fine, two = (
        run("lint", name, "--json") for name in ("Pinner.kt", "NoUpdate.java", "OnePin.java")
    )

    assert {("Pinner.kt", "HF100"), ("Pinner.kt", "HF113")} == found(broken.stdout)
    assert "there are 2 findings" in broken.stdout
    assert (0, {("NoUpdate.java", "HF163")}) == (fine.returncode, found(fine.stdout))
    assert (2, {("OnePin.java", "HF100"), ("OnePin.java", "HF116")}) == (
        two.returncode,
        found(two.stdout),
    )


def test_what_cannot_be_opened_is_told(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If its name says that it may be meant."""
    for name in ("config.xml", "notes"):
        shutil.copy(BAD / "wildcard.xml", folder / name)

    opened = Path.open

    def refuse(path: Path, *arguments: Any, **settings: Any) -> Any:  # noqa: ANN401 (as open has)
        if path.name in ("config.xml", "notes"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **settings)

    monkeypatch.setattr(Path, "open", refuse)
    ran = run("lint", ".", "--json")

    assert (2, {("config.xml", "HF100")}) == (ran.returncode, found(ran.stdout))
    assert "Permission denied" in ran.stdout
