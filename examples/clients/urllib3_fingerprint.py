"""urllib3's own pin of a whole certificate, without Holdfast: `urllib3_fingerprint.py URL`."""

import base64
import os
import sys

import urllib3

_, _, digest = os.environ["HOLDFAST_LAB_CERT_PIN"].partition("/")
with urllib3.PoolManager(
    ca_certs=os.environ["HOLDFAST_LAB_ANCHORS"],
    assert_fingerprint=base64.b64decode(digest).hex(),
    timeout=5,
    retries=False,
) as http:
    print(http.request("GET", sys.argv[1]).data.decode())
