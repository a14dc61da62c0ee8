#!/bin/sh
# curl with its own pins, without Holdfast: `curl.sh URL`, for `holdfast lab run`.
# Bound to the keys in HOLDFAST_LAB_PIN and HOLDFAST_LAB_BACKUP, for each host it is sent to.
# curl knows pins of the leaf's key only: no pins of CAs, no denied keys, no policy file.
set -eu

# Not set is no pin, which curl would take for a wish: end here instead.
pin=${HOLDFAST_LAB_PIN:?} backup=${HOLDFAST_LAB_BACKUP:?}

exec curl -q --silent --show-error --fail -m 5 \
    --location --max-redirs 5 --proto-redir =https \
    --cacert "${HOLDFAST_LAB_ANCHORS:?}" \
    --pinnedpubkey "sha256//${pin#sha256/};sha256//${backup#sha256/}" \
    -- "${1:?}"
