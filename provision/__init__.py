"""The driver: it runs where the operator sits."""
