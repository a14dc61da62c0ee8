"""A client that verifies and does not pin, for comparison: `plain_urllib.py URL`."""

import os
import ssl
import sys
from urllib.request import urlopen

context = ssl.create_default_context(cafile=os.environ["HOLDFAST_LAB_ANCHORS"])
with urlopen(sys.argv[1], context=context, timeout=5) as response:
    print(response.read().decode())
