"""What other pinning systems answer, asked of ours.

Every case of cases.json is either run here, or stands in `KINDS_NOT_RUN` or `NOT_RUN` with
the reason why not. Cases where ours differs on purpose are run too: their answer
says `differs`, with the reason beside it, and asserts what ours does instead.
"""
# ruff: noqa: E501 - the keys are the cases' own words

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import certifi
import pytest

from holdfast.certificates.load_chain import load_chain
from holdfast.certificates.spki import chain_certificate
from holdfast.errors import CertificateError, HoldfastError, HostNameError, PolicyError
from holdfast.pins.chain import ChainCertificate, ProvenLeaf, VerifiedChain
from holdfast.pins.evaluate import evaluate, untrusted
from holdfast.pins.host_pattern import HostPattern, canonical_host
from holdfast.pins.pin import Pin, PinAlgorithm
from holdfast.pins.pin_set import ACCEPT_LOCK_OUT, Mode, OnExpiry, PinSet, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.policy_document import policy_from_document
from holdfast.pins.verdict import Outcome, Verdict
from tests.conformance.scenarios import SCENARIOS

_FOLDER = Path(
    os.environ.get("HOLDFAST_CONFORMANCE", Path(__file__).parents[3] / "shared" / "conformance")
)
NOW = datetime(2026, 11, 1, tzinfo=UTC)
PAST = NOW - timedelta(days=1)
HOST = "api.example.com"


class Case(NamedTuple):
    """One case of the file."""

    source: str
    case: str
    kind: str
    input: Any
    expected: Any

    @property
    def key(self) -> tuple[str, str]:
        """Return what tells the case from the others of its kind."""
        text = self.input if isinstance(self.input, str) else json.dumps(self.input)
        return self.kind, f"{self.case}: {text}"


def _all_cases() -> list[Case]:
    path = _FOLDER / "cases.json"
    if not path.is_file():
        return []
    entries = json.loads(path.read_text("utf-8"))
    return [Case(*(entry[name] for name in Case._fields)) for entry in entries]


CASES = _all_cases()
pytestmark = pytest.mark.skipif(
    not CASES, reason="no outside cases here: set HOLDFAST_CONFORMANCE to the folder of cases.json"
)

# --- The words of the cases, in ours --------------------------------------------------------------


def certificate(name: str) -> ChainCertificate:
    """Return a stand-in for a certificate with the key of this name."""
    der = f"certificate {name}".encode()
    key, whole = Pin.of_spki(name.encode()), Pin.of_certificate(der)
    return ChainCertificate(der, key.digest, whole.digest)


def path(*names: str) -> VerifiedChain:
    """Return a verified path of these keys."""
    return VerifiedChain(tuple(certificate(name) for name in names))


def keys(*names: str) -> tuple[Pin, ...]:
    """Return the pins of these keys."""
    return tuple(Pin.of_spki(name.encode()) for name in names)


def pin_set(*hosts: str, leaf: str = "A", **fields: Any) -> PinSet:  # noqa: ANN401
    """Return an enforced set for the hosts, with the pins of these keys."""
    sound: dict[str, Any] = {
        "name": "".join(hosts).encode().hex() or "api",
        "hosts": tuple(HostPattern.parse(host) for host in hosts or (HOST,)),
        "mode": Mode.ENFORCE,
        "leaf": keys(*leaf.split()),
        "single_pin": ACCEPT_LOCK_OUT,
    }
    return PinSet(**sound | fields)


def decide(
    chain: VerifiedChain | ProvenLeaf,
    *sets: PinSet,
    host: str = HOST,
    **fields: Any,  # noqa: ANN401
) -> Verdict:
    """Return the verdict of a policy with these sets."""
    settings: dict[str, Any] = {"unlisted": Unlisted.ALLOW, **fields}
    return evaluate(Policy(pin_sets=sets, **settings), canonical_host(host), chain, NOW)


def covered(host: str, *sets: PinSet) -> str | None:
    """Return the first pattern of the set that is in force for a host."""
    found = Policy(unlisted=Unlisted.ALLOW, pin_sets=sets).pin_set_for(canonical_host(host))
    return str(found.hosts[0]) if found else None


