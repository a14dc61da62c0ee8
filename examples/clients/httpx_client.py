"""httpx, pinned by Holdfast: `httpx_client.py URL`, for `holdfast lab run`."""

import os
import sys

import httpx

import holdfast
from holdfast.enforcement.clients.httpx import PinningTransport

policy = holdfast.PolicyFile(os.environ["HOLDFAST_LAB_POLICY"], check_interval=0.2)
transport = PinningTransport(policy, public_anchors=os.environ["HOLDFAST_LAB_ANCHORS"])
with httpx.Client(transport=transport, timeout=5, follow_redirects=True) as client:
    print(client.get(sys.argv[1]).text)
