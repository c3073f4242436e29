"""A pickle's instructions, carried out on plain data only.

Python's own unpickler calls what the pickle names, believes the sizes it states, and recurses where it says so. This
one is a loop over :func:`pickletools.genops` (which only parses): globals stay text, calls go through
:func:`transfer.untrusted.values.construct`, and the work and the memory are limited by what is counted here.
"""

from __future__ import annotations

import mmap
import pickletools
from typing import IO, Any, cast

from transfer.untrusted import tensors, values
from transfer.untrusted.instructions import INSTRUCTIONS, NOTHING
from transfer.untrusted.refusal import Refusal, shown

MAX_INSTRUCTIONS = 4_000_000
"""A ResNet-50 with its optimiser takes about 30 000; a file of more is not weights."""
MAX_CONTAINERS = 250_000
"""Lists, mappings, tuples and objects, which cost far more memory than the byte that makes them."""
MAX_DEPTH = 500
"""Structures that are open at a time."""
MAX_STACK = 200_000


def run(stream: mmap.mmap, storages: dict[str, tensors.Storage] | None = None) -> Any:
    """The value of the pickle at the stream's position, which is then behind it.

    Args:
        storages: filled with the tensors' storages by key; None where the file can have none.

    Raises:
        Refusal: damaged, over a limit, or with a call or reference that no weights need.
    """
    machine = Machine(storages)
    try:
        return machine.run(stream)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, AttributeError, RecursionError) as error:
        reason = shown(error, 160)
        raise Refusal(f"its pickle is damaged or truncated ({type(error).__name__}: {reason})") from error


class Machine:
    """Stack, memo and the counts of one run."""

    def __init__(self, storages: dict[str, tensors.Storage] | None) -> None:
        self.storages = storages
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # the stacks below open marks
        self.memo: dict[int, Any] = {}
        self.containers = 0

    def run(self, stream: mmap.mmap) -> Any:
        """Until the instruction STOP, whose value it returns."""
        for count, (opcode, argument, _position) in enumerate(pickletools.genops(cast(IO[bytes], stream)), start=1):
            if count > MAX_INSTRUCTIONS:
                raise Refusal(f"its pickle has more than {MAX_INSTRUCTIONS} instructions")
            if len(self.stack) > MAX_STACK:
                raise Refusal(f"its pickle stacks more than {MAX_STACK} values")
            if opcode.name == "STOP":
                return self.stack.pop()
            instruction = INSTRUCTIONS.get(opcode.name)
            if instruction is None:
                raise Refusal(f"its pickle uses the instruction {opcode.name}, which no weights need")
            made = instruction(self, argument)
            if made is not NOTHING:
                self.stack.append(made)
        raise ValueError("no end")

    def count_container(self) -> None:
        """One more list, mapping, tuple or object."""
        self.containers += 1
        if self.containers > MAX_CONTAINERS:
            raise Refusal(f"its pickle makes more than {MAX_CONTAINERS} lists, mappings and objects")

    def mark(self) -> None:
        """Put the stack aside until :meth:`since_mark`."""
        if len(self.outer) >= MAX_DEPTH:
            raise Refusal(f"its pickle nests deeper than {MAX_DEPTH}")
        self.outer.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        """Take everything since the last mark, and bring back what was below it."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    def last(self, count: int) -> list[Any]:
        """Take the topmost values, in the order in which they were put."""
        if len(self.stack) < count:
            raise IndexError("the stack is too short")
        items = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return items

    def construct(self, name: Any, arguments: Any) -> Any:
        """:func:`transfer.untrusted.values.construct`, counted."""
        self.count_container()
        return values.construct(name, arguments)

    def persistent(self, reference: Any) -> Any:
        """A tensor's storage, which lies outside the pickle; one declaration for each key."""
        if self.storages is None:
            raise Refusal("it refers to something outside itself")
        storage = tensors.storage_of(reference)
        if isinstance(storage, tensors.Storage) and self.storages.setdefault(storage.key, storage) != storage:
            raise Refusal(f"it declares the storage '{shown(storage.key)}' twice, and differently")
        return storage