def answer(pattern: str, host: str) -> str:
    """Say whether a pattern matches a host, or that one of them is refused."""
    try:
        return "match" if covered(host, pin_set(pattern)) else "no-match"
    except HostNameError:
        return "refused"


def is_refused(make: Callable[[], object]) -> bool:
    """Tell whether something is refused with an error of ours."""
    try:
        make()
    except HoldfastError:
        return True
    return False


def is_no_pin(text: str) -> bool:
    """Tell whether a text is refused as a pin."""
    return is_refused(lambda: Pin.parse(text))


def is_no_pattern(text: str) -> bool:
    """Tell whether a text is refused as a host pattern."""
    return is_refused(lambda: HostPattern.parse(text))


def load(**keys_of_set: Any) -> Policy:  # noqa: ANN401
    """Return the policy of a document with one enforced set."""
    table = {"hosts": [HOST], "mode": "enforce", **keys_of_set}
    document = {"holdfast": {"format": 1, "unlisted": "allow"}, "pin_set": {"api": table}}
    return policy_from_document(document, now=NOW, read_anchors=lambda _: ())


# --- Kinds whose cases all have one form ----------------------------------------------------------

# Their answer, and ours. An empty label is no name: asking for it is refused, which fails closed.
OUR_HOST_MATCH = {
    ("*.example.com", "..example.com"): ("no-match", "refused"),
    ("*.example.com", "a..example.com"): ("no-match", "refused"),
    ("*.example.com", ".example.com"): ("match", "refused"),
    ("**.example.com", ".example.com"): ("match", "refused"),
    ("**.example.com", "..example.com"): ("match", "refused"),
}


def host_match(case: Case) -> None:
    """Compare the coverage of one pattern."""
    question = case.input
    covers_subdomains = question.get("sub") or question.get("includeSubdomains")
    pattern = question.get("pattern") or ("**." if covers_subdomains else "") + question["domain"]
    expected = {"no-policy": "no-match", "not-pinned (allow)": "no-match"}.get(
        case.expected, "no-match" if case.expected == "no-match" else "match"
    )
    ours = answer(pattern, question["host"])
    assert OUR_HOST_MATCH.get((pattern, question["host"]), (expected, expected)) == (expected, ours)


# The columns that mean each of our patterns.
MATRIX = {
    "example.com": ("okhttp exact example.com", "apache exact", "android-nsc"),
    "*.example.com": ("okhttp *.example.com", "apache *.example.com"),
    "**.example.com": (
        "okhttp **.example.com", "android-nsc +sub", "chromium +sub", "trustkit-android +sub",
    ),
}  # fmt: skip
# A trailing dot escaped pins in these (CVE-2015-0832 was Firefox's); one is dropped here.
ESCAPED = {
    ("www.example.com.", column)
    for column in (
        "okhttp *.example.com", "apache *.example.com", "okhttp **.example.com",
        "trustkit-android +sub",
    )
}  # fmt: skip


def host_matrix(case: Case) -> None:
    """Compare a host with every column that has a pattern of ours."""
    host = case.input["host"]
    assert set(case.expected) == {column for columns in MATRIX.values() for column in columns}
    for pattern, columns in MATRIX.items():
        ours = answer(pattern, host)
        for column in columns:
            theirs = "match" if case.expected[column] else "no-match"
            if ".." in host:
                assert ours == "refused"
            else:
                assert (ours != theirs) is ((host, column) in ESCAPED), column


def pattern_syntax(case: Case) -> None:
    """Compare which patterns are accepted."""
    is_bad = is_no_pattern(case.input["pattern"])
    assert is_bad is case.expected.startswith("reject")


def pin_syntax(case: Case) -> None:
    """Compare which pins are accepted; a bare digest has to say what was hashed."""
    if isinstance(case.input, str):
        assert is_no_pin(case.input)
        text = f"sha256/{case.input}"
    else:
        text = case.input["pin"]
    is_all_zero = text == f"sha256/{'A' * 43}="  # OkHttp accepts the place-holder, we do not
    assert is_no_pin(text) is (is_all_zero or case.expected.startswith("reject"))


def encoding(case: Case) -> None:
    """Compare the base64 of a digest in hexadecimal."""
    pin = Pin.from_hex(case.input, PinAlgorithm.SPKI)
    assert case.expected.removeprefix("sha256/") == str(pin).removeprefix("sha256/")


