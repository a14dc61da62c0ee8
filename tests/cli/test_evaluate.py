from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.cli.main import main
from holdfast.lab.authorities import Authority, Identity

HOST = "api.example.com"
UNUSED = "sha256/" + "AQ" * 21 + "A="
DAY = timedelta(days=1)

Answer = dict[str, object]
Evaluate = Callable[..., tuple[int, Answer]]


def _time(offset: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) + offset).isoformat(timespec="seconds")


@pytest.fixture
def root(tmp_path: Path) -> Authority:
    """Return the root that --anchors names."""
    authority = Authority.new("Root")
    (tmp_path / "root.pem").write_text(authority.pem)
    return authority


@pytest.fixture
def identity(root: Authority, tmp_path: Path) -> Identity:
    """Return a pinnable server, whose chain is the one that is shown."""
    made = root.intermediate("Issuing CA").issue(HOST)
    (tmp_path / "chain.pem").write_text(made.chain_pem)
    return made


@pytest.fixture
def evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Evaluate:
    """Return a function that writes a policy and runs the command on it with --json."""

    def run(policy: str, *options: str, host: str = HOST) -> tuple[int, Answer]:
        (tmp_path / "pins.toml").write_text(f"[holdfast]\nformat = 1\n{policy}")
        code = main(
            [
                "evaluate",
                *("--host", host, "--chain", str(tmp_path / "chain.pem")),
                *("--policy", str(tmp_path / "pins.toml")),
                *("--anchors", str(tmp_path / "root.pem"), "--json", *options),
            ]
        )
        return code, json.loads(capsys.readouterr().out)

    return run


def _set(leaf: str = UNUSED, *lines: str, mode: str = "enforce", unlisted: str = "allow") -> str:
    return "\n".join(
        [
            f'unlisted = "{unlisted}"',
            "[pin_set.api]",
            f'hosts = ["{HOST}"]',
            f'mode = "{mode}"',
            f'leaf = ["{leaf}"]',
            'single_pin = "I accept lock-out"',
            'owner = "payments team <pay@example.com>"',
            *lines,
        ]
    )


def _decided(result: tuple[int, Answer]) -> tuple[int, object, object, object]:
    code, answer = result
    return code, answer["outcome"], answer["allowed"], answer["observed"]


def test_match(evaluate: Evaluate, root: Authority, identity: Identity) -> None:
    """A pinned leaf gives exit code 0 and exactly the keys of the interface, in their order."""
    code, answer = evaluate(_set(identity.spki_pin))

    keys = "host outcome allowed mode pin_set matched path observed explanation hint verifier"
    assert 0 == code
    assert keys.split() == list(answer)
    assert (HOST, "match", True) == (answer["host"], answer["outcome"], answer["allowed"])
    assert ("enforce", "api") == (answer["mode"], answer["pin_set"])
    assert {"pin": identity.spki_pin, "role": "leaf", "position": 0} == answer["matched"]
    assert (None, None) == (answer["observed"], answer["hint"])
    assert str(answer["verifier"]).startswith("cryptography ")


def test_path_is_the_verified_one(evaluate: Evaluate, root: Authority, identity: Identity) -> None:
    """The path is shown leaf first with the anchor, which was not sent."""
    _, answer = evaluate(_set(identity.spki_pin))
    path = answer["path"]

    assert isinstance(path, list)
    keys = "position subject issuer spki cert not_before not_after key"
    assert [keys.split()] * 3 == [list(link) for link in path]
    subjects = [f"CN={HOST}", "CN=Issuing CA", "CN=Root"]
    assert subjects == [link["subject"] for link in path]
    assert [identity.spki_pin, root.spki_pin] == [path[0]["spki"], path[2]["spki"]]
    assert [identity.cert_pin, root.cert_pin] == [path[0]["cert"], path[2]["cert"]]


EXPIRED = ("expires = 2020-01-01T00:00:00Z",)


