from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from holdfast.certificates.pem import certificate_text
from holdfast.errors import PolicyError, UnknownFormatError
from holdfast.lab.authorities import Authority
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, PinSet, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.updates import document_text
from holdfast.updates.document import (
    MAX_REFRESH,
    BreakGlass,
    Bundle,
    DenyList,
    break_glass_from_bytes,
    break_glass_to_bytes,
    bundle_from_bytes,
    bundle_to_bytes,
    deny_list_from_bytes,
    deny_list_to_bytes,
)
from holdfast.updates.document_text import (
    MAX_BUNDLE_BYTES,
    MAX_LIST_BYTES,
    MAX_PINS,
    MAX_SERIAL,
)
from holdfast.updates.roll_out import Candidate

NOW = datetime(2026, 11, 1, tzinfo=UTC)
KEY, SPARE, OTHER = (Pin.of_spki(name) for name in (b"key", b"spare", b"other"))
ROOT = Authority.new("mesh root").certificate.public_bytes(Encoding.DER)
WITHOUT_OFFSET = datetime(2026, 11, 1)  # noqa: DTZ001  that is the mistake

SERIALS = st.integers(1, 5) | st.just(MAX_SERIAL)
PINS = st.binary(min_size=32, max_size=32).filter(any).map(Pin.of_spki)


def pin_set(name: str, **fields: Any) -> PinSet:  # noqa: ANN401
    """Return an enforced set for the host of its name."""
    sound: dict[str, Any] = {
        "name": name,
        "hosts": (HostPattern.parse(f"{name}.example.com"),),
        "mode": Mode.ENFORCE,
        "leaf": (KEY,),
        "backup": (SPARE,),
    }
    return PinSet(**sound | fields)


MESH = pin_set("mesh", trust=Trust.PRIVATE, anchors=(ROOT, ROOT), leaf=(), backup=())


def policy(*sets: PinSet, **fields: Any) -> Policy:  # noqa: ANN401
    """Return a policy with these sets."""
    return Policy(unlisted=Unlisted.ALLOW, pin_sets=sets, **fields)


def bundle(*sets: PinSet, **fields: Any) -> Bundle:  # noqa: ANN401
    """Return a bundle with a policy of these sets."""
    sound: dict[str, Any] = {
        "serial": 7,
        "issued": NOW,
        "refresh": timedelta(minutes=15),
        "policy": policy(*sets),
    }
    return Bundle(**sound | fields)


def document(**keys: object) -> dict[str, Any]:
    """Return a sound bundle as plain data, changed; a key that is None is left out."""
    plain = json.loads(bundle_to_bytes(bundle(pin_set("api")))) | keys
    return {key: value for key, value in plain.items() if value is not None}


def read_bundle(data: bytes) -> Bundle:
    """Read a bundle at the time of the tests."""
    return bundle_from_bytes(data, now=NOW)


def problems_of(read: Callable[[bytes], object], plain: object) -> dict[str, str]:
    """Return what is wrong with a document, by place."""
    with pytest.raises(PolicyError) as caught:
        read(plain if isinstance(plain, bytes) else json.dumps(plain).encode())
    assert caught.value.source
    assert caught.value.source.endswith(".json")
    assert not isinstance(caught.value, UnknownFormatError)
    assert all(problem.message and problem.fix for problem in caught.value.problems)
    return {problem.place: problem.message for problem in caught.value.problems}


def test_a_bundle_has_one_text() -> None:
    """Keys are sorted, nothing is padded, all is ASCII, times are in UTC, anchors stand inside."""
    local = NOW.astimezone(timezone(timedelta(hours=2)))
    data = bundle_to_bytes(bundle(MESH, pin_set("api", owner="Zoë"), issued=local))
    anchor = json.dumps(certificate_text(ROOT))

    assert (
        '{"format":1,"issued":"2026-11-01T00:00:00Z","policy":{"holdfast":{"format":1,'
        '"unlisted":"allow"},"pin_set":{"api":{'
        f'"backup":["{SPARE}"],"hosts":["api.example.com"],"leaf":["{KEY}"],"mode":"enforce",'
        '"owner":"Zo\\u00eb"},'
        f'"mesh":{{"anchors":[{anchor},{anchor}],"hosts":["mesh.example.com"],"mode":"enforce",'
        '"trust":"private"}}},"refresh_seconds":900,"serial":7}'
    ) == data.decode("ascii")