def spki(case: Case) -> None:
    """Compare the known digest of a public root's key with those of the roots found here."""
    stores = [certifi.where(), "/etc/ssl/certs/ca-certificates.crt"]
    ders = [der for store in stores if Path(store).exists() for der in load_chain(store)]
    roots = [der for der in ders if case.input.encode() in der]
    if not roots:
        pytest.skip(f"no store here has {case.input}")
    pins = {str(Pin(PinAlgorithm.SPKI, chain_certificate(der).spki_sha256)) for der in roots}
    assert f"sha256/{case.expected}" in pins


KINDS_RUN: dict[str, Callable[[Case], None]] = {
    "host-match": host_match,
    "host-matrix": host_matrix,
    "pattern-syntax": pattern_syntax,
    "pin-syntax": pin_syntax,
    "encoding": encoding,
    "spki": spki,
}

# --- Cases in words, one answer each --------------------------------------------------------------

ENFORCED, REPORTED = pin_set(), pin_set(mode=Mode.REPORT_ONLY)
EXPIRED_ALLOW = pin_set(expires=PAST, on_expiry=OnExpiry.ALLOW)
SENSOR = pin_set(trust=Trust.PINS_ONLY)
GOOD = str(keys("A")[0])


def refused(verdict: Verdict, outcome: Outcome) -> bool:
    """Tell whether the connection is refused with this outcome."""
    return (verdict.outcome, verdict.allowed, verdict.violation) == (outcome, False, True)


def passed(verdict: Verdict, outcome: Outcome, *, is_reported: bool = False) -> bool:
    """Tell whether the connection goes on with this outcome."""
    return (verdict.outcome, verdict.allowed, verdict.violation) == (outcome, True, is_reported)


def not_verified_is_refused() -> bool:
    """Tell that a chain that does not verify is refused in any mode and on unlisted hosts."""
    return all(
        refused(
            untrusted(Policy(unlisted=Unlisted.ALLOW, pin_sets=sets), HOST, "why"),
            Outcome.UNTRUSTED,
        )
        for sets in ((ENFORCED,), (REPORTED,), (EXPIRED_ALLOW,), ())
    )


def empty_path_is_refused() -> bool:
    """Tell that there is no verified path without certificates."""
    try:
        path()
    except ValueError:
        return True
    return False


def is_no_certificate(der: bytes) -> bool:
    """Tell that malformed DER is refused without a crash."""
    try:
        chain_certificate(der)
    except CertificateError:
        return True
    return False


def problems(**keys_of_set: Any) -> str:  # noqa: ANN401
    """Return the text of the error that a set with these keys gives."""
    try:
        load(**keys_of_set)
    except PolicyError as error:
        return str(error)
    return ""


PARENT, CHILD = "**.good.com", "www.good.com"
TRUSTKIT_OVERLAP = "good.com+sub and www.good.com+sub; host foo.www.good.com"
ANDROID_OVERLAP = "android.com+sub and developer.android.com ; host a.developer.android.com"
UNION = "check semantics: *.example.com->A and a.example.com->B; host a.example.com; chain "
WILD, EXACT = pin_set("*.example.com"), pin_set("a.example.com", leaf="B")
HPKP_SAMPLE = "d6qzRu9zOECb90Uez27xWltNsj0e1Md7GkYYkVoZWmM="

Check = Callable[[], bool]


def differs(answers: dict[str, Check]) -> dict[str, Check]:
    """Mark answers that are ours on purpose, and not theirs."""
    return answers


