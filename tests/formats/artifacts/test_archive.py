import io
import zipfile
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.formats.artifacts.archive import Entry, Limits, entries_of


def packed(**files: bytes) -> bytes:
    """Return a zip file."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return written.getvalue()


def looked(path: Path, **limits: int) -> dict[str, bytes | str]:
    """Return what is found: the content of each file, or why it could not be looked at."""
    found = entries_of(path, Limits()._replace(**limits))
    return {one.name: one.problem if one.content is None else one.content for one in found}


def test_packages_in_packages(tmp_path: Path) -> None:
    """Each file with the way to it; nothing is written anywhere."""
    path = tmp_path / "app.aar"
    path.write_bytes(packed(**{"a.txt": b"1", "classes.jar": packed(**{"../b": b"2"})}))

    assert {"a.txt": b"1", "classes.jar!../b": b"2"} == looked(path)
    assert [path] == list(tmp_path.iterdir())


def test_folders_and_single_files(tmp_path: Path) -> None:
    """Links are not followed."""
    (tmp_path / "App.app" / "below").mkdir(parents=True)
    (tmp_path / "App.app" / "below" / "Info.plist").write_bytes(b"plist")
    (tmp_path / "App.app" / "link").symlink_to("/etc/passwd")

    assert {"below/Info.plist": b"plist", "link": "it is a link, or no file"} == looked(
        tmp_path / "App.app"
    )
    assert {"Info.plist": b"plist"} == looked(tmp_path / "App.app" / "below" / "Info.plist")


@pytest.mark.parametrize(
    ("limits", "name", "problem"),
    [
        ({"entry": 10}, "bomb", "too large"),
        ({"all": 10}, "bomb", "too large"),
        ({"entries": 1}, "in.zip", "more than 1 files"),
        ({"depth": 1}, "in.zip", "in 1 others"),
    ],
)
def test_limits(tmp_path: Path, limits: dict[str, int], name: str, problem: str) -> None:
    """What is beyond them is said."""
    path = tmp_path / "a.zip"
    path.write_bytes(packed(**{"bomb": b"0" * 1_000_000, "in.zip": packed(x=b"")}))

    assert problem in str(looked(path, **limits)[name])


def test_what_is_damaged_or_encrypted_is_said(tmp_path: Path) -> None:
    """And the rest is looked at."""
    whole = packed(one=b"1" * 100, two=b"2" * 100)
    path = tmp_path / "a.zip"
    path.write_bytes(whole[:60])
    assert "damaged" in str(looked(path)["the package"])

    encrypted = bytearray(whole)
    encrypted[whole.index(b"PK\x01\x02") + 8] |= 1  # the flag of the first entry
    encrypted[6] |= 1
    path.write_bytes(bytes(encrypted))
    found = looked(path)
    assert "encrypted" in str(found["one"])
    assert b"2" * 100 == found["two"]


def test_a_package_that_is_not_there(tmp_path: Path) -> None:
    """It is bad input."""
    with pytest.raises(HoldfastError, match="cannot be read"):
        list(entries_of(tmp_path / "none.apk"))


def test_too_many_files_in_a_folder(tmp_path: Path) -> None:
    """The same limit."""
    for name in "abc":
        (tmp_path / name).write_bytes(b"")

    last = list(entries_of(tmp_path, Limits(entries=2)))[-1]

    assert Entry("c", None, "there are more than 2 files") == last
