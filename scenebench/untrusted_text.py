"""Text that others wrote, made fit to be shown: its invisible signs spelt, its length bounded."""

from __future__ import annotations


def visible(text: str, keep: str = "") -> str:
    """``text`` whose invisible signs are spelt, ``[U+202E]``: controls, zero-width and direction marks, surrogates.

    A page shows nothing that a reader cannot see, and no sign that turns the text beside it around.

    Args:
        keep: invisible signs that stay as they are, say a line break.
    """
    if text.isprintable():
        return text
    bare = text
    for sign in keep:
        bare = bare.replace(sign, "")
    if bare.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in keep else f"[U+{ord(sign):04X}]" for sign in text)


def clip(text: str, longest: int = 80) -> str:
    """``text`` cut to a length that a table can show; records may hold anything."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
