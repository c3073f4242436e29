"""A pickle's instructions, carried out on plain data only.

Python's own unpickler calls what the pickle names, believes the sizes it states, and recurses where it says so. This
one is a loop over :func:`pickletools.genops` (which only parses): globals stay text, calls go through
:func:`transfer.untrusted.values.construct`, and the work and the memory are limited by what is counted here.
"""

from __future__ import annotations

import mmap
import pickletools
from collections.abc import Callable
from typing import IO, Any, cast

from transfer.untrusted import tensors, values
from transfer.untrusted.refusal import Refusal, shown

MAX_INSTRUCTIONS = 4_000_000
"""A ResNet-50 with its optimiser takes about 30 000; a file of more is not weights."""
MAX_CONTAINERS = 250_000
"""Lists, mappings, tuples and objects, which cost far more memory than the byte that makes them."""
MAX_DEPTH = 500
"""Structures that are open at a time."""
MAX_STACK = 200_000

_NO_MORE = object()


def run(stream: mmap.mmap, storages: dict[str, tensors.Storage] | None = None) -> Any:
    """The value of the pickle at the stream's position, which is then behind it.

    Args:
        storages: filled with the tensors' storages by key; None where the file can have none.

    Raises:
        Refusal: damaged, over a limit, or with a call or reference that no weights need.
    """
    machine = _Machine(storages)
    try:
        return machine.run(stream)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, AttributeError, RecursionError) as error:
        reason = shown(error, 160)
        raise Refusal(f"its pickle is damaged or truncated ({type(error).__name__}: {reason})") from error


