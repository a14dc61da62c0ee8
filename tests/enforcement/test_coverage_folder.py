import os
from pathlib import Path

from holdfast.enforcement.coverage_folder import CoverageFolder


def test_each_process_leaves_a_file_of_its_own(tmp_path: Path) -> None:
    """A forked child writes beside its parent, also when it ends without saying good-bye."""
    seen = CoverageFolder(tmp_path)
    seen.program("curl", "no Python")
    seen.program("curl", "no Python")
    child = os.fork()
    if child == 0:
        seen.program("wget", "no Python")
        os._exit(0)
    os.waitpid(child, 0)

    assert (("curl", "no Python"), ("wget", "no Python")) == seen.read().programs
    assert [1, 1] == [len(file.read_text().splitlines()) for file in tmp_path.iterdir()]


def test_a_damaged_record_is_left_out(tmp_path: Path) -> None:
    """A full disk cuts a line off, which hides neither the others nor ends the program."""
    seen = CoverageFolder(tmp_path)
    seen.program("curl", "no Python")
    (tmp_path / "1.jsonl").write_text('{"program": "wg')
    (tmp_path / "2.jsonl").write_text("[]\n")

    assert (("curl", "no Python"),) == seen.read().programs


def test_a_folder_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    """The program outlives who started it."""
    seen = CoverageFolder(tmp_path / "gone")
    seen.program("curl", "no Python")

    assert () == seen.read().programs
