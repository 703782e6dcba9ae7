"""Read files of networks as plain data: nothing in the file can run.

    content = outline(Path("model.pt"))     # dicts, lists, numbers, and a TensorClaim for each tensor
    content["g_ema"]["conv1.bias"].tensor() # its numbers, while the file stays what it is

Known containers: pickles (NVIDIA's network files), and PyTorch's two checkpoint formats (zip and before). All are
run by pickle_machine.py. Nothing big is read until a tensor is asked for; every claim is compared with what the file
really has first.
"""

import re
import struct
import zipfile
from pathlib import Path
from typing import IO, Any

from .bounded_reader import Reader
from .pickle_machine import LEGACY_MAGIC, MAX_INSTRUCTIONS, Machine, read_legacy
from .plain_builders import NAMES
from .plain_objects import Refused, Stored, shown

__all__ = ["LEGACY_MAGIC", "LEGACY_START", "MAX_INSTRUCTIONS", "NAMES", "ZIP_MAGIC", "Machine", "outline"]

ZIP_MAGIC = b"PK\x03\x04"  # as torch.load tells the two formats of checkpoints apart
LEGACY_START = b"\x80\x02\x8a\n" + LEGACY_MAGIC.to_bytes(10, "little")  # LEGACY_MAGIC as a pickle
# The same with any protocol, and with the frame of the newer ones.
_LEGACY = re.compile(rb"\x80[\x02-\x05](\x95.{8})?" + re.escape(LEGACY_START[2:]), re.DOTALL)
MAX_DIRECTORY = 2 << 20  # bytes of a zip archive's list of members: some ten thousand
LOCAL_HEADER = struct.Struct(
    "<4s22xHH"
)  # of a zip archive: signature, lengths of the name and of what follows it


def is_checkpoint(start: bytes) -> bool:
    """Whether a file that begins so is a PyTorch checkpoint of one of the two formats."""
    return start.startswith(ZIP_MAGIC) or _LEGACY.match(start) is not None


class Foreign(Refused):
    """A file that is whole as far as it was read, and of another kind."""


def outline(path: Path) -> Any:
    """What a file holds; big numbers stay in it. Refused; OSError where it cannot be opened.

    The file stays open as long as the claims are kept.
    """
    stream = open(path, "rb")  # noqa: SIM115  the claims read from it
    try:
        start = stream.read(64)
        stream.seek(0)
        if not is_checkpoint(start):
            return Machine().load(stream)
        return _read_zip(stream) if start.startswith(ZIP_MAGIC) else _read_legacy(stream)
    except BaseException:
        stream.close()
        raise


def _read_legacy(stream: IO[bytes]) -> Any:
    machine = Machine()
    content = read_legacy(stream, machine)
    reader, places = Reader(stream), {}
    sizes = {storage.key: storage.size for storage in machine.storages}
    if any(sizes[storage.key] != storage.size for storage in machine.storages):
        raise Refused("a storage of two sizes")
    if sum(sizes.values()) > reader.end:
        raise Refused(f"tensors that claim {sum(sizes.values()):,} bytes in a file of {reader.end:,}")
    for key in machine.keys:
        if key not in places:
            reader.take(8)  # the count once more
            places[key] = reader.keep(sizes[key])
    for storage in machine.storages:
        storage.source = places[storage.key]
    return content


class _Short:
    """A stream for the library that reads zip archives: none of its reads is long, whatever the archive claims."""

    def __init__(self, stream: IO[bytes]):
        self._stream = stream
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable

    def read(self, n: int = -1) -> bytes:
        data = self._stream.read(MAX_DIRECTORY + 1 if n < 0 else min(n, MAX_DIRECTORY + 1))
        if len(data) > MAX_DIRECTORY:
            raise Refused(f"a zip archive whose list of members has more than {MAX_DIRECTORY >> 20} MiB")
        return data


def members(stream: IO[bytes]) -> dict[str, Stored]:
    """The members of a zip archive by name. Refused for a broken one, and for packed members."""
    size, found, total = Reader(stream).end, {}, 0
    try:
        with zipfile.ZipFile(_Short(stream)) as archive:
            listed = archive.infolist()
    except Refused:
        raise
    except Exception as error:  # its reader raises what it happens to meet, also of names that are no text
        raise Refused(f"a broken zip archive ({shown(error)})") from None
    if any(info.filename.endswith("/constants.pkl") for info in listed):
        raise Foreign("it is a network with its code (TorchScript); take a file of weights")
    for info in listed:
        total += info.file_size
        if info.filename in found or info.compress_type != zipfile.ZIP_STORED or total > size:
            raise Refused(f"packed members that claim {total:,} bytes in a file of {size:,}")
        stream.seek(max(info.header_offset, 0))
        header = stream.read(LOCAL_HEADER.size)
        if len(header) < LOCAL_HEADER.size or not header.startswith(ZIP_MAGIC):
            raise Refused("a broken zip archive (a member is not where it should be)")
        _, name, extra = LOCAL_HEADER.unpack(header)
        start = info.header_offset + LOCAL_HEADER.size + name + extra
        if start + info.file_size > size:
            raise Refused(f"a broken zip archive (a member of {info.file_size:,} bytes is cut short)")
        found[info.filename] = Stored(stream, start, info.file_size)
    return found


def _read_zip(stream: IO[bytes]) -> Any:
    """The saved object of a zip checkpoint, every storage compared with what the archive holds."""
    found = {name.partition("/")[2]: place for name, place in members(stream).items()}  # below its one folder
    if "data.pkl" not in found:
        raise Foreign("it is a zip archive without the list of a PyTorch checkpoint (data.pkl)")
    order = found.get("byteorder")
    if order is not None and order.read(0, 3) == b"big":
        raise Refused("a checkpoint of a machine with another byte order")
    machine, place = Machine(), found["data.pkl"]
    stream.seek(place.offset)
    content = machine.load(Reader(stream, place.offset + place.length))
    for storage in machine.storages:
        storage.source = found.get(f"data/{storage.key}")
        there = storage.source.length if storage.source else 0
        if storage.size > there:
            raise Refused(f"a tensor that claims {storage.size:,} bytes where {there:,} are stored")
    return content
