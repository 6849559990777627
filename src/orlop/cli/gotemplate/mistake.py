"""What is wrong with a template, and where."""

from __future__ import annotations


class Mistake(Exception):
    """A template cannot be read, or cannot be applied to a value. ``position`` counts characters from 0."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position


class Unfit(Exception):
    """A function cannot be applied to its arguments; whoever called it knows where that is."""
