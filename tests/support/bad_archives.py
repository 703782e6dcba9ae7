"""Archives that nobody should unpack: each is built here, as bytes, with what may come of it."""

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Callable

import numpy as np
from PIL import Image
from segmentation_data import picture_pair

# name -> (bytes, what the one line says; "" where the archive is harmless and its pictures are used)
BAD: dict[str, tuple[Callable[[], bytes], str]] = {}


def png(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format="PNG")
    return stream.getvalue()


PICTURES = {f"toy/train/{k}.png": png(np.hstack(picture_pair(k))) for k in range(3)}


def tar(*entries: tuple[tarfile.TarInfo, bytes], packed: str = "gz", kind: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar archive of three pairs, and of these entries behind them."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{packed}", format=kind) as pack:
        for name, data in PICTURES.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            pack.addfile(info, io.BytesIO(data))
        for info, data in entries:
            pack.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def entry(name: str, data: bytes = b"", **more: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def zipped(name: str, data: bytes = b"evil", attributes: int = 0) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as pack:
        for path, content in PICTURES.items():
            pack.writestr(path, content)
        info = zipfile.ZipInfo(name)
        info.external_attr = attributes << 16
        pack.writestr(info, data)
    return stream.getvalue()


def patched(data: bytes, local: int, central: int, value: bytes) -> bytes:
    """The last file's field at this place of its local header and of its entry in the list."""
    out = bytearray(data)
    for magic, place in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        start = out.rfind(magic) + place
        out[start : start + len(value)] = value
    return bytes(out)


def bad(says: str = "cannot be unpacked") -> Callable:
    def add(build: Callable[[], bytes]) -> Callable[[], bytes]:
        BAD[build.__name__.replace("_", " ")] = (build, says)
        return build

    return add


def climbs(name: str, path: str) -> None:
    for kind, build in (("tar", lambda: tar(entry(path, b"evil"))), ("zip", lambda: zipped(path))):
        BAD[f"{name}, {kind}"] = (build, "outside its folder")


climbs("climbing", "../climbed.png")
climbs("climbing in the middle", "toy/a/../../../climbed.png")
climbs("climbing by backslashes", "..\\climbed.png")
climbs("an absolute path", "/absolute_climb/x.png")
climbs("a drive", "C:/climbed.png")


@bad()
def deep_tar():
    return tar(entry("toy/" + "d/" * 1500 + "x.png", b"deep"))


@bad()
def deep_zip():
    return zipped("toy/" + "d/" * 1500 + "x.png")


@bad()
def a_long_name():
    return tar(entry("toy/" + "n" * 3000, b"long"))


@bad()
def a_name_longer_than_the_file_system_has():
    return tar(entry("toy/" + "n" * 300, b"long"))


@bad()
def encrypted():
    return patched(zipped("toy/secret"), 6, 8, b"\x01\x00")


@bad()
def an_unknown_method():
    return patched(zipped("toy/odd"), 8, 10, b"\x63\x00")


@bad()
def a_method_of_the_future():
    return patched(zipped("toy/odd"), 4, 6, b"\xff\x00")


@bad()
def a_wrong_checksum():
    return patched(zipped("toy/odd"), 14, 16, b"\x01\x02\x03\x04")


@bad()
def cut_in_the_middle():
    data = tar()
    return data[: len(data) // 2]


@bad()
def cut_tar():
    data = tar(packed="")
    return data[: data.index(PICTURES["toy/train/1.png"]) - 512]


@bad()
def cut_zip():
    return zipped("toy/x")[:-30]


@bad()
def something_behind_a_zip():
    return zipped("toy/x") + b"more"


@bad()
def a_header_of_a_gigabyte():
    """A name that long, of zeros, in a file of a megabyte."""
    header = entry("x" * 10, type=tarfile.XHDTYPE, size=2**30)[0].tobuf(tarfile.USTAR_FORMAT)
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=9) as pack:
        pack.write(header)
        for _ in range(256):
            pack.write(bytes(2**22))
    return stream.getvalue()


@bad()
def a_file_of_a_petabyte():
    return tar_of_size(10**15)


def tar_of_size(size: int) -> bytes:
    info = entry("toy/large")[0]
    info.size = size
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


@bad()
def packed_nothing():
    return gzip.compress(b"")


@bad()
def noise():
    return os.urandom(5000)


@bad("outside its folder")
def a_link_out():
    return tar(entry("toy/train/out", type=tarfile.SYMTYPE, linkname="/etc"))


@bad("outside its folder")
def a_link_out_and_a_file_through_it():
    link = entry("toy/out", type=tarfile.SYMTYPE, linkname="../../..")
    return tar(link, entry("toy/out/climbed.png", b"evil"))


@bad("outside its folder")
def a_hard_link_out():
    return tar(entry("toy/train/out", type=tarfile.LNKTYPE, linkname="../../../secret"))


@bad("outside its folder")
def a_device():
    return tar(entry("toy/train/null.png", type=tarfile.CHRTYPE, devmajor=1, devminor=3))


@bad("outside its folder")
def a_pipe():
    return tar(entry("toy/train/pipe.png", type=tarfile.FIFOTYPE))


@bad("")
def a_link_inside():
    """It would lead elsewhere once the folder has moved: it is left out."""
    return tar(entry("toy/train/again.png", type=tarfile.SYMTYPE, linkname="../train/0.png"))


@bad("")
def a_link_inside_a_zip():
    return zipped("toy/train/again.lnk", b"../../../../etc/passwd", attributes=0o120777)


@bad("")
def a_hard_link_inside():
    return tar(entry("toy/train/again.png", type=tarfile.LNKTYPE, linkname="toy/train/0.png"))


@bad("")
def everything_may_be_written_by_all():
    return tar(entry("toy/train/9.png", PICTURES["toy/train/0.png"], mode=0o7777))


@bad("no folder train")
def another_data_set():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as pack:
        pack.addfile(entry("readme", b"nothing here")[0], io.BytesIO(b"nothing here"))
    return stream.getvalue()


@bad("holds")
def a_file_called_train():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as pack:
        pack.addfile(entry("toy/train", b"a file")[0], io.BytesIO(b"a file"))
    return stream.getvalue()
