"""smtplib and imaplib, pinned by Holdfast: `mail.py URL`, for `holdfast lab run`.

`holdfast lab run --transport smtp,imap -- python mail.py {url}`
"""

import imaplib
import os
import smtplib
import sys
from urllib.parse import urlsplit

import holdfast

context = holdfast.PinningContext(
    holdfast.PolicyFile(os.environ["HOLDFAST_LAB_POLICY"]),
    public_anchors=os.environ["HOLDFAST_LAB_ANCHORS"],
)
url = urlsplit(sys.argv[1])
host, port = url.hostname or "", url.port or 0
if url.scheme == "smtp":
    with smtplib.SMTP(host, port, timeout=5) as outgoing:
        outgoing.starttls(context=context)
        print(outgoing.noop())
else:
    with imaplib.IMAP4(host, port, timeout=5) as incoming:
        incoming.starttls(context)
        print(incoming.noop())
