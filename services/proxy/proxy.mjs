// The hub's proxy: configurable-http-proxy, changed in two ways.
//
// Servers behind it learn the visitor's address and the public scheme from this program alone. Headers in which
// a visitor claims them are dropped: tornado would believe X-Real-Ip before anything else. A proxy that stands in
// front and is trusted by its address may name the visitor.
//
// The certificate is read again when its file changes, so that a renewal drops no connection.

import { readFileSync, watchFile } from "node:fs";
import { BlockList, isIP, isIPv6 } from "node:net";
import { parseArgs } from "node:util";

const LOOK_EVERY = 1000; // milliseconds
// Seconds that an idle connection stays open. It must not end before the peer's own limit, or requests meet a closed
// connection and fail: web servers and most balancers wait for 60, Google's for 600, Cloudflare for 900.
const IDLE_VISITOR = 75;
const IDLE_PROXY = 920;
const CLAIMS = ["forwarded", "x-real-ip", "x-scheme"].concat(
  ["for", "host", "port", "proto", "protocol", "scheme", "server"].map((name) => `x-forwarded-${name}`),
);

const { values: given } = parseArgs({
  options: {
    library: { type: "string" }, // folder of configurable-http-proxy
    ip: { type: "string", default: "" },
    port: { type: "string" },
    "api-port": { type: "string" },
    "error-target": { type: "string" },
    scheme: { type: "string" }, // as visitors see it
    certificate: { type: "string" }, // PEM: a key, then its certificate and the chain
    hsts: { type: "string", default: "0" }, // seconds
    trusted: { type: "string", multiple: true, default: [] }, // addresses and ranges of proxies in front
  },
});

const { default: ConfigurableProxy } = await import(`${given.library}/lib/configproxy.js`);
const { defaultLogger } = await import(`${given.library}/lib/log.js`);
const log = defaultLogger({ level: "info" });

function plain(address) {
  return (address ?? "").replace(/^::ffff:/, ""); // IPv4 on a socket of IPv6
}

const trusted = new BlockList();
for (const place of given.trusted) {
  const [address, prefix] = place.split("/");
  const family = isIPv6(address) ? "ipv6" : "ipv4";
  if (prefix === undefined) trusted.addAddress(address, family);
  else trusted.addSubnet(address, Number(prefix), family);
}

function isTrusted(address) {
  return isIP(address) > 0 && trusted.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

function visitor(request) {
  const peer = plain(request.socket.remoteAddress);
  const said = (request.headers["x-forwarded-for"] ?? "").split(",").map((part) => part.trim());
  const chain = [...said.filter(Boolean), peer];
  while (chain.length > 1 && isTrusted(plain(chain.at(-1)))) chain.pop();
  return plain(chain.at(-1));
}

function introduce(request) {
  const address = visitor(request);
  for (const name of CLAIMS) delete request.headers[name];
  request.headers["x-forwarded-for"] = address;
  request.headers["x-forwarded-proto"] = given.scheme;
  request.headers["x-scheme"] = given.scheme;
  if (request.headers.host) request.headers["x-forwarded-host"] = request.headers.host;
}

function readCertificate() {
  const pem = readFileSync(given.certificate);
  return { key: pem, cert: pem, minVersion: "TLSv1.2", honorCipherOrder: true };
}

const proxy = new ConfigurableProxy({
  log,
  authToken: process.env.CONFIGPROXY_AUTH_TOKEN,
  errorTarget: given["error-target"],
  ssl: given.certificate ? readCertificate() : undefined,
  xfwd: false,
});

const server = proxy.proxyServer;
server.keepAliveTimeout = 1000 * (given.trusted.length ? IDLE_PROXY : IDLE_VISITOR);
server.prependListener("upgrade", introduce);
server.prependListener("request", (request, response) => {
  introduce(request);
  if (given.hsts !== "0") response.setHeader("Strict-Transport-Security", `max-age=${given.hsts}`);
});

if (given.certificate) {
  watchFile(given.certificate, { interval: LOOK_EVERY }, () => {
    try {
      server.setSecureContext(readCertificate());
      log.info("Read the certificate again");
    } catch (error) {
      log.error("Keeping the old certificate: %s", error.message);
    }
  });
}

// A broken connection must not end the program and drop all others; configurable-http-proxy's own program does the
// same. A port that is taken does end it.
process.on("uncaughtException", (error) => log.error(error.stack ?? error.message));
for (const each of [server, proxy.apiServer]) {
  each.on("error", (error) => {
    log.error(error.message);
    if (error.syscall === "listen") process.exit(1);
  });
}

server.listen(Number(given.port), given.ip);
proxy.apiServer.listen(Number(given["api-port"]), "127.0.0.1");
log.info("Proxying %s://%s:%s", given.scheme, given.ip || "*", given.port);
