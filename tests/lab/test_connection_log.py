import threading

import pytest

from holdfast.lab.connection_log import KEPT_BYTES, Connection, ConnectionLog


def test_snapshots_do_not_change() -> None:
    """A snapshot taken earlier stays what it was when the connection goes on."""
    log = ConnectionLog()
    record = log.open()
    before = log.connections

    record.update(server_name="localhost", closed=True)

    assert (Connection(),) == before
    assert (Connection(server_name="localhost", closed=True),) == log.connections


def test_records_write_to_their_own_connection() -> None:
    """Two connections at once do not mix."""
    log = ConnectionLog()
    first, second = log.open(), log.open()

    second.add_request("second")
    first.add_request("first")
    first.add_request("first again")

    assert [("first", "first again"), ("second",)] == [seen.requests for seen in log.connections]


def test_bytes_are_counted_without_end_but_kept_within_bounds() -> None:
    """The counters tell the truth when the bytes themselves are no longer kept."""
    log = ConnectionLog()
    record = log.open()

    for _ in range(2):
        record.add_application_bytes(b"a" * KEPT_BYTES)
        record.add_plain_bytes(b"p" * KEPT_BYTES)

    seen = log.connections[0]
    assert (2 * KEPT_BYTES, 2 * KEPT_BYTES) == (seen.application_bytes, seen.plain_bytes)
    assert (b"a" * KEPT_BYTES, b"p" * KEPT_BYTES) == (seen.received, seen.received_plain)


def test_waiting_ends_with_the_change_that_was_waited_for() -> None:
    """A thread that waits sees what another thread notes."""
    log = ConnectionLog()
    record = log.open()
    writer = threading.Thread(target=record.update, kwargs={"closed": True})

    writer.start()
    seen = log.wait_until(lambda connections: connections[0].closed, timeout=10)
    writer.join()

    assert (Connection(closed=True),) == seen


def test_waiting_in_vain_says_where_the_log_stands() -> None:
    """A test that times out shows what the server did see."""
    log = ConnectionLog()
    log.open().update(server_name="somewhere.example")

    with pytest.raises(TimeoutError, match=r"somewhere\.example"):
        log.wait_until(lambda connections: connections[0].closed, timeout=0.01)


def test_what_follows_has_an_entry_of_its_own() -> None:
    """What comes later on the same connection is told apart from what came before."""
    log = ConnectionLog()
    record = log.open()
    again = record.follow()

    record.add_application_bytes(b"first")
    again.add_application_bytes(b"second")

    assert [b"first", b"second"] == [seen.received for seen in log.connections]
