"""A gateway from mail to texts and back."""

__version__ = "0.1.0"
