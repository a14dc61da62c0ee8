"""The standard library, pinned by Holdfast: `stdlib.py URL [CERTIFICATE]`, for `holdfast lab run`.

CERTIFICATE is the client's own, `{client_certificate}` of the lab.
"""

import os
import sys
from urllib.request import urlopen

import holdfast

context = holdfast.PinningContext(
    holdfast.PolicyFile(os.environ["HOLDFAST_LAB_POLICY"], check_interval=0.2),
    public_anchors=os.environ["HOLDFAST_LAB_ANCHORS"],
)
if len(sys.argv) > 2:
    context.load_cert_chain(sys.argv[2])
with urlopen(sys.argv[1], context=context, timeout=5) as response:
    print(response.read().decode())
