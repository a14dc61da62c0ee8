import json
from copy import deepcopy
from operator import methodcaller
from typing import Any

import pytest
from tuf.api.metadata import Signature

from holdfast.errors import PolicyError, UpdateError
from holdfast.pins.pin import Pin
from holdfast.updates.key_card import owned_by
from holdfast.updates.publisher import Publisher
from holdfast.updates.request import Request, request_from_bytes, request_to_bytes
from holdfast.updates.request_signatures import merged, require_all, signatures, verify_base
from tests.updates.ceremony import Ceremony, signer_of

KEY = Pin.of_spki(b"stolen")


def deny(publisher: Publisher) -> object:
    """Change what three people sign."""
    return publisher.deny([KEY])


def _tables(request: Request) -> dict[str, Any]:
    tables: dict[str, Any] = json.loads(request_to_bytes(request))
    return tables


def _read(tables: dict[str, Any]) -> Request:
    return request_from_bytes(json.dumps(tables).encode(), source="request.json")


@pytest.fixture
def request_of(ceremony: Ceremony) -> Request:
    """A request that nobody has signed yet."""
    return ceremony.staged(deny)


def test_who_is_missing_is_named(request_of: Request, ceremony: Ceremony) -> None:
    """By the names that the keys carry, until there are enough."""
    with pytest.raises(UpdateError) as raised:
        require_all(request_of)
    assert (
        "emergency takes 2 of its keys; signed by nobody; 2 missing, of alice, bob, carol"
        == raised.value.message
    )

    with pytest.raises(UpdateError, match="signed by bob; 1 missing, of alice, carol"):
        require_all(ceremony.signed(request_of, "bob"))

    require_all(ceremony.signed(request_of, "bob", "carol"))


def test_copies_that_were_signed_apart_are_put_together(
    request_of: Request, ceremony: Ceremony
) -> None:
    """In any order, also with one who has signed both."""
    one = ceremony.signed(request_of, "alice")
    other = ceremony.signed(request_of, "bob", "alice")

    both = merged([one, other])

    require_all(both)
    assert 2 == len(both.after["emergency"].signatures)


def test_other_requests_are_not_put_together(request_of: Request, ceremony: Ceremony) -> None:
    """A signature counts for what was signed."""
    another = ceremony.staged(lambda publisher: publisher.deny([Pin.of_spki(b"another")]))

    with pytest.raises(UpdateError, match="not about the same"):
        merged([request_of, another])


def test_content_that_changed_after_it_was_signed_is_told(
    request_of: Request, ceremony: Ceremony
) -> None:
    """With whose signature it was, and nothing counts any more."""
    signed = ceremony.signed(request_of, "alice", "bob")
    signed.after["emergency"].signed.expires = signed.after["emergency"].signed.expires.replace(
        year=9999
    )

    for look in (signatures, require_all):
        with pytest.raises(
            UpdateError, match="signature of alice does not fit emergency"
        ) as raised:
            look(signed)
        assert "somebody changed it on the way" in (raised.value.hint or "")


def test_a_stranger_signs_nothing(request_of: Request, ceremony: Ceremony) -> None:
    """Nor does somebody with a key of another role."""
    for stranger in (signer_of("mallory"), ceremony.online["pins"]):
        signed = ceremony.signed(request_of, "alice")
        signed.after["emergency"].sign(stranger, append=True)

        with pytest.raises(UpdateError, match="which may not sign"):
            require_all(signed)


def test_one_signature_under_two_ids_does_not_count_twice(
    request_of: Request, ceremony: Ceremony
) -> None:
    """Neither repeated, nor by a second id of the same key that new metadata bring."""
    tables = _tables(ceremony.signed(request_of, "alice"))
    tables["after"]["emergency"]["signatures"] *= 2
    with pytest.raises(PolicyError, match="Multiple signatures"):
        _read(tables)

    twice = ceremony.staged(lambda publisher: publisher.resign(["root"]))
    key = deepcopy(owned_by(ceremony.people["alice"].public_key, "alice"))
    key.keyid = "a" * 64
    twice.after["root"].signed.add_key(key, "root")
    with pytest.raises(UpdateError, match="root: alice and alice have the same key"):
        signatures(twice)


