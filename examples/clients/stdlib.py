"""The standard library, pinned by Holdfast: `stdlib.py URL [CERTIFICATE]`, for `holdfast lab run`.

CERTIFICATE is the client's own, `{client_certificate}` of the lab. A context does not see
redirects: urllib is told here not to follow those that lead away from pinned hosts, or from HTTPS.
"""

import os
import sys
from http.client import HTTPMessage
from typing import IO
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

import holdfast

policy = holdfast.PolicyFile(os.environ["HOLDFAST_LAB_POLICY"], check_interval=0.2)
context = holdfast.PinningContext(policy, public_anchors=os.environ["HOLDFAST_LAB_ANCHORS"])
if len(sys.argv) > 2:
    context.load_cert_chain(sys.argv[2])


class PinnedRedirects(HTTPRedirectHandler):
    """Follows within the hosts that have pins."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Refuse to leave them."""
        url = urlsplit(newurl)
        if url.scheme != "https" or policy.current().pin_set_for(url.hostname or "") is None:
            raise URLError(f"not followed, since no pins hold there: {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


opener = build_opener(HTTPSHandler(context=context), PinnedRedirects)
with opener.open(sys.argv[1], timeout=5) as response:
    print(response.read().decode())
