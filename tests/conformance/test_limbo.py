"""x509-limbo's chains, judged through TLS handshakes and offline.

Holdfast adds a check of pins to a verifier, and must change nothing else about it. So the judge is
not what limbo expects of a chain, which no verifier meets in every case, but the verifier itself:
Python's `ssl` for `PinningContext`, and `cryptography`'s for `decide_offline`.

1. Without pins, both accept the same chains, along the same path, and refuse with the same words.
2. A pin matches if and only if its certificate is on the verified path, in the pin's role: none of
   these chains matches on another path. Chains are shown again with a stranger added, the
   anchor of another case (CVE-2016-2402).
3. Whatever is pinned, no chain is accepted that the verifier refuses.

Where the verifiers differ from limbo depends on their versions. A JUnit report lists it, if the
tests ran in one process.
"""

from __future__ import annotations

import gzip
import ipaddress
import json
import os
import shutil
import ssl
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import DNSName, IPAddress, load_der_x509_certificate
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from holdfast.certificates.offline_decision import decide_offline
from holdfast.certificates.spki import spki_of
from holdfast.errors import CertificateError
from holdfast.pins.chain import VerifiedChain
from holdfast.pins.host_pattern import HostPattern
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode, PinSet
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Outcome, Verdict

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]

CLIENT = Path(__file__).with_name("limbo_client.py")

# What no client can be asked: how many cases there are, by rule; the first that applies. Revocation
# lists (8 cases) and limits to a path's length (6) are left out of the question: nobody takes them.
NOT_SHOWN: dict[str, tuple[int, Callable[[dict[str, Any]], bool]]] = {
    "a client's certificate": (10, lambda case: case["validation_kind"] == "CLIENT"),
    "no host name": (1, lambda case: case["expected_peer_name"] is None),
}
SHOWN = 197
# Whose key is there, and which Python's own server cannot show over TLS 1.3: the flight stands in.
NOT_SERVED = {
    "invalid::invalid-issuer-key": "the server cannot read an issuer's key",
    "rfc5280::san::malformed": "the server cannot read the names",
    "rfc5280::duplicate-extensions": "the server refuses to load the leaf",
    "webpki::forbidden-p192-leaf": "TLS 1.3 has no signatures with P-192",
    "webpki::forbidden-dsa-leaf": "TLS 1.3 has no signatures with DSA",
}
# And over TLS 1.2 in addition.
_CANNOT_SIGN = "TLS 1.2 minds that the leaf's key usage allows no signature"
NOT_SERVED_BEFORE_1_3 = {
    "pathlen::validation-ignores-pathlen-in-leaf": _CANNOT_SIGN,
    "rfc5280::ca-as-leaf": _CANNOT_SIGN,
    "rfc5280::ca-as-leaf-wrong-san": _CANNOT_SIGN,
    "webpki::ca-as-leaf": _CANNOT_SIGN,
}
# Where offline verification does not find a chain untrusted but says that it cannot tell, and why.
_TOO_MANY = "there are more than 100 certificates"
_UNREADABLE = "the extensions of the certificate cannot be parsed"
UNDECIDABLE = {
    "pathological::pathological-chain-distinct-subject-distinct-key": _TOO_MANY,
    "pathological::pathological-chain-same-subject-distinct-key": _TOO_MANY,
    "pathological::pathological-chain-distinct-subject-same-key": _TOO_MANY,
    "pathological::pathological-chain-same-subject-same-key": _TOO_MANY,
    "rfc5280::eku::ee-eku-empty": _UNREADABLE,
    "rfc5280::san::malformed": _UNREADABLE,
    "rfc5280::duplicate-extensions": _UNREADABLE,
    "webpki::malformed-aia": _UNREADABLE,
    "rfc5280::san::underscore-dns": "the verifier does not take this host or time",
}

RolePin = tuple[str, Pin]