def test_one_person_gets_no_two_keys_of_a_role_that_others_sign(ceremony: Ceremony) -> None:
    """Neither in root nor in targets, although the role itself is not signed again."""
    for signed, role in (("root", "timestamp"), ("targets", "pins")):
        request = ceremony.staged(methodcaller("resign", [signed]))
        for name in ("mallory", "mallory"):
            request.after[signed].signed.add_key(signer_of(name).public_key, role)

        with pytest.raises(UpdateError, match=f"{role}: mallory has two keys"):
            signatures(request)


def test_new_root_keys_take_the_former_and_the_new(ceremony: Ceremony) -> None:
    """A threshold of each, as clients ask for (TUF 5.3.4)."""
    others = {name: signer_of(name) for name in ("dave", "erin", "frank")}
    request = ceremony.staged(
        lambda publisher: publisher.rotate_keys("root", [one.public_key for one in others.values()])
    )
    ceremony.people |= others

    with pytest.raises(UpdateError, match="root takes 2 of its keys; signed by nobody"):
        require_all(ceremony.signed(request, "alice", "bob"))
    with pytest.raises(UpdateError, match="root takes 2 of its former keys; signed by nobody"):
        require_all(ceremony.signed(request, "dave", "erin"))
    require_all(ceremony.signed(request, "alice", "dave", "bob", "frank"))


def test_former_keys_of_targets_may_sign_too(ceremony: Ceremony) -> None:
    """It counts without them; a signature of theirs is no stranger's, and is told."""
    former = ceremony.people
    fresh = {name: signer_of(name) for name in ("dave", "erin", "frank")}
    request = ceremony.staged(
        lambda publisher: publisher.rotate_keys(
            "targets", [one.public_key for one in fresh.values()]
        )
    )
    ceremony.people = fresh
    request = ceremony.signed(request, "dave", "erin")
    with pytest.raises(UpdateError, match=r"^root takes 2 of its former keys"):
        require_all(request)
    ceremony.people = former
    partly = ceremony.signed(request, "alice")
    assert "targets takes 2 of its former keys, if they can still sign; signed by alice" in map(
        str, signatures(partly)
    )
    signed = ceremony.signed(partly, "bob")

    require_all(signed)
    signed.after["targets"].signatures = request.after["targets"].signatures
    require_all(signed)


def test_new_rules_of_other_roles_take_no_former_keys_of_targets(ceremony: Ceremony) -> None:
    """They are asked for only where it gets other keys."""
    request = ceremony.staged(methodcaller("resign", ["root", "targets"]))

    assert ["root", "root", "targets"] == [state.role for state in signatures(request)]


def test_what_it_builds_on_comes_from_a_known_root(request_of: Request, ceremony: Ceremony) -> None:
    """Itself, or a later one that the known keys have signed."""
    verify_base(request_of, None)
    verify_base(request_of, ceremony.root)
    again = ceremony.staged(lambda publisher: publisher.resign(["root"]), "alice", "bob")
    ceremony.publish(again)

    verify_base(ceremony.staged(deny), ceremony.root)


def test_another_root_is_told(ceremony: Ceremony, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A request of a repository that an attacker made looks right in all but its keys."""
    forged = Ceremony(tmp_path_factory.mktemp("forged")).staged(deny)
    verify_base(forged, None)

    with pytest.raises(UpdateError, match="does not come from the root that is known"):
        verify_base(forged, ceremony.root)


def test_a_base_that_nobody_signed_is_told(request_of: Request) -> None:
    """Otherwise a change could be told as smaller than it is."""
    forged = deepcopy(request_of)
    forged.before["targets"].signed.delegations.roles["emergency"].threshold = 1
    broken = deepcopy(request_of)
    broken.roots[0].signed.roles["targets"].threshold = 1

    for request in (forged, broken):
        with pytest.raises(UpdateError, match="not signed as it should be"):
            verify_base(request, None)


def test_a_signature_that_is_no_hex_does_not_fit(request_of: Request, ceremony: Ceremony) -> None:
    """What cannot be read is no signature."""
    keyid = ceremony.people["bob"].public_key.keyid
    request_of.after["emergency"].signatures[keyid] = Signature(keyid, "zz")

    with pytest.raises(UpdateError, match="signature of bob does not fit"):
        signatures(request_of)