SALT = "AAECAwQFBgcICQoLDA0ODw=="


def staged(**keys: object) -> dict[str, Any]:
    """Return a bundle with a candidate as plain data; a key that is None is left out of that."""
    plain = document()["policy"]
    candidate = {"basis_points": 250, "policy": plain, "salt": SALT} | keys
    found = {key: value for key, value in candidate.items() if value is not None}
    return document(candidate=found)


def test_a_candidate_stands_beside_the_policy() -> None:
    """It has one text, comes back equal, and a bundle without one does not speak of it."""
    plain = staged()
    data = json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
    found = read_bundle(data)

    assert (
        Candidate(policy=found.policy, basis_points=250, salt=bytes(range(16))) == found.candidate
    )
    assert data == bundle_to_bytes(found)
    assert b"candidate" not in bundle_to_bytes(bundle(pin_set("api")))


@pytest.mark.parametrize(
    ("keys", "places"),
    [
        ({"basis_points": 10_001}, {"candidate.basis_points"}),
        ({"basis_points": 2.5}, {"candidate.basis_points"}),
        ({"basis_points": None, "salt": None}, {"candidate.basis_points", "candidate.salt"}),
        ({"salt": SALT[:-1]}, {"candidate.salt"}),
        ({"policy": None}, {"candidate.policy"}),
        ({"policy": []}, {"candidate.policy"}),
        ({"policy": {}}, {"candidate.policy.holdfast"}),
        ({"percent": 5}, {"candidate.percent"}),
        ({str(number): 1 for number in range(100)}, {"candidate"}),
    ],
)
def test_a_mistake_in_a_candidate_has_its_place(keys: dict[str, object], places: set[str]) -> None:
    """It is read as strictly as the rest."""
    assert places == problems_of(read_bundle, staged(**keys)).keys()


def test_no_candidate_is_no_key() -> None:
    """A null does not count as nothing; and both policies are told of at once."""
    null = document() | {"candidate": None}
    assert {"candidate"} == problems_of(read_bundle, null).keys()
    both = staged(policy={}) | {"policy": {}}
    assert {"policy.holdfast", "candidate.policy.holdfast"} == problems_of(read_bundle, both).keys()


def test_a_candidate_in_a_newer_format_is_told_from_a_broken_one() -> None:
    """So that the last good bundle can be kept without an alarm."""
    newer = {"holdfast": {"format": 2, "unlisted": "allow"}}
    with pytest.raises(UnknownFormatError, match=r"candidate\.policy\.holdfast\.format"):
        read_bundle(json.dumps(staged(policy=newer)).encode())


def test_a_candidate_has_the_limits_of_a_policy() -> None:
    """Its pins are counted before one of them is read."""
    many = {"pin_set": {"api": {"leaf": [""] * (MAX_PINS + 1)}}}

    assert {"candidate.policy"} == problems_of(read_bundle, staged(policy=many)).keys()


