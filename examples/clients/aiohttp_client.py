"""aiohttp, pinned by Holdfast: `aiohttp_client.py URL`, for `holdfast lab run`."""

import asyncio
import os
import sys

import aiohttp

import holdfast
from holdfast.enforcement.clients.aiohttp import pinned_session

policy = holdfast.PolicyFile(os.environ["HOLDFAST_LAB_POLICY"], check_interval=0.2)


async def fetch(url: str) -> None:
    """Print what a server answers."""
    anchors = os.environ["HOLDFAST_LAB_ANCHORS"]
    timeout = aiohttp.ClientTimeout(total=5)
    async with (
        pinned_session(policy, public_anchors=anchors, timeout=timeout) as session,
        session.get(url) as response,
    ):
        print(await response.text())


asyncio.run(fetch(sys.argv[1]))
