"""Pickles, read without running anything they ask for.

A pickle is a program that may call any function.  :class:`PickleReader` runs it by rules of its own: names in it are
never looked up as Python's, but lead to a maker in a table, which gives a plain value or a node that becomes one; any
other name is refused.  Nodes take states, nothing else does, so that no class, function or array of Python is ever
changed or built by what a file says.  Steps, depth and shared parts are bounded.

Python's unpickler looks names up, and torch's restricted one builds NumPy's own types from what the file says (objects
that are addresses, for example); hence a reader of our own, for labels here and for checkpoints in
:mod:`rsseg.io.archives`.
"""

from __future__ import annotations

import pickle
import pickletools
import struct
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Maker", "Name", "Node", "PickleReader", "RefusedError", "is_shape", "shown"]

_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})
_LONGEST_KEY = 1 << 60
"""Whole numbers beyond have equal hashes by design of Python: a dict of them would take for ever."""
_SHARED = 1 << 24
"""Values that a pickle may have once shared parts are counted where they appear."""


class Name(str):
    """What a pickle calls ``module.name``; nothing but this text."""


def shown(value: Any) -> str:
    """A text as it is, cut; of all else the type, as the rest may be endless."""
    return value[:80] if isinstance(value, str) else f"a {type(value).__name__}"


def is_shape(value: Any) -> bool:
    """Whether a value is a tuple of at most 32 whole numbers from 0 on, none beyond 64 bits."""
    return type(value) is tuple and len(value) <= 32 and all(type(n) is int and 0 <= n < 1 << 63 for n in value)


class Node:
    """A value in the making: it may get a state, and becomes a plain value in the end."""

    def build(self, state: Any) -> None:
        """Take the state that the pickle gives.

        Raises:
            ValueError: This kind of value has none.
        """
        raise ValueError(f"it gives a state to a {type(self).__name__}")

    def finish(self, finish: Callable[[Any], Any]) -> Any:
        """The value; ``finish`` brings parts of it to their end.

        Raises:
            ValueError: It is incomplete.
        """
        raise ValueError(f"it holds a {type(self).__name__}")


class RefusedError(ValueError):
    """The file is whole, as far as can be told, but asks for something that is not made from files."""


Maker = Callable[..., Any]


