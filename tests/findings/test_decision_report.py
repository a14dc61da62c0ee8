"""The JSON object of `holdfast evaluate`, whose keys programs rely on."""

import json
from collections.abc import Callable

from holdfast.findings.decision_report import decision_as_json
from holdfast.findings.explain import explain_verdict
from holdfast.lab.authorities import Authority
from holdfast.pins.chain import ChainCertificate, PresentedChain, VerifiedChain
from holdfast.pins.evaluate import undecidable, untrusted
from holdfast.pins.pin import Pin
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Observed, Verdict

LEAF, UNUSED, OTHER = 3, 4, 5
KEYS = [
    "host",
    "outcome",
    "allowed",
    "mode",
    "pin_set",
    "matched",
    "path",
    "observed",
    "explanation",
    "hint",
    "verifier",
]
VERIFIER = "cryptography 50.0.2"


def test_match(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict], path: VerifiedChain
) -> None:
    """A match has exactly the specified keys, in their order, and nothing observed."""
    verdict = decide(leaf=(pin(LEAF),), backup=(pin(OTHER),))
    report = decision_as_json(verdict, observed=Observed.UNKNOWN, presented=None, verifier=VERIFIER)
    keys = list(report)
    leaf = Pin.of_certificate(path.certificates[0].der)
    expected = f"""{{
  "position": 0,
  "subject": "CN=api.example.com",
  "issuer": "CN=Lab CA",
  "spki": "{pin(LEAF)}",
  "cert": "{leaf}",
  "not_before": "2026-11-01T00:00:00Z",
  "not_after": "2027-01-30T00:00:00Z",
  "key": "EC P-256"
}}"""
    links = report.pop("path")

    assert KEYS == keys
    assert isinstance(links, list)
    assert expected == json.dumps(links[0], indent=2)
    assert ["CN=api.example.com", "CN=Lab CA", "CN=Lab Root"] == [one["subject"] for one in links]
    assert [0, 1, 2] == [one["position"] for one in links]
    assert [
        ("host", "api.example.com"),
        ("outcome", "match"),
        ("allowed", True),
        ("mode", "enforce"),
        ("pin_set", "payments"),
        ("matched", {"pin": str(pin(LEAF)), "role": "leaf", "position": 0}),
        ("observed", None),
        ("explanation", explain_verdict(verdict)),
        ("hint", None),
        ("verifier", VERIFIER),
    ] == list(report.items())


def test_keys_of_a_refusal(pin: Callable[[int], Pin], decide: Callable[..., Verdict]) -> None:
    """A refusal has the same keys in the same order, and says what was observed."""
    report = decision_as_json(
        decide(leaf=(pin(UNUSED),), backup=(pin(OTHER),)),
        observed=Observed.NEW_KEY,
        presented=None,
        verifier=VERIFIER,
    )

    assert KEYS == list(report)
    assert "new-key" == report["observed"]
    assert None is report["matched"]
    assert (
        "ask payments team <pay@example.com>; see docs/runbooks/clients-refuse-now.md"
        == report["hint"]
    )


def test_matched_position_and_role_keys(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict]
) -> None:
    """`matched` has its keys in the specified order."""
    report = decision_as_json(
        decide(ca=(pin(2), pin(OTHER))), observed=None, presented=None, verifier=VERIFIER
    )

    assert f'{{"pin": "{pin(2)}", "role": "ca", "position": 1}}' == json.dumps(report["matched"])


def test_not_pinned_has_no_set(pin: Callable[[int], Pin], decide: Callable[..., Verdict]) -> None:
    """Mode and pin set are null where no set applies."""
    verdict = decide(host="www.example.com", leaf=(pin(LEAF),), backup=(pin(OTHER),))
    report = decision_as_json(verdict, observed=None, presented=None, verifier=VERIFIER)

    assert [None, None, None] == [report[key] for key in ("mode", "pin_set", "matched")]


def test_path_is_what_was_sent_only_when_untrusted(
    policy: Callable[..., Policy], pin: Callable[[int], Pin], presented: PresentedChain
) -> None:
    """An untrusted chain is shown as it was sent; an undecidable one has no path."""
    own = policy(leaf=(pin(LEAF),), backup=(pin(OTHER),))
    verdicts = [
        untrusted(own, "api.example.com", "why", presented),
        untrusted(own, "api.example.com", "why"),
        undecidable(own, "api.example.com", "why", presented),
    ]
    paths = [
        decision_as_json(
            verdict, observed=Observed.UNKNOWN, presented=presented, verifier=VERIFIER
        )["path"]
        for verdict in verdicts
    ]

    assert [2, 2, 0] == [len(path) for path in paths if isinstance(path, list)]


def test_text_of_certificates_is_escaped(
    issuing: Authority,
    links: Callable[..., tuple[ChainCertificate, ...]],
    pin: Callable[[int], Pin],
    decide: Callable[..., Verdict],
) -> None:
    """A subject with control characters is escaped here too: people read JSON on terminals."""
    leaf = issuing.issue("api.example.com", common_name="\x1b[2J\u202e")
    report = decision_as_json(
        decide(VerifiedChain(links(leaf.certificate)), leaf=(pin(UNUSED),), backup=(pin(OTHER),)),
        observed=Observed.NEW_KEY,
        presented=None,
        verifier=VERIFIER,
    )
    path = report["path"]

    assert isinstance(path, list)
    assert r"CN=\x1b[2J\u202e" == path[0]["subject"]


def test_unreadable_certificate_has_null_times(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict]
) -> None:
    """What cannot be read of a certificate is null; its digests are there all the same."""
    junk = ChainCertificate(b"junk", b"k" * 32, b"c" * 32)
    verdict = decide(VerifiedChain((junk,)), leaf=(pin(UNUSED),), backup=(pin(OTHER),))
    path = decision_as_json(verdict, observed=Observed.NEW_KEY, presented=None, verifier=VERIFIER)[
        "path"
    ]

    assert isinstance(path, list)
    assert [None, None] == [path[0]["not_before"], path[0]["not_after"]]
    assert path[0]["spki"].startswith("sha256/a2tra2tr")
