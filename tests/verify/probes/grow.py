"""Make a file longer, writing nothing: `grow.py BYTES…`. Prints true for each length that is allowed."""

from __future__ import annotations

import errno
import json
import sys
import tempfile

if __name__ == "__main__":
    allowed = []
    with tempfile.TemporaryFile(dir=".") as file:
        for length in map(int, sys.argv[1:]):
            try:
                file.truncate(length)
                allowed.append(True)
            except OSError as error:
                if error.errno != errno.EFBIG:
                    raise
                allowed.append(False)
            file.truncate(0)
    print(json.dumps(allowed))
