// Node.js, pinned as its documentation of https.request shows, without Holdfast:
// `node_https.js URL`, for `holdfast lab run`.
//
// Bound to the keys in HOLDFAST_LAB_PIN and HOLDFAST_LAB_BACKUP, for each host it is sent to.
// The documentation hashes `cert.pubkey`, which is a SubjectPublicKeyInfo for RSA only
// (for EC it is the point), so the key is taken out of the certificate here.
// The agent keeps connections and sessions, as is usual.
// Node.js does not call `checkServerIdentity` when a session is resumed.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const https = require("node:https");
const tls = require("node:tls");

const MAX_HOPS = 5;

const pins = [process.env.HOLDFAST_LAB_PIN, process.env.HOLDFAST_LAB_BACKUP];

function checkServerIdentity(host, cert) {
  const error = tls.checkServerIdentity(host, cert);
  if (error) {
    return error;
  }
  const spki = new crypto.X509Certificate(cert.raw).publicKey.export({ type: "spki", format: "der" });
  const pin = `sha256/${crypto.createHash("sha256").update(spki).digest("base64")}`;
  if (!pins.includes(pin)) {
    return new Error(`the key of ${host} is not pinned: ${pin}`);
  }
}

const agent = new https.Agent({
  keepAlive: true,
  ca: fs.readFileSync(process.env.HOLDFAST_LAB_ANCHORS),
  checkServerIdentity,
});

function fail(error) {
  console.error(String(error));
  process.exit(1);
}

// Not the option `timeout`: where a handshake stalls, a request that waits behind it counts as a
// write in progress once, and 5 seconds become 10.
const signal = AbortSignal.timeout(5000);

function fetch(url, hops) {
  const request = https.request(url, { agent, signal }, (response) => {
    const { location } = response.headers;
    if (response.statusCode >= 300 && response.statusCode < 400 && location) {
      if (hops === 0) {
        fail(`more than ${MAX_HOPS} redirects`);
      }
      response.resume();
      response.on("end", () => fetch(new URL(location, url), hops - 1));
    } else if (response.statusCode !== 200) {
      fail(`status ${response.statusCode}`);
    } else {
      response.on("error", fail);
      response.on("data", (data) => process.stdout.write(data));
      response.on("end", () => agent.destroy());
    }
  });
  request.on("error", fail);
  request.end();
}

fetch(new URL(process.argv[2]), MAX_HOPS);