class _Machine:
    def __init__(self, storages: dict[str, tensors.Storage] | None) -> None:
        self.storages = storages
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # the stacks below open marks
        self.memo: dict[int, Any] = {}
        self.containers = 0
        self.instructions = _instructions()

    def run(self, stream: mmap.mmap) -> Any:
        for count, (opcode, argument, _position) in enumerate(pickletools.genops(cast(IO[bytes], stream)), start=1):
            if count > MAX_INSTRUCTIONS:
                raise Refusal(f"its pickle has more than {MAX_INSTRUCTIONS} instructions")
            if len(self.stack) > MAX_STACK:
                raise Refusal(f"its pickle stacks more than {MAX_STACK} values")
            if opcode.name == "STOP":
                return self.stack.pop()
            instruction = self.instructions.get(opcode.name)
            if instruction is None:
                raise Refusal(f"its pickle uses the instruction {opcode.name}, which no weights need")
            made = instruction(self, argument)
            if made is not _NO_MORE:
                self.stack.append(made)
        raise ValueError("no end")

    def count_container(self) -> None:
        self.containers += 1
        if self.containers > MAX_CONTAINERS:
            raise Refusal(f"its pickle makes more than {MAX_CONTAINERS} lists, mappings and objects")

    def mark(self, _: Any) -> Any:
        if len(self.outer) >= MAX_DEPTH:
            raise Refusal(f"its pickle nests deeper than {MAX_DEPTH}")
        self.outer.append(self.stack)
        self.stack = []
        return _NO_MORE

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.outer.pop()
        return items

    def last(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError("the stack is too short")
        items = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return items

    def construct(self, name: Any, arguments: Any) -> Any:
        self.count_container()
        return values.construct(name, arguments)

    def persistent(self, reference: Any) -> Any:
        if self.storages is None:
            raise Refusal("it refers to something outside itself")
        storage = tensors.storage_of(reference)
        if isinstance(storage, tensors.Storage) and self.storages.setdefault(storage.key, storage) != storage:
            raise Refusal(f"it declares the storage '{shown(storage.key)}' twice, and differently")
        return storage


_Instruction = Callable[[_Machine, Any], Any]


def _instructions() -> dict[str, _Instruction]:
    return _LITERALS | _CONTAINERS | _STACK | _OBJECTS


def _argument(_: _Machine, argument: Any) -> Any:
    return argument


def _nothing(_: _Machine, __: Any) -> Any:
    return _NO_MORE


def _new(kind: type) -> _Instruction:
    def make(machine: _Machine, _: Any) -> Any:
        machine.count_container()
        return kind()

    return make


def _tuple_of(length: int) -> _Instruction:
    def make(machine: _Machine, _: Any) -> Any:
        machine.count_container()
        return tuple(machine.last(length))

    return make


def _tuple(machine: _Machine, _: Any) -> Any:
    machine.count_container()
    return tuple(machine.since_mark())


def _list(machine: _Machine, _: Any) -> Any:
    machine.count_container()
    return machine.since_mark()


def _dict(machine: _Machine, _: Any) -> Any:
    machine.count_container()
    made: dict[Any, Any] = {}
    _put_items(made, machine.since_mark())
    return made


def _set_members(machine: _Machine, _: Any) -> Any:
    machine.since_mark()
    return _NO_MORE


def _frozen_set(machine: _Machine, _: Any) -> Any:
    machine.count_container()
    return values.Inert(f"set of {len(machine.since_mark())}")


def _empty_set(machine: _Machine, _: Any) -> Any:
    machine.count_container()
    return values.Inert("set")


def _append(machine: _Machine, _: Any) -> Any:
    (item,) = machine.last(1)
    _extend(machine.stack[-1], [item])
    return _NO_MORE


def _appends(machine: _Machine, _: Any) -> Any:
    items = machine.since_mark()
    _extend(machine.stack[-1], items)
    return _NO_MORE


def _set_item(machine: _Machine, _: Any) -> Any:
    items = machine.last(2)
    _put_items(machine.stack[-1], items)
    return _NO_MORE


def _set_items(machine: _Machine, _: Any) -> Any:
    items = machine.since_mark()
    _put_items(machine.stack[-1], items)
    return _NO_MORE


def _extend(target: Any, items: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(items)
    elif not isinstance(target, values.Inert):
        raise Refusal(f"it appends to a {type(target).__name__}")


def _put_items(target: Any, items: list[Any]) -> None:
    if len(items) % 2:
        raise IndexError("a key without a value")
    for key, value in zip(items[::2], items[1::2], strict=True):
        values.set_item(target, key, value)


def _pop(machine: _Machine, _: Any) -> Any:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.since_mark()
    return _NO_MORE


def _pop_mark(machine: _Machine, _: Any) -> Any:
    machine.since_mark()
    return _NO_MORE


def _duplicate(machine: _Machine, _: Any) -> Any:
    return machine.stack[-1]


def _put(machine: _Machine, index: Any) -> Any:
    machine.memo[index] = machine.stack[-1]
    return _NO_MORE


def _memoize(machine: _Machine, _: Any) -> Any:
    return _put(machine, len(machine.memo))


def _get(machine: _Machine, index: Any) -> Any:
    return machine.memo[index]


def _global(_: _Machine, argument: Any) -> Any:
    module, name = argument.split(" ", 1)
    return values.name_of(module, name)


def _stack_global(machine: _Machine, _: Any) -> Any:
    module, name = machine.last(2)
    if not isinstance(module, str) or not isinstance(name, str):
        raise Refusal("it refers to a name that is not text")
    return values.name_of(module, name)


def _reduce(machine: _Machine, _: Any) -> Any:
    name, arguments = machine.last(2)
    return machine.construct(name, arguments)


def _new_object_with_keywords(machine: _Machine, _: Any) -> Any:
    name, arguments, _keywords = machine.last(3)
    return machine.construct(name, arguments)


def _object(machine: _Machine, _: Any) -> Any:
    name, *arguments = machine.since_mark()
    return machine.construct(name, tuple(arguments))


def _instance(machine: _Machine, argument: Any) -> Any:
    name = _global(machine, argument)
    return machine.construct(name, tuple(machine.since_mark()))


def _build(machine: _Machine, _: Any) -> Any:
    (state,) = machine.last(1)
    values.set_state(machine.stack[-1], state)
    return _NO_MORE


def _persistent(machine: _Machine, _: Any) -> Any:
    (reference,) = machine.last(1)
    return machine.persistent(reference)


def _persistent_text(machine: _Machine, argument: Any) -> Any:
    return machine.persistent(argument)


_LITERALS: dict[str, _Instruction] = {
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"), _argument),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), _argument),
    **dict.fromkeys(("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BYTEARRAY8"), _argument),
    "NONE": lambda *_: None,
    "NEWTRUE": lambda *_: True,
    "NEWFALSE": lambda *_: False,
}
_CONTAINERS: dict[str, _Instruction] = {
    "EMPTY_LIST": _new(list),
    "EMPTY_DICT": _new(dict),
    "EMPTY_TUPLE": lambda *_: (),
    "EMPTY_SET": _empty_set,
    "FROZENSET": _frozen_set,
    "ADDITEMS": _set_members,
    "LIST": _list,
    "DICT": _dict,
    "TUPLE": _tuple,
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
}
_STACK: dict[str, _Instruction] = {
    "PROTO": _nothing,
    "FRAME": _nothing,
    "MARK": _Machine.mark,
    "POP": _pop,
    "POP_MARK": _pop_mark,
    "DUP": _duplicate,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _put),
    "MEMOIZE": _memoize,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _get),
}
_OBJECTS: dict[str, _Instruction] = {
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _new_object_with_keywords,
    "OBJ": _object,
    "INST": _instance,
    "BUILD": _build,
    "BINPERSID": _persistent,
    "PERSID": _persistent_text,
}
