"""The texts as people see them, one for each outcome."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from holdfast.findings.explain import explain_verdict
from holdfast.findings.observed import observe
from holdfast.lab.authorities import Authority
from holdfast.lab.issuance import der
from holdfast.pins.evaluate import undecidable
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Mode, OnExpiry, Trust
from holdfast.pins.policy import Policy, Unlisted
from holdfast.pins.verdict import Verdict

# The numbers of the keys: two on the path, two that are not.
CA, LEAF, UNUSED, OTHER = 2, 3, 4, 5


def test_match(pin: Callable[[int], Pin], decide: Callable[..., Verdict]) -> None:
    """A pin that matches is marked at its place; there is nothing to ask."""
    expected = """
api.example.com allowed: match, the path satisfies the pin set.

  expected: any one of these pins                              seen: verified path, leaf first
  leaf    sha256/K5hbrfG6yCk/a5LowKzBE5vFpey7+Xpicdzw1PbGivY=  = 0 CN=api.example.com
  backup  sha256/2vxBjrCC6Dx2pI8MUm/kXpyk1Oz6gjZt4/zNNwmfygE=      EC P-256
                                                                   sha256/K5hbrfG6yCk/...
                                                                 1 CN=Lab CA
                                                                   EC P-256
                                                                   sha256/3AzmM9vMkT2v...
                                                                 2 CN=Lab Root
                                                                   EC P-256
                                                                   sha256/XNJS+wzokyQ2...

  pin set    payments, enforce
  = match    0 has a `leaf` pin of the set
"""
    verdict = decide(leaf=(pin(LEAF),), backup=(pin(OTHER),))

    assert expected == f"\n{explain_verdict(verdict)}\n"


def test_match_by_a_local_exception(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict]
) -> None:
    """A match that is a violation all the same says why."""
    verdict = decide(leaf=(pin(LEAF),), backup=(pin(OTHER),))
    let_pass = replace(verdict, violation=True, reason=f"{verdict.reason}; ticket NET-12")

    assert "reason" not in explain_verdict(verdict)
    assert "reason     the leaf at position 0 has a pin of the set; ticket NET-12" in (
        explain_verdict(let_pass)
    )


def test_match_by_backup(pin: Callable[[int], Pin], decide: Callable[..., Verdict]) -> None:
    """A backup key in use is told, with the runbook that leads to a new backup."""
    expected = """
api.example.com allowed: match, the path satisfies the pin set.

  expected: any one of these pins                              seen: verified path, leaf first
  leaf    sha256/2vxBjrCC6Dx2pI8MUm/kXpyk1Oz6gjZt4/zNNwmfygE=  = 0 CN=api.example.com
  backup  sha256/K5hbrfG6yCk/a5LowKzBE5vFpey7+Xpicdzw1PbGivY=      EC P-256
                                                                   sha256/K5hbrfG6yCk/...
                                                                 1 CN=Lab CA
                                                                   EC P-256
                                                                   sha256/3AzmM9vMkT2v...
                                                                 2 CN=Lab Root
                                                                   EC P-256
                                                                   sha256/XNJS+wzokyQ2...

  pin set    payments, enforce
  = match    0 has a `backup` pin of the set
  hint       a backup key is in use: move it to `leaf` and add a new backup
  runbook    docs/runbooks/the-backup-is-lost.md
"""
    verdict = decide(leaf=(pin(OTHER),), backup=(pin(LEAF),))

    assert expected == f"\n{explain_verdict(verdict)}\n"


def test_match_by_anchor(decide: Callable[..., Verdict], root: Authority) -> None:
    """Where the set's own anchor is all that is asked for, the anchor is marked."""
    expected = """
api.example.com allowed: match, the path satisfies the pin set.

  expected: a path to an anchor of the set  seen: verified path, leaf first
  anchor  CN=Lab Root                         0 CN=api.example.com
                                                EC P-256
                                                sha256/K5hbrfG6yCk/...
                                              1 CN=Lab CA
                                                EC P-256
                                                sha256/3AzmM9vMkT2v...
                                            = 2 CN=Lab Root
                                                EC P-256
                                                sha256/XNJS+wzokyQ2...

  pin set    payments, enforce
  = match    2 is an anchor of the set
"""
    verdict = decide(trust=Trust.PRIVATE, anchors=(der(root.certificate),))

    assert expected == f"\n{explain_verdict(verdict)}\n"


