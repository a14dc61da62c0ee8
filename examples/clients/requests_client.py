"""requests, pinned by Holdfast: `requests_client.py URL`, for `holdfast lab run`."""

import os
import sys

import requests

import holdfast
from holdfast.enforcement.clients.requests import PinningAdapter

policy = holdfast.PolicyFile(os.environ["HOLDFAST_LAB_POLICY"], check_interval=0.2)
adapter = PinningAdapter(policy, public_anchors=os.environ["HOLDFAST_LAB_ANCHORS"])
with requests.Session() as session:
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    print(session.get(sys.argv[1], timeout=5).text)
