"""gevent and eventlet, patched before Holdfast comes and after: pinned, or refused."""

import importlib.util
import subprocess
import sys

import pytest

from holdfast.testing import PinnedServer
from tests.clients.recipes import clean_environment

GEVENT = "from gevent import monkey; monkey.patch_all()"
EVENTLET = "import eventlet; eventlet.monkey_patch()"
CONTEXT = "holdfast.PinningContext(policy, public_anchors=sys.argv[2])"
STOCK = "ssl.create_default_context(cafile=sys.argv[2])"
INSTALL = "holdfast.install(policy)"

_PROGRAM = """\
{first}
import sys
import holdfast
policy = holdfast.load_policy(sys.argv[1])
{install}
{after}
import ssl, urllib.request
for url in sys.argv[3:]:
    try:
        print(urllib.request.urlopen(url, context={context}, timeout=5).status)
    except Exception as error:
        print("violation" if holdfast.violation_from(error) else type(error).__name__)
"""
PINNED = ["200", "violation"]
REFUSED = ["PinnedContextError", "PinnedContextError"]


@pytest.mark.parametrize(
    ("first", "install", "after", "context", "expected"),
    [
        pytest.param(GEVENT, "", "", CONTEXT, PINNED, id="gevent-first-context"),
        pytest.param(GEVENT, INSTALL, "", STOCK, PINNED, id="gevent-first-process"),
        pytest.param("", "", GEVENT, CONTEXT, PINNED, id="gevent-after-context"),
        pytest.param("", INSTALL, GEVENT, STOCK, REFUSED, id="gevent-after-process"),
        pytest.param(EVENTLET, "", "", CONTEXT, REFUSED, id="eventlet-first-context"),
        pytest.param(EVENTLET, INSTALL, "", STOCK, REFUSED, id="eventlet-first-process"),
        pytest.param("", "", EVENTLET, CONTEXT, REFUSED, id="eventlet-after-context"),
        pytest.param("", INSTALL, EVENTLET, STOCK, REFUSED, id="eventlet-after-process"),
    ],
)
def test_greenlets_are_pinned_or_refused(
    *,
    first: str,
    install: str,
    after: str,
    context: str,
    expected: list[str],
    pinned_server: PinnedServer,
) -> None:
    """Whichever comes first, no byte reaches an impostor, and what cannot be pinned is refused."""
    needed = "gevent" if GEVENT in {first, after} else "eventlet"
    # Not imported here: eventlet puts its own ssl into what it imports.
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    program = _PROGRAM.format(first=first, install=install, after=after, context=context)

    files = (pinned_server.policy_path, pinned_server.anchors_path)
    urls = (pinned_server.url, pinned_server.impostor.url)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *files, *urls],
        # What resolves names for eventlet imports trio, which does not stand the patch.
        env={**clean_environment(), "EVENTLET_NO_GREENDNS": "yes"},
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )

    assert expected == done.stdout.split(), done.stderr
    assert 0 == pinned_server.impostor.application_bytes
