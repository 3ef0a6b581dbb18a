"""Who signs in."""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A person who works in the panel. Custom from the first migration, so that it can grow."""
