// A backend of StatsD that keeps each flush in a slot of its own, and stops StatsD without loss.
//
// Carbon keeps one value for each ten seconds of the clock. On a busy host a flush may be late by seconds, and the
// next one in time: were both stamped with the clock, the second could overwrite the first. So a flush is stamped
// with the time it was due.
//
// Asked to stop, it first passes on all that it has received. From then on /health, which asks for this status,
// says that StatsD does not listen: numbers that came after the last flush would be lost.
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
  process.removeAllListeners("SIGTERM"); // StatsD's own handler ends at once and loses what it held
  process.once("SIGTERM", () => {
    leaving = true;
    setTimeout(() => process.exit(0), config.flushInterval + 2000).unref();
  });
  // The backend for carbon is asked first; half a second is plenty for one line a metric over loopback.
  events.on("flush", () => leaving && setTimeout(() => process.exit(0), 500));
  events.on("status", (tell) => tell(null, "orderly", "leaving", Number(leaving)));
  return true;
};
