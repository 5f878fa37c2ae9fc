"""The machine that Vagrant raises."""

from provision.machines.facts import vagrant_facts
from provision.machines.machine import Machine, last_words
from provision.machines.providers import KINDS, machine_of

__all__ = ["KINDS", "Machine", "last_words", "machine_of", "vagrant_facts"]
