// A backend of StatsD that keeps each of its flushes in a slot of its own, and lets it end in good order.
//
// Carbon keeps one value for each ten seconds of the clock. On a busy machine a flush may be late by seconds, and
// the next one comes in time: were both stamped with the clock, the second could take the first one's place. So a
// flush is stamped with the time it was due.
//
// The end in good order: asked to stop, it passes on what it has received first.
// From then on /health, which asks for this status, says that StatsD listens no more: what came after the last
// flush would be gone.
exports.init = (startup, config, events) => {
  const step = config.flushInterval / 1000;
  const emit = events.emit;
  let last = 0;
  events.emit = function (name, ...words) {
    if (name === "flush") {
      const due = Math.floor((words[0] - startup) / step);
      const ahead = last + 1 - due;
      last = ahead > 0 && ahead < 6 ? last + 1 : due; // further ahead: someone has set the clock back
      words[0] = startup + last * step;
    }
    return emit.call(this, name, ...words);
  };
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