def test_report_only(pin: Callable[[int], Pin], decide: Callable[..., Verdict]) -> None:
    """What a report-only set lets pass is told like a refusal, in other words at the top."""
    expected = """
api.example.com let pass: mismatch, the path does not satisfy the pin set.

  expected: any one of these pins                              seen: verified path, leaf first
  leaf    sha256/Pqs/ulAmth0AfL9BG5DzyI/4nPCoCIy7/D6qyoZ91mM=  > 0 CN=api.example.com
                                                                   EC P-256
                                                                   sha256/K5hbrfG6yCk/...
                                                                 1 CN=Lab CA
                                                                   EC P-256
                                                                   sha256/3AzmM9vMkT2v...
                                                                 2 CN=Lab Root
                                                                   EC P-256
                                                                   sha256/XNJS+wzokyQ2...

  pin set    payments, report-only
  reason     no pin of the set is on the path
  > nearest  0 is where a `leaf` or `backup` pin belongs, and has another key
  observed   new-key: a key that the pin set does not know, on a path that verifies: a rotation or a
             mis-issued certificate, which look the same from here
  ask        payments team <pay@example.com>, by another channel than this connection
  runbook    docs/runbooks/clients-refuse-now.md
"""
    verdict = decide(leaf=(pin(UNUSED),), mode=Mode.REPORT_ONLY)

    assert expected == f"\n{explain_verdict(verdict, observed=observe(verdict))}\n"


def test_expired(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict], told: Callable[..., str]
) -> None:
    """After its expiry a set that no longer enforces says so, with the time."""
    expected = """
api.example.com:443 let pass: expired, no pin fits and the set is past its time.

  expected: any one of these pins                              seen: verified path, leaf first
  leaf    sha256/Pqs/ulAmth0AfL9BG5DzyI/4nPCoCIy7/D6qyoZ91mM=  > 0 CN=api.example.com
  backup  sha256/2vxBjrCC6Dx2pI8MUm/kXpyk1Oz6gjZt4/zNNwmfygE=      EC P-256
                                                                   sha256/K5hbrfG6yCk/...
                                                                 1 CN=Lab CA
                                                                   EC P-256
                                                                   sha256/3AzmM9vMkT2v...
                                                                 2 CN=Lab Root
                                                                   EC P-256
                                                                   sha256/XNJS+wzokyQ2...

  pin set    payments, enforce, expires 2026-11-01T00:00:00Z
  time       2026-12-01T09:30:00Z
  reason     no pin of the set is on the path, and the set has expired
  > nearest  0 is where a `leaf` or `backup` pin belongs, and has another key
  observed   expired-pins: no pin of the set, after the set expired: a rotation since then or a
             mis-issued certificate, which look the same from here
  ask        payments team <pay@example.com>, by another channel than this connection
  runbook    docs/runbooks/clients-refuse-now.md
"""

    assert expected == told(
        decide(
            leaf=(pin(UNUSED),),
            backup=(pin(OTHER),),
            expires=datetime(2026, 11, 1, tzinfo=UTC),
            on_expiry=OnExpiry.REPORT_ONLY,
        )
    )


