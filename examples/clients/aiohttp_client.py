"""aiohttp, pinned by Holdfast: `aiohttp_client.py URL`, for `holdfast lab run`."""

import asyncio
import os
import sys

import aiohttp

import holdfast

context = holdfast.PinningContext(
    holdfast.PolicyFile(os.environ["HOLDFAST_LAB_POLICY"], check_interval=0.2),
    public_anchors=os.environ["HOLDFAST_LAB_ANCHORS"],
)


async def fetch(url: str) -> None:
    """Print what a server answers."""
    connector = aiohttp.TCPConnector(ssl=context)
    timeout = aiohttp.ClientTimeout(total=5)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        session.get(url) as response,
    ):
        print(await response.text())


asyncio.run(fetch(sys.argv[1]))
