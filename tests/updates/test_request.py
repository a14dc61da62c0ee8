import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from tuf.api.metadata import TargetFile

from holdfast.errors import PolicyError, UnknownFormatError
from holdfast.pins.pin import Pin
from holdfast.updates.publisher import Publisher
from holdfast.updates.request import MAX_ROOTS, Request, request_from_bytes, request_to_bytes
from tests.updates.ceremony import Ceremony

_RULE = {"keyids": [], "threshold": 1}
_BINS = {
    "keys": {},
    "succinct_roles": {**_RULE, "bit_length": 4, "name_prefix": "bin"},
}
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


def test_what_is_written_is_read_again(request_of: Request, ceremony: Ceremony) -> None:
    """Signed or not, and it has one text."""
    for request in (request_of, ceremony.signed(request_of, "alice")):
        data = request_to_bytes(request)

        assert request == request_from_bytes(data, source="request.json")
        assert data == request_to_bytes(request_from_bytes(data, source="request.json"))


def _drop_file(tables: dict[str, Any]) -> None:
    """Leave out the deny list that is to be published."""
    (listed,) = tables["after"]["emergency"]["signed"]["targets"].values()
    del tables["files"][listed["hashes"]["sha256"]]


def _drop_former_file(tables: dict[str, Any]) -> None:
    """Leave out the deny list that is published, so that lifted denials would not be told."""
    (listed,) = tables["before"]["emergency"]["signed"]["targets"].values()
    del tables["files"][listed["hashes"]["sha256"]]


def _change_file(tables: dict[str, Any]) -> None:
    name = next(iter(tables["files"]))
    tables["files"][name] = base64.b64encode(b"other").decode()


def _list_another(tables: dict[str, Any]) -> None:
    """Let a role list a file of a name that leads elsewhere."""
    target = TargetFile.from_data("emergency/x", b"x", ["sha256"]).to_dict()
    tables["after"]["emergency"]["signed"]["targets"]["emergency/../../../x"] = target
    tables["files"][target["hashes"]["sha256"]] = base64.b64encode(b"x").decode()


def _drop_key(tables: dict[str, Any]) -> None:
    """Leave out a key that may sign."""
    tables["before"]["targets"]["signed"]["delegations"]["keys"].popitem()


def _drop_role(tables: dict[str, Any]) -> None:
    """Delegate to one role less, whose files no client would find."""
    del tables["before"]["targets"]["signed"]["delegations"]["roles"][0]


def _drop_roles(tables: dict[str, Any]) -> None:
    """Delegate to nobody."""
    del tables["before"]["targets"]["signed"]["delegations"]


def _set(*path: str | int, to: object) -> Callable[[dict[str, Any]], None]:
    def change(tables: dict[str, Any]) -> None:
        place: Any = tables
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_drop_file, "the file is not here as it is listed"),
        (_drop_former_file, "the file is not here as it is listed"),
        (_change_file, "the file has another SHA-256"),
        (_drop_key, "it has a key that is not there"),
        (_drop_role, "it does not delegate to emergency"),
        (_drop_roles, "it does not delegate to breakglass, emergency, pins"),
        (_set("before", "targets", "signed", "delegations", to=_BINS), "it does not delegate to"),
        (_set("after", "emergency", "signed", "delegations", to=_BINS), "lets others sign"),
        (_list_another, "this Holdfast knows no such file"),
        (_set("files", "0" * 64, to=""), "the file has another SHA-256"),
        (_set("files", "zz", to="%"), "this is no base64"),
        (_set("files", "zz", to=7), "files.zz: this takes text"),
        (_set("files", to=[]), "files: this takes a table"),
        (_set("roots", to={}), "roots: this takes a list"),
        (_set("roots", to=[]), "before: it takes nothing"),
        (_set("roots", to=[7]), "roots[0]: this takes a table"),
        (_set("roots", to=[{}] * (MAX_ROOTS + 1)), "more than 1024"),
        (_set("after", to={}), "after: it is empty"),
        (_set("after", "timestamp", to={}), "after.timestamp: the key is not known"),
        (_set("after", "emergency", to={}), "after.emergency: this is no metadata"),
        (_set("after", "emergency", "signed", "x", to=1.5), "this is no metadata"),
        (_set("after", "emergency", "signed", "version", to=9), "version 9 does not follow"),
        (_set("before", to={}), "before: it takes emergency, targets"),
        (_set("before", to=None), "before: this takes a table"),
        (_set("comment", to="harmless, sign it"), "comment: the key is not known"),
        (_set("format", to=0), "format: this is no format"),
    ],
)
def test_what_does_not_fit_together_is_told(
    request_of: Request, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    """Each with its place; it is read as an attacker's."""
    tables = _tables(request_of)
    change(tables)

    with pytest.raises(PolicyError) as raised:
        _read(tables)

    assert told in str(raised.value)


def test_roots_follow_each_other(ceremony: Ceremony) -> None:
    """None is left out, since each is what the next is verified by."""
    for _ in range(2):
        ceremony.publish(
            ceremony.staged(lambda publisher: publisher.resign(["root"]), "alice", "bob")
        )
    tables = _tables(ceremony.staged(deny))
    assert 3 == len(tables["roots"])
    del tables["roots"][1]

    with pytest.raises(PolicyError, match="roots: their versions do not follow"):
        _read(tables)


def test_metadata_stand_under_the_role_that_they_are(request_of: Request) -> None:
    """Root metadata are nobody else's."""
    tables = _tables(request_of)
    tables["after"]["emergency"] = tables["roots"][0]
    tables["roots"][0] = tables["before"]["targets"]

    with pytest.raises(PolicyError, match="not all of it is root metadata"):
        _read(tables)
    tables["roots"][0] = tables["after"]["emergency"]
    with pytest.raises(PolicyError, match=r"after\.emergency: it is root"):
        _read(tables)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"format": 1, "format": 1}']
)
def test_what_is_no_request_is_told(data: bytes) -> None:
    """Whatever it is, and before it can do harm."""
    with pytest.raises(PolicyError, match=r"request\.json"):
        request_from_bytes(data, source="request.json")


def test_a_newer_format_is_told_apart(request_of: Request) -> None:
    """It may be all right."""
    with pytest.raises(UnknownFormatError):
        _read({**_tables(request_of), "format": 2})
