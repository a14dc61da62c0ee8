"""The texts as people see them, one for each thing that a refusal can see."""

from collections.abc import Callable

from holdfast.lab.authorities import Authority, PrivateKey, self_signed
from holdfast.pins.chain import ChainCertificate, PresentedChain, ProvenLeaf
from holdfast.pins.evaluate import untrusted
from holdfast.pins.pin import Pin
from holdfast.pins.pin_set import Trust
from holdfast.pins.policy import Policy
from holdfast.pins.verdict import Verdict

# The numbers of the keys: one on the path, two that are not.
LEAF, UNUSED, OTHER = 3, 4, 5


def test_new_key(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict], told: Callable[..., str]
) -> None:
    """A new key is told as a rotation or a mis-issued certificate, which look the same."""
    expected = """
api.example.com:443 refused: mismatch, the path does not satisfy the pin set.

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

  pin set    payments, enforce
  time       2026-12-01T09:30:00Z
  reason     no pin of the set is on the path
  > nearest  0 is where a `leaf` or `backup` pin belongs, and has another key
  observed   new-key: a key that the pin set does not know, on a path that verifies: a rotation or a
             mis-issued certificate, which look the same from here
  ask        payments team <pay@example.com>, by another channel than this connection
  runbook    docs/runbooks/clients-refuse-now.md
"""

    assert expected == told(decide(leaf=(pin(UNUSED),), backup=(pin(OTHER),)))


def test_new_issuer(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict], told: Callable[..., str]
) -> None:
    """Where CAs are pinned and none is on the path, each place for one is marked."""
    expected = """
api.example.com:443 refused: mismatch, the path does not satisfy the pin set.

  expected: any one of these pins                              seen: verified path, leaf first
  ca      sha256/Pqs/ulAmth0AfL9BG5DzyI/4nPCoCIy7/D6qyoZ91mM=    0 CN=api.example.com
  ca      sha256/2vxBjrCC6Dx2pI8MUm/kXpyk1Oz6gjZt4/zNNwmfygE=      EC P-256
                                                                   sha256/K5hbrfG6yCk/...
                                                               > 1 CN=Lab CA
                                                                   EC P-256
                                                                   sha256/3AzmM9vMkT2v...
                                                               > 2 CN=Lab Root
                                                                   EC P-256
                                                                   sha256/XNJS+wzokyQ2...

  pin set    payments, enforce
  time       2026-12-01T09:30:00Z
  reason     no pin of the set is on the path
  > nearest  a `ca` pin belongs on any place after 0, and each has another key
  observed   new-issuer: a path through none of the expected CAs: a change of CA or a mis-issued
             certificate, which look the same from here
  ask        payments team <pay@example.com>, by another channel than this connection
  runbook    docs/runbooks/clients-refuse-now.md
"""

    assert expected == told(decide(ca=(pin(UNUSED), pin(OTHER))))


def test_private_anchor(
    pin: Callable[[int], Pin], decide: Callable[..., Verdict], told: Callable[..., str]
) -> None:
    """An anchor that is not public is named before anything that the server chose to send."""
    expected = """
api.example.com:443 refused: mismatch, the path does not satisfy the pin set.

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

  pin set    payments, enforce
  time       2026-12-01T09:30:00Z
  reason     no pin of the set is on the path
  > nearest  0 is where a `leaf` or `backup` pin belongs, and has another key
  observed   private-anchor: a path to an anchor that is not a public one, but was added to this
             client: an inspection proxy, a test CA or an attacker's CA, which look the same from
             here
  ask        payments team <pay@example.com>, by another channel than this connection
  runbook    docs/runbooks/clients-refuse-now.md
"""

    assert expected == told(
        decide(leaf=(pin(UNUSED),), backup=(pin(OTHER),)), anchor_is_public=False
    )


