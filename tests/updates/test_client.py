from pathlib import Path

from holdfast.updates.accept import remembered
from holdfast.updates.cache import Cache
from holdfast.updates.document import (
    BreakGlass,
    DenyList,
    break_glass_to_bytes,
    deny_list_to_bytes,
)
from holdfast.updates.freshness import State
from tests.updates.origin import Origin
from tests.updates.seeded import DAY, NEW, NEXT, OLD, STOLEN, Clock, Start, bundle, policy, state_of
from tests.updates.signed_repository import NOW, SignedRepository


def test_a_denial_outlasts_its_file(
    repository: SignedRepository, start: Start, tmp_path: Path
) -> None:
    """Until a higher epoch, whatever the emergency role says afterwards, and over the seed too."""
    client = start()
    repository.put("emergency", deny_list_to_bytes(DenyList(serial=2, denied=frozenset({OLD}))))
    repository.publish(bundle(2, policy(NEW)), roles=["emergency"])
    assert client.refresh().succeeded
    repository.put("emergency", deny_list_to_bytes(DenyList(serial=3)))
    repository.publish(bundle(3, policy(NEW)), roles=["emergency"])
    assert client.refresh().succeeded
    assert (OLD,) == client.current().denied

    (tmp_path / "cache" / "current").unlink()
    for file in (tmp_path / "cache" / "gen").rglob("*.json"):
        file.unlink()
    assert (OLD,) == start().current().denied

    repository.targets.unrecognized_fields["x-holdfast-epoch"] = 2
    repository.publish(bundle(1, policy(OLD, NEW)), roles=["targets"])
    assert client.refresh().succeeded
    assert () == client.current().denied


def test_the_emergency_role_alone_locks_nobody_out(
    repository: SignedRepository, start: Start
) -> None:
    """A list that leaves nothing of a set is not applied; it is said, and nothing is fresh."""
    client = start()
    all_of_it = frozenset({OLD, NEXT})
    repository.put("emergency", deny_list_to_bytes(DenyList(serial=2, denied=all_of_it)))
    repository.publish(bundle(2, policy()), roles=["emergency"])

    assert client.refresh().succeeded
    assert () == client.current().denied
    assert State.STALE is state_of(client)
    assert any("api" in note for note in client.in_force.notes)


def test_a_withheld_emergency_file_is_an_alarm(
    repository: SignedRepository, origin: Origin, start: Start
) -> None:
    """Pins are updated, and nothing is fresh: otherwise one withheld file would hide a denial."""
    client = start()
    repository.publish(bundle(2, policy(NEW)))
    for path in [path for path in origin.files if "deny.json" in path or "emergency" in path]:
        del origin.files[path]

    assert client.refresh().succeeded
    assert policy(NEW) == client.current()
    assert State.STALE is state_of(client)


def test_a_new_epoch_lifts_nothing_while_its_deny_list_is_withheld(
    repository: SignedRepository, origin: Origin, start: Start
) -> None:
    """What a client remembers holds until the list is there, and is gone then."""
    client = start()
    repository.put("emergency", deny_list_to_bytes(DenyList(serial=2, denied=frozenset({OLD}))))
    repository.publish(bundle(2, policy(NEW)), roles=["emergency"])
    assert client.refresh().succeeded
    repository.targets.unrecognized_fields["x-holdfast-epoch"] = 2
    repository.put("emergency", deny_list_to_bytes(DenyList(serial=3)))
    repository.publish(bundle(1, policy(NEW)), roles=["targets", "emergency"])
    served, origin.files = origin.files, dict(origin.files)
    for path in [path for path in origin.files if "deny.json" in path or "emergency" in path]:
        del origin.files[path]

    assert client.refresh().succeeded
    assert ((OLD,), 2) == (client.current().denied, client.in_force.epoch)
    assert (OLD,) == start().current().denied
    assert State.STALE is state_of(client)

    origin.files = served
    assert client.refresh().succeeded
    assert () == client.current().denied == start().current().denied


def test_a_new_epoch_keeps_denials_whose_list_is_not_applied(
    repository: SignedRepository, start: Start
) -> None:
    """A list that would leave nothing of a set says nothing about what was denied before."""
    client = start()
    repository.put("emergency", deny_list_to_bytes(DenyList(serial=2, denied=frozenset({OLD}))))
    repository.publish(bundle(2, policy(NEW)), roles=["emergency"])
    assert client.refresh().succeeded
    repository.targets.unrecognized_fields["x-holdfast-epoch"] = 2
    all_of_it = frozenset({NEW, NEXT})
    repository.put("emergency", deny_list_to_bytes(DenyList(serial=3, denied=all_of_it)))
    repository.publish(bundle(1, policy(NEW)), roles=["targets", "emergency"])

    assert client.refresh().succeeded
    assert (OLD,) == client.current().denied == start().current().denied
    assert State.STALE is state_of(client)


def test_break_glass_is_for_a_while(
    repository: SignedRepository, start: Start, clock: Clock
) -> None:
    """A public set is report-only until then, and the set of the policy says until when."""
    client = start()
    until = NOW + DAY
    repository.put("breakglass", break_glass_to_bytes(BreakGlass(serial=1, until={"api": until})))
    repository.publish(bundle(2, policy()), roles=["breakglass"])

    assert client.refresh().succeeded
    assert until == client.current().pin_sets[0].report_only_until


def test_a_key_that_another_process_denied_counts_at_the_next_refresh(
    start: Start, tmp_path: Path
) -> None:
    """What is kept is read each time, also where the origin says nothing new."""
    client = start()
    assert client.refresh().succeeded
    with Cache(tmp_path / "cache").refreshing() as work:
        work.deny(remembered(1, [STOLEN]))

    assert client.refresh().succeeded
    assert (STOLEN,) == client.current().denied
