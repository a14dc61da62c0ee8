"""The addresses of a host, as the machine's resolver has them, within a time.

`getaddrinfo` blocks for as long as the resolver likes, and nothing can stop it. It runs in a thread
that nobody waits for: neither the probe that gave up on it, nor the process when it ends. (The
threads of an executor are waited for, which would turn two seconds into the resolver's minutes.)
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread

from holdfast.pins.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the resolver says of a host."""

    addresses: tuple[str, ...]
    """In the order in which it wants them tried."""
    canonical_name: str
    """Where the aliases (CNAME) end."""


async def resolve(endpoint: Endpoint, timeout: float) -> Resolved:
    """Ask the resolver for an endpoint's host.

    Raises:
        OSError: The name has no address, or the resolver did not answer within `timeout` seconds.
    """
    try:
        async with asyncio.timeout(timeout):
            return await asyncio.wrap_future(_look_up(endpoint.host, endpoint.port))
    except TimeoutError:
        raise OSError(f"the resolver did not answer for {endpoint.host}") from None
    except UnicodeError:
        raise OSError(f"{endpoint.host} cannot be resolved") from None


def _look_up(host: str, port: int) -> Future[Resolved]:
    answer: Future[Resolved] = Future()
    answer.set_running_or_notify_cancel()  # so that giving up on it cannot make the thread fail

    def ask() -> None:
        try:
            found = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME
            )
        except (OSError, UnicodeError) as error:
            answer.set_exception(error)
            return
        addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
        answer.set_result(Resolved(tuple(addresses), found[0][3] or host))

    Thread(target=ask, name=f"look-up of {host}", daemon=True).start()
    return answer
