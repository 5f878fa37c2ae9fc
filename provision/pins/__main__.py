"""The program behind `make pins`."""

from __future__ import annotations

import sys

from provision.errors import Exit
from provision.pins.renew import Renewal, renew
from provision.report.reporter import Reporter
from provision.tools.project import PROJECT

if __name__ == "__main__":
    sys.exit(Exit.DONE if renew(Renewal(PROJECT), Reporter()) else Exit.FAILED)