@dataclass(frozen=True)
class Limbo:
    """A chain, and what is asked about it."""

    id: str
    host: str
    is_address: bool
    presented: tuple[bytes, ...]
    anchors: tuple[bytes, ...]
    time: datetime | None
    key: str | None
    is_expected: bool

    @classmethod
    def of(cls, case: dict[str, Any]) -> Limbo:
        """Read a case."""
        name, time = case["expected_peer_name"], case["validation_time"]
        return cls(
            case["id"],
            name["value"],
            name["kind"] == "IP",
            _ders([case["peer_certificate"], *case["untrusted_intermediates"]]),
            _ders(case["trusted_certs"]),
            datetime.fromisoformat(time) if time else None,
            case["peer_certificate_key"],
            case["expected_result"] == "SUCCESS",
        )

    def with_stranger(self, strangers: list[bytes]) -> Limbo:
        """Return the same chain with a certificate after it that has no part in it."""
        known = self.presented + self.anchors
        stranger = next(der for der in strangers if der not in known)
        name = f"{self.id} and a stranger"
        return replace(self, id=name, presented=(*self.presented, stranger), key=None)

    @cached_property
    def every_pin(self) -> dict[str, tuple[Pin, ...]]:
        """The most permissive pins: each certificate in the only role that it can have."""
        leaf = _pins(self.presented[:1])
        others = _pins(self.presented[1:] + self.anchors)
        return {"leaf": leaf, "ca": tuple(pin for pin in others if pin not in leaf)}

    @cached_property
    def single_pins(self) -> tuple[RolePin, ...]:
        """Each certificate's pins and random ones, in both roles."""
        random = (Pin(algorithm, os.urandom(32)) for algorithm in PinAlgorithm)
        pins = (*_pins(self.presented + self.anchors), *random)
        return tuple((role, pin) for role in ("leaf", "ca") for pin in pins)

    def matching(self, path: tuple[bytes, ...]) -> set[RolePin]:
        """Return those of them that a path must satisfy."""
        on_path = {("leaf", pin) for pin in _pins(path[:1])}
        on_path |= {("ca", pin) for pin in _pins(path[1:])}
        return on_path & set(self.single_pins)

    def question(self) -> dict[str, Any]:
        """Return the case as the client's script reads it."""
        return {
            "id": self.id,
            "host": self.host,
            "presented": [der.hex() for der in self.presented],
            "anchors": [der.hex() for der in self.anchors],
            "time": f"{self.time:%Y-%m-%d %H:%M:%S}" if self.time else "+0",
            "key": self.key,
            "every_pin": {role: list(map(str, pins)) for role, pins in self.every_pin.items()},
            "single_pins": [(role, str(pin)) for role, pin in self.single_pins],
        }


def _ders(pems: list[str]) -> tuple[bytes, ...]:
    return tuple(ssl.PEM_cert_to_DER_cert(pem.strip()) for pem in pems)


def _pins(ders: tuple[bytes, ...]) -> tuple[Pin, ...]:
    """Return what can be pinned of these certificates, each once."""
    pins: dict[Pin, None] = {}
    for der in ders:
        pins[Pin.of_certificate(der)] = None
        try:
            pins[Pin.of_spki(spki_of(der))] = None
        except CertificateError:
            continue
    return tuple(pins)


def _rule(case: dict[str, Any]) -> str:
    return next((rule for rule, (_, applies) in NOT_SHOWN.items() if applies(case)), "shown")


@pytest.fixture(scope="module")
def all_cases(conformance_folder: Path) -> list[dict[str, Any]]:
    """Every case of the file, as it stands there."""
    path = conformance_folder / "limbo.json.gz"
    if not path.is_file():
        pytest.skip("no limbo.json.gz in the folder of the outside cases")
    cases: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))["testcases"]
    return cases


@pytest.fixture(scope="module")
def limbo(all_cases: list[dict[str, Any]]) -> dict[str, Limbo]:
    """The cases that can be shown to a client, by name; the quick ones also with a stranger."""
    shown = [Limbo.of(case) for case in all_cases if _rule(case) == "shown"]
    strangers = [case.anchors[0] for case in shown[:8]]
    quick = [case for case in shown if not case.id.startswith("pathological::")]
    both = (*shown, *(case.with_stranger(strangers) for case in quick))
    return {case.id: case for case in both}


def test_each_case_is_shown_or_has_a_reason(all_cases: list[dict[str, Any]]) -> None:
    """No case disappears: those that cannot be shown are counted by the rule that says why."""
    counts = {rule: count for rule, (count, _) in NOT_SHOWN.items()}

    assert {**counts, "shown": SHOWN} == Counter(map(_rule, all_cases))


# --- Through a handshake --------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """A chain that was shown in one way, and what the clients said."""

    case: Limbo
    way: str
    answers: dict[str, Any]

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return f"{self.case.id} ({self.way})"

    @property
    def is_trusted(self) -> bool:
        """Whether Python's own client accepted it."""
        return bool(self.answers["stock"]["accepted"])

    @property
    def path(self) -> tuple[bytes, ...]:
        """The path that Python's own client verified."""
        known = {Pin.of_certificate(der).digest.hex(): der for der in self.case.presented}
        known |= {Pin.of_certificate(der).digest.hex(): der for der in self.case.anchors}
        return tuple(known[digest] for digest in self.answers["stock"]["path"])


