"""The steps of the encryption add-on, each reversible and level-triggered."""
