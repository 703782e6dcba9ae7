"""The stack machine that reads a pickle as plain data: nothing in the file can run.

    content = Machine().load(stream)

A pickle is a program for a small stack machine, and the standard library's machine lets it import and call
anything. This one knows the instructions that plain data needs. Where a file names a class or function, only
a mark with that name goes onto the stack, and only the names in `BUILDERS` are called: each turns plain arguments
into plain data. Classes of other names are read where they are modules of a network that torch.save wrote whole:
what they hold becomes a `Persistent`, and their code stays unknown. Any other name is refused by its name.

Every length is compared with what is left of the file, long ones stay in the file, and instructions and what they
copy are counted, so that time and memory are bounded.
"""

import io
import struct
from typing import IO, Any

from .bounded_reader import Reader
from .plain_builders import (
    BUILDERS,
    LOAD_FROM_BYTES,
    NAMES,
    PLAIN_NAMES,
    STORAGES,
    as_array,
    as_dict,
    checked_key,
)
from .plain_objects import (
    MAX_COUNT,
    ArrayClaim,
    Global,
    Instance,
    Persistent,
    Refused,
    Storage,
    Stored,
    TensorClaim,
    shown,
)

MAX_INSTRUCTIONS = 250_000  # the published files have some ten thousand
KEPT = 1 << 16  # bytes of a text or of bytes that are read at once; longer ones stay in the file
HEAD = 1 << 13  # bytes of a storage that say what it is; torch writes some three hundred
COPIED = 256  # bytes that are copied for the price of one instruction
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # begins a checkpoint that is not a zip archive


