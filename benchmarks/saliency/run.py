"""Saliency: maps of a backbone, or of a control, held against masks of what people find salient."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.evaluation.inputs import choose_images, selection_note
from benchmarks.protocols.protocol import SaliencyProtocol
from benchmarks.saliency.maps import backbone_maps, chosen_source
from pretrain.saliency import shuffled_maps
from scenebench.errors import UserError
from scenebench.salient_folder import read_mask
from scenebench.salient_quality import SalientQuality, centre_prior, in_cells, salient_quality
from transfer.backbone_file import load_network

_CONTROLS = {
    "reference:centre_prior": lambda mask: centre_prior(mask.shape).float(),
    "reference:uniform_maps": lambda mask: torch.ones(mask.shape),
    "reference:labels_known": lambda mask: mask.float(),
}
"""By the name of the reference: what a control says of an image whose mask is this."""
SHUFFLED, CELLS = "another image's map", "masks in the map's cells"
_log = logging.getLogger("scenebench")


def run(cell: Cell) -> Outcome:
    """Judge the cell's backbone, or a control.

    Raises:
        UserError: a picture without its mask, a mask of another size or without anything salient, a file that cannot be
            decoded, or maps that the backbone does not have.
    """
    protocol = cell.protocol
    assert isinstance(protocol, SaliencyProtocol)
    split, limit = protocol.data.test_split, protocol.data.max_test_images
    indices, paths = choose_images(cell.data, split, limit)
    files = cell.data.semantic(split)
    masks = [read_mask(files[index], _size(path)) for index, path in zip(indices, paths, strict=True)]
    notes = selection_note(cell.data, split, limit)
    if cell.info is None:
        control = salient_quality([_CONTROLS[str(cell.backbone)](mask) for mask in masks], masks)
        return Outcome({**_percent(control), **_shuffled(None)}, 0, len(masks), notes=notes)
    return _run_backbone(cell, protocol, paths, masks, notes)


def _run_backbone(
    cell: Cell, protocol: SaliencyProtocol, paths: Sequence[Path], masks: Sequence[Tensor], notes: list[str]
) -> Outcome:
    if len(masks) < 2:
        raise UserError(f"{cell.data.root}: one picture alone; {SHUFFLED} needs two or more")
    info, network = load_network(cell.backbone_file)
    source = chosen_source(network, protocol.settings)
    maps = backbone_maps(network, info.preprocessing, paths, protocol.settings)
    cells = (maps[source].shape[1], maps[source].shape[2])
    others = shuffled_maps(maps[source], np.random.default_rng(protocol.settings.seed))
    found = {name: salient_quality(list(of_source), masks) for name, of_source in maps.items()}
    shuffled = salient_quality(list(others), masks)
    rows = {name: _percent(one) for name, one in found.items()}
    rows[SHUFFLED] = _percent(shuffled)
    rows[CELLS] = _percent(salient_quality([in_cells(mask, cells) for mask in masks], masks))
    for name, control in _CONTROLS.items():
        label = name.removeprefix("reference:").replace("_", " ")
        rows[label] = _percent(salient_quality([control(mask) for mask in masks], masks))
    for name, row in rows.items():
        _log.info("%-26s %s", name, "  ".join(f"{metric} {value:.2f}" for metric, value in row.items()))
    return Outcome(
        metrics={**_percent(found[source]), **_shuffled(shuffled)},
        per_class=rows,
        train_images=0,
        test_images=len(masks),
        notes=[*notes, f"{source} maps of {cells[0]} x {cells[1]} cells"],
    )


def _percent(quality: SalientQuality) -> dict[str, float | None]:
    return {"max_F": 100 * quality.max_f, "AUC": 100 * quality.auc, "MAE": 100 * quality.mae}


def _shuffled(quality: SalientQuality | None) -> dict[str, float | None]:
    """None for a control: it says the same of every image, or the truth."""
    values = dict.fromkeys(("max_F", "AUC", "MAE")) if quality is None else _percent(quality)
    return {f"{name}_shuffled": value for name, value in values.items()}


def _size(path: Path) -> tuple[int, int]:
    """Width and height by the head of the file; what cannot be opened is named when it is read."""
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: cannot be decoded ({error}); repair it, or remove it and its mask") from error
