"""The instructions of pickles (all protocols), each on the machine's stack of plain data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from transfer.untrusted import values
from transfer.untrusted.refusal import Refusal

NOTHING = object()
"""What an instruction returns that leaves no new value on the stack."""


class Machine(Protocol):
    """What the instructions need of :class:`transfer.untrusted.machine.Machine`, which says what each does."""

    stack: list[Any]
    memo: dict[int, Any]

    def count_container(self) -> None: ...  # noqa: D102
    def mark(self) -> None: ...  # noqa: D102
    def since_mark(self) -> list[Any]: ...  # noqa: D102
    def last(self, count: int) -> list[Any]: ...  # noqa: D102
    def construct(self, name: Any, arguments: Any) -> Any: ...  # noqa: D102
    def persistent(self, reference: Any) -> Any: ...  # noqa: D102


Instruction: TypeAlias = Callable[[Machine, Any], Any]


def _argument(_: Machine, argument: Any) -> Any:
    return argument


def _mark(machine: Machine, _: Any) -> Any:
    machine.mark()
    return NOTHING


def _nothing(_: Machine, __: Any) -> Any:
    return NOTHING


def _new(kind: type) -> Instruction:
    def make(machine: Machine, _: Any) -> Any:
        machine.count_container()
        return kind()

    return make


def _tuple_of(length: int) -> Instruction:
    def make(machine: Machine, _: Any) -> Any:
        machine.count_container()
        return tuple(machine.last(length))

    return make


def _tuple(machine: Machine, _: Any) -> Any:
    machine.count_container()
    return tuple(machine.since_mark())


def _list(machine: Machine, _: Any) -> Any:
    machine.count_container()
    return machine.since_mark()


def _dict(machine: Machine, _: Any) -> Any:
    machine.count_container()
    made: dict[Any, Any] = {}
    _put_items(made, machine.since_mark())
    return made


def _set_members(machine: Machine, _: Any) -> Any:
    machine.since_mark()
    return NOTHING


def _frozen_set(machine: Machine, _: Any) -> Any:
    machine.count_container()
    return values.Inert(f"set of {len(machine.since_mark())}")


def _empty_set(machine: Machine, _: Any) -> Any:
    machine.count_container()
    return values.Inert("set")


def _append(machine: Machine, _: Any) -> Any:
    (item,) = machine.last(1)
    _extend(machine.stack[-1], [item])
    return NOTHING


def _appends(machine: Machine, _: Any) -> Any:
    items = machine.since_mark()
    _extend(machine.stack[-1], items)
    return NOTHING


def _set_item(machine: Machine, _: Any) -> Any:
    items = machine.last(2)
    _put_items(machine.stack[-1], items)
    return NOTHING


def _set_items(machine: Machine, _: Any) -> Any:
    items = machine.since_mark()
    _put_items(machine.stack[-1], items)
    return NOTHING


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


def _pop(machine: Machine, _: Any) -> Any:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.since_mark()
    return NOTHING


def _pop_mark(machine: Machine, _: Any) -> Any:
    machine.since_mark()
    return NOTHING


def _duplicate(machine: Machine, _: Any) -> Any:
    return machine.stack[-1]


def _put(machine: Machine, index: Any) -> Any:
    machine.memo[index] = machine.stack[-1]
    return NOTHING


def _memoize(machine: Machine, _: Any) -> Any:
    return _put(machine, len(machine.memo))


def _get(machine: Machine, index: Any) -> Any:
    return machine.memo[index]


def _global(_: Machine, argument: Any) -> Any:
    module, name = argument.split(" ", 1)
    return values.name_of(module, name)


def _stack_global(machine: Machine, _: Any) -> Any:
    module, name = machine.last(2)
    if not isinstance(module, str) or not isinstance(name, str):
        raise Refusal("it refers to a name that is not text")
    return values.name_of(module, name)


def _reduce(machine: Machine, _: Any) -> Any:
    name, arguments = machine.last(2)
    return machine.construct(name, arguments)


def _new_object_with_keywords(machine: Machine, _: Any) -> Any:
    name, arguments, _keywords = machine.last(3)
    return machine.construct(name, arguments)


def _object(machine: Machine, _: Any) -> Any:
    name, *arguments = machine.since_mark()
    return machine.construct(name, tuple(arguments))


def _instance(machine: Machine, argument: Any) -> Any:
    name = _global(machine, argument)
    return machine.construct(name, tuple(machine.since_mark()))


def _build(machine: Machine, _: Any) -> Any:
    (state,) = machine.last(1)
    values.set_state(machine.stack[-1], state)
    return NOTHING


def _persistent(machine: Machine, _: Any) -> Any:
    (reference,) = machine.last(1)
    return machine.persistent(reference)


def _persistent_text(machine: Machine, argument: Any) -> Any:
    return machine.persistent(argument)


_LITERALS: dict[str, Instruction] = {
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"), _argument),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), _argument),
    **dict.fromkeys(("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BYTEARRAY8"), _argument),
    "NONE": lambda *_: None,
    "NEWTRUE": lambda *_: True,
    "NEWFALSE": lambda *_: False,
}
_CONTAINERS: dict[str, Instruction] = {
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
_STACK: dict[str, Instruction] = {
    "PROTO": _nothing,
    "FRAME": _nothing,
    "MARK": _mark,
    "POP": _pop,
    "POP_MARK": _pop_mark,
    "DUP": _duplicate,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _put),
    "MEMOIZE": _memoize,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _get),
}
_OBJECTS: dict[str, Instruction] = {
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
INSTRUCTIONS: dict[str, Instruction] = _LITERALS | _CONTAINERS | _STACK | _OBJECTS
