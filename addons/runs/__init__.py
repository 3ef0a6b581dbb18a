"""The life of a run: made, previewed, claimed, driven, ended, swept."""