@pytest.fixture(scope="module")
def answered(
    limbo: dict[str, Limbo], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """What the clients answered, by case: asked in a process whose clock can be set."""
    folder = tmp_path_factory.mktemp("limbo")
    clock, questions, answers = (folder / name for name in ("clock", "questions", "answers"))
    clock.write_text("+0")
    questions.write_text(json.dumps([case.question() for case in limbo.values()]))
    answers.touch()
    setting = {"FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "TZ": "UTC"}
    run = subprocess.run(
        [sys.executable, "-W", "error", CLIENT, questions, answers],
        cwd=folder,
        env={**os.environ, "LD_PRELOAD": _clock_library(), **setting},
        check=False,
        stderr=subprocess.PIPE,
        text=True,
        timeout=250,
    )
    found = {answer["id"]: answer for answer in map(json.loads, answers.read_text().splitlines())}
    if run.returncode:  # also where a case goes on computing: the process is ended then
        case = next((name for name in limbo if name not in found), "none")
        pytest.fail(f"ended with {run.returncode} at {case}: {run.stderr}")
    return found


def _clock_library() -> str:
    """Return the library that the command `faketime` preloads, as the linker takes it."""
    if shutil.which("faketime") is None:
        pytest.skip("cases have their own times; they are set with faketime, which is not here")
    run = subprocess.run(
        [
            "faketime",
            "-f",
            "+0",
            sys.executable,
            "-c",
            "import os; print(os.environ['LD_PRELOAD'])",
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    if run.returncode:
        pytest.skip("faketime preloads no library here")
    return run.stdout.strip()


@pytest.fixture(scope="module")
def shown(limbo: dict[str, Limbo], answered: dict[str, dict[str, Any]]) -> list[Shown]:
    """Each chain in each way in which it could be shown."""
    return [
        Shown(limbo[name], way, answers)
        for name, answer in answered.items()
        for way, answers in answer["ways"].items()
        if "impossible" not in answers
    ]


def test_each_case_is_asked_at_its_time(
    limbo: dict[str, Limbo], answered: dict[str, dict[str, Any]]
) -> None:
    """OpenSSL's clock and Holdfast's show the time of the case, for those that have one."""
    expected = {
        name: [int(case.time.timestamp()), case.time.isoformat(timespec="seconds")]
        for name, case in limbo.items()
        if case.time
    }

    assert expected == {name: answered[name]["clock"] for name in expected}


def test_each_case_is_shown_for_real_or_has_a_reason(
    limbo: dict[str, Limbo], shown: list[Shown]
) -> None:
    """Every chain is shown as a flight, and for real all whose key a server can use."""
    ways: dict[str, set[str]] = {"flight": set(), "TLS 1.3": set(), "TLS 1.2": set()}
    for one in shown:
        ways[one.way].add(one.case.id)
    with_key = {name for name, case in limbo.items() if case.key}

    assert limbo.keys() == ways["flight"]
    assert NOT_SERVED.keys() == with_key - ways["TLS 1.3"]
    assert NOT_SERVED.keys() | NOT_SERVED_BEFORE_1_3.keys() == with_key - ways["TLS 1.2"]


def test_handshakes_without_pins_end_as_the_stock_ones(
    shown: list[Shown], record_testsuite_property: Callable[[str, object], None]
) -> None:
    """A policy that lists nothing changes neither answer, nor path, nor the words of a refusal."""
    wrong = {
        one.name: (one.answers["stock"], one.answers["without pins"])
        for one in shown
        if one.answers["stock"] != one.answers["without pins"]
    }
    record_testsuite_property(
        "x509-limbo, unlike expected: ssl",
        sorted({one.case.id for one in shown if one.is_trusted != one.case.is_expected}),
    )

    assert {} == wrong
    assert {True, False} == {one.is_trusted for one in shown}


def test_handshakes_match_the_pins_on_their_path(shown: list[Shown]) -> None:
    """Each pin of the verified path lets it pass in its role; all others are a mismatch."""
    missed = {"accepted": False, "why": "pins: mismatch"}
    wrong = {}
    for one in shown:
        if not one.is_trusted:
            continue
        on_path = one.case.matching(one.path)
        answers = zip(one.case.single_pins, one.answers["with one pin"], strict=True)
        for role_pin, answer in answers:
            expected = one.answers["stock"] if role_pin in on_path else missed
            if expected != answer:
                wrong[one.name, *role_pin] = answer

    assert {} == wrong


def test_strangers_are_on_no_path(shown: list[Shown]) -> None:
    """The certificate that was added is on no path, so its pins are among those that missed."""
    with_stranger = [one for one in shown if one.is_trusted and one.case.id.endswith("stranger")]

    assert [] == [one.name for one in with_stranger if one.case.presented[-1] in one.path]
    assert with_stranger


def test_no_pin_makes_a_handshake_accept(shown: list[Shown]) -> None:
    """With every certificate pinned, exactly the chains pass that pass the stock client."""
    passed = {one.name for one in shown if one.answers["with every pin"]["accepted"]}

    assert {one.name for one in shown if one.is_trusted} == passed


# --- Offline --------------------------------------------------------------------------------------


def _decide(case: Limbo, policy: Policy) -> Verdict:
    now = case.time or datetime.now(UTC)
    return decide_offline(policy, case.host, case.presented, case.anchors, now)[0]


def _policy(case: Limbo, *, leaf: tuple[Pin, ...] = (), ca: tuple[Pin, ...] = ()) -> Policy:
    """Return a policy that enforces these pins, and refuses every other host."""
    pin_set = PinSet(
        name="limbo",
        hosts=(HostPattern.parse(case.host),),
        mode=Mode.ENFORCE,
        leaf=leaf,
        ca=ca,
        single_pin=ACCEPT_LOCK_OUT,
    )
    return Policy(unlisted=Unlisted.REFUSE, pin_sets=(pin_set,))


def _path(verdict: Verdict) -> tuple[bytes, ...] | None:
    """Return the verified path of a verdict that lets the connection pass."""
    if not verdict.allowed:
        return None
    assert isinstance(verdict.chain, VerifiedChain)
    return tuple(certificate.der for certificate in verdict.chain.certificates)


def _path_of_cryptography(case: Limbo) -> tuple[bytes, ...] | None:
    """Ask the verifier itself."""
    subject = IPAddress(ipaddress.ip_address(case.host)) if case.is_address else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they say that a later version will refuse to parse this
        leaf, *others = map(load_der_x509_certificate, case.presented)
        store = Store(list(map(load_der_x509_certificate, case.anchors)))
        try:
            builder = PolicyBuilder().store(store).time(case.time or datetime.now(UTC))
            verifier = builder.build_server_verifier(subject or DNSName(case.host))
            path = verifier.verify(leaf, others)
        except (VerificationError, ValueError):  # ValueError: the name is none
            return None
    return tuple(link.public_bytes(Encoding.DER) for link in path)


@pytest.fixture(scope="module")
def paths(limbo: dict[str, Limbo]) -> dict[str, tuple[bytes, ...] | None]:
    """The path that cryptography's verifier finds, by case; None where it refuses."""
    return {name: _path_of_cryptography(case) for name, case in limbo.items()}


@pytest.fixture(scope="module")
def unpinned(limbo: dict[str, Limbo]) -> dict[str, Verdict]:
    """What is decided under a policy that lists nothing, by case."""
    nothing = Policy(unlisted=Unlisted.ALLOW)
    return {name: _decide(case, nothing) for name, case in limbo.items()}


def test_offline_without_pins_decides_as_the_verifier(
    limbo: dict[str, Limbo],
    paths: dict[str, tuple[bytes, ...] | None],
    unpinned: dict[str, Verdict],
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """A policy that lists nothing accepts what the verifier accepts, along the same path."""
    decided = {name: _path(verdict) for name, verdict in unpinned.items()}
    record_testsuite_property(
        "x509-limbo, unlike expected: cryptography",
        [name for name, case in limbo.items() if case.is_expected != bool(paths[name])],
    )

    assert [] == [name for name, path in paths.items() if path != decided[name]]
    assert {True, False} == {path is None for path in paths.values()}


def test_offline_says_where_it_cannot_tell(unpinned: dict[str, Verdict]) -> None:
    """What a parser or a limit stops is undecidable, for the reason in the table."""
    undecidable = {
        name: verdict.reason.partition(":")[0]
        for name, verdict in unpinned.items()
        if verdict.outcome is Outcome.UNDECIDABLE and not name.endswith("stranger")
    }

    assert UNDECIDABLE == undecidable
    assert {Outcome.UNDECIDABLE, Outcome.UNTRUSTED, Outcome.NOT_PINNED} == {
        verdict.outcome for verdict in unpinned.values()
    }


def test_offline_matches_the_pins_on_the_path(
    limbo: dict[str, Limbo], paths: dict[str, tuple[bytes, ...] | None]
) -> None:
    """Each pin of the verified path matches in its role; those off it and random ones do not."""
    wrong = {}
    for name, path in paths.items():
        if path is None:
            continue
        case = limbo[name]
        expected = case.matching(path)
        for role, pin in case.single_pins:
            verdict = _decide(case, _policy(case, **{role: (pin,)}))
            matches = (role, pin) in expected
            outcome = Outcome.MATCH if matches else Outcome.MISMATCH
            if (outcome, matches) != (verdict.outcome, verdict.allowed):
                wrong[name, role, pin] = verdict

    assert {} == wrong


def test_no_pin_makes_an_offline_decision_accept(
    limbo: dict[str, Limbo], paths: dict[str, tuple[bytes, ...] | None]
) -> None:
    """With every certificate pinned, exactly the chains pass that the verifier accepts."""
    passed = {
        name
        for name, case in limbo.items()
        if _decide(case, _policy(case, **case.every_pin)).allowed
    }

    assert {name for name, path in paths.items() if path is not None} == passed
