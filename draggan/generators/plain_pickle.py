"""Read pickles of networks as plain data: nothing in the file can run.

A pickle is a program for a small stack machine, and the standard library's machine lets it import and call
anything. This one knows the instructions that plain data needs. Where a file names a class or function, only
a mark with that name goes onto the stack, and only the names in `BUILDERS` and `STORAGES` are known: each
turns plain arguments into plain data (numbers, strings, lists, dicts and the four classes below). The source
text inside NVIDIA's files stays a string that nobody reads. Any other name is refused by its name.

Every length is compared with what is left of the file before anything is read or reserved, and the number of
instructions is limited, so that memory stays within a small multiple of the file's size.

Known layouts: NVIDIA's network pickles (stylegan2-ada-pytorch and its relatives; the older ones of
TensorFlow), and PyTorch's two checkpoint formats (zip and before).
"""

import io
import pickletools
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from .plain_objects import (
    BUILDERS,
    MAX_COUNT,
    NAMES,
    STORAGES,
    Global,
    Instance,
    Refused,
    Storage,
    as_array,
    as_dict,
    checked_key,
)

MAX_INSTRUCTIONS = 1_000_000  # the published files have some ten thousand
MAX_LINE = 1 << 12  # bytes of a name
ZIP_MAGIC = b"PK\x03\x04"  # as torch.load tells the two formats of checkpoints apart
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # begins a checkpoint that is not a zip archive
LEGACY_START = b"\x80\x02\x8a\n" + LEGACY_MAGIC.to_bytes(10, "little")  # the same as a pickle


# --- the machine ------------------------------------------------------------------------------------------


class Bounded:
    """A binary stream that refuses to reserve what is not there."""

    def __init__(self, stream: IO[bytes]):
        self.stream = stream
        here = stream.tell()
        self.end = stream.seek(0, io.SEEK_END)
        stream.seek(here)

    def read(self, n: int) -> bytes:
        left = self.end - self.stream.tell()
        if n > left:
            raise Refused(f"cut short: {n:,} bytes announced, {left:,} left")
        return self.stream.read(n)

    def readline(self) -> bytes:
        line = self.stream.readline(MAX_LINE)
        if not line.endswith(b"\n"):
            raise Refused("a name without an end")
        return line

    def tell(self) -> int:
        return self.stream.tell()


MARK = object()
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": set, "EMPTY_TUPLE": tuple}
NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "INT", "LONG", "FLOAT")
TEXTS = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINSTRING", "BINSTRING")
BYTES = ("SHORT_BINBYTES", "BINBYTES", "BINBYTES8")
LITERALS = frozenset((*NUMBERS, *TEXTS, *BYTES))


