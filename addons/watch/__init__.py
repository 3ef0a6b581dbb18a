"""Watching what add-ons did: each node is looked at again and again, and nothing is changed."""
