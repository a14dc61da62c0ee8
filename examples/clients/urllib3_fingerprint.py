"""urllib3's own pin of a whole certificate, without Holdfast: `urllib3_fingerprint.py URL`.

Bound to one certificate, so that a renewal is refused, for each host it is sent to.
"""

import base64
import os
import sys

import urllib3

_, _, digest = os.environ["HOLDFAST_LAB_CERT_PIN"].partition("/")
with urllib3.PoolManager(
    ca_certs=os.environ["HOLDFAST_LAB_ANCHORS"],
    assert_fingerprint=base64.b64decode(digest).hex(),
    timeout=5,
    retries=urllib3.Retry(total=None, connect=0, read=0, other=0, redirect=5),
) as http:
    print(http.request("GET", sys.argv[1]).data.decode())
