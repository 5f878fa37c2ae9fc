"""Stand-ins for services of the internet, for end-to-end tests."""
