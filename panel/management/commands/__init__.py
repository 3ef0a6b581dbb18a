"""One module a noun; its verbs are sub-commands."""
