"""The command `hubwright`. Every command parses, calls one function, and maps its outcome to an exit code.

Modules that cost time to import (paramiko, pydantic, rich) are imported in the functions that use them, so
that --help and completion answer at once.
"""

from provision.cli.group import cli
from provision.cli.main import main

__all__ = ["cli", "main"]
