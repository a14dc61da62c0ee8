from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.certificates.load_settings import load_settings
from holdfast.errors import PolicyError
from holdfast.lab.authorities import Authority, self_signed
from holdfast.lab.issuance import der, pem

FILE = """
[[exception]]
hosts = ["api.example.com"]
anchor = "{anchor}"
until = {until}
reason = "ticket NET-12"
"""


@pytest.fixture
def until() -> datetime:
    """Return the end of the exception, in a month."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)


@pytest.fixture
def file(tmp_path: Path, until: datetime) -> Path:
    """Return a sound file that names a missing certificate."""
    path = tmp_path / "holdfast.toml"
    path.write_text(FILE.format(anchor="ca/ca.pem", until=until.isoformat()))
    (tmp_path / "ca").mkdir()
    return path


def problem_of(file: Path) -> str:
    """Return the one problem of a file."""
    with pytest.raises(PolicyError) as caught:
        load_settings(file)
    assert str(file) == caught.value.source
    (problem,) = caught.value.problems
    return str(problem)


def test_the_certificate_is_found_beside_the_file(
    file: Path, until: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its path is relative to the file, not to where the program runs."""
    root = Authority.new("Inspection CA")
    (file.parent / "ca" / "ca.pem").write_text(root.pem)
    monkeypatch.chdir("/")
    (exception,) = load_settings(str(file)).exceptions

    assert (der(root.certificate), until) == (exception.anchor, exception.until)


def test_what_is_no_root_is_refused(file: Path) -> None:
    """Two certificates, a leaf, a CA below another and a damaged one are errors at their place."""
    root = Authority.new("Inspection CA")
    below = root.intermediate("Below")
    texts = {
        "there are 2 certificates": root.pem + below.pem,
        "it is no CA's certificate": pem(self_signed("api.example.com").chain),
        "another CA signed it": below.pem,
        "no certificate in it": "nothing",
    }
    for words, text in texts.items():
        (file.parent / "ca" / "ca.pem").write_text(text)
        problem = problem_of(file)

        assert problem.startswith("exception[0].anchor: ")
        assert words in problem


def test_a_certificate_that_cannot_be_read(file: Path) -> None:
    """One whose shape is right and whose extensions are not is an error too."""
    whole = der(Authority.new("Inspection CA").certificate)
    broken = whole.replace(bytes.fromhex("0603551d13"), bytes.fromhex("0603551d0e"))
    (file.parent / "ca" / "ca.pem").write_bytes(broken)

    assert "or cannot be read" in problem_of(file)


def test_a_missing_certificate(file: Path) -> None:
    """A file that is not there is an error, never an exception without an anchor."""
    assert "exception[0].anchor: " in problem_of(file)


def test_a_missing_file_does_not_speak_of_policies(tmp_path: Path) -> None:
    """The fix is one for settings."""
    assert "every setting has a default" in problem_of(tmp_path / "holdfast.toml")


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    """A file without a word has no exceptions."""
    (tmp_path / "holdfast.toml").touch()

    assert () == load_settings(tmp_path / "holdfast.toml").exceptions


def test_broken_text_is_told(tmp_path: Path) -> None:
    """What is no TOML is an error under the file's name."""
    (tmp_path / "holdfast.toml").write_text("[[exception]")

    assert "this is not TOML" in problem_of(tmp_path / "holdfast.toml")
