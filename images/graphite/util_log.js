// StatsD 0.9.0 calls util.log, which Node 23 removed.
require("util").log ??= (...words) => console.log(...words);
