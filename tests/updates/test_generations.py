import pytest

from holdfast.errors import CacheError, UpdateError
from holdfast.updates.generations import Generation
from tests.updates.client import Client
from tests.updates.signed_repository import NOW, SignedRepository
from tests.updates.test_cache import tree


def test_two_generations_are_kept(repository: SignedRepository, client: Client) -> None:
    """The one before stays for those who are reading it."""
    for _ in range(4):
        client.refresh()
        repository.publish()

    assert {"3", "4"} == {path.name for path in (client.folder / "gen").iterdir()}
    assert 4 == client.serial()


def test_what_does_not_verify_is_not_sealed(repository: SignedRepository, client: Client) -> None:
    """A copy that its check refuses never comes into force."""
    client.refresh()
    repository.publish()
    before = tree(client.folder, "work")

    def refuse(_generation: Generation) -> None:
        raise UpdateError("not this one")

    with client.cache.refreshing() as work:
        (work.targets / "new.json").write_bytes(b"")
        (work.targets / "new.json").chmod(0o600)
        with pytest.raises(UpdateError, match="not this one"):
            work.seal(NOW, refuse)

    assert before == tree(client.folder, "work")
    assert 1 == client.serial()


def test_a_rejected_generation_is_passed_over(repository: SignedRepository, client: Client) -> None:
    """The caller's check decides, and the reason is handed on."""
    client.refresh()
    repository.publish()
    client.refresh()

    def only_first(generation: Generation) -> int:
        if generation.number > 1:
            raise UpdateError("below the floor")
        return generation.number

    loaded = client.cache.load(only_first)
    assert loaded is not None
    assert (1, ("generation 2: below the floor",)) == (loaded.value, loaded.rejected)


def test_no_generation_passes(client: Client) -> None:
    """Then the reasons are told."""
    client.refresh()

    def refuse(_generation: Generation) -> None:
        raise UpdateError("below the floor")

    with pytest.raises(CacheError, match="nothing to use: generation 1: below the floor"):
        client.cache.load(refuse)


@pytest.mark.parametrize("text", [b"", b"3", b"[3]", b"{}", b"\xff"])
def test_without_the_pointer_the_newest_counts(
    repository: SignedRepository, client: Client, text: bytes
) -> None:
    """Sealed generations are whole, so that they can be tried in turn."""
    client.refresh()
    repository.publish()
    client.refresh()
    (client.folder / "current").write_bytes(text)

    assert 2 == client.serial()
