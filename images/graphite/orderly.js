// A backend of StatsD that lets it end in good order: asked to stop, it passes on what it has received first.
// From then on /health, which asks for this status, says that StatsD listens no more: what came after the last
// flush would be gone.
exports.init = (startup, config, events) => {
  let leaving = false;
  process.removeAllListeners("SIGTERM"); // StatsD's own ends at once, and what it held is gone
  process.once("SIGTERM", () => {
    leaving = true;
    setTimeout(() => process.exit(0), config.flushInterval + 2000).unref();
  });
  // The backend for carbon is asked first; half a second is plenty for one line a metric over loopback.
  events.on("flush", () => leaving && setTimeout(() => process.exit(0), 500));
  events.on("status", (tell) => tell(null, "orderly", "leaving", Number(leaving)));
  return true;
};
