"""``make demo``: a panel with real nodes to try it on, all of it thrown away at the end."""
