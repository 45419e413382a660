"""What a pickle would call when it is loaded, by reading its instructions. Nothing is loaded, imported or called.

The stack and the memo of the unpickler are followed with values of ours, so that a name that is put together on the
stack (STACK_GLOBAL) is found as one that is spelled out, also behind GET, PUT and DUP. What cannot be followed is
refused: what cannot be told is no pass.
"""

from __future__ import annotations

import pickletools
from collections.abc import Collection
from typing import IO, Protocol, cast

from msgspec import Struct

from plimsoll.supply.pickle_globals import is_allowed_global

MOST_INSTRUCTIONS = 5_000_000
MOST_PICKLES = 1_000
LONGEST_LINE = 1 << 16
TORCH_MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of a file that torch wrote before it wrote zip archives; four more and raw tensors follow."""
_ARRAY = "joblib.numpy_pickle.NumpyArrayWrapper"


class Bytes(Protocol):
    """An open file that can be read anywhere."""

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes."""

    def readline(self, size: int | None = -1, /) -> bytes:
        """A line, of at most so many bytes."""

    def seek(self, position: int, whence: int = 0, /) -> int:
        """Move to a position."""

    def tell(self) -> int:
        """The position."""


class Judged(Struct, frozen=True, kw_only=True):
    """What was found: the globals that the pickle names, and why it is refused; without a reason it may be loaded."""

    globals: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


class NotAPickle(Exception):
    """The bytes end or break before the first pickle does."""


class Named:
    """A global on the stack, or with `call` what came of calling it."""

    __slots__ = ("arguments", "called", "name", "state")

    def __init__(self, name: str, *, called: bool = False, arguments: object = None) -> None:
        self.name, self.called, self.arguments = name, called, arguments
        self.state: object = None


class _Mark:
    """A mark on the stack."""


_OPAQUE = object()
"""A value that nobody needs to know."""


class _Bounded:
    """A file whose instructions cannot ask for more memory than the file has bytes."""

    def __init__(self, file: Bytes, size: int) -> None:
        self._file, self._size = file, size

    def read(self, count: int) -> bytes:
        left = self._size - self._file.tell()
        if not 0 <= count <= left:
            raise ValueError(f"an argument of {count} bytes where {left} are left")
        return self._file.read(count)

    def readline(self) -> bytes:
        line = self._file.readline(LONGEST_LINE)
        if len(line) >= LONGEST_LINE:
            raise ValueError("a line that is too long")
        return line

    def tell(self) -> int:
        return self._file.tell()


def judge_pickle(file: Bytes, size: int, allow: Collection[str] = ()) -> Judged:
    """Judge all pickles of a file, which begins where one begins. `allow` are further globals, as `module.name`.

    Raises NotAPickle when there is no first one.
    """
    judge = _Judge(file, size, allow)
    done = 0
    while not judge.reasons and file.tell() < size and done < MOST_PICKLES:
        begin = file.tell()
        try:
            first = judge.read()
        except _BROKEN as error:
            if not done and not judge.named:
                raise NotAPickle(str(error) or type(error).__name__) from error
            text = f"at byte {begin} what follows cannot be read as a pickle ({str(error)[:120]})"
            judge.refuse(text)
            break
        done += 1
        if done == 1 and isinstance(first, int) and first == TORCH_MAGIC:
            judge.legacy_torch = True
        if judge.legacy_torch and done == 5:
            # Raw tensors follow, which torch reads by their sizes.
            break
    if done == MOST_PICKLES:
        judge.refuse(f"it has more than {MOST_PICKLES} pickles")
    return Judged(globals=tuple(sorted(judge.named)), reasons=tuple(judge.reasons))


class _Unfollowed(ValueError):
    """The instructions cannot be followed."""


_BROKEN = (ValueError, IndexError, KeyError, TypeError, AttributeError, EOFError, OverflowError, MemoryError)
"""What pickletools and a broken stack raise."""