ANSWERS: dict[str, dict[str, Check]] = {
    "host-match": {
        'host lookup: {"host": ""}': lambda: is_refused(lambda: canonical_host("")),
        f"host lookup: {ANDROID_OVERLAP}": lambda: (
            covered(
                "a.developer.android.com",
                pin_set("**.android.com"),
                pin_set("developer.android.com"),
            )
            == "**.android.com"
            and covered(
                "a.developer.android.com",
                pin_set("**.android.com"),
                pin_set("**.developer.android.com"),
            )
            == "**.developer.android.com"
        ),
    },
    "match-semantics": {
        "check semantics: pin A; chain [A]": lambda: passed(
            decide(path("A"), ENFORCED), Outcome.MATCH
        ),
        "check semantics: pins A,B; chain [A]": lambda: passed(
            decide(path("A"), pin_set(leaf="A B")), Outcome.MATCH
        ),
        "check semantics: pins A,B; chain [B]": lambda: passed(
            decide(path("B"), pin_set(leaf="A B")), Outcome.MATCH
        ),
        "check semantics: host example.com and www.example.com both pinned to A; chain [A]": lambda: (
            all(
                passed(
                    decide(path("A"), pin_set("example.com", "www.example.com"), host=host),
                    Outcome.MATCH,
                )
                for host in ("example.com", "www.example.com")
            )
        ),
        "check semantics: no pins at all; chain [A]": lambda: passed(
            decide(path("A")), Outcome.NOT_PINNED
        ),
        f"{UNION}[C]": lambda: refused(
            decide(path("C"), WILD, EXACT, host="a.example.com"), Outcome.MISMATCH
        ),
        **differs(
            {
                # The most specific pattern wins; a union would let the parent's key serve the child.
                f"{UNION}[A]": lambda: refused(
                    decide(path("A"), WILD, EXACT, host="a.example.com"), Outcome.MISMATCH
                ),
                # SHA-1 is not accepted at all.
                "check semantics: sha1 pin of C; chain [C]": lambda: is_no_pin(
                    "sha1/DmxUShsZuNiqPQsX2Oi9uv2sCnw="
                ),
            }
        ),
    },
    "chain": {
        "pinRootNotPresentInChain: server sends leaf+intermediate only; pin = root found in trust store": lambda: (
            passed(decide(path("leaf", "issuer", "root"), pin_set(ca=keys("root"))), Outcome.MATCH)
        ),
        "pinIntermediatePresentInChain: pin = intermediate in served chain; 2 connections (2nd after pool eviction)": lambda: (
            passed(
                decide(path("leaf", "issuer", "root"), pin_set(ca=keys("issuer"))), Outcome.MATCH
            )
        ),
        "lonePinnedCertificate: self-signed cert that is itself the trust anchor, pinned": lambda: (
            passed(decide(path("A"), ENFORCED), Outcome.MATCH)
        ),
    },
    "apache": {
        'pinningFailure: {"pattern": "api.example.com", "host": "api.example.com", "pin": "wrong"}': lambda: (
            refused(decide(path("other", "root"), ENFORCED), Outcome.MISMATCH)
        ),
        'idnExactHostMatch: {"pattern": "b\\u00fccher.example", "host": "xn--bcher-kva.example", "pin": "right"}': lambda: (
            passed(
                decide(path("A"), pin_set("bücher.example"), host="xn--bcher-kva.example"),
                Outcome.MATCH,
            )
        ),
        "invalidBase64PinRejected: sha256/###not_base64###": lambda: is_no_pin(
            "sha256/###not_base64###"
        ),
        "emptyPinsRejected: no pins for api.example.com": lambda: "no pins" in problems(),
    },
    "policy-config": {
        "testPinOnePublicKey: enforce on, 2 identical pins (set size 1)": lambda: (
            "stands in leaf[0] already" in problems(leaf=[GOOD], backup=[GOOD])
        ),
        "testIncludeSubdomainsEnabledAndSpecificConfiguration: good.com+sub and www.good.com; host www.good.com": lambda: (
            covered(CHILD, pin_set(PARENT), pin_set(CHILD)) == CHILD
        ),
        f"testIncludeSubdomainsEnabledAndOverlap: {TRUSTKIT_OVERLAP}": lambda: (
            covered("foo.www.good.com", pin_set(PARENT), pin_set("**.www.good.com"))
            == "**.www.good.com"
        ),
        'testBadHostnameValidation: {"host": "https://www.datatheorem.com"}': lambda: (
            "without the scheme" in problems(hosts=["https://www.datatheorem.com"], leaf=[GOOD])
        ),
        "testAllowsEmptyPinningConfig: no pin-set anywhere": lambda: passed(
            decide(path("A")), Outcome.NOT_PINNED
        ),
        "testBadPolicyOnlyOnePin: 1 pin, enforce": lambda: (
            "add a backup pin" in problems(leaf=[GOOD])
        ),
        "testNoPinsButPinningEnforceDisabledShouldBeValid: 0 pins, enforce": lambda: (
            "no pins" in problems()
        ),
        'testBadPolicyPinTld: {"domain": ".com"}': lambda: is_no_pattern(".com"),
        **differs(
            {
                # A set without pins is a mistake, not a set to pass over.
                "testIgnoreDomainWithNoPins: domain-config without pin-set (localhost,10.0.2.2)": lambda: (
                    "no pins" in problems(hosts=["localhost", "10.0.2.2"], mode="report-only")
                ),
                # A date without a time and an offset means something else in each time zone.
                "testExpirationDate: expiration=2018-01-01": lambda: (
                    "not a time" in problems(leaf=[GOOD], expires="2018-01-01", on_expiry="allow")
                ),
            }
        ),
    },
    "decision": {
        "testVerifyAgainstBadPublicKeyPinsExpired: wrong pins, expiry in past, enforce": lambda: (
            passed(decide(path("X"), EXPIRED_ALLOW), Outcome.EXPIRED)
        ),
        "testVerifyAgainstBadPublicKeyPinningNotEnforced: wrong pins, enforce=NO": lambda: passed(
            decide(path("X"), REPORTED), Outcome.MISMATCH, is_reported=True
        ),
        "testVerifyAgainstCaPublicKeyAndBadHostname: pin CA; hostname mismatch": not_verified_is_refused,
        "testDomainNotPinned: host without policy": lambda: passed(
            decide(path("A"), ENFORCED, host="other.example"), Outcome.NOT_PINNED
        ),
        "testPinnedDomainExpiredChain: live TLS": not_verified_is_refused,
        "testPinnedDomainWrongHostnameChain: live TLS": not_verified_is_refused,
        "testPinnedDomainSuccessLeaf: live TLS": lambda: passed(
            decide(path("A", "issuer", "root"), ENFORCED), Outcome.MATCH
        ),
        "testPinnedDomainInvalidPinAndPinningNotEnforced: live TLS": lambda: passed(
            decide(path("X"), REPORTED), Outcome.MISMATCH, is_reported=True
        ),
        "testPinnedDomainInvalidPinAndPolicyExpired: live TLS": lambda: passed(
            decide(path("X"), EXPIRED_ALLOW), Outcome.EXPIRED
        ),
        "testPinnedDomainUntrustedChainAndPinningNotEnforced: live TLS": not_verified_is_refused,
        "testNonPinnedDomainUntrustedRootChain: live TLS": not_verified_is_refused,
        "testNonPinnedDomainSuccess: live TLS": lambda: passed(
            decide(path("X"), ENFORCED, host="other.example"), Outcome.NOT_PINNED
        ),
        "checkPins: now > expiration (00:00 device-local of that date)": lambda: passed(
            decide(path("X"), EXPIRED_ALLOW), Outcome.EXPIRED
        ),
        "checkPins: chain root not among anchors": lambda: refused(
            decide(
                path("A", "root"),
                pin_set(trust=Trust.PRIVATE, anchors=(certificate("other root").der,)),
            ),
            Outcome.MISMATCH,
        ),
        "checkPins: no pin in VALIDATED chain": lambda: refused(
            decide(path("X"), ENFORCED), Outcome.MISMATCH
        ),
        "testExpiredPin (expired_pin.xml): ": lambda: passed(
            decide(path("X"), EXPIRED_ALLOW), Outcome.EXPIRED
        ),
        **differs(
            {
                # A set without pins cannot be made; it is never "no check".
                "checkPins: pins empty": lambda: is_refused(lambda: pin_set(leaf="")),
            }
        ),
    },
    "chromium": {
        "DomainNameOddities: policy example.net. (+sub): example.net, sub.example.net.": lambda: (
            all(
                answer("**.example.net.", host) == "match"
                for host in ("example.net", "sub.example.net.")
            )
        ),
        'DomainNameOddities: policy "" or "." must not apply to everything: "", ".", "...", example.org': lambda: (
            all(is_no_pattern(name) for name in ("", ".", "...", "**.", "*"))
        ),
        "SubdomainMatches: example.test +sub: test, notexample.test": lambda: all(
            answer("**.example.test", host) == "no-match" for host in ("test", "notexample.test")
        ),
        "MatchesCase: EXample.coM both sides": lambda: (
            answer("EXample.coM", "exAMPLE.Com") == "match"
        ),
        "rules: empty hash list for a pinned host": lambda: (
            "the list is empty" in problems(leaf=[])
        ),
        "rules: chain contains a bad_static_spki hash AND a good pin": lambda: refused(
            decide(path("A", "bad"), ENFORCED, denied=keys("bad")), Outcome.DENIED
        ),
        "rules: only deny list, no allow list; clean chain": lambda: passed(
            decide(path("A"), denied=keys("bad")), Outcome.NOT_PINNED
        ),
        **differs(
            {
                # A pattern covers what it says; a more specific one for its parent carves nothing out.
                "PKPSubdomainCarveout: example.test +sub, foo.example.test no-sub: bar.foo.example.test": lambda: (
                    covered(
                        "bar.foo.example.test",
                        pin_set("**.example.test"),
                        pin_set("foo.example.test"),
                    )
                    == "**.example.test"
                ),
                # What happens after expiry is written in the policy; nothing is purged.
                "Expiration: expired entry": lambda: refused(
                    decide(path("X"), pin_set(expires=PAST, on_expiry=OnExpiry.ENFORCE)),
                    Outcome.MISMATCH,
                ),
                # Such a name is refused rather than "not pinned".
                "LongNames: label > 63 bytes": lambda: is_refused(
                    lambda: canonical_host("a" * 64 + ".test")
                ),
            }
        ),
    },
    "curl": {
        "test2041: right sha256//": lambda: Pin.parse(GOOD.replace("/", "//", 1)) == keys("A")[0],
        "test2048: --insecure + wrong pin": lambda: refused(
            decide(ProvenLeaf(certificate("X")), SENSOR), Outcome.MISMATCH
        ),
        "semantics: pin comparison of base64 text": lambda: (
            is_no_pin(GOOD.removesuffix("="))
            and Pin.parse(f"sha256/{HPKP_SAMPLE}") != Pin.parse(f"sha256/D{HPKP_SAMPLE[1:]}")
        ),
        'semantics: mixed "sha256//A;sha256//B"': lambda: passed(
            decide(path("B"), pin_set(leaf="A B")), Outcome.MATCH
        ),
    },
    "ghostunnel": {
        "SPKI pins: sha1:": lambda: is_no_pin("sha1:DmxUShsZuNiqPQsX2Oi9uv2sCnw="),
        "SPKI pins: bad base64": lambda: is_no_pin("sha256/!!!"),
        "SPKI pins: 16-byte digest under sha256": lambda: (
            "has 32 bytes, this has 16" in problems(leaf=["sha256/" + "A" * 21 + "Q=="])
        ),
        "SPKI pins: one bad pin in list": lambda: (
            "leaf[1]" in problems(leaf=[GOOD, "sha256/"], backup=[GOOD])
        ),
        "SPKI pins: expired cert, pinned key": lambda: passed(
            decide(ProvenLeaf(certificate("A")), SENSOR), Outcome.MATCH
        ),
        "SPKI pins: mismatch": lambda: refused(
            decide(ProvenLeaf(certificate("X")), SENSOR), Outcome.MISMATCH
        ),
        "SPKI pins: no certs": empty_path_is_refused,
        "SPKI pins: malformed DER": lambda: is_no_certificate(b"\x30\x03\x02\x01"),
        **differs(
            {
                # One text for one pin: `sha256/`, in lower case.
                "SPKI pins: sha256:<44 b64>": lambda: is_no_pin(GOOD.replace("/", ":", 1)),
                "SPKI pins: SHA256: upper-case algo": lambda: is_no_pin(
                    GOOD.replace("sha256/", "SHA256:")
                ),
                # An empty list is a mistake, not a switch.
                "SPKI pins: [] / nil": lambda: "the list is empty" in problems(leaf=[]),
                # There is one algorithm.
                "SPKI pins: leaf matches sha512 pin": lambda: is_no_pin(
                    "sha512/" + "A" * 86 + "=="
                ),
            }
        ),
    },
    "envoy": {
        "verify_certificate_*: verify_certificate_spki entry not exactly 44 bytes": lambda: all(
            is_no_pin(text) for text in (GOOD[:-1], GOOD + "=")
        ),
        "verify_certificate_*: hash 64 hex or 95 hex-with-colons": lambda: (
            keys("A")[0] == Pin.from_hex(keys("A")[0].digest.hex(":"), PinAlgorithm.SPKI)
            and is_refused(lambda: Pin.from_hex("ab" * 31, PinAlgorithm.SPKI))
        ),
        "verify_certificate_*: spki list and hash list both set": lambda: passed(
            decide(path("B"), pin_set(backup=(Pin.of_certificate(certificate("B").der),))),
            Outcome.MATCH,
        ),
        "verify_certificate_*: leaf only; intermediate hash pinned": lambda: refused(
            decide(path("X", "A"), ENFORCED), Outcome.MISMATCH
        ),
        **differs(
            {
                # Nothing but report-only lets a connection go on whose pins fail.
                "verify_certificate_*: ACCEPT_UNTRUSTED": not_verified_is_refused,
            }
        ),
    },
    "hpkp": {
        "rule/format: known-pins sample": lambda: (
            Pin.parse(f'pin-sha256="{HPKP_SAMPLE}"') == Pin.parse(f"sha256/{HPKP_SAMPLE}")
        ),
        "rule/format: report-only": lambda: passed(
            decide(path("X"), REPORTED), Outcome.MISMATCH, is_reported=True
        ),
        **differs(
            {
                # What is not understood is an error, never passed over.
                "rule/format: unknown pin algorithm directive": lambda: is_no_pin(
                    f'pin-sha384="{HPKP_SAMPLE}"'
                ),
            }
        ),
    },
    "cve": {
        "regression: request https://pinned.example./ with CA-valid, non-pinned cert": lambda: (
            refused(
                decide(path("X"), pin_set("pinned.example"), host="pinned.example."),
                Outcome.MISMATCH,
            )
        ),
        "regression: case-insensitive comparison of pin strings": lambda: (
            Pin.parse(f"sha256/{HPKP_SAMPLE}") != Pin.parse(f"sha256/D{HPKP_SAMPLE[1:]}")
        ),
    },
}

