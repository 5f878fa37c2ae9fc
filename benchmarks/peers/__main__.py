"""Runs that change nothing, as whole processes, by every way in turn: `.venv/bin/python -m benchmarks.peers`.

About 25 minutes on two cores. One bare host container; each way makes the same list true before its turns are
timed, and a way that then changes something is not timed. `--write` puts table and plot into docs/.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.machines import PROJECT, bench
from benchmarks.peers import plot, ways
from benchmarks.peers.wanted import Wanted
from benchmarks.relay import Relay
from benchmarks.timing import conditions, run
from tests.support.hosts.containers import bare_host

Way = Callable[[Path, Wanted, ways.Host, Path], ways.Command]

WAYS: dict[str, Way] = {
    "plain shell over ssh": ways.shell,
    "Hubwright": ways.hubwright,
    "pyinfra": ways.pyinfra,
    "ansible-core with Mitogen": ways.mitogen,
    "ansible-core": ways.ansible,
}
OURS = (WAYS["plain shell over ssh"], WAYS["Hubwright"])
FAR_WAYS = ("plain shell over ssh", "Hubwright", "pyinfra")  # the others take many minutes there
COUNTS = (10, 40, 160)
FAR = 40  # files, at DELAY
DELAY = 0.1  # seconds each way
ROUNDS = 5
LONG = 20.0  # seconds; a way that takes longer has three turns, for the sake of the others
BEFORE = (
    "apt-get -qq update && apt-get -qq install python3-apt >/dev/null 2>&1"  # ansible-core's apt needs it
)
LOCK = Path(__file__).with_name("requirements.txt")
PAGE = PROJECT / "docs" / "reference" / "benchmarks.md"
PLOT = PROJECT / "docs" / "images" / "peers.svg"

Times = dict[str, dict[str, list[float]]]
"""Column → way → seconds."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", action="store_true", help="put table and plot into docs/")
    options.add_argument("--counts", type=int, nargs="*", default=COUNTS, help="files in the list")
    options.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    given = options.parse_args()
    conditions()
    with tempfile.TemporaryDirectory(prefix="hubwright-peers-") as name:
        folder = Path(name)
        programs = install_peers(folder / "venv")
        with bench() as here, bare_host(here.operator, f"peers-{os.getpid()}") as host:
            host.run(BEFORE)
            found: Times = {}

            def measure(column: str, count: int, port: int, names: Iterable[str] = given.ways) -> None:
                near = ways.Host(port, "vagrant", here.operator.key, folder / "known_hosts")
                place = folder / column.replace(" ", "-")
                found[column] = in_turn(place, Wanted(count), near, programs, names)
                print(table({column: found[column]}), flush=True)

            for count in given.counts:
                measure(f"{count} files", count, host.ssh_port)
            with Relay(host.ssh_port, DELAY) as relay:
                measure(
                    f"{FAR} files, 200 ms", FAR, relay.port, [name for name in given.ways if name in FAR_WAYS]
                )
    print(table(found))
    if given.write:
        plot.write(PLOT, medians(found))
        write_table(PAGE, table(found))


def install_peers(folder: Path) -> Path:
    """Install the peers into an environment of their own. Returns the folder of their programs."""
    run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    uv = Path(sys.executable).with_name("uv")
    python = folder / "bin" / "python"
    run([str(uv), "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(LOCK)])
    return folder / "bin"


def in_turn(
    folder: Path, wanted: Wanted, host: ways.Host, peers: Path, names: Iterable[str]
) -> dict[str, list[float]]:
    """Seconds of each way's runs that change nothing; the ways take turns, so that other work slows all."""
    commands = {}
    for name in names:
        place = folder / name.replace(" ", "-")
        place.mkdir(parents=True)
        programs = Path(sys.executable).parent if WAYS[name] in OURS else peers
        commands[name] = WAYS[name](place, wanted, host, programs)
        seconds(commands[name])  # makes it true
    found: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(ROUNDS):
        for name, command in commands.items():
            if number < 3 or statistics.median(found[name]) < LONG:
                took, said = seconds(command)
                if not command.changes_nothing(said):
                    raise SystemExit(f"{name} has changed something:\n{said}")
                found[name].append(took)
    return found


def seconds(command: ways.Command) -> tuple[float, str]:
    """The seconds that a command takes, and all that it says."""
    environment = {**os.environ, **command.environment}
    began = time.monotonic()
    with (command.stdin or Path(os.devnull)).open("rb") as stdin:
        done = subprocess.run(
            command.argv, stdin=stdin, env=environment, capture_output=True, text=True, check=False
        )
    took = time.monotonic() - began
    said = done.stdout + done.stderr
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command.argv)} ended with {done.returncode}:\n{said}")
    return took, said


def medians(found: Times) -> dict[str, dict[str, float]]:
    return {
        column: {way: statistics.median(times) for way, times in row.items()} for column, row in found.items()
    }


def table(found: Times) -> str:
    """A table in Markdown: medians, and how many times plain shell's each is."""
    columns = medians(found)
    lines = ["| | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for way in WAYS:
        cells = []
        for values in columns.values():
            if way not in values:
                cells.append("")
                continue
            shell = values.get("plain shell over ssh")
            times = f" ({values[way] / shell:.1f} times)" if shell and way != "plain shell over ssh" else ""
            cells.append(f"{values[way]:.2f} s{times}")
        if any(cells):
            lines.append(f"| {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_table(page: Path, text: str) -> None:
    """Replace the table between the page's two markers."""
    begin, end = "<!-- peers -->\n", "<!-- end of peers -->\n"
    before, rest = page.read_text(encoding="utf-8").split(begin)
    block = f"{text}\n\n![Seconds by way, for each list](../images/{PLOT.name})\n"
    page.write_text(f"{before}{begin}{block}{end}{rest.split(end)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
