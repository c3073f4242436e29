"""The table of all rules. The documentation's list is generated from it."""

from __future__ import annotations

from transfer.config_lint import input_rules, loading_rules, network_rules, structure_rules, training_rules
from transfer.config_lint.rule import Rule

RULES: tuple[Rule, ...] = (
    *structure_rules.RULES,
    *input_rules.RULES,
    *network_rules.RULES,
    *loading_rules.RULES,
    *training_rules.RULES,
)
RULES_BY_ID = {rule.id: rule for rule in RULES}


def rules_page() -> str:
    """The list of rules as a Markdown table: ``python -m transfer.config_lint.rules`` prints it."""
    lines = ["| rule | severity | finds | why | fix |", "|---|---|---|---|---|"]
    for rule in RULES:
        fix = f"{rule.fix} Detectron2: {rule.fix_detectron2}" if rule.fix_detectron2 else rule.fix
        cells = (f"`{rule.id}`", rule.severity, rule.finds, rule.why, fix)
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("*", "\\*") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(rules_page(), end="")