class _Judge:
    """The unpickler's state, with values that do nothing."""

    def __init__(self, file: Bytes, size: int, allow: Collection[str]) -> None:
        self.named: set[str] = set()
        self.reasons: list[str] = []
        self.legacy_torch = False
        self._file, self._size, self._allow = file, size, allow
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}
        self._steps = 0

    def refuse(self, reason: str) -> None:
        if reason not in self.reasons and len(self.reasons) < 20:
            self.reasons.append(reason)

    def read(self) -> object:
        """Follow one pickle up to its end; gives what it makes."""
        self._stack, self._memo = [], {}
        # It has what pickletools needs of a file.
        bounded = cast("IO[bytes]", _Bounded(self._file, self._size))
        for instruction, argument, _ in pickletools.genops(bounded):
            self._steps += 1
            if self._steps > MOST_INSTRUCTIONS:
                self.refuse(f"it has more than {MOST_INSTRUCTIONS} instructions")
                return None
            self._follow(instruction.name, argument)
        return self._stack[-1] if self._stack else None

    def _follow(self, name: str, argument: object) -> None:
        special = getattr(self, f"_on_{name.lower()}", None)
        if special is not None:
            special(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _PUSH_ARGUMENT:
            self._stack.append(argument)
        elif name in _EMPTY:
            self._stack.append(_EMPTY[name]())
        elif name not in ("PROTO", "FRAME", "STOP", "READONLY_BUFFER"):
            raise _Unfollowed(f"the instruction {name} is not known")

    # Names.

    def _global(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            self.refuse("it names something that its instructions compute: what it is cannot be told")
            self._stack.append(_OPAQUE)
            return
        whole = f"{module}.{name}"
        self.named.add(whole[:300])
        if not is_allowed_global(module, name, self._allow):
            self.refuse(f"it names {whole[:300]!r}, which is not among what models are made of")
        self._stack.append(Named(whole))

    def _on_global(self, argument: object) -> None:
        module, _, name = str(argument).partition(" ")
        self._global(module, name)

    def _on_stack_global(self, _: object) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._global(module, name)

    def _on_inst(self, argument: object) -> None:
        arguments = self._to_mark()
        module, _, name = str(argument).partition(" ")
        self._global(module, name)
        self._call(self._stack.pop(), arguments)

    def _extension(self, argument: object) -> None:
        self.refuse(f"it names extension {argument}, which each program registers for itself")
        self._stack.append(_OPAQUE)

    _on_ext1 = _on_ext2 = _on_ext4 = _extension

    def _on_persid(self, _: object) -> None:
        self._stack.append(_OPAQUE)

    def _on_binpersid(self, _: object) -> None:
        self._stack.pop()
        self._stack.append(_OPAQUE)

    # Calls.

    def _call(self, callee: object, arguments: object) -> None:
        if not isinstance(callee, Named) or callee.called:
            self.refuse("it calls something that its instructions compute: what it is cannot be told")
            self._stack.append(_OPAQUE)
            return
        self._stack.append(Named(callee.name, called=True, arguments=arguments))

    def _on_reduce(self, _: object) -> None:
        arguments = self._stack.pop()
        self._call(self._stack.pop(), arguments)

    _on_newobj = _on_reduce

    def _on_newobj_ex(self, _: object) -> None:
        self._stack.pop()
        self._on_reduce(None)

    def _on_obj(self, _: object) -> None:
        arguments = self._to_mark()
        self._call(arguments[0], tuple(arguments[1:]))

    def _on_build(self, _: object) -> None:
        state, made = self._stack.pop(), self._stack[-1]
        if isinstance(made, Named):
            if not made.called:
                self.refuse(f"it changes {made.name} itself, and not something that is made of it")
            made.state = state
            if made.name == _ARRAY:
                self._skip_array(state)

    def _skip_array(self, state: object) -> None:
        """Move past an array that joblib writes between the instructions."""
        from plimsoll.supply.joblib_arrays import UnknownArray, array_bytes

        try:
            size, aligned = array_bytes(state)
        except UnknownArray as error:
            self.refuse(str(error))
            raise _Unfollowed(str(error)) from error
        if aligned:
            padding = self._file.read(1)
            size += padding[0] if padding else 0
        if self._file.tell() + size > self._size:
            raise _Unfollowed("an array ends after the file")
        self._file.seek(self._file.tell() + size)

    # The stack and the memo.

    def _to_mark(self) -> list[object]:
        found: list[object] = []
        while not isinstance(each := self._stack.pop(), _Mark):
            found.append(each)
        return found[::-1]

    def _on_mark(self, _: object) -> None:
        self._stack.append(_Mark())

    def _on_pop(self, _: object) -> None:
        self._stack.pop()

    def _on_pop_mark(self, _: object) -> None:
        self._to_mark()

    def _on_dup(self, _: object) -> None:
        self._stack.append(self._stack[-1])

    def _put(self, argument: object) -> None:
        self._memo[int(str(argument))] = self._stack[-1]

    _on_put = _on_binput = _on_long_binput = _put

    def _on_memoize(self, _: object) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, argument: object) -> None:
        self._stack.append(self._memo[int(str(argument))])

    _on_get = _on_binget = _on_long_binget = _get

    # Containers.

    def _on_tuple(self, _: object) -> None:
        self._stack.append(tuple(self._to_mark()))

    def _on_list(self, _: object) -> None:
        self._stack.append(self._to_mark())

    def _on_dict(self, _: object) -> None:
        items = self._to_mark()
        self._stack.append({})
        self._set_items(items)

    def _on_frozenset(self, _: object) -> None:
        self._to_mark()
        self._stack.append(_OPAQUE)

    def _tuple_of(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError("the stack is too short")
        items = tuple(self._stack[-count:])
        del self._stack[-count:]
        self._stack.append(items)

    def _on_tuple1(self, _: object) -> None:
        self._tuple_of(1)

    def _on_tuple2(self, _: object) -> None:
        self._tuple_of(2)

    def _on_tuple3(self, _: object) -> None:
        self._tuple_of(3)

    def _on_append(self, _: object) -> None:
        self._stack.pop()
        self._require_container()

    def _on_appends(self, _: object) -> None:
        self._to_mark()
        self._require_container()

    _on_additems = _on_appends

    def _on_setitem(self, _: object) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_items([key, value])

    def _on_setitems(self, _: object) -> None:
        self._set_items(self._to_mark())

    def _set_items(self, items: list[object]) -> None:
        made = self._stack[-1]
        self._require_container()
        if isinstance(made, dict):
            made.update(
                {key: value for key, value in zip(items[::2], items[1::2], strict=True) if isinstance(key, str)}
            )

    def _require_container(self) -> None:
        """Items are given to a list or a dict, or to what a call has made of a class that is allowed."""
        if isinstance(made := self._stack[-1], Named) and not made.called:
            self.refuse(f"it adds items to {made.name} itself, and not to something that is made of it")


_CONSTANTS: dict[str, object] = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
    "EMPTY_TUPLE": (),
    "NEXT_BUFFER": _OPAQUE,
    "EMPTY_SET": _OPAQUE,
}
_EMPTY: dict[str, type[list[object]] | type[dict[str, object]]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict}
_PUSH_ARGUMENT = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING"}
    | {"SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "UNICODE", "SHORT_BINUNICODE"}
    | {"BINUNICODE", "BINUNICODE8"}
)
