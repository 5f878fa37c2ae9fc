// A backend of StatsD that lets it end in good order: asked to stop, it passes on what it has received first.
exports.init = (startup, config, events) => {
  let leaving = false;
  process.removeAllListeners("SIGTERM"); // StatsD's own ends at once, and what it held is gone
  process.once("SIGTERM", () => {
    leaving = true;
    setTimeout(() => process.exit(0), config.flushInterval + 2000).unref();
  });
  // The backend for carbon is asked first; half a second is plenty for one line a metric over loopback.
  events.on("flush", () => leaving && setTimeout(() => process.exit(0), 500));
  return true;
};
