"""Real hosts for tests: containers on this computer."""