def test_other_path(
    pin: Callable[[int], Pin],
    decide: Callable[..., Verdict],
    links: Callable[..., tuple[ChainCertificate, ...]],
    presented: PresentedChain,
    key: Callable[[int], PrivateKey],
    told: Callable[..., str],
) -> None:
    """A certificate that has a pin, but was only sent, is told and not matched."""
    expected = """
api.example.com:443 refused: mismatch, the path does not satisfy the pin set.

  expected: any one of these pins                              seen: verified path, leaf first
  ca      sha256/2vxBjrCC6Dx2pI8MUm/kXpyk1Oz6gjZt4/zNNwmfygE=    0 CN=api.example.com
  ca      sha256/Pqs/ulAmth0AfL9BG5DzyI/4nPCoCIy7/D6qyoZ91mM=      EC P-256
                                                                   sha256/K5hbrfG6yCk/...
                                                                 1 CN=Lab CA
                                                                   EC P-256
                                                                   sha256/3AzmM9vMkT2v...
                                                                 2 CN=Lab Root
                                                                   EC P-256
                                                                   sha256/XNJS+wzokyQ2...

  pin set    payments, enforce
  time       2026-12-01T09:30:00Z
  reason     no pin of the set is on the path
  > nearest  CN=Other Root has a `ca` pin and was sent, but is not on the path
  observed   other-path: a certificate with a pin of the set was sent, but the path that verifies
             does not lead through it: a path to another anchor or a foreign chain with that
             certificate added, which look the same from here
  ask        payments team <pay@example.com>, by another channel than this connection
  runbook    docs/runbooks/clients-refuse-now.md
"""
    stranger = Authority.new("Other Root", key=key(OTHER))

    assert expected == told(
        decide(ca=(pin(OTHER), pin(UNUSED))),
        presented=PresentedChain((*presented.certificates, *links(stranger.certificate))),
    )


def test_self_signed(
    pin: Callable[[int], Pin],
    decide: Callable[..., Verdict],
    links: Callable[..., tuple[ChainCertificate, ...]],
    key: Callable[[int], PrivateKey],
    told: Callable[..., str],
) -> None:
    """A lone certificate that is its own issuer is told as one that anyone can make."""
    expected = """
api.example.com:443 refused: mismatch, the path does not satisfy the pin set.

  expected: any one of these pins                              seen: a leaf with a proven key
  leaf    sha256/Pqs/ulAmth0AfL9BG5DzyI/4nPCoCIy7/D6qyoZ91mM=  > 0 CN=api.example.com
  backup  sha256/2vxBjrCC6Dx2pI8MUm/kXpyk1Oz6gjZt4/zNNwmfygE=      EC P-256
                                                                   sha256/K5hbrfG6yCk/...

  pin set    payments, enforce
  time       2026-12-01T09:30:00Z
  reason     no pin of the set is on the path
  > nearest  0 is where a `leaf` or `backup` pin belongs, and has another key
  observed   self-signed: a certificate that vouches for itself: anyone can make one in any name, so
             that a device's new one and an attacker's look the same from here
  ask        payments team <pay@example.com>, by another channel than this connection
  runbook    docs/runbooks/clients-refuse-now.md
"""
    device = self_signed("api.example.com", key=key(LEAF))

    assert expected == told(
        decide(
            ProvenLeaf(links(device.certificate)[0]),
            leaf=(pin(UNUSED),),
            backup=(pin(OTHER),),
            trust=Trust.PINS_ONLY,
        )
    )


