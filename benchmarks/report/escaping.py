"""Text from records as text, and nothing else: in Markdown, in LaTeX, in a spreadsheet."""

from __future__ import annotations

from scenebench.untrusted_text import clip as clip
from scenebench.untrusted_text import visible as visible

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "Δ": r"$\Delta$",
    "−": r"$-$",
    "–": "--",
    "√": r"$\surd$",
    "²": r"\textsuperscript{2}",
    "×": r"$\times$",
    "…": r"\ldots{}",
}


def escape_markdown(text: str) -> str:
    """Text as text: no cell borders, no HTML, no emphasis or links of its own."""
    text = one_line(text).replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "|*`":
        text = text.replace(sign, "\\" + sign)
    return text.replace("](", "]\\(")


def escape_latex(text: str) -> str:
    """Text as text in LaTeX, in one line; what its fonts may lack is named by its code point."""
    return "".join(_LATEX.get(sign) or _in_latex_fonts(sign) for sign in one_line(text))


def _in_latex_fonts(sign: str) -> str:
    """ASCII and European letters as they are (encoding T1); an unknown sign would stop LaTeX."""
    is_letter = sign.isalpha() and 0xC0 <= ord(sign) < 0x180
    return sign if sign.isascii() or is_letter else f"[U+{ord(sign):04X}]"


def inert(text: str) -> str:
    """Text that a spreadsheet would take for a formula gets an apostrophe in front; numbers stay numbers."""
    if text[:1] in ("=", "+", "@", "\t", "\r") or (text[:1] == "-" and not text[1:2].isdigit()):
        return "'" + text
    return text


def one_line(text: str) -> str:
    """``text`` without line breaks and other control characters (a terminal would obey some of them)."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