class Machine:
    """Runs pickles. ``names``: what they may call; ``storages``: those they refer to outside themselves."""

    def __init__(self, names: frozenset[str] = NAMES, parent: "Machine | None" = None):
        """parent: whose instructions these count among."""
        self.names, self.parent, self.left = names, parent, MAX_INSTRUCTIONS
        self.storages: list[Storage] = []
        self.unknown: dict[str, None] = {}  # names that nothing here stands for
        self.modules: list[Persistent] = []  # of classes that nothing here stands for
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # what lies under each mark
        self.memo: dict[int, Any] = {}

    def load(self, stream: IO[bytes] | Reader) -> Any:
        """Plain data from the pickle that begins here; a stream then stands behind it.

        Raises Refused for a name or an instruction that no network file needs, and for a broken file.
        """
        self.reader = stream if isinstance(stream, Reader) else Reader(stream)
        try:
            result = self._run()
        except Refused:
            raise
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, struct.error) as error:
            reason = (str(error).splitlines() or ["cut short"])[0]
            raise Refused(f"not a readable pickle ({shown(reason)})") from None
        if self.reader is not stream:
            stream.seek(self.reader.position)
        return result

    def _run(self) -> Any:
        take, actions, count = self.reader.take, ACTIONS, self.spend
        while (code := take(1)[0]) != STOP:
            action = actions.get(code)
            if action is None:
                raise Refused(f"the instruction {bytes([code])!r}, which no network file needs")
            count(1)
            action(self)
        (result,) = self.stack
        if self.below:
            raise Refused("a mark is left over")
        self.stack = []
        for name in self.unknown:
            raise self._asks_for(name)
        for module in self.modules:
            if not {"_modules", "_parameters"} <= module.state.keys():
                raise self._asks_for(module.class_name)
        return result

    def spend(self, instructions: int) -> None:
        """Refused where more was done than any network file needs."""
        machine = self.parent or self
        machine.left -= instructions
        if machine.left < 0:
            raise Refused(f"more than {MAX_INSTRUCTIONS:,} instructions")

    @staticmethod
    def _asks_for(name: str) -> Refused:
        return Refused(
            f"the file asks for {shown(name)}, which is not read here: only plain data and weights are"
        )

    # --- instructions -----------------------------------------------------------------------------------------

    def _bytes(self, n: int, text: bool = False) -> None:
        if n > KEPT:
            return self.stack.append(self.reader.keep(n, text))
        data = self.reader.take(n)
        self.stack.append(str(data, "utf-8", "surrogatepass") if text else data)

    def _long(self) -> None:
        self.stack.append(int.from_bytes(self.reader.take(self.reader.take(1)[0]), "little", signed=True))

    def _mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def _items(self) -> list[Any]:
        """What lies above the last mark, taken off the stack."""
        items = self.stack
        self.stack = self.below.pop() if self.below else self._no_mark()
        return items

    def _no_mark(self) -> list:
        raise Refused("a mark is missing")

    def _tuple(self, n: int) -> None:
        if len(self.stack) < n:
            raise Refused("nothing on the stack")
        self.stack[-n:] = [tuple(self.stack[-n:])]

    def _append(self, new: list) -> None:
        _of(self.stack[-1], list).extend(new)

    def _set_items(self, new: list) -> None:
        target = _of(self.stack[-1], dict)
        target.update(as_dict(zip(new[::2], new[1::2], strict=True)))

    def _add_items(self, new: list) -> None:
        _of(self.stack[-1], set).update(checked_key(item) for item in new)

    def _global(self, module: Any, attribute: Any) -> None:
        name = f"{_of(module, str)}.{_of(attribute, str)}"
        if name not in self.names and not PLAIN_NAMES.fullmatch(name):
            if self.parent is not None:
                raise self._asks_for(name)
            self.unknown[name] = None
        self.stack.append(Global(name))

    def _make(self) -> None:
        """An object of a class that is made before it is told its state."""
        arguments, of = _of(self.stack.pop(), tuple), self.stack.pop()
        if isinstance(of, Global) and of.name not in self.names:
            if arguments or self.parent is not None or PLAIN_NAMES.fullmatch(of.name):
                raise self._asks_for(of.name)
            self.unknown.pop(of.name, None)
            self.modules.append(Persistent(of.name, {}))
            return self.stack.append(self.modules[-1])
        self.stack += [of, arguments]
        return self._call()

    def _call(self) -> None:
        arguments, function = _of(self.stack.pop(), tuple), self.stack.pop()
        if not isinstance(function, Global):
            raise Refused(f"a call of {type(function).__name__}")
        if function.name not in self.names or function.name in STORAGES:
            raise self._asks_for(function.name)
        for value in arguments:
            if isinstance(value, list | tuple | dict | set):
                self.spend(len(value))
            elif isinstance(value, str | bytes | bytearray):
                self.spend(len(value) // COPIED)
        if function.name == LOAD_FROM_BYTES:
            return self.stack.append(self._storage(*arguments))
        return self.stack.append(BUILDERS[function.name](*arguments))

    def _build(self) -> None:
        """What an object saved of itself beside its class."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Instance) and target.kind == "dtype":
            _, order, _, names, *_ = _of(state, tuple)
            if names is not None:
                raise Refused("numbers of several types in one array")
            if order == ">":
                target.state = target.state.newbyteorder(">")
        elif isinstance(target, Instance):
            array = target.kind == "array"
            target.state = as_array(*_of(state, tuple)) if array else _of(state, dict)
        elif isinstance(target, Persistent):
            target.state = _of(state, dict)
        elif type(target) not in (dict, TensorClaim, ArrayClaim):  # of those, what nobody needs
            raise Refused(f"a state for {type(target).__name__}")

    def _refer(self) -> None:
        """Something outside the pickle: ('storage', type, key, device, count, ...), or a class with its source."""
        value = self.stack.pop()
        if type(value) is tuple and len(value) == 4 and value[0] == "module" and isinstance(value[1], Global):
            return self.stack.append(value[1])
        if type(value) is not tuple or len(value) < 5 or value[0] != "storage" or any(value[5:]):
            raise Refused("a reference in an unknown layout")
        _, kind, key, _, count = value[:5]
        if not isinstance(kind, Global) or kind.name not in STORAGES or type(key) is not str:
            raise Refused("a storage of an unknown type")
        if type(count) is not int or not 0 <= count <= MAX_COUNT:
            raise Refused("a storage of an impossible size")
        self.storages.append(Storage(STORAGES[kind.name], count, key))
        return self.stack.append(self.storages[-1])

    def _storage(self, data: Any) -> Storage:
        """The storage inside the bytes of torch.save: checked against its length, not read yet."""
        if not isinstance(data, bytes | bytearray | Stored):
            raise Refused("a storage that is not bytes")
        # Of the numbers that follow only the length counts.
        start = io.BytesIO(data.start(HEAD) if isinstance(data, Stored) else data)
        storage = read_legacy(start, Machine(frozenset(STORAGES), self.parent or self))
        if not isinstance(storage, Storage):
            raise Refused("a storage in an unknown layout")
        storage.source, storage.start = data, start.tell() + 8  # 8: the count once more
        left = max(len(data) - storage.start, 0)
        if storage.size != left:
            raise Refused(f"a storage that claims {storage.size:,} bytes where {left:,} follow")
        return storage


def read_legacy(stream: IO[bytes], machine: Machine) -> Any:
    """The saved object, from the five pickles that precede the numbers in a checkpoint before zip.

    The numbers of the storages follow in the order of `legacy_keys`.
    """
    reader, plain = Reader(stream), machine.parent or machine

    def simple() -> Any:
        return Machine(frozenset(), plain).load(reader)

    magic = simple()
    if type(magic) is not int or magic != LEGACY_MAGIC:
        raise Refused("not a PyTorch checkpoint")
    simple()  # version
    simple()  # sizes of numbers on the machine that wrote it
    content = machine.load(reader)
    keys = simple()
    known = {storage.key for storage in machine.storages}
    if type(keys) is not list or any(type(key) is not str for key in keys) or {*keys} != known:
        raise Refused("a checkpoint whose storages are not those it names")
    machine.keys = keys
    stream.seek(reader.position)
    return content


def _of(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise Refused(f"{type(value).__name__} where {kind.__name__} belongs")
    return value


def _put(at):
    def put(m: Machine) -> None:
        m.memo[at(m)] = m.stack[-1]

    return put


def _push(make):
    return lambda m: m.stack.append(make(m))


def _number(layout: str):
    size, unpack = struct.calcsize(layout), struct.Struct(layout).unpack
    return lambda m: unpack(m.reader.take(size))[0]


_u1, _u4, _u8, _i4 = (_number(layout) for layout in ("<B", "<I", "<Q", "<i"))
STOP = ord(".")
ACTIONS = {
    b"\x80": _u1,  # protocol
    b"\x95": _u8,  # frame
    b"N": _push(lambda m: None),
    b"\x88": _push(lambda m: True),
    b"\x89": _push(lambda m: False),
    b"}": _push(lambda m: {}),
    b"]": _push(lambda m: []),
    b")": _push(lambda m: ()),
    b"\x8f": _push(lambda m: set()),
    b"J": _push(_i4),
    b"K": _push(_u1),
    b"M": _push(_number("<H")),
    b"G": _push(_number(">d")),
    b"\x8a": Machine._long,
    b"X": lambda m: m._bytes(_u4(m), text=True),
    b"\x8c": lambda m: m._bytes(_u1(m), text=True),
    b"\x8d": lambda m: m._bytes(_u8(m), text=True),
    b"B": lambda m: m._bytes(_u4(m)),
    b"C": lambda m: m._bytes(_u1(m)),
    b"\x8e": lambda m: m._bytes(_u8(m)),
    b"\x96": lambda m: m._bytes(_u8(m)),  # bytearray
    b"T": lambda m: m._bytes(_u4(m)),  # texts of Python 2
    b"U": lambda m: m._bytes(_u1(m), text=True),
    b"q": _put(_u1),
    b"r": _put(_u4),
    b"\x94": _put(lambda m: len(m.memo)),
    b"h": _push(lambda m: m.memo[_u1(m)]),
    b"j": _push(lambda m: m.memo[_u4(m)]),
    b"(": Machine._mark,
    b"t": lambda m: _take(m, tuple),
    b"l": lambda m: _take(m, list),
    b"d": lambda m: _take(m, lambda new: as_dict(zip(new[::2], new[1::2], strict=True))),
    b"\x91": lambda m: _take(m, lambda new: {checked_key(item) for item in new}),  # frozenset
    b"\x85": lambda m: m._tuple(1),
    b"\x86": lambda m: m._tuple(2),
    b"\x87": lambda m: m._tuple(3),
    b"a": lambda m: m._append([m.stack.pop()]),
    b"e": lambda m: m._append(m._items()),
    b"s": lambda m: m._set_items([m.stack.pop(-2), m.stack.pop()]),
    b"u": lambda m: m._set_items(m._items()),
    b"\x90": lambda m: m._add_items(m._items()),
    b"c": lambda m: m._global(m.reader.line(), m.reader.line()),
    b"\x93": lambda m: m._global(*reversed((m.stack.pop(), m.stack.pop()))),
    b"R": Machine._call,
    b"\x81": Machine._make,
    b"b": Machine._build,
    b"Q": Machine._refer,
}
ACTIONS = {code[0]: action for code, action in ACTIONS.items()}


def _take(m: Machine, make) -> None:
    items = m._items()  # which puts the stack below in its place
    m.stack.append(make(items))
