"""A run that starts from another's weights (``init_from``): what is read, what must fit, and what is taken over.

Taken over are both encoders, whole (a backbone file has the backbone alone, for both), and every further part that the
other run has in the same shapes: a dictionary, a predictor, a second head. A dictionary goes over whole or not at all,
since a slot's parts belong to one crop, and only where both runs see the same images. What starts from scratch is
named; optimiser, schedule and saliency maps always do.
"""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pretrain.checkpoint import read_checkpoint
from pretrain.methods.base import PREPROCESSING, Method
from pretrain.recipes.recipe import Recipe
from pretrain.run_data import RunData
from pretrain.run_folder import CHECKPOINTS, RECIPE, recipe_of
from scenebench.errors import UserError
from transfer.backbone_file import load_backbone

_DIGITS = 16
_NAMED = 3  # tensors of a difference that are named
# What the methods call the encoder that learns, and its momentum copy.
_ROLES = {
    "query_encoder": "leader",
    "online_encoder": "leader",
    "network": "leader",
    "key_encoder": "follower",
    "target_encoder": "follower",
}
_BACKBONES = ("leader.backbone", "follower.backbone")
_ENCODERS = (*_BACKBONES, "leader.projector", "follower.projector")


@dataclass(frozen=True)
class Start:
    """Weights that a run can start from.

    Attributes:
        where: the path as it was given, for what is said.
        what: what lies there, in words.
        content: 16 hexadecimal digits of the names, types, shapes and values of all tensors.
        state: a method's state, under names that the methods share.
        must_have: the parts that whoever starts from it finds here, whole.
        data: what the run had learnt from; None of a backbone file.
    """

    where: str
    what: str
    content: str
    state: dict[str, Any]
    must_have: tuple[str, ...]
    data: RunData | None


def read_start(path: str) -> Start:
    """Read what ``init_from`` names: a run's folder (its newest checkpoint), a checkpoint, or a backbone file.

    Nothing is unpickled that could run.

    Raises:
        UserError: missing, damaged, of another kind, or a backbone for images that are normalised otherwise.
    """
    place = Path(path)
    if place.suffix == ".safetensors":
        return _of_backbone(place)
    if not place.exists():
        raise UserError(f"init_from: {path} does not exist; give a run's folder, its checkpoint, or a backbone file")
    try:
        file, state = read_checkpoint(place / CHECKPOINTS if place.is_dir() else place)
    except (OSError, RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile, EOFError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"init_from: {path} is no checkpoint of 'scenebench pretrain' ({reason})") from error
    if not isinstance(state, dict) or not {"method", "step", "images"} <= state.keys():
        raise UserError(
            f"init_from: {path} is no checkpoint of 'scenebench pretrain'; make a backbone file of another trainer's "
            "by 'scenebench import'"
        )
    run = place if place.is_dir() else file.parent.parent
    name = f"{recipe_of(run).name}, " if (run / RECIPE).is_file() else ""
    return Start(
        where=path,
        what=f"{name}step {int(state['step'])}",
        content=_content(state["method"]),
        state=_shared_names(state["method"]),
        must_have=_ENCODERS,
        data=RunData.kept(state),
    )


def resolve_start(recipe: Recipe, out: Path) -> tuple[Recipe, Start | None]:
    """``recipe`` with the ``init_hash`` of what it starts from, and that, if it had to be read.

    It is not where the run in ``out`` was begun from the same path.

    Raises:
        UserError: as :func:`read_start`, or it is not what ``init_hash`` says.
    """
    if not recipe.init_from:
        return recipe, None
    begun = recipe_of(out) if (out / RECIPE).is_file() else None
    if begun is not None and begun.init_from == recipe.init_from and recipe.init_hash in ("", begun.init_hash):
        return replace(recipe, init_hash=begun.init_hash), None
    start = read_start(recipe.init_from)
    return replace(recipe, init_hash=_agreed(recipe, start)), start


