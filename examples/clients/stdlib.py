"""A client of the standard library, pinned by Holdfast: `stdlib.py URL`, for `holdfast lab run`."""

import os
import sys
from urllib.request import urlopen

import holdfast

context = holdfast.PinningContext(
    holdfast.PolicyFile(os.environ["HOLDFAST_LAB_POLICY"], check_interval=0.2),
    public_anchors=os.environ["HOLDFAST_LAB_ANCHORS"],
)
with urlopen(sys.argv[1], context=context, timeout=5) as response:
    print(response.read().decode())
