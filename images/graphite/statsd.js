// StatsD makes one point a metric in carbon of all that it receives in ten seconds.
{
  port: 8125,
  address: "0.0.0.0",
  mgmt_address: "127.0.0.1",
  mgmt_port: 8126,
  flushInterval: 10000,
  backends: ["./backends/graphite", "/opt/hubwright/orderly.js"],
  graphiteHost: "127.0.0.1",
  graphitePort: 2003,
  graphite: { legacyNamespace: false },
  percentThreshold: [90],
  // A gauge that is not sent for three flushes ends, rather than keeping its last value for ever.
  deleteGauges: true,
  gaugesMaxTTL: 3,
  deleteTimers: true,
}
