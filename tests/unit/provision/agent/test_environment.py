"""The environment that a login user's shell leaves to a run."""

from __future__ import annotations

from provision.agent import environment


def test_the_system_s_own_programs_come_first_and_nothing_misleads_them() -> None:
    found = {
        "PATH": "/opt/conda/bin:/usr/bin::.:/snap/bin",
        "PYTHONPATH": "/home/ada/lib",
        "PYTHONHOME": "/opt/conda",
        "LD_LIBRARY_PATH": "/opt/conda/lib",
        "VIRTUAL_ENV": "/home/ada/.venv",
        "https_proxy": "http://proxy:3128",
        "SUDO_USER": "ada",
    }
    environment.put_right(found)
    assert found == {
        "PATH": f"{environment.PATH}:/opt/conda/bin:/snap/bin",
        "https_proxy": "http://proxy:3128",
        "SUDO_USER": "ada",
    }


def test_a_run_without_a_path_gets_one() -> None:
    found: dict[str, str] = {}
    environment.put_right(found)
    assert found == {"PATH": environment.PATH}
