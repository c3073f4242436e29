"""What a pickle's instructions stand for here: plain data, plans of tensors, arrays, and inert names.

A pickle names functions and classes and says what to call them with. Here a name is never looked up and never called:

* the few constructors that tensors, arrays and plain containers need have stand-ins of our own (:data:`CONSTRUCTORS`);
* what Python's library, PyTorch or numpy would *do* (``os.system``, ``builtins.eval``, ``torch.hub.load``) makes the
  whole file refused: no weights need it, and whoever loads such a file elsewhere would run it;
* anything else, as the hyper-parameters that Lightning and MMEngine save along, harmless parts of Python's library
  among them (``range``, loggers, patterns, enums), becomes an :class:`Inert` record.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from transfer.untrusted import arrays, tensors
from transfer.untrusted.refusal import Refusal, shown


@dataclass(frozen=True)
class Name:
    """A global of the pickle: a module and a name in it, as text."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Inert:
    """An object of a class that is not known here: what it was, and the items of those that are mappings."""

    kind: str
    items: dict[Any, Any] = field(default_factory=dict)


_PYTHON_2 = {"__builtin__", "copy_reg", "exceptions", "commands", "cPickle", "urllib2", "UserDict", "StringIO"}
_STANDARD_LIBRARY = sys.stdlib_module_names | _PYTHON_2
_HARMLESS_MODULES = {  # of the standard library: whatever of them is saved among a run's arguments is data
    *("abc", "argparse", "array", "bisect", "calendar", "cmath", "collections", "collections.abc", "copy", "datetime"),
    *("decimal", "enum", "fractions", "functools", "heapq", "itertools", "ipaddress", "json", "json.decoder", "math"),
    *("json.encoder", "numbers", "operator", "pathlib", "pathlib._local", "posixpath", "random", "re", "statistics"),
    *("string", "textwrap", "time", "typing", "uuid", "weakref", "zoneinfo", "UserDict", "exceptions"),
    *("_collections", "_collections_abc", "_datetime", "_decimal", "_functools", "_operator", "_random", "_thread"),
}
_HARMLESS_NAMES = {
    "dataclasses": {"MISSING", "_MISSING_TYPE", "Field", "_HAS_DEFAULT_FACTORY_CLASS"},
    "logging": {
        "getLogger",
        "Logger",
        "RootLogger",
        "LoggerAdapter",
        "Formatter",
        "PercentStyle",
        "Filter",
        "LogRecord",
    },
    "copyreg": {"_reconstructor", "__newobj__", "__newobj_ex__"},
    "types": {"SimpleNamespace", "MappingProxyType", "NoneType", "GenericAlias", "UnionType"},
    "io": {"BytesIO", "StringIO"},
    "_io": {"BytesIO", "StringIO"},
    "inspect": {"_empty", "Parameter", "Signature", "_ParameterKind"},
    "signal": {"Signals", "Handlers", "Sigmasks"},
    "socket": {"AddressFamily", "SocketKind"},
    "StringIO": {"StringIO"},
}
_HARMLESS_NAMES["copy_reg"] = _HARMLESS_NAMES["copyreg"]
_BUILTINS = ("builtins", "__builtin__")
_DANGEROUS_BUILTINS = {
    *(
        "eval",
        "exec",
        "execfile",
        "compile",
        "open",
        "file",
        "input",
        "raw_input",
        "breakpoint",
        "help",
        "exit",
        "quit",
    ),
    *("getattr", "setattr", "delattr", "globals", "locals", "vars", "memoryview", "apply", "reload", "__import__"),
}
_OF_TENSORS = ("torch", "numpy", "torchvision")
_HARMLESS_CALLS = {"_ufunc_reconstruct", "_mareconstruct", "_get_layout", "_get_dtype"}
_WAYS_OUT = {"os", "sys", "posix", "nt", "subprocess", "builtins", "importlib", "shutil", "socket", "ctypes", "pickle"}
_WAYS_OUT |= {"eval", "exec", "system", "popen", "open", "getattr", "setattr", "compile"}


def name_of(module: str, name: str) -> Name:
    """A global as the pickle writes it.

    Raises:
        Refusal: it belongs to the standard library and could do something, or it reaches through another module.
    """
    found = Name(module, name)
    if (module, name) in CONSTRUCTORS or _is_harmless(module, name) or (module in _BUILTINS and name == "getattr"):
        return found
    root, *parts = f"{module}.{name}".split(".")
    if root in _STANDARD_LIBRARY or _has_dunder(parts) or _WAYS_OUT & set(parts):
        raise Refusal(
            f"it refers to '{shown(found)}', which no weights need; where its code is trusted, load it there and save "
            "the state_dict alone"
        )
    return found


def _is_harmless(module: str, name: str) -> bool:
    """Whether a name of the standard library stands for data, or for a function that only computes.

    A method (``Path.touch``) is never harmless: what it does is not told by its module.
    """
    if name in _HARMLESS_NAMES.get(module, ()):
        return True
    if "." in name or _has_dunder([name]):
        return False
    if module in _BUILTINS:
        return name not in _DANGEROUS_BUILTINS
    return module in _HARMLESS_MODULES and name not in _WAYS_OUT


