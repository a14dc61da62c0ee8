"""urllib as it is, in a process that Holdfast pins: `installed.py URL`, for `holdfast lab run`.

Redirects that urllib follows are judged too. Those of requests, httpx and aiohttp are not, where a
process is pinned as a whole: their own helpers do that.
"""

import os
import ssl
import sys
from urllib.request import urlopen

import holdfast

holdfast.install(holdfast.PolicyFile(os.environ["HOLDFAST_LAB_POLICY"], check_interval=0.2))
context = ssl.create_default_context(cafile=os.environ["HOLDFAST_LAB_ANCHORS"])
with urlopen(sys.argv[1], context=context, timeout=5) as response:
    print(response.read().decode())
