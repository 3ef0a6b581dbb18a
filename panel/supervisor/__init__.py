"""One command that runs the whole panel: web, worker, beat and, where none is named, the broker."""