def _has_dunder(parts: list[str]) -> bool:
    return any(part.startswith("__") and part.endswith("__") for part in parts)


def construct(name: Any, arguments: Any) -> Any:
    """What calling ``name`` stands for.

    Raises:
        Refusal: a call that no weights need, or impossible arguments of a tensor or array.
    """
    if not isinstance(name, Name) or not isinstance(arguments, tuple):
        of = f" (what {shown(name.kind)} gives)" if isinstance(name, Inert) else ""
        raise Refusal(f"it calls something that is not a name{of}")
    if name.module in _BUILTINS and name.name == "getattr":
        return _attribute(*arguments)
    constructor = CONSTRUCTORS.get((name.module, name.name))
    if constructor is not None:
        return constructor(*arguments)
    root, last = name.module.split(".")[0], name.name.split(".")[-1]
    if root in _OF_TENSORS and not last[:1].isupper() and last not in _HARMLESS_CALLS:
        if last.startswith("_rebuild"):
            return tensors.Unusable(last.removeprefix("_rebuild_"))
        random_state = name.module.startswith("numpy.random.") and last.startswith("__")  # kept to resume a run
        if not random_state:
            raise Refusal(f"it calls '{shown(name)}', which no weights need")
    return Inert(str(name))


def set_state(target: Any, state: Any) -> None:
    """What giving an object its state (the instruction BUILD) stands for.

    Raises:
        Refusal: the target has no state, or an array's state does not fit its bytes.
    """
    if isinstance(target, arrays.Dtype | arrays.Array):
        target.set_state(state)
    elif isinstance(target, Inert) and isinstance(state, dict):
        target.items.update(state)
    elif not isinstance(target, Inert | dict | tensors.TensorPlan | tensors.Unusable):
        raise Refusal(f"it sets the state of a {type(target).__name__}")


def set_item(target: Any, key: Any, value: Any) -> None:
    """Put an item into a mapping.

    Raises:
        Refusal: no mapping, the key is there already, or the key is a nested structure (slow or fatal to hash).
    """
    items = target.items if isinstance(target, Inert) else target
    if not isinstance(items, dict):
        raise Refusal(f"it sets items of a {type(target).__name__}")
    if isinstance(key, tensors.TensorPlan | tensors.Unusable | tensors.Storage | arrays.Array | arrays.Dtype):
        key = Inert(f"key of type {type(key).__name__}")  # optimisers of PyTorch 0.1 kept their state by parameter
    parts = key if isinstance(key, tuple) else (key,)
    if not all(isinstance(part, str | int | float | bytes | None | Name | Inert) for part in parts):
        raise Refusal(f"it has a mapping's key of type {type(key).__name__} with nested parts")
    if key in items:
        raise Refusal(f"it has the key '{shown(key)}' twice")
    items[key] = value


def _attribute(owner: Any, name: Any) -> Name | Inert:
    """Nested classes and methods of unknown classes are pickled as ``getattr(class, name)``: a longer name.

    Bound methods are pickled as ``getattr(object, name)``: inert.
    """
    if isinstance(owner, Inert) and isinstance(name, str):
        return Inert(f"getattr({owner.kind}, {name})")
    if not isinstance(owner, Name) or not isinstance(name, str) or owner.module in _BUILTINS:
        raise Refusal("it calls 'builtins.getattr' on something that is not a class")
    return name_of(owner.module, f"{owner.name}.{name}")


def _mapping(pairs: Any = ()) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in pairs.items() if isinstance(pairs, dict) else pairs:
        set_item(found, key, value)
    return found


def _default_mapping(_factory: Any = None, pairs: Any = ()) -> dict[Any, Any]:
    return _mapping(pairs)


def _set(members: Any = ()) -> Inert:
    return Inert(f"set of {len(members)}" if isinstance(members, list | tuple | dict) else "set")


def _bytes(content: Any = b"", encoding: Any = "latin1") -> bytes:
    """``_codecs.encode(text, 'latin1')``: how protocols below 3 write bytes; and ``bytearray(bytes)``."""
    if isinstance(content, bytes):
        return content
    if not isinstance(content, str) or encoding not in ("latin1", "latin-1"):
        raise Refusal("it encodes text in another way than bytes are written")
    return content.encode("latin1")


CONSTRUCTORS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): _mapping,
    ("collections", "Counter"): _mapping,
    ("collections", "defaultdict"): _default_mapping,
    ("_codecs", "encode"): _bytes,
    **{(module, "dict"): _mapping for module in _BUILTINS},
    **{(module, kind): _set for module in _BUILTINS for kind in ("set", "frozenset")},
    **{(module, kind): _bytes for module in _BUILTINS for kind in ("bytes", "bytearray")},
    ("torch", "device"): lambda *_: Inert("torch.device"),
    ("torch.serialization", "_get_layout"): lambda *_: Inert("torch.layout"),
    ("torch", "Size"): lambda sizes=(): tuple(sizes),
    **arrays.CONSTRUCTORS,
    **tensors.CONSTRUCTORS,
}


def _rebuilt_from_type(function: Any, _kind: Any, arguments: Any, _state: Any) -> Any:
    return construct(function, arguments)


CONSTRUCTORS["torch._tensor", "_rebuild_from_type_v2"] = _rebuilt_from_type
