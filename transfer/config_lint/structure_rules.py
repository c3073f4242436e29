"""Rules on how files are written and inherit; the readers find these themselves."""

from __future__ import annotations

from transfer.config_lint.rule import ERROR, NOTE, WARNING, Rule

RULES = (
    Rule(
        "unreadable",
        ERROR,
        "a file that is not YAML or Python",
        "No toolbox can load it.",
        "Mend the syntax.",
    ),
    Rule(
        "duplicate-key",
        ERROR,
        "a key twice in one section",
        "YAML's reader and Python's dict keep the last without a word; everything under the first is lost "
        "(9 of 44 published files of one project; one lost SyncBN, FREEZE_AT 0 and STRIDE_IN_1X1 so).",
        "Merge the two sections.",
    ),
    Rule(
        "missing-base",
        ERROR,
        "a base that does not exist",
        "The configuration cannot be loaded, and never was in this state.",
        "Name the right file; paths are relative to the file that names them.",
    ),
    Rule(
        "base-cycle",
        ERROR,
        "a base that leads back to the file",
        "Loading would never end.",
        "Take one of the bases out.",
    ),
    Rule(
        "unresolved-base",
        NOTE,
        "a base that cannot be read here",
        "What it sets is unknown, so absent keys are not checked against the toolbox's defaults.",
        "Install the package that carries it, or lint where it is.",
    ),
    Rule(
        "key-in-two-bases",
        ERROR,
        "a name that two bases set",
        "mmengine refuses to load it.",
        "Keep it in one of the bases.",
    ),
    Rule(
        "cannot-inherit",
        ERROR,
        "a section over a base's plain value",
        "The toolbox refuses to merge the two.",
        "_delete_=True in the dict, or another key.",
        "Another key, or a base without it.",
    ),
    Rule(
        "deletes-nothing",
        WARNING,
        "_delete_=True in a dict that no base has",
        "mmengine then leaves the key in the dict, and what is built from it refuses it.",
        "Take _delete_ out, or mend the name of the dict.",
    ),
    Rule(
        "schedule-assigned-twice",
        ERROR,
        "a schedule assigned twice in one file",
        "Only the last counts: a published '2x' configuration (24 epochs, then 12) is a 1x so.",
        "Delete the one that is not meant.",
    ),
    Rule(
        "assigned-twice",
        WARNING,
        "another name assigned twice in one file",
        "Only the last counts.",
        "Delete the one that is not meant.",
    ),
)