class Machine:
    """Runs one pickle. ``names``: what it may ask for; ``storages``: those it refers to outside itself."""

    def __init__(self, names: frozenset[str] = NAMES):
        self.names = names
        self.storages: list[Storage] = []
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def load(self, stream: IO[bytes]) -> Any:
        """Plain data from the pickle that begins here; the stream then stands behind it.

        Raises Refused for a name or an instruction that no network file needs, and for a broken file.
        """
        try:
            for count, (code, value, _) in enumerate(pickletools.genops(Bounded(stream))):
                if count > MAX_INSTRUCTIONS:
                    raise Refused(f"more than {MAX_INSTRUCTIONS:,} instructions")
                if code.name == "STOP":
                    (result,) = self.stack
                    return result
                self._do(code.name, value)
        except Refused:
            raise
        except RecursionError:
            raise Refused("nested too deeply") from None
        except (ValueError, TypeError, LookupError, AttributeError, EOFError, ArithmeticError) as error:
            reason = (str(error).splitlines() or ["cut short"])[0]
            raise Refused(f"not a readable pickle ({reason[:100]})") from None
        raise Refused("cut short")

    def _do(self, name: str, value: Any) -> None:
        """One instruction, by pickletools' name for it."""
        stack, memo = self.stack, self.memo
        if name in LITERALS:
            stack.append(value)
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in EMPTY:
            stack.append(EMPTY[name]())
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[value] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[value])
        elif name == "MARK":
            stack.append(MARK)
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            n = int(name[-1])
            stack[-n:] = [tuple(stack[-n:])]
        elif name == "TUPLE":
            stack.append(tuple(self._items()))
        elif name in ("APPEND", "APPENDS"):
            new = self._items() if name == "APPENDS" else [stack.pop()]
            _of(stack[-1], list).extend(new)
        elif name in ("SETITEM", "SETITEMS"):
            new = self._items() if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
            _of(stack[-1], dict).update(as_dict(zip(new[::2], new[1::2], strict=True)))
        elif name == "ADDITEMS":
            new = self._items()
            _of(stack[-1], set).update(checked_key(item) for item in new)
        elif name == "GLOBAL":
            stack.append(self._global(*value.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(self._global(module, attribute))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, function = stack.pop(), stack.pop()
            stack.append(_call(function, _of(arguments, tuple)))
        elif name == "BUILD":
            state = stack.pop()
            _set_state(stack[-1], state)
        elif name == "BINPERSID":
            stack.append(_reference(stack.pop()))
            self.storages.append(stack[-1])
        elif name not in ("PROTO", "FRAME"):
            raise Refused(f"the instruction {name}, which no network file needs")

    def _items(self) -> list[Any]:
        """What lies above the last mark, taken off the stack."""
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] is MARK:
                above = self.stack[at + 1 :]
                del self.stack[at:]
                return above
        raise Refused("a mark is missing")

    def _global(self, module: Any, attribute: Any) -> Global:
        name = f"{_of(module, str)}.{_of(attribute, str)}"
        if name not in self.names:
            raise Refused(f"the file asks for {name[:80]}, which no StyleGAN2 model needs")
        return Global(name)


def _of(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise Refused(f"{type(value).__name__} where {kind.__name__} belongs")
    return value


def _call(function: Any, arguments: tuple) -> Any:
    if not isinstance(function, Global) or function.name not in BUILDERS:
        raise Refused(f"a call of {getattr(function, 'name', type(function).__name__)}")
    return BUILDERS[function.name](*arguments)


def _set_state(target: Any, state: Any) -> None:
    """What an object saved of itself beside its class."""
    if isinstance(target, np.dtype):
        if _of(state, tuple)[1] == ">":
            raise Refused("numbers of another byte order")
    elif isinstance(target, Instance):
        target.state = as_array(*_of(state, tuple)) if target.kind == "array" else _of(state, dict)
    elif type(target) is not dict:  # torch's state dicts carry versions, which nobody needs
        raise Refused(f"a state for {type(target).__name__}")


def _reference(value: Any) -> Storage:
    """A storage that lies outside the pickle: ('storage', type, key, device, count, ...)."""
    if type(value) is not tuple or len(value) < 5 or value[0] != "storage":
        raise Refused("a reference in an unknown layout")
    _, kind, key, _, count = value[:5]
    if not isinstance(kind, Global) or kind.name not in STORAGES or type(key) is not str:
        raise Refused("a storage of an unknown type")
    if type(count) is not int or not 0 <= count <= MAX_COUNT:
        raise Refused("a storage of an impossible size")
    return Storage(STORAGES[kind.name], count, key)


# --- PyTorch checkpoints ----------------------------------------------------------------------------------


def _read_legacy(stream: IO[bytes], machine: Machine) -> Any:
    """The saved object, from the five pickles that precede the numbers in a checkpoint before zip."""
    plain = frozenset()
    if Machine(plain).load(stream) != LEGACY_MAGIC:
        raise Refused("not a PyTorch checkpoint")
    Machine(plain).load(stream)  # version
    Machine(plain).load(stream)  # sizes of numbers on the machine that wrote it
    content = machine.load(stream)
    keys = Machine(plain).load(stream)
    if type(keys) is not list or {*keys} != {storage.key for storage in machine.storages}:
        raise Refused("a checkpoint whose storages are not those it names")
    return content


def _read_zip(stream: IO[bytes], size: int, machine: Machine) -> Any:
    """The saved object of a zip checkpoint, every storage compared with what the archive holds."""
    records, content, total = {}, None, 0
    try:
        with zipfile.ZipFile(stream) as archive:
            for info in archive.infolist():
                name = info.filename.partition("/")[2]  # below the archive's one folder
                total += info.file_size
                if name in records or info.compress_type != zipfile.ZIP_STORED or total > size:
                    raise Refused(f"packed members that claim {total:,} bytes in a file of {size:,}")
                records[name] = info.file_size
            member = next((i for i in archive.infolist() if i.filename.endswith("/data.pkl")), None)
            if member is None:
                raise Refused("a zip archive without data.pkl")
            content = machine.load(io.BytesIO(archive.read(member)))
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
        raise Refused(f"a broken zip archive ({error})") from None
    for storage in machine.storages:
        there = records.get(f"data/{storage.key}", 0)
        if storage.size > there:
            raise Refused(f"a tensor that claims {storage.size:,} bytes where {there:,} are stored")
    return content


def _storage(data: Any) -> Storage:
    """The storage inside the bytes of torch.save: checked against its length, not read yet."""
    if type(data) is not bytes:
        raise Refused("a storage that is not bytes")
    stream = io.BytesIO(data)
    storage = _read_legacy(stream, Machine(frozenset(STORAGES)))
    if not isinstance(storage, Storage):
        raise Refused("a storage in an unknown layout")
    left = len(data) - stream.tell() - 8  # 8: the count once more
    if storage.size != left:
        raise Refused(f"a storage that claims {storage.size:,} bytes where {max(left, 0):,} follow")
    storage.data = data
    return storage


BUILDERS["torch.storage._load_from_bytes"] = _storage


def outline(path: Path) -> Any:
    """What a PyTorch checkpoint holds, with a `TensorClaim` for each tensor: nothing big is read.

    Every claim is compared with what the file really has. Raises Refused; OSError where it cannot be opened.
    """
    machine, size = Machine(), path.stat().st_size
    with open(path, "rb") as stream:
        start = stream.read(4)
        stream.seek(0)
        if start == ZIP_MAGIC:
            return _read_zip(stream, size, machine)
        content = _read_legacy(stream, machine)
    claimed = {storage.key: storage.size for storage in machine.storages}
    if sum(claimed.values()) > size:
        raise Refused(f"tensors that claim {sum(claimed.values()):,} bytes in a file of {size:,}")
    return content


def texts(start: bytes) -> set[str]:
    """Short strings and the names of classes in the beginning of a pickle, which may end anywhere."""
    found = set()
    try:
        for _, value, _ in pickletools.genops(io.BytesIO(start)):
            if isinstance(value, str) and len(value) < MAX_LINE:
                found.add(value)
    except Exception:  # cut off by us, or broken: what was found so far counts
        pass
    return found
