from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.certificates import load_policy as module
from holdfast.certificates.load_policy import load_policy, read_policy
from holdfast.errors import PolicyError
from holdfast.lab.authorities import Authority
from holdfast.pins.pin import Pin
from holdfast.pins.policy import Policy, Unlisted

LEAF, BACKUP = str(Pin.of_spki(b"leaf")), str(Pin.of_spki(b"backup"))
DOCUMENT = {
    "holdfast": {"format": 1, "unlisted": "allow"},
    "pin_set": {
        "api": {"hosts": ["api.example"], "mode": "enforce", "leaf": [LEAF], "backup": [BACKUP]}
    },
}
TOML = f"""
[holdfast]
format = 1
unlisted = "allow"

[pin_set.api]
hosts = ["api.example"]
mode = "enforce"
leaf = ["{LEAF}"]
backup = ["{BACKUP}"]
"""
PRIVATE = """
[holdfast]
format = 1
unlisted = "refuse"

[pin_set.mesh]
hosts = ["**.internal"]
mode = "enforce"
trust = "private"
anchors = [{anchors}]
"""


def refused(path: Path) -> PolicyError:
    """Return the error of a file that is no policy."""
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    assert str(path) == caught.value.source
    assert all(problem.message and problem.fix for problem in caught.value.problems)
    return caught.value


@pytest.mark.parametrize(
    "name", ["pins.json", "pins.JSON", "pins.conf", "pins", "p.toml", "p", ".x"]
)
@pytest.mark.parametrize("is_json", [True, False])
def test_the_language_goes_by_the_suffix_else_by_the_text(
    tmp_path: Path, name: str, is_json: bool
) -> None:
    """A file named .json or .toml is that; in any other, an opening brace makes it JSON."""
    path = tmp_path / name
    path.write_text(f"\n  {json.dumps(DOCUMENT)}" if is_json else TOML, "utf-8")
    suffix = path.suffix.lower()

    if suffix in {".json", ".toml"} and (suffix == ".json") is not is_json:
        assert f"this is not {suffix[1:].upper()}" in str(refused(path))
    else:
        assert load_policy(str(path)).pin_set_for("api.example") is not None


