"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from transfer.config_lint.settings import Setting, Settings
from transfer.config_lint.tree import Place
from transfer.config_lint.weights import Weights

ERROR, WARNING, NOTE = "error", "warning", "note"


@dataclass(frozen=True)
class Hit:
    """One place where a rule applies.

    Attributes:
        detail: what is there, and what should be.
        inferred: whether it rests on what weights are taken to be, not on what they are known to be.
        severity, fix: where this hit's differ from its rule's.
        uses_weights: whether it depends on the weights, so that they are named beside it.
    """

    place: Place
    key: str
    detail: str
    inferred: bool = False
    severity: str = ""
    fix: str = ""
    uses_weights: bool = True

    @staticmethod
    def on(setting: Setting, detail: str, weights: Weights | None = None, severity: str = "", fix: str = "") -> Hit:
        """A hit on a setting; ``weights`` where it depends on what they were trained with."""
        inferred = weights is not None and not weights.certain
        return Hit(setting.place, setting.key, detail, inferred, severity, fix, weights is not None)

    @staticmethod
    def on_network(setting: Setting, detail: str, weights: Weights) -> Hit:
        """A hit on a setting against the weights' network, which is known for certain where their shapes were read."""
        return Hit(setting.place, setting.key, detail, not (weights.certain or weights.shapes_read))


Check = Callable[[Settings, Weights | None], Iterator[Hit]]


@dataclass(frozen=True)
class Rule:
    """One thing that can be wrong.

    Attributes:
        severity: ``error``: training would start from other features than the weights' own, or not at all;
            ``warning``: the result would not be comparable, or probably wrong; ``note``: worth knowing. An error that
            is inferred is told as a warning.
        finds: what it looks for, in a few words.
        why: why it hurts, with the effect that was measured.
        fix: the remedy; ``fix_detectron2`` where Detectron2's differs.
        check: None where the readers find it themselves.
    """

    id: str
    severity: str
    finds: str
    why: str
    fix: str
    fix_detectron2: str = ""
    check: Check | None = None


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong in one file."""

    rule: str
    severity: str
    place: Place
    key: str
    detail: str
    why: str
    fix: str
    inferred: bool
    weights: str = ""

    def text(self) -> str:
        """A block of lines, the file and line first."""
        head = f"{self.place}: {self.severity} [{self.rule}] {self.key + ': ' if self.key else ''}{self.detail}"
        lines = [head, f"    why: {self.why}", f"    fix: {self.fix}"]
        if self.weights:
            lines.append(f"    weights: {self.weights}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--format json``."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "file": str(self.place.file),
            "line": self.place.line,
            "key": self.key,
            "detail": self.detail,
            "why": self.why,
            "fix": self.fix,
            "inferred": self.inferred,
            "weights": self.weights,
        }


def finding(rule: Rule, hit: Hit, engine: str, weights: Weights | None = None) -> Finding:
    """A rule's hit in one configuration."""
    severity = hit.severity or rule.severity
    return Finding(
        rule=rule.id,
        severity=WARNING if hit.inferred and severity == ERROR else severity,
        place=hit.place,
        key=hit.key,
        detail=hit.detail,
        why=rule.why,
        fix=hit.fix or (rule.fix_detectron2 if engine == "detectron2" and rule.fix_detectron2 else rule.fix),
        inferred=hit.inferred,
        weights=weights.source if weights is not None and rule.check is not None and hit.uses_weights else "",
    )
