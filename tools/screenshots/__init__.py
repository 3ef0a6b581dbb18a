"""Pictures of every page, from a made-up company's panel on one made-up day."""
