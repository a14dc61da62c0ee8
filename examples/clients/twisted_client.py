"""Twisted, pinned by Holdfast: `twisted_client.py URL`, for `holdfast lab run`.

Pins do not see redirects: the agent is told here not to follow those that lead away from HTTPS.
"""

import os
import sys
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react
from twisted.web.client import Agent, RedirectAgent, SchemeNotSupported, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

import holdfast
from holdfast.enforcement.clients.pyopenssl import OpenSSLPinning
from holdfast.enforcement.clients.twisted import PinningPolicyForHTTPS

policy = holdfast.PolicyFile(os.environ["HOLDFAST_LAB_POLICY"], check_interval=0.2)
pinning = OpenSSLPinning(policy, public_anchors=os.environ["HOLDFAST_LAB_ANCHORS"])


@implementer(IAgent)
class PinnedAgent:
    """Talks to hosts that have pins, and to no others."""

    def __init__(self, agent: IAgent) -> None:
        """Wrap an agent."""
        self.agent = agent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803  Twisted's name
    ) -> Deferred[IResponse]:
        """Refuse any other."""
        url = urlsplit(uri.decode())
        if url.scheme != "https" or policy.current().pin_set_for(url.hostname or "") is None:
            raise SchemeNotSupported(f"not followed, since no pins hold there: {uri!r}")
        return self.agent.request(method, uri, headers, bodyProducer)


async def fetch(agent: IAgent) -> None:
    """Print what a server answers."""
    response = await RedirectAgent(agent).request(b"GET", sys.argv[1].encode())
    print((await readBody(response)).decode())


def main(reactor: IReactorTime) -> Deferred[None]:
    """Fetch, within 5 seconds."""
    agent = PinnedAgent(Agent(reactor, PinningPolicyForHTTPS(pinning)))
    return Deferred.fromCoroutine(fetch(agent)).addTimeout(5, reactor)


react(main)
