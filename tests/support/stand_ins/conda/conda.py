#!/usr/bin/python3
"""conda, as far as the project calls it: `--version`, and `create` of a prefix with Python and Node.

Python is the host's own and its standard library, copied to the prefix; the parts that the distribution
leaves out, and Node, come with the installer. Refuses all that conda would, and all that the project should
never ask for.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent
VERSION = (BASE / "version").read_text().strip()
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("conda", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"conda {VERSION}")
    create = parser.add_subparsers(required=True).add_parser("create", allow_abbrev=False)
    create.add_argument("--yes", action="store_true", required=True)
    create.add_argument("--quiet", action="store_true")
    create.add_argument("--override-channels", action="store_true", required=True)
    create.add_argument("--channel", action="append", required=True)
    create.add_argument("--prefix", type=Path, required=True)
    create.add_argument("specifications", nargs="+")
    return parser.parse_args()


def create(prefix: Path, specifications: list[str]) -> None:
    wanted = dict(word.split("=") for word in specifications)
    if wanted.get("python") != HERE or set(wanted) != {"python", "nodejs"}:
        sys.exit(f"PackagesNotFoundError: {' '.join(specifications)}; here are python={HERE} and nodejs")
    if prefix.exists():
        sys.exit(f"CondaValueError: prefix already exists: {prefix}")
    for trace in (Path(os.environ["CONDA_PKGS_DIRS"]), Path(os.environ["HOME"], ".conda")):
        trace.mkdir(parents=True, exist_ok=True)
        (trace / "left.txt").touch()

    library = prefix / "lib" / f"python{HERE}"
    standard = sysconfig.get_path("stdlib", "posix_prefix")
    left_out = shutil.ignore_patterns("__pycache__", "EXTERNALLY-MANAGED", "ensurepip")
    shutil.copytree(standard, library, ignore=left_out)
    (prefix / "bin").mkdir()
    shutil.copy(os.path.realpath(sys.executable), prefix / "bin" / f"python{HERE}")
    (prefix / "bin" / "python").symlink_to(f"python{HERE}")
    shutil.copytree(BASE / "payload", prefix, symlinks=True, dirs_exist_ok=True)
    (prefix / "ensurepip").rename(library / "ensurepip")
    bundle = library / "ensurepip" / "__init__.py"
    wheels = f"_WHEEL_PKG_DIR = '{prefix}/python-wheels'"
    bundle.write_text(re.sub(r"(?m)^_WHEEL_PKG_DIR = .*$", wheels, bundle.read_text()))

    history = prefix / "conda-meta" / "history"
    history.parent.mkdir()
    history.write_text(f"# cmd: {' '.join(sys.argv)}\n# conda version: {VERSION}\n")


if __name__ == "__main__":
    asked = arguments()
    create(asked.prefix, asked.specifications)