@given(
    SERIALS,
    st.datetimes(timezones=st.just(UTC)),
    st.integers(60, MAX_REFRESH // timedelta(seconds=1)),
    st.lists(st.sampled_from(["api", "a", "b-2", "B", "_x"]), unique=True),
    st.sets(PINS, max_size=3),
)
def test_a_bundle_comes_back(
    serial: int, issued: datetime, seconds: int, names: list[str], denied: set[Pin]
) -> None:
    """Bytes and bundle give each other exactly, whatever the order of the sets was."""
    written = bundle(
        serial=serial,
        issued=issued,
        refresh=timedelta(seconds=seconds),
        policy=policy(*map(pin_set, names), MESH, denied=tuple(denied)),
    )
    data = bundle_to_bytes(written)

    assert written == read_bundle(data)
    assert data == bundle_to_bytes(read_bundle(data))
    assert sorted([*names, "mesh"]) == [one.name for one in written.policy.pin_sets]


@given(SERIALS, st.frozensets(PINS, max_size=5))
def test_a_deny_list_comes_back(serial: int, denied: frozenset[Pin]) -> None:
    """Bytes and deny list give each other exactly, the empty one included."""
    written = DenyList(serial=serial, denied=denied)
    data = deny_list_to_bytes(written)

    assert written == deny_list_from_bytes(data)
    assert data == deny_list_to_bytes(deny_list_from_bytes(data))


@given(SERIALS, st.dictionaries(st.text(max_size=5), st.datetimes(timezones=st.just(UTC))))
def test_break_glass_comes_back(serial: int, until: dict[str, datetime]) -> None:
    """Bytes and break-glass give each other exactly, whatever the names are."""
    written = BreakGlass(serial=serial, until=until)
    data = break_glass_to_bytes(written)

    assert written == break_glass_from_bytes(data)
    assert data == break_glass_to_bytes(break_glass_from_bytes(data))


def test_break_glass_cannot_be_changed() -> None:
    """Times that the caller changes afterwards are not those that were checked."""
    until = {"api": NOW}
    made = BreakGlass(serial=1, until=until)
    until["api"] += timedelta(days=1)

    assert {"api": NOW} == made.until
    with pytest.raises(TypeError):
        made.until["api"] = NOW  # type: ignore[index]


@pytest.mark.parametrize(
    ("keys", "places"),
    [
        ({"serial": None}, {"serial"}),
        ({"serial": 0}, {"serial"}),
        ({"serial": MAX_SERIAL + 1}, {"serial"}),
        ({"serial": True}, {"serial"}),
        ({"serial": 1.0}, {"serial"}),
        ({"issued": "2026-11-01T00:00:00"}, {"issued"}),
        ({"issued": "0001-01-01T00:00:00+23:00"}, {"issued"}),
        ({"issued": 1}, {"issued"}),
        ({"refresh_seconds": 0}, {"refresh_seconds"}),
        ({"refresh_seconds": 10**9}, {"refresh_seconds"}),
        ({"refresh_seconds": "900"}, {"refresh_seconds"}),
        ({"format": None}, {"format"}),
        ({"format": "1"}, {"format"}),
        ({"format": 0}, {"format"}),
        ({"format": True}, {"format"}),
        ({"policy": None}, {"policy"}),
        ({"policy": []}, {"policy"}),
        ({"epoch": 9}, {"epoch"}),
        ({"serail": 7, "serial": None}, {"serail"}),
        ({"policy": {}}, {"policy.holdfast"}),
        (
            {"policy": {"holdfast": {"format": "1", "unlisted": "allow"}}},
            {"policy.holdfast.format"},
        ),
        (
            {"serial": -1, "issued": "then", "policy": {"holdfast": {"format": 1}}},
            {"serial", "issued", "policy.holdfast.unlisted"},
        ),
    ],
)
def test_all_mistakes_of_a_bundle_are_told(keys: dict[str, object], places: set[str]) -> None:
    """Each mistake has its place, those of the policy below `policy`, and nothing is guessed."""
    assert places == problems_of(read_bundle, document(**keys)).keys()


@pytest.mark.parametrize(
    ("plain", "places"),
    [
        ({"format": 1, "serial": 1}, {"denied"}),
        ({"format": 1, "denied": []}, {"serial"}),
        ({"format": 1, "serial": 1, "denied": {}}, {"denied"}),
        ({"format": 1, "serial": 1, "denied": ["sha256/"]}, {"denied[0]"}),
        ({"format": 1, "serial": 0, "denied": [str(KEY), str(KEY)]}, {"serial", "denied[1]"}),
        ({"format": 1, "serial": 1, "denied": [f"cert-{KEY}"]}, {"denied[0]"}),
        (
            {"format": 1, "serial": 1, "denied": ["", "", 3]},
            {"denied[0]", "denied[1]", "denied[2]"},
        ),
        ({"format": 1, "serial": 1, "denied": [], "allowed": []}, {"allowed"}),
    ],
)
def test_all_mistakes_of_a_deny_list_are_told(plain: object, places: set[str]) -> None:
    """A deny list that is not understood whole is refused: it may be the missed key that counts."""
    assert places == problems_of(deny_list_from_bytes, plain).keys()


@pytest.mark.parametrize(
    ("plain", "places"),
    [
        ({"format": 1, "serial": 1}, {"until"}),
        ({"format": 1, "serial": 1, "until": []}, {"until"}),
        (
            {"format": 1, "serial": 1, "until": {"a": "2026-11-01", "b b": 1}},
            {"until.a", "until.'b b'"},
        ),
        ({"format": 1, "serial": 0, "until": {"a": "2026-11-01T00:00:00"}}, {"serial", "until.a"}),
    ],
)
def test_all_mistakes_of_break_glass_are_told(plain: object, places: set[str]) -> None:
    """Each mistake has its place, fit for a message whatever the name of the set."""
    assert places == problems_of(break_glass_from_bytes, plain).keys()


READERS = [
    (read_bundle, MAX_BUNDLE_BYTES),
    (deny_list_from_bytes, MAX_LIST_BYTES),
    (break_glass_from_bytes, MAX_LIST_BYTES),
]


@pytest.mark.parametrize(("read", "limit"), READERS)
def test_what_is_no_document_is_a_clear_error(read: Callable[[bytes], object], limit: int) -> None:
    """Broken bytes, repeated keys, deep nesting and too many bytes are told, not raised through."""
    deep = b'{"format":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for data in (b"", b"\xff{}", b"[]", b"null", b'{"format":1', b"{}{}", b"NaN", deep):
        assert [""] == list(problems_of(read, data))
    assert {"format": "the key stands here twice"} == problems_of(read, b'{"format":1,"format":1}')
    assert {"": f"it has {limit + 1} bytes, more than {limit}"} == problems_of(
        read, b" " * (limit + 1)
    )


@pytest.mark.parametrize(("read", "limit"), READERS)
@pytest.mark.parametrize("rest", [{}, {"serial": "seven", "shape": [{}]}])
def test_a_newer_format_is_told_from_a_mistake(
    read: Callable[[bytes], object], limit: int, rest: dict[str, object]
) -> None:
    """Whatever else is in a document of a higher format, nothing is said of it."""
    with pytest.raises(UnknownFormatError, match="newer Holdfast"):
        read(json.dumps({"format": 2, **rest}).encode())


def test_a_newer_format_of_the_policy_counts_too() -> None:
    """A known bundle with a policy of a higher format is one of a newer Holdfast."""
    newer = {"holdfast": {"format": 2, "listed": "all"}}

    with pytest.raises(UnknownFormatError, match=r"policy\.holdfast\.format"):
        read_bundle(json.dumps(document(policy=newer)).encode())


@pytest.mark.parametrize("anchor", ["ca.pem", "/etc/passwd", "", "-----BEGIN CERTIFICATE-----"])
def test_an_anchor_is_never_a_path(anchor: str) -> None:
    """No file of the client's is read because an update names it."""
    plain = document()
    plain["policy"]["pin_set"]["api"] |= {"trust": "private", "anchors": [anchor]}

    assert {"policy.pin_set.api.anchors[0]"} == problems_of(read_bundle, plain).keys()


def test_a_million_pins_are_refused() -> None:
    """More pins than a client should hold are told by their number, before one of them is read."""
    plain = document()
    plain["policy"]["pin_set"]["api"]["leaf"] = ["x"] * 1_000_000

    assert {"policy": f"it has 1000001 pins, more than {MAX_PINS}"} == problems_of(
        read_bundle, plain
    )


def test_what_could_not_be_read_is_not_written() -> None:
    """A document beyond a limit is refused when it is made, not by all clients."""
    many = tuple(Pin.of_spki(number.to_bytes(4)) for number in range(20_000))
    with pytest.raises(PolicyError, match="bytes, more than"):
        deny_list_to_bytes(DenyList(serial=1, denied=frozenset(many)))
    with pytest.raises(PolicyError, match="bytes, more than"):
        break_glass_to_bytes(BreakGlass(serial=1, until={"x" * MAX_LIST_BYTES: NOW}))
    with pytest.raises(PolicyError, match="bytes, more than"):
        bundle_to_bytes(bundle(pin_set("api", owner="x" * MAX_BUNDLE_BYTES)))


def test_a_candidate_that_could_not_be_read_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its limits are those of the policy, and the refusal says which of the two it is."""
    monkeypatch.setattr(document_text, "MAX_PINS", 2)
    many = Candidate(
        policy=policy(pin_set("api", leaf=(KEY, OTHER))), basis_points=1, salt=bytes(16)
    )

    with pytest.raises(PolicyError) as caught:
        bundle_to_bytes(bundle(pin_set("api"), candidate=many))

    assert ["candidate.policy"] == [problem.place for problem in caught.value.problems]


def test_break_glass_within_a_bundle_ends_soon() -> None:
    """A set that is report-only for longer than it may be is a mistake at that time."""
    data = bundle_to_bytes(bundle(pin_set("api", report_only_until=NOW + timedelta(days=8))))

    assert {"policy.pin_set.api.report_only_until"} == problems_of(read_bundle, data).keys()
    assert data == bundle_to_bytes(bundle_from_bytes(data, now=NOW + timedelta(days=1)))


def test_the_year_9999_does_no_harm() -> None:
    """The last second that there is can be when a bundle was issued."""
    last = datetime.max.replace(tzinfo=UTC)

    assert last == read_bundle(bundle_to_bytes(bundle(issued=last))).issued


@pytest.mark.parametrize(
    ("make", "places"),
    [
        (lambda: bundle(serial=0, issued=WITHOUT_OFFSET), ["serial", "issued"]),
        (lambda: bundle(refresh=timedelta(seconds=60.5)), ["refresh_seconds"]),
        (lambda: bundle(refresh=timedelta.max), ["refresh_seconds"]),
        (lambda: bundle(refresh=-timedelta(minutes=15)), ["refresh_seconds"]),
        (lambda: DenyList(serial=2**63), ["serial"]),
        (lambda: DenyList(serial=1, denied=frozenset([Pin.of_certificate(b"x")])), ["denied[0]"]),
        (lambda: BreakGlass(serial=0, until={"a": WITHOUT_OFFSET}), ["serial", "until.a"]),
    ],
)
def test_code_cannot_make_what_could_not_be_read(
    make: Callable[[], object], places: list[str]
) -> None:
    """The rules hold for documents that are made by a publisher, too."""
    with pytest.raises(PolicyError) as caught:
        make()
    assert places == [problem.place for problem in caught.value.problems]


@pytest.mark.full
@pytest.mark.timeout(120)
def test_a_hundred_thousand_hosts_fit() -> None:
    """A bundle of 100,000 sets with two pins each is below every limit and comes back."""
    written = bundle(
        *(
            pin_set(
                f"host-{number}",
                leaf=(Pin.of_spki(b"%d" % number),),
                owner="the payments team <payments@example.com>",
            )
            for number in range(100_000)
        )
    )

    assert written == read_bundle(bundle_to_bytes(written))
