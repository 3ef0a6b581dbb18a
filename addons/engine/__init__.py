"""The step engine: pure decisions and the order of things. No Django, no SSH, no Redis."""