def take_over(method: Method, recipe: Recipe, start: Start | None, data: RunData) -> str:
    """Give ``method``, freshly built, the weights it starts from; returns what was done, in a line.

    Args:
        recipe: resolved by :func:`resolve_start`.
        start: None: read it.
        data: what the method learns from.

    Raises:
        UserError: as :func:`read_start`; a tensor of the encoders is missing, more than there should be, or of another
            shape.
    """
    start = read_start(recipe.init_from) if start is None else start
    _agreed(recipe, start)
    own = method.state_dict()
    shared = {_shared_name(name): name for name in own}
    parts = _parts(shared)
    required = [part for part in start.must_have if part in parts]
    if "leader.backbone" not in parts:
        raise UserError(f"init_from: method {recipe.method} names no encoder that could start from {start.where}")
    _require_equal(start, {name: own[shared[name]] for part in required for name in parts[part]}, required)
    same_images = start.data is not None and start.data.has_images_of(data)
    taken: list[str] = list(required)
    scratch: list[str] = []
    for part, names in parts.items():
        reason = "" if part in required else _unfit(start, {name: own[shared[name]] for name in names}, same_images)
        if reason:
            scratch.append(f"{part} ({reason})")
        elif part not in required:
            taken.append(part)
    names = [name for part in taken for name in parts[part] if _is_filled(own[shared[name]])]
    method.load_state_dict(own | {shared[name]: start.state[name] for name in names})
    return (
        f"starts from {start.where} ({start.what}, weights {start.content}); taken over: {', '.join(taken)}; "
        f"from scratch: {', '.join([*scratch, 'optimiser', 'schedule'])}"
    )


def _agreed(recipe: Recipe, start: Start) -> str:
    if recipe.init_hash not in ("", start.content):
        raise UserError(
            f"init_from: the weights of {start.where} are {start.content}, not {recipe.init_hash} (init_hash); give "
            "those that are meant, or another folder for the run"
        )
    return start.content


def _of_backbone(path: Path) -> Start:
    info, tensors = load_backbone(path)
    if info.preprocessing != PREPROCESSING:
        raise UserError(
            f"init_from: {path} was trained on images normalised otherwise ({info.preprocessing}) than here "
            f"({PREPROCESSING}); take another backbone"
        )
    state = {f"{part}.{name}": tensor for part in _BACKBONES for name, tensor in tensors.items()}
    return Start(str(path), f"the backbone of {info.method}", _content(tensors), state, _BACKBONES, None)


def _shared_name(name: str) -> str:
    """A tensor's name where the encoders are called by their roles, and a base beside a branch is as one alone."""
    name = name.removeprefix("base.")
    first, dot, rest = name.partition(".")
    return f"{_ROLES.get(first, first)}{dot}{rest}"


def _shared_names(state: Mapping[str, Any]) -> dict[str, Any]:
    return {_shared_name(name): value for name, value in state.items()}


def _parts(names: Iterable[str]) -> dict[str, list[str]]:
    """Names by the part that they belong to: of encoders and branches a module, else what the method itself has."""
    parts: dict[str, list[str]] = {}
    for name in names:
        words = name.split(".")
        if words[0] == "_extra_state":
            continue  # how far a schedule has come
        depth = 2 if words[0] in ("leader", "follower", "crops") else 1
        parts.setdefault(".".join(words[:depth]), []).append(name)
    return parts


def _require_equal(start: Start, wanted: Mapping[str, Tensor], parts: list[str]) -> None:
    """Raise UserError unless ``start`` has just the tensors ``wanted`` in these parts."""
    held = {name for part, names in _parts(start.state).items() if part in parts for name in names}
    missing = [name for name in wanted if name not in held]
    more = [name for name in held if name not in wanted]
    shapes = [
        f"{name} ({_size(start.state[name])} there, {_size(tensor)} here)"
        for name, tensor in wanted.items()
        if name in held and start.state[name].shape != tensor.shape
    ]
    found = [
        f"{len(names)} tensors {kind}: {', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''}"
        for kind, names in (("are missing", missing), ("of another shape", shapes), ("too many", sorted(more)))
        if names
    ]
    if found:
        raise UserError(
            f"init_from: {start.where} ({start.what}) does not fit this network ({'; '.join(found)}); give network.* "
            "the values of that run"
        )


def _unfit(start: Start, wanted: Mapping[str, Any], same_images: bool) -> str:
    """Why a part cannot be taken over; "" where it can."""
    tensors = {name: value for name, value in wanted.items() if isinstance(value, Tensor) and _is_filled(value)}
    if not tensors:
        return "as in every run"
    if any(name not in start.state for name in wanted):
        return "not there"
    if any(start.state[name].shape != tensor.shape for name, tensor in tensors.items()):
        return "of another shape there"
    if any(name.endswith("image_ids") for name in tensors) and not same_images:
        return "of other images there"
    return ""


def _is_filled(value: Any) -> bool:
    """Whether there is anything to take over: a dictionary without features has none of 0 columns."""
    return not isinstance(value, Tensor) or value.numel() > 0


def _size(tensor: Tensor) -> str:
    return "x".join(str(side) for side in tensor.shape) or "a number"


def _content(state: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for name in sorted(name for name, value in state.items() if isinstance(value, Tensor)):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:_DIGITS]
