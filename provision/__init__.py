"""The driver: it runs on the operator's computer."""
