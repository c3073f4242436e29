"""How the readers of untrusted files say no."""

from __future__ import annotations


class Refusal(Exception):
    """A reason, as a clause without the file's name; the reader of the file makes it a UserError."""


def shown(value: object, length: int = 80) -> str:
    """Text from a file as it may be printed: on one line, without control characters, not long."""
    text = str(value)[: length + 1]
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    return printable if len(printable) <= length else printable[:length] + "..."