def test_clock(
    pin: Callable[[int], Pin],
    policy: Callable[..., Policy],
    presented: PresentedChain,
    told: Callable[..., str],
) -> None:
    """Where the time is in question, the time and every validity stand in the text."""
    expected = """
api.example.com:443 refused: untrusted, the chain sent does not verify.

  expected: any one of these pins                              seen: sent, none of it verified
  leaf    sha256/K5hbrfG6yCk/a5LowKzBE5vFpey7+Xpicdzw1PbGivY=    0 CN=api.example.com
  backup  sha256/2vxBjrCC6Dx2pI8MUm/kXpyk1Oz6gjZt4/zNNwmfygE=      EC P-256
                                                                   sha256/K5hbrfG6yCk/...
                                                                   from 2026-11-01T00:00:00Z
                                                                   to 2027-01-30T00:00:00Z
                                                                 1 CN=Lab CA
                                                                   EC P-256
                                                                   sha256/3AzmM9vMkT2v...
                                                                   from 2026-11-01T00:00:00Z
                                                                   to 2027-01-30T00:00:00Z

  pin set    payments, enforce
  time       2026-12-01T09:30:00Z
  reason     certificate is not yet valid
  observed   clock: a certificate outside its validity at the time here: a wrong clock, one that was
             not renewed or an old one shown again, which look the same from here
  ask        payments team <pay@example.com>, by another channel than this connection
  runbook    docs/runbooks/clients-refuse-now.md
"""

    assert expected == told(
        untrusted(
            policy(leaf=(pin(LEAF),), backup=(pin(OTHER),)),
            "api.example.com",
            "certificate is not yet valid",
            presented,
        ),
        verify_code=9,
    )


def test_wrong_host(
    pin: Callable[[int], Pin],
    policy: Callable[..., Policy],
    links: Callable[..., tuple[ChainCertificate, ...]],
    issuing: Authority,
    key: Callable[[int], PrivateKey],
    told: Callable[..., str],
) -> None:
    """Where the name is in question, the names in the certificate stand in the text."""
    expected = """
api.example.com:443 refused: untrusted, the chain sent does not verify.

  expected: any one of these pins                              seen: sent, none of it verified
  leaf    sha256/K5hbrfG6yCk/a5LowKzBE5vFpey7+Xpicdzw1PbGivY=    0 CN=w0.example.net
  backup  sha256/2vxBjrCC6Dx2pI8MUm/kXpyk1Oz6gjZt4/zNNwmfygE=      EC P-256
                                                                   sha256/K5hbrfG6yCk/...

  pin set    payments, enforce
  time       2026-12-01T09:30:00Z
  reason     Hostname mismatch
  observed   wrong-host: a certificate made out for other names: a server set up wrongly or someone
             else's server, which look the same from here
  names      w0.example.net, w1.example.net, w2.example.net, w3.example.net, w4.example.net and 2
             more
  ask        payments team <pay@example.com>, by another channel than this connection
  runbook    docs/runbooks/clients-refuse-now.md
"""
    names = [f"w{number}.example.net" for number in range(7)]
    neighbor = issuing.issue(*names, key=key(LEAF))

    assert expected == told(
        untrusted(
            policy(leaf=(pin(LEAF),), backup=(pin(OTHER),)),
            "api.example.com",
            "Hostname mismatch",
            PresentedChain(links(neighbor.certificate)),
        ),
        verify_code=62,
    )


def test_unknown(
    pin: Callable[[int], Pin],
    policy: Callable[..., Policy],
    presented: PresentedChain,
    told: Callable[..., str],
) -> None:
    """A chain that does not verify for another reason is shown as sent, with the reason."""
    expected = """
api.example.com:443 refused: untrusted, the chain sent does not verify.

  expected: any one of these pins                              seen: sent, none of it verified
  leaf    sha256/K5hbrfG6yCk/a5LowKzBE5vFpey7+Xpicdzw1PbGivY=    0 CN=api.example.com
  backup  sha256/2vxBjrCC6Dx2pI8MUm/kXpyk1Oz6gjZt4/zNNwmfygE=      EC P-256
                                                                   sha256/K5hbrfG6yCk/...
                                                                 1 CN=Lab CA
                                                                   EC P-256
                                                                   sha256/3AzmM9vMkT2v...

  pin set    payments, enforce
  time       2026-12-01T09:30:00Z
  reason     unable to get local issuer certificate
  observed   unknown: nothing that tells the causes apart
  ask        payments team <pay@example.com>, by another channel than this connection
  runbook    docs/runbooks/clients-refuse-now.md
"""

    assert expected == told(
        untrusted(
            policy(leaf=(pin(LEAF),), backup=(pin(OTHER),)),
            "api.example.com",
            "unable to get local issuer certificate",
            presented,
        ),
        verify_code=20,
    )
