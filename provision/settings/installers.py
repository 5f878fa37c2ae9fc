"""The installers of conda, pinned: hosts download them, and `hubwright init` looks for them."""

from __future__ import annotations

from .downloads import Downloads
from .python import Python

# Checksums as their publishers name them: https://repo.anaconda.com/miniconda/.files.json, and the .sha256
# file beside each asset of https://github.com/conda-forge/miniforge/releases. pyenv's definitions of the
# same versions (plugins/python-build/share/python-build) agree.
PINNED = {
    "miniconda": (
        "https://repo.anaconda.com/miniconda/Miniconda3-py313_26.3.2-2-Linux-{machine}.sh",
        {
            "x86_64": "2284bafb7863a23411b19874d216e237964d4b32dd9beb6807fa8b2d84570961",
            "aarch64": "81a5e828724478a7a036027a74356ceff0206147d3b1243c8ba32e0cfa187967",
        },
    ),
    "miniforge": (
        "https://github.com/conda-forge/miniforge/releases/download/26.7.2-0/Miniforge3-26.7.2-0-Linux-{machine}.sh",
        {
            "x86_64": "281b0ac7d550802efc81af633225a5e6116d29ae72f3ab4eae7168c3931a4c05",
            "aarch64": "89b786c8d2c8b0fda7553914c1314ae4ddaa094503802f279377b19ac4463cb2",
        },
    ),
}


def installers(python: Python, downloads: Downloads) -> tuple[tuple[str, str, str], ...]:
    """Machine, URL and SHA-256 of every installer that the settings allow; "any" for a named one."""
    if python.installer and python.sha256:
        return (("any", python.installer, python.sha256),)
    url, digests = PINNED[python.distribution]
    if downloads.conda_installers:
        url = f"{downloads.conda_installers}/{url.rpartition('/')[2]}"
    return tuple((machine, url.format(machine=machine), digest) for machine, digest in digests.items())
