"""pycurl, told its pins by Holdfast: `pycurl_client.py URL`, for `holdfast lab run`.

libcurl holds the leaf's key against them by itself. docs/clients/curl.md says what is lost.
"""

import os
import sys
from urllib.parse import urlsplit

import pycurl

import holdfast
from holdfast.enforcement.clients.curl import curl_pins

policy = holdfast.load_policy(os.environ["HOLDFAST_LAB_POLICY"])
curl = pycurl.Curl()
curl.setopt(pycurl.URL, sys.argv[1])
curl.setopt(pycurl.CAINFO, os.environ["HOLDFAST_LAB_ANCHORS"])
curl.setopt(pycurl.FOLLOWLOCATION, 1)
curl.setopt(pycurl.FAILONERROR, 1)
curl.setopt(pycurl.TIMEOUT, 5)
curl_pins(policy, urlsplit(sys.argv[1]).hostname or "").apply_to(curl)
print(curl.perform_rs())