# --- Cases that are not run here ------------------------------------------------------------------

KINDS_NOT_RUN = {
    "dane": "tests/conformance/test_dane.py",
    "connection-reuse": "about pooled connections, not about a decision",
    "dynamic-update": "about signed updates; nothing here is updated",
    "error-message": "the text of another system's error; ours is its own",
    "format-android-nsc": "tests/conformance/test_platforms.py",
    "format-apple": "tests/conformance/test_platforms.py",
    "refresh-schedule": "about signed updates; nothing here is updated",
    "report-ratelimit": "about sending reports; none are sent",
    "signed-bundle": "about signed updates; nothing here is updated",
}
LIVE = "asked live, of a server; the scenario is "
CONNECTING = "about a connection and what it is reused for, not about a decision"
REPORTING = "about sending reports; none are sent"
OVERRIDES = "there is no override for debugging, and no bypass for locally added anchors"
EXCLUSION = "a policy has no exclusions: a set covers what its patterns say"
NOT_RUN: dict[str, dict[str, str]] = {
    "chain": {
        "unrelatedPinnedIntermediateCertificateInChain": f"{LIVE}namesake of the pinned CA, both sent",
        "signersMustHaveCaBitSet": f"{LIVE}leaf as a CA, CA pin",
    },
    "policy-config": {
        "testDisablePinningForSubdomainWithoutParentAndNoPublicKey": EXCLUSION,
        "testExplicitNotDisablePinningForSubdomainAdditionalDomainKeys": EXCLUSION,
        "testDisableDefaultReportUri": REPORTING,
        "testDebugOverrides": OVERRIDES,
        "testNestedDomainConfig": "sets are not nested and inherit nothing",
    },
    "decision": {
        "testExcludedSubdomain": EXCLUSION,
        "testDebugOverridesInvalidPinButOverridePins": OVERRIDES,
        "testDebugOverridesButAppNotDebuggable": OVERRIDES,
        "checkPins: chain anchor is a TrustAnchor with overridePins=true": OVERRIDES,
        "testBasicDomainConfig: socket created without hostname": CONNECTING,
        "validate()": "the look-up is by the host that was asked for, never by what was served",
    },
    "chromium": {
        "PreloadedPKPReportUri": REPORTING,
        "rules: not issued by known (public) root": OVERRIDES,
        "rules: pin list older than 70 days": "about signed updates; a file has no age",
        "rules: component list present": "about signed updates; a file has no age",
        "rules: component compatibility_version": "about signed updates; a file has no age",
        "rules: host pin names an unknown pinset": "hosts and pins stand in one set",
    },
    "curl": {
        "test2035": "a pin is text; a file is hashed by `holdfast key pin`",
        "semantics: connection reuse": CONNECTING,
        "semantics: pin file unreadable": "tests/certificates/test_load_policy.py",
    },
    "envoy": {"verify_certificate_*: resumed session after pins changed": CONNECTING},
    "hpkp": {
        "rule/format: max-age=0": "pins are not learned from servers",
        "rule/format: report over TLS to a pinned host": REPORTING,
    },
    "cve": {
        "regression: append pinned cert": f"{LIVE}padded_with_pinned_leaf, rogue, leaf pin",
        "regression: SPDY/HTTP2 connection": CONNECTING,
        "regression: HTTP/3 with wrong pin": "no HTTP/3 client is pinned",
        "regression: certificate whose DER parses differently": "tests/certificates/test_der.py",
        "regression: error path returns OK": CONNECTING,
        "regression: resume TLS session": CONNECTING,
        "regression: resumption / connection reuse": CONNECTING,
        "regression: reuse connection opened with another pin string": CONNECTING,
        "regression: verification disabled": CONNECTING,
        "regression: --proxy-pinnedpubkey": "about another tool's option",
        "regression: served chain used": f"{LIVE}forged_leaf_naming_pinned_ca, rogue, CA pin",
        "regression: SPKI pinning matched presented chain": f"{LIVE}padded_with_pinned_ca, rogue, CA pin",
        "regression: VerifyPeerCertificate not called": CONNECTING,
        "regression: verifier picks a shorter path": f"{LIVE}intermediate trusted like its root, root pin",
        "regression: report URI on the pinned host": REPORTING,
    },
}


