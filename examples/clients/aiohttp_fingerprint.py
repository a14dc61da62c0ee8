"""aiohttp's own pin of a whole certificate, without Holdfast: `aiohttp_fingerprint.py URL`.

Bound to one certificate, so that a renewal is refused. `Fingerprint` comes instead of
verification, not on top of it: issuer, name and validity are not looked at.
"""

import asyncio
import base64
import os
import sys

import aiohttp

_, _, digest = os.environ["HOLDFAST_LAB_CERT_PIN"].partition("/")


async def fetch(url: str) -> None:
    """Print what a server answers."""
    connector = aiohttp.TCPConnector(ssl=aiohttp.Fingerprint(base64.b64decode(digest)))
    timeout = aiohttp.ClientTimeout(total=5)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        session.get(url) as response,
    ):
        print(await response.text())


asyncio.run(fetch(sys.argv[1]))