@pytest.mark.parametrize(
    ("policy", "decided"),
    [
        (_set(), (1, "mismatch", False, "new-key")),
        (_set(mode="report-only"), (1, "mismatch", True, "new-key")),
        (_set(UNUSED, *EXPIRED, 'on_expiry = "allow"'), (0, "expired", True, None)),
        (
            _set(UNUSED, *EXPIRED, 'on_expiry = "report-only"'),
            (1, "expired", True, "expired-pins"),
        ),
        (
            _set(UNUSED, *EXPIRED, 'on_expiry = "enforce"'),
            (1, "mismatch", False, "new-key"),
        ),
    ],
    ids=["enforced", "report-only", "expired-allow", "expired-report-only", "expired-enforce"],
)
def test_path_without_a_pin(
    evaluate: Evaluate, identity: Identity, policy: str, decided: tuple[int, str, bool, str | None]
) -> None:
    """What a path without a pin comes to depends on mode and expiry, as in the outcome table."""
    assert decided == _decided(evaluate(policy))


@pytest.mark.parametrize(
    ("unlisted", "decided"),
    [
        ("refuse", (1, "not-pinned", False, "unknown")),
        ("report-only", (1, "not-pinned", True, "unknown")),
        ("allow", (0, "not-pinned", True, None)),
    ],
)
def test_host_that_no_pattern_covers(
    evaluate: Evaluate,
    root: Authority,
    tmp_path: Path,
    unlisted: str,
    decided: tuple[int, str, bool, str | None],
) -> None:
    """`unlisted` decides over a host without a set, of which `mode` and `pin_set` are null."""
    (tmp_path / "chain.pem").write_text(root.issue("other.example.com").chain_pem)
    code, answer = evaluate(_set(unlisted=unlisted), host="other.example.com")

    assert decided == _decided((code, answer))
    assert (None, None) == (answer["mode"], answer["pin_set"])


@pytest.mark.parametrize("mode", ["enforce", "report-only"])
def test_denied_key_refuses_in_every_mode(
    evaluate: Evaluate, root: Authority, identity: Identity, mode: str
) -> None:
    """A denied CA refuses although the leaf's pin matches; `matched` says where it stands."""
    denied = f'denied = ["{root.spki_pin}"]\n'
    code, answer = evaluate(denied + _set(identity.spki_pin, mode=mode))

    assert (1, "denied", False, "denied-key") == _decided((code, answer))
    assert {"pin": root.spki_pin, "role": "ca", "position": 2} == answer["matched"]


def test_untrusted_chain_is_shown_as_presented(
    evaluate: Evaluate, root: Authority, tmp_path: Path
) -> None:
    """A chain to another root is untrusted, whatever its pins, and `path` is what was sent."""
    stranger = Authority.new("Stranger").intermediate("Strange CA").issue(HOST)
    (tmp_path / "chain.pem").write_text(stranger.chain_pem)
    code, answer = evaluate(_set(stranger.spki_pin))
    path = answer["path"]

    assert (1, "untrusted", False, "unknown") == _decided((code, answer))
    assert isinstance(path, list)
    assert [f"CN={HOST}", "CN=Strange CA"] == [link["subject"] for link in path]


@pytest.mark.parametrize("offset", [-9 * DAY, 365 * DAY], ids=["before", "after"])
def test_other_time(evaluate: Evaluate, identity: Identity, offset: timedelta) -> None:
    """`--at` decides for another time, at which the chain is out of its validity."""
    result = evaluate(_set(identity.spki_pin), "--at", _time(offset))

    assert (1, "untrusted", False, "clock") == _decided(result)


def test_other_time_reaches_the_pin_set(evaluate: Evaluate, identity: Identity) -> None:
    """A set that expires tomorrow has expired in two days, and a matching path is told so."""
    policy = _set(UNUSED, f"expires = {_time(DAY)}", 'on_expiry = "allow"')

    assert (1, "mismatch") == _decided(evaluate(policy))[:2]
    assert (0, "expired") == _decided(evaluate(policy, "--at", _time(2 * DAY)))[:2]


def test_wrong_host(evaluate: Evaluate, root: Authority, tmp_path: Path) -> None:
    """A certificate for another name is untrusted and says so."""
    other = root.issue("www.example.org")
    (tmp_path / "chain.pem").write_text(other.chain_pem)

    assert (1, "untrusted", False, "wrong-host") == _decided(evaluate(_set(other.spki_pin)))


