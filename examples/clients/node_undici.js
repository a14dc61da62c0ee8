// undici, the HTTP client behind Node.js' fetch, without Holdfast: `node_undici.js URL`, for
// `holdfast lab run`. Pinned in `checkServerIdentity`, which undici hands on to TLS.
//
// Bound to the keys in HOLDFAST_LAB_PIN and HOLDFAST_LAB_BACKUP, for each host it is sent to.
// `npm install undici` has to find a place where this file finds it, or NODE_PATH names one.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const tls = require("node:tls");
const { Agent, fetch } = require("undici");

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

const dispatcher = new Agent({
  connect: { ca: fs.readFileSync(process.env.HOLDFAST_LAB_ANCHORS), checkServerIdentity },
});

async function main(url) {
  const response = await fetch(url, { dispatcher, signal: AbortSignal.timeout(5000) });
  if (!response.ok) {
    throw new Error(`status ${response.status}`);
  }
  process.stdout.write(await response.text());
  await dispatcher.destroy();
}

main(process.argv[2]).catch((error) => {
  console.error(String(error.cause ?? error));
  process.exit(1);
});
