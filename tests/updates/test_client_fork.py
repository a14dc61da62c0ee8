"""A process that forks while another thread of it refreshes."""

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from holdfast.updates.client import Refreshed
from holdfast.updates.refresher import Refresher
from tests.updates.origin import Origin
from tests.updates.seeded import NEW, OLD, Start, bundle, policy
from tests.updates.signed_repository import SignedRepository

PATIENCE = 15.0

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


class Slow:
    """An answer of which a part comes, and the rest only when the test says so."""

    def __init__(self, body: bytes) -> None:
        """Take what is to be sent."""
        self._body = body
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        """Send it."""
        request.close_connection = False
        request.send_response(200)
        request.send_header("content-length", str(len(self._body)))
        request.end_headers()
        request.wfile.write(self._body[:10])
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        request.wfile.write(self._body[10:])


@pytest.fixture
def slow(seeded: SignedRepository, origin: Origin) -> Iterator[Slow]:
    """New pins, and an origin that stops in the middle of its timestamp."""
    seeded.publish(bundle(2, policy(OLD, NEW)))
    path = "metadata/timestamp.json"
    answer = origin.answers[path] = Slow(seeded.files[path])
    yield answer
    answer.go_on.set()


def _exit_code_of_child(work: Callable[[], int]) -> Callable[[], int]:
    """Fork, and return what waits for the child."""
    child = os.fork()
    if child == 0:  # pragma: no cover  in the child
        code = 1
        try:
            thread = threading.Thread(target=lambda: os._exit(work()), daemon=True)
            thread.start()
            thread.join(PATIENCE)
            code = 99  # it hangs
        finally:
            os._exit(code)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_child_refreshes_although_its_parent_was_about_to(start: Start, slow: Slow) -> None:
    """It neither waits for a thread that it has not, nor writes into its parent's connection."""
    client = start()
    done: list[Refreshed] = []
    thread = threading.Thread(target=lambda: done.append(client.refresh()), daemon=True)
    thread.start()
    assert slow.begun.wait(PATIENCE)

    exit_code = _exit_code_of_child(
        lambda: int(not client.refresh().succeeded or client.current() != policy(OLD, NEW))
    )
    slow.go_on.set()

    assert 0 == exit_code()
    thread.join(PATIENCE)
    assert [Refreshed(succeeded=True)] == done


def test_a_child_goes_on_in_the_background(start: Start, slow: Slow) -> None:
    """So do updates that come by themselves, without anybody who asks for them."""
    client = start()
    refresher = Refresher(client, choose=lambda low, _high: low)
    refresher.begin()
    assert slow.begun.wait(PATIENCE)

    def follow() -> int:
        while client.current() != policy(OLD, NEW):
            threading.Event().wait(0.01)
        return 0

    exit_code = _exit_code_of_child(follow)
    slow.go_on.set()

    assert 0 == exit_code()
