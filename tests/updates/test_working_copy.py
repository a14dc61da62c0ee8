from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import UpdateError
from holdfast.updates.working_copy import fetch
from tests.updates.conftest import Refresh
from tests.updates.origin import Origin, sending
from tests.updates.signed_repository import NOW, SignedRepository

Serve = Callable[..., Origin]


def _look(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return what a write would change."""
    return {
        str(path.relative_to(folder)): (status.st_ino, status.st_mtime_ns, status.st_size)
        for path in [folder, *folder.rglob("*")]
        for status in [path.lstat()]
    }


def test_an_idle_refresh_asks_for_two_files(
    update: Refresh, origin: Origin, repository: SignedRepository
) -> None:
    """Where nothing is new, only the next root and the timestamp are asked for."""
    update()
    origin.requests.clear()

    assert repository.bundle(1) == update().pins.content
    assert ["metadata/2.root.json", "metadata/timestamp.json"] == origin.requests
    assert len(origin.files["metadata/timestamp.json"]) < 1024


def test_rereading_writes_nothing_and_asks_nobody(
    update: Refresh, reread: Refresh, origin: Origin, copy: Path
) -> None:
    """Others read the same folder, so that nothing in it changes, down to its times."""
    files = update()
    before = _look(copy)
    origin.requests.clear()

    assert reread() == files
    assert before == _look(copy)
    assert [] == origin.requests


def test_mirrors_are_tried_in_order(
    repository: SignedRepository, serve: Serve, update: Refresh
) -> None:
    """An origin that has nothing, or lies, is passed over for the next; the rest is not asked."""
    empty, lying, good, spare = serve({}), serve({}), *(serve(repository.files) for _ in "12")
    lying.answers["*"] = sending(b"{}")

    assert repository.bundle(1) == update(empty, lying, good, spare).pins.content
    assert [] == spare.requests


def test_no_origin_helps(serve: Serve, update: Refresh) -> None:
    """What was wrong with each origin is said."""
    origins = [serve({}), serve({})]

    with pytest.raises(UpdateError) as caught:
        update(*origins)
    for one in origins:
        assert one.url in str(caught.value)


def test_a_mirror_gives_what_another_one_withholds(
    repository: SignedRepository, serve: Serve, update: Refresh
) -> None:
    """An origin that holds back the emergency file alone is passed over for a complete one."""
    holding = serve(repository.files)
    holding.answers["metadata/1.emergency.json"] = sending(b"", status=404)

    files = update(holding, serve(repository.files))
    assert (None, b"[]") == (files.emergency_problem, files.emergency and files.emergency.content)


def test_the_emergency_file_is_at_no_mirror(
    repository: SignedRepository, serve: Serve, update: Refresh
) -> None:
    """Where no origin has it, the rest counts, as the working copy holds it."""
    holding, empty = serve(repository.files), serve({})
    holding.answers["metadata/1.emergency.json"] = sending(b"", status=404)

    files = update(holding, empty)

    assert repository.bundle(1) == files.pins.content
    assert files.emergency_problem is not None


def test_no_origin_at_all(copy: Path, repository: SignedRepository) -> None:
    """With no origin there is nothing to fetch from."""
    with pytest.raises(UpdateError, match="no origin"):
        fetch([], root=repository.root_bytes, now=NOW, metadata=copy, targets=copy)


@pytest.mark.parametrize("content", [b"{}", b"", SignedRepository().root_bytes])
def test_a_kept_root_that_does_not_count(
    update: Refresh, reread: Refresh, copy: Path, content: bytes
) -> None:
    """What somebody has put behind the newest root is taken away: it would stop each reader."""
    files = update()
    (copy / "metadata" / "root_history" / "2.root.json").write_bytes(content)
    with pytest.raises(UpdateError):
        reread()

    assert files == update()
    assert files == reread()
