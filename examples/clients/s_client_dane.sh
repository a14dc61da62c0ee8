#!/bin/sh
# openssl s_client with DANE, without Holdfast: `s_client_dane.sh URL`, for `holdfast lab run`.
# Bound to the keys in HOLDFAST_LAB_PIN and HOLDFAST_LAB_BACKUP, for each host it is sent to, by
# TLSA records of usage 1 (PKIX-EE: on top of verification), selector 1 (key), matching type 1
# (SHA-256) of RFC 6698. As a resolver with DNSSEC would give them; here they are arguments.
set -eu

hops=5

record() {
    hex=$(printf %s "${1#sha256/}" | openssl base64 -d -A | od -An -tx1 | tr -d ' \n')
    printf '1 1 1 %s' "$hex"
}

pin=$(record "${HOLDFAST_LAB_PIN:?}") backup=$(record "${HOLDFAST_LAB_BACKUP:?}")

fetch() {
    host=${1#https://} host=${host%%/*}
    name=${host%:*}
    # -ign_eof: the answer is waited for when the request has been sent.
    printf 'GET /%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "${1#https://*/}" "$host" |
        timeout 5 openssl s_client -quiet -ign_eof -connect "$host" -servername "$name" \
            -CAfile "${HOLDFAST_LAB_ANCHORS:?}" -verify_return_error \
            -dane_tlsa_domain "$name" -dane_tlsa_rrdata "$pin" -dane_tlsa_rrdata "$backup"
}

url=${1:?}
while :; do
    case $url in https://*) ;; *) echo "$url is not followed" >&2; exit 1 ;; esac
    answer=$(fetch "$url" 2>/dev/null) || { echo "$url: refused" >&2; exit 1; }
    next=$(printf '%s\n' "$answer" | tr -d '\r' | sed -n 's/^location: //Ip;/^$/q')
    [ -n "$next" ] || break
    [ "$hops" -gt 0 ] || { echo "too many redirects" >&2; exit 1; }
    hops=$((hops - 1)) url=$next
done
printf '%s\n' "$answer" | tr -d '\r' | sed '1,/^$/d'
