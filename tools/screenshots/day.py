"""The day of the pictures, and who looks at the pages on it."""

from datetime import UTC, datetime

NOW = datetime(2026, 11, 22, 14, 32, 8, 410_000, UTC)
USER, PASSWORD = "ada", "a quite long pass-phrase 7"