class PickleReader:
    """Reads one pickle.

    Args:
        data: The pickle, and perhaps more after it.
        names: What makes a value of each name that the pickle may hold, given the arguments there; None for names that
            are arguments only.
        start: Where the pickle begins.
        steps: Instructions that it may have.
        deepest: Containers that may lie within one another.

    Attributes:
        at: Where the pickle ends, once it is read.
    """

    codes: Mapping[int, Callable[[Any], None]]
    what = "labels"

    def __init__(
        self, data: bytes, names: Mapping[str, Maker | None], start: int = 0, steps: int = 1 << 22, deepest: int = 8
    ) -> None:
        self.data, self.names, self.at, self.steps, self.deepest = data, names, start, steps, deepest
        self.stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._done: dict[int, tuple[Any, Any, int, int]] = {}
        self._heights: list[int] = []
        self._count = 0

    def load(self) -> Any:
        """The value.

        Raises:
            ValueError: The pickle is damaged or asks for anything but plain values; also EOFError, IndexError, KeyError
                and TypeError, as the damage may be.
        """
        return self.finished(self.run())

    def finished(self, value: Any) -> Any:
        """A value that :meth:`run` gave, without nodes; errors as of :meth:`load`."""
        return self._finish(value, 0)[0]

    def run(self) -> Any:
        """The value with nodes in it, see :meth:`load`."""
        for _ in range(self.steps):
            code = self.take(1)[0]
            if code == pickle.STOP[0]:
                if len(self.stack) != 1 or self._marks:
                    raise ValueError("it ends before its value is complete")
                return self.stack.pop()
            step = self.codes.get(code)
            if step is None:
                name = next((op.name for op in pickletools.opcodes if op.code == chr(code)), f"{code:#x}")
                raise ValueError(f"it holds the instruction {name}, which {self.what} never need; nothing was run")
            step(self)
        raise ValueError(f"it has more than {self.steps} instructions")

    def take(self, count: int) -> bytes:
        """The next bytes.

        Raises:
            EOFError: There are fewer.
        """
        end = self.at + count
        if end > len(self.data):
            raise EOFError("it is cut short")
        part = bytes(self.data[self.at : end])
        self.at = end
        return part

    def number(self, count: int) -> int:
        """The next bytes as a whole number."""
        return int.from_bytes(self.take(count), "little")

    def line(self) -> str:
        """The text up to the end of the line."""
        end = self.data.find(b"\n", self.at, self.at + 4096)
        if end < 0:
            raise EOFError("it is cut short")
        return self.take(end + 1 - self.at)[:-1].decode("utf-8")

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Take a value from the stack."""
        return self.stack.pop()

    def mark(self) -> None:
        """Begin a list of values."""
        self._marks.append(self.stack)
        self.stack = []

    def marked(self) -> list[Any]:
        """The values since the last mark."""
        values = self.stack
        self.stack = self._marks.pop()
        return values

    def tuple_of(self, count: int) -> None:
        """Make a tuple of the last values."""
        if len(self.stack) < count:
            raise IndexError("it takes more values than there are")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def extend(self, values: list[Any]) -> None:
        """Add values to the list on the stack."""
        target = self.stack[-1]
        if type(target) is not list:
            raise ValueError(f"it adds to a {type(target).__name__}")
        target.extend(values)

    def set_items(self, values: list[Any]) -> None:
        """Add keys and values to the dict on the stack."""
        target = self.stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise ValueError(f"it sets items of a {type(target).__name__}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[self.key(key)] = value

    @staticmethod
    def key(value: Any) -> Any:
        """The value, if a dict or a set may hold it: a text, or a number that is not too long.

        Raises:
            ValueError: It is something else.
        """
        if type(value) not in _PLAIN or isinstance(value, float | complex):
            raise ValueError(f"a {type(value).__name__} is a key")
        if isinstance(value, int) and abs(value) > _LONGEST_KEY:
            raise ValueError("a key is too long a number")
        return value

    def global_name(self, module: str, name: str) -> None:
        """Put a name on the stack."""
        full = f"{'builtins' if module == '__builtin__' else module}.{name}"
        if full not in self.names:
            raise RefusedError(f"it asks for {full}, which {self.what} never need; nothing was run, do not trust it")
        self.push(Name(full))

    def stack_global(self) -> None:
        """Put a name on the stack whose parts are there."""
        name, module = self.pop(), self.pop()
        if type(name) is not str or type(module) is not str:
            raise ValueError("it names something by no text")
        self.global_name(module, name)

    def reduce(self) -> None:
        """Make a value."""
        arguments = self.pop()
        name = self.pop()
        maker = self.names.get(name) if type(name) is Name else None
        if maker is None or type(arguments) is not tuple:
            called = shown(name)
            raise RefusedError(f"it calls {called}, which {self.what} never need; nothing was run, do not trust it")
        self.push(maker(*arguments))

    def build(self) -> None:
        """Give a node its state."""
        state = self.pop()
        node = self.stack[-1]
        if not isinstance(node, Node):
            raise ValueError(f"it gives a state to a {type(node).__name__}")
        node.build(state)

    def remember(self, place: int) -> None:
        """Keep the last value for later."""
        if place > len(self.data):
            raise ValueError(f"it claims {place} remembered objects in {len(self.data)} bytes")
        self._memo[place] = self.stack[-1]

    def memoize(self) -> None:
        """Keep the last value for later, in the next place."""
        self._memo[len(self._memo)] = self.stack[-1]

    def recall(self, place: int) -> None:
        """Put a value on the stack that was kept."""
        self.push(self._memo[place])

    def text(self, count: int) -> None:
        """Put a text on the stack."""
        self.push(self.take(count).decode("utf-8"))

    # -- the end: nodes become values, depth and shared parts are counted

    def _finish(self, value: Any, depth: int) -> tuple[Any, int, int]:
        """The value without nodes, how deep it is, and of how many values it consists."""
        if type(value) in _PLAIN:
            return value, 0, 1
        known = self._done.get(id(value))
        if known is None:
            if depth > self.deepest:
                raise ValueError(f"nested more than {self.deepest} deep")
            self._done[id(value)] = (value, None, -1, 0)
            height, count = 0, 1

            def part(item: Any) -> Any:
                nonlocal height, count
                out, below, values = self._finish(item, depth + 1)
                height, count = max(height, below + 1), count + values
                return out

            out = self.finish(value, part)
            if count > max(_SHARED, 4 * len(self.data)):
                raise ValueError("it repeats its parts too often")
            known = self._done[id(value)] = (value, out, height, count)
        if known[2] < 0:
            raise ValueError("it contains itself")
        if depth + known[2] > self.deepest:
            raise ValueError(f"nested more than {self.deepest} deep")
        return known[1:]

    def finish(self, value: Any, part: Callable[[Any], Any]) -> Any:
        """A value without nodes; ``part`` does it for what is inside."""
        if isinstance(value, Node):
            return value.finish(part)
        if type(value) is tuple:
            return tuple(part(item) for item in value)
        if type(value) is list:
            value[:] = [part(item) for item in value]
            return value
        if isinstance(value, dict):
            for key, item in value.items():
                value[key] = part(item)
            return value
        raise ValueError(f"it holds {value if isinstance(value, Name) else f'a {type(value).__name__}'}")


def _int32(reader: PickleReader) -> None:
    reader.push(struct.unpack("<i", reader.take(4))[0])


PickleReader.codes = {
    pickle.PROTO[0]: lambda r: r.take(1),
    pickle.FRAME[0]: lambda r: r.take(8),
    pickle.NONE[0]: lambda r: r.push(None),
    pickle.NEWTRUE[0]: lambda r: r.push(True),
    pickle.NEWFALSE[0]: lambda r: r.push(False),
    pickle.BININT[0]: _int32,
    pickle.BININT1[0]: lambda r: r.push(r.number(1)),
    pickle.BININT2[0]: lambda r: r.push(r.number(2)),
    pickle.LONG1[0]: lambda r: r.push(int.from_bytes(r.take(r.number(1)), "little", signed=True)),
    pickle.BINFLOAT[0]: lambda r: r.push(struct.unpack(">d", r.take(8))[0]),
    pickle.SHORT_BINUNICODE[0]: lambda r: r.text(r.number(1)),
    pickle.BINUNICODE[0]: lambda r: r.text(r.number(4)),
    pickle.BINUNICODE8[0]: lambda r: r.text(r.number(8)),
    pickle.SHORT_BINBYTES[0]: lambda r: r.push(r.take(r.number(1))),
    pickle.BINBYTES[0]: lambda r: r.push(r.take(r.number(4))),
    pickle.BINBYTES8[0]: lambda r: r.push(r.take(r.number(8))),
    pickle.BYTEARRAY8[0]: lambda r: r.push(r.take(r.number(8))),
    pickle.EMPTY_LIST[0]: lambda r: r.push([]),
    pickle.EMPTY_DICT[0]: lambda r: r.push({}),
    pickle.EMPTY_TUPLE[0]: lambda r: r.push(()),
    pickle.TUPLE1[0]: lambda r: r.tuple_of(1),
    pickle.TUPLE2[0]: lambda r: r.tuple_of(2),
    pickle.TUPLE3[0]: lambda r: r.tuple_of(3),
    pickle.TUPLE[0]: lambda r: r.push(tuple(r.marked())),
    pickle.MARK[0]: PickleReader.mark,
    pickle.APPEND[0]: lambda r: r.extend([r.pop()]),
    pickle.APPENDS[0]: lambda r: r.extend(r.marked()),
    pickle.SETITEM[0]: lambda r: r.set_items([r.pop(), r.pop()][::-1]),
    pickle.SETITEMS[0]: lambda r: r.set_items(r.marked()),
    pickle.GLOBAL[0]: lambda r: r.global_name(r.line(), r.line()),
    pickle.STACK_GLOBAL[0]: PickleReader.stack_global,
    pickle.REDUCE[0]: PickleReader.reduce,
    pickle.BUILD[0]: lambda r: r.build(),
    pickle.BINPUT[0]: lambda r: r.remember(r.number(1)),
    pickle.LONG_BINPUT[0]: lambda r: r.remember(r.number(4)),
    pickle.MEMOIZE[0]: PickleReader.memoize,
    pickle.BINGET[0]: lambda r: r.recall(r.number(1)),
    pickle.LONG_BINGET[0]: lambda r: r.recall(r.number(4)),
}