def test_denied(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict], told: Callable[..., str]
) -> None:
    """A denied key is marked wherever it is, and leads to the runbook on leaked keys."""
    expected = """
api.example.com:443 refused: denied, a key on the path must never be accepted.

  expected: any one of these pins                              seen: verified path, leaf first
  leaf    sha256/K5hbrfG6yCk/a5LowKzBE5vFpey7+Xpicdzw1PbGivY=    0 CN=api.example.com
  backup  sha256/2vxBjrCC6Dx2pI8MUm/kXpyk1Oz6gjZt4/zNNwmfygE=      EC P-256
                                                                   sha256/K5hbrfG6yCk/...
                                                               ! 1 CN=Lab CA
                                                                   EC P-256
                                                                   sha256/3AzmM9vMkT2v...
                                                                 2 CN=Lab Root
                                                                   EC P-256
                                                                   sha256/XNJS+wzokyQ2...

  pin set    payments, enforce
  time       2026-12-01T09:30:00Z
  reason     the policy denies a key on the path
  ! denied   1 has sha256/3AzmM9vMkT2vr6S4msRNjOaD/fw/YMi98hITufK1NLo=, which stands in `denied` of
             the policy
  observed   denied-key: a key that must never be accepted: its owner and a thief who has it look
             the same from here
  ask        payments team <pay@example.com>, by another channel than this connection
  runbook    docs/runbooks/the-key-leaked.md
"""

    assert expected == told(decide(leaf=(pin(LEAF),), backup=(pin(OTHER),), denied=(pin(CA),)))


def test_not_pinned(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict], told: Callable[..., str]
) -> None:
    """A refused host that no pattern covers has nothing expected of it."""
    expected = """
www.example.com:443 refused: not-pinned, no pattern covers the host.

  expected: nothing, no pin set covers the host  seen: verified path, leaf first
                                                   0 CN=api.example.com
                                                     EC P-256
                                                     sha256/K5hbrfG6yCk/...
                                                   1 CN=Lab CA
                                                     EC P-256
                                                     sha256/3AzmM9vMkT2v...
                                                   2 CN=Lab Root
                                                     EC P-256
                                                     sha256/XNJS+wzokyQ2...

  time       2026-12-01T09:30:00Z
  reason     no pattern of the policy covers the host, and unlisted is refuse
  observed   unknown: nothing that tells the causes apart
  ask        whoever keeps the policy, by another channel than this connection
  runbook    docs/runbooks/clients-refuse-now.md
"""

    assert expected == told(
        decide(
            host="www.example.com",
            unlisted=Unlisted.REFUSE,
            leaf=(pin(UNUSED),),
            backup=(pin(OTHER),),
        )
    )


def test_not_pinned_and_allowed(pin: Callable[[int], Pin], decide: Callable[..., Verdict]) -> None:
    """A host that is not pinned and may pass is told without advice."""
    expected = """
www.example.com allowed: not-pinned, no pattern covers the host.

  expected: nothing, no pin set covers the host  seen: verified path, leaf first
                                                   0 CN=api.example.com
                                                     EC P-256
                                                     sha256/K5hbrfG6yCk/...
                                                   1 CN=Lab CA
                                                     EC P-256
                                                     sha256/3AzmM9vMkT2v...
                                                   2 CN=Lab Root
                                                     EC P-256
                                                     sha256/XNJS+wzokyQ2...

  reason     no pattern of the policy covers the host, and unlisted is allow
"""
    verdict = decide(host="www.example.com", leaf=(pin(UNUSED),), backup=(pin(OTHER),))

    assert expected == f"\n{explain_verdict(verdict)}\n"


def test_undecidable(
    pin: Callable[[int], Pin], policy: Callable[..., Policy], told: Callable[..., str]
) -> None:
    """Without any certificate the pins and the reason are still told."""
    expected = """
api.example.com:443 refused: undecidable, there is no verified path to judge.

  expected: any one of these pins                              seen: no certificate
  leaf    sha256/K5hbrfG6yCk/a5LowKzBE5vFpey7+Xpicdzw1PbGivY=
  backup  sha256/2vxBjrCC6Dx2pI8MUm/kXpyk1Oz6gjZt4/zNNwmfygE=

  pin set    payments, enforce
  time       2026-12-01T09:30:00Z
  reason     OpenSSL has no verified path for this connection
  observed   unknown: nothing that tells the causes apart
  ask        payments team <pay@example.com>, by another channel than this connection
  runbook    docs/runbooks/clients-refuse-now.md
"""

    assert expected == told(
        undecidable(
            policy(leaf=(pin(LEAF),), backup=(pin(OTHER),)),
            "api.example.com",
            "OpenSSL has no verified path for this connection",
        )
    )
