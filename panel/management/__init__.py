"""The panel's terminal: each command is a thin caller of the services that the pages call."""