def test_anchors_are_found_beside_the_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths are relative to the file, not to where the program runs; PEM text may stand inline."""
    root, other, inline = (Authority.new(name) for name in ("Root", "Other", "Inline"))
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca" / "root.pem").write_text(root.pem + other.pem, "ascii")
    anchors = '"ca/root.pem", """\n' + inline.pem + '"""'
    path = tmp_path / "pins.toml"
    path.write_text(PRIVATE.format(anchors=anchors), "utf-8")
    monkeypatch.chdir("/")

    expected = tuple(load_der(pem) for pem in (root.pem, other.pem, inline.pem))
    assert expected == load_policy(path).pin_sets[0].anchors


def load_der(pem: str) -> bytes:
    """Decode one PEM certificate by other means than ours."""
    import ssl

    return ssl.PEM_cert_to_DER_cert(pem)


def test_every_file_is_named_before_it_is_read(tmp_path: Path) -> None:
    """Who follows the policy learns of each file it is made of, also of one that is missing."""
    (tmp_path / "root.pem").write_text(Authority.new("Root").pem, "ascii")
    path = tmp_path / "pins.toml"
    path.write_text(PRIVATE.format(anchors='"root.pem", "missing.pem"'), "utf-8")
    named: list[Path] = []
    with pytest.raises(PolicyError) as caught:
        read_policy(path, named.append)

    assert [path, tmp_path / "root.pem", tmp_path / "missing.pem"] == named
    assert ["pin_set.mesh.anchors[1]"] == [problem.place for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("anchor", "words"),
    [
        ("", "cannot be read"),
        ("missing.pem", "cannot be read"),
        ("key.pem", "EC PRIVATE KEY"),
        ("empty.pem", "empty"),
        ("pins.toml", "no certificate"),
        ("a\\u0000b", "cannot be read"),
        ("-----BEGIN CERTIFICATE-----\\nx\\n-----END CERTIFICATE-----", "base64"),
        ("-----BEGIN CERTIFICATE-----", "PEM text"),
    ],
)
def test_a_bad_anchor_is_a_problem_of_its_entry(tmp_path: Path, anchor: str, words: str) -> None:
    """Whatever is wrong with an anchor is told at its place among the other problems."""
    (tmp_path / "empty.pem").touch()
    (tmp_path / "key.pem").write_text(
        "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", "ascii"
    )
    path = tmp_path / "pins.toml"
    path.write_text(PRIVATE.format(anchors=f'"{anchor}"'), "utf-8")
    (problem,) = refused(path).problems

    assert "pin_set.mesh.anchors[0]" == problem.place
    assert words in problem.message


@pytest.mark.parametrize(
    ("prepare", "message", "fix"),
    [
        (lambda path: None, "No such file", "holdfast pin"),
        (lambda path: path.mkdir(), "Is a directory", "the file in it"),
        (lambda path: path.write_bytes(b"# caf\xe9"), "not UTF-8 (at byte 5)", "save it as UTF-8"),
        (lambda path: path.write_text(TOML, "utf-16"), "not UTF-8", "save it as UTF-8"),
        (lambda path: path.write_text(TOML, "utf-8-sig"), "byte order mark", "without one"),
        (lambda path: path.symlink_to(path), "symbolic links", "check the path"),
    ],
    ids=["missing", "directory", "latin-1", "utf-16", "byte order mark", "loop"],
)
def test_a_file_that_cannot_be_read_is_one_problem(
    tmp_path: Path, prepare: Callable[[Path], object], message: str, fix: str
) -> None:
    """The problem names the path, what happened and what to do."""
    path = tmp_path / "pins.toml"
    prepare(path)
    (problem,) = refused(path).problems

    assert str(path) == problem.place
    assert message in problem.message
    assert fix in problem.fix


def test_a_path_with_a_nul_is_refused() -> None:
    """Such a path is a problem like a missing file, not a ValueError of `open`."""
    assert "it cannot be read" in str(refused(Path("pins\0.toml")))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser reads everything")
def test_a_file_without_permission_is_one_problem(tmp_path: Path) -> None:
    """A file that this user may not read says so."""
    path = tmp_path / "pins.toml"
    path.write_text(TOML, "utf-8")
    path.chmod(0)

    assert "permissions" in refused(path).problems[0].fix


def test_an_endless_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading stops at the limit."""
    monkeypatch.setattr(module, "MAX_FILE_SIZE", 1000)
    path = tmp_path / "pins.toml"
    path.write_text("#" * 1000, "utf-8")
    assert "holdfast" == refused(path).problems[0].place

    path.write_text("#" * 1001, "utf-8")
    assert "more than 1000 bytes" in refused(path).problems[0].message


def test_an_empty_file_is_no_policy(tmp_path: Path) -> None:
    """Nothing at all does not mean "no pins"."""
    path = tmp_path / "pins.toml"
    path.touch()

    assert ["holdfast"] == [problem.place for problem in refused(path).problems]


def test_all_mistakes_of_a_file_are_told_under_its_name(tmp_path: Path) -> None:
    """The error's text names the file once, and then one line for each mistake."""
    path = tmp_path / "pins.toml"
    path.write_text(TOML.replace("enforce", "block").replace("api.example", "api:443"), "utf-8")
    head, *lines = str(refused(path)).splitlines()

    assert f"{path}: 2 problems" == head
    assert ["pin_set.api.hosts[0]", "pin_set.api.mode"] == [
        line.strip().partition(": ")[0] for line in lines
    ]


def test_a_policy_from_a_file_equals_one_made_in_code(tmp_path: Path) -> None:
    """Where a policy comes from makes no difference."""
    path = tmp_path / "pins.json"
    path.write_text(json.dumps(DOCUMENT), "utf-8")
    policy = load_policy(path)

    assert Policy(unlisted=Unlisted.ALLOW, pin_sets=policy.pin_sets) == policy