def test_host_is_made_canonical(evaluate: Evaluate, identity: Identity) -> None:
    """Capitals and a trailing dot do not lead past the pins."""
    code, answer = evaluate(_set(identity.spki_pin), host="API.Example.com.")

    assert (0, HOST, "match") == (code, answer["host"], answer["outcome"])


def test_private_anchors_of_the_policy(evaluate: Evaluate, root: Authority, tmp_path: Path) -> None:
    """A private set is verified with its own anchors, which --anchors does not replace."""
    private = Authority.new("Private root")
    (tmp_path / "private.pem").write_text(private.pem)
    (tmp_path / "chain.pem").write_text(private.issue(HOST).chain_pem)
    policy = (
        f'unlisted = "allow"\n[pin_set.api]\nhosts = ["{HOST}"]\nmode = "enforce"\n'
        'trust = "private"\nanchors = ["private.pem"]'
    )

    assert (0, "match") == _decided(evaluate(policy))[:2]
    (tmp_path / "chain.pem").write_text(root.issue(HOST).chain_pem)
    assert (1, "untrusted") == _decided(evaluate(policy))[:2]


def test_difference_between_verifiers_is_hinted(
    evaluate: Evaluate, root: Authority, tmp_path: Path
) -> None:
    """Where OpenSSL might answer otherwise the hint says so, beside the owner and the runbook."""
    identity = root.issue(common_name=HOST)
    (tmp_path / "chain.pem").write_text(identity.chain_pem)
    code, answer = evaluate(_set(identity.spki_pin))
    hint = str(answer["hint"])

    assert (1, "untrusted") == (code, answer["outcome"])
    assert "OpenSSL may accept this chain" in hint
    assert "payments team <pay@example.com>" in hint
    assert "docs/runbooks/" in hint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--at", "2026-01-01T00:00:00"], "offset"),
        (["--at", "tomorrow"], "not a time"),
        (["--host", "https://api.example.com"], "not a host name"),
        (["--chain", "missing.pem"], "missing.pem"),
        (["--chain", "junk.pem"], "junk.pem"),
        (["--anchors", "junk.pem"], "junk.pem"),
        (["--policy", "junk.pem"], "junk.pem"),
        (["--format", "yaml"], "yaml"),
    ],
)
def test_bad_input(
    identity: Identity,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    """Input that cannot be read is exit code 2, with a message that names it and no traceback."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_POLICY", raising=False)
    Path("junk.pem").write_text("junk")
    Path("pins.toml").write_text(f"[holdfast]\nformat = 1\n{_set(identity.spki_pin)}")
    code = main(
        ["evaluate", "--host", HOST, "--chain", "chain.pem", "--anchors", "root.pem", *options]
    )
    output = capsys.readouterr()

    assert (2, "") == (code, output.out)
    assert output.err.startswith("holdfast: error: ")
    assert message in output.err


def test_public_roots_without_anchors(identity: Identity, tmp_path: Path) -> None:
    """Without --anchors a chain to a private root is untrusted; run as people run it."""
    (tmp_path / "pins.toml").write_text(f"[holdfast]\nformat = 1\n{_set(identity.spki_pin)}")
    command = [sys.executable, "-m", "holdfast", "evaluate", "--host", HOST]
    result = subprocess.run(
        [*command, "--chain", "chain.pem"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )

    assert (1, "") == (result.returncode, result.stderr)
    assert result.stdout.startswith(f"{HOST} refused: untrusted")
    assert "verified   cryptography " in result.stdout


def test_control_characters_of_a_certificate_are_not_printed(
    root: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A name that would rewrite the terminal is shown and not obeyed."""
    monkeypatch.chdir(tmp_path)
    identity = root.issue(HOST, common_name="\x1b[2Jmatch\u202e")
    Path("chain.pem").write_text(identity.chain_pem)
    Path("pins.toml").write_text(f"[holdfast]\nformat = 1\n{_set()}")
    monkeypatch.delenv("HOLDFAST_POLICY", raising=False)
    code = main(["evaluate", "--host", HOST, "--chain", "chain.pem", "--anchors", "root.pem"])
    shown = capsys.readouterr().out

    assert 1 == code
    assert "\\x1b[2Jmatch\\u202e" in shown
    assert not {"\x1b", "\u202e"} & set(shown)