def reasons_against(case: Case) -> list[str]:
    """Return why a case is not run: one reason, or none for a case that is."""
    kind, name = case.key
    by_name = [reason for start, reason in NOT_RUN.get(kind, {}).items() if name.startswith(start)]
    return [KINDS_NOT_RUN[kind]] if kind in KINDS_NOT_RUN else by_name


def is_run(case: Case) -> bool:
    """Tell whether there is an answer to a case."""
    kind, name = case.key
    return kind in KINDS_RUN or name in ANSWERS.get(kind, {})


def case_id(case: Case) -> str:
    """Name a case by its source and what it asks."""
    source = case.source.partition("@")[0].partition(" ")[0]
    return ascii(f"{source}: {case.key[1]}")[1:-1].replace("::", ":")


@pytest.mark.parametrize("case", [case for case in CASES if is_run(case)], ids=case_id)
def test_case(case: Case) -> None:
    """Ours answers as they do, or as its own table says where it differs on purpose."""
    kind, name = case.key
    check = ANSWERS.get(kind, {}).get(name)
    if check is not None:
        assert check()
    else:
        KINDS_RUN[kind](case)


def test_every_case_is_run_or_has_a_reason() -> None:
    """No case is passed over in silence, and none that is run has a reason not to be."""
    unclear = [case.key for case in CASES if len(reasons_against(case)) + is_run(case) != 1]

    assert [] == unclear


def test_every_answer_and_reason_belongs_to_a_case() -> None:
    """The tables name no case that the file does not have."""
    names = {case.key for case in CASES}
    answers = {(kind, name) for kind, table in ANSWERS.items() for name in table}
    unused = [
        start
        for kind, table in NOT_RUN.items()
        for start in table
        if not any(key[0] == kind and key[1].startswith(start) for key in names)
    ]

    assert set() == answers - names
    assert [] == unused
    assert set() == KINDS_NOT_RUN.keys() - {case.kind for case in CASES}


def test_what_is_asked_live_is_a_scenario() -> None:
    """Each case that a live test answers names a scenario that there is."""
    reasons = [reason for table in NOT_RUN.values() for reason in table.values()]
    named = {reason.removeprefix(LIVE) for reason in reasons if reason.startswith(LIVE)}

    assert named
    assert set() == named - SCENARIOS.keys()
