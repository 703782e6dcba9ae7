"""Data sets with one bad picture or pair in them, made by hand: read right or named, in bounded time and memory."""

import os
import random
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from picture_files import EITHER, RIGHT, Case, chunk, encoded, pair, png, zeros
from PIL import Image

CASES: list[Case] = []


def case(says: str | None, apart: bool = False) -> Callable:
    def add(place: Callable[[Path], object]) -> Callable[[Path], object]:
        CASES.append(Case(place.__name__.replace("_", " "), place, says, apart))
        return place

    return add


# --- no picture -------------------------------------------------------------------------------------------


@case("it is empty")
def empty(train):
    (train / "x.png").write_bytes(b"")


for _name, _data in {
    "text": b"hello",
    "a page": b"<html></html>",
    "noise": random.Random(0).randbytes(5000),
    "zeros": bytes(5000),
    "a drawing that another program would draw": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 32\nshowpage\n",
    "a vector picture": b"<svg xmlns='http://www.w3.org/2000/svg' width='64' height='32'/>",
    "a portable map of gigabytes": b"P6\n100000 100000\n255\n",
    "an archive": b"PK\x05\x06" + bytes(18),
    "a pickle": b"\x80\x04N.",
}.items():
    CASES.append(Case(_name, lambda train, data=_data: (train / "x.jpg").write_bytes(data), "cannot be read"))


@case("is a named pipe")
def a_pipe(train):
    os.mkfifo(train / "x.png")


@case("is a device or socket")
def a_device_without_end(train):
    (train / "x.png").symlink_to("/dev/zero")


@case("is a device or socket")
def a_device_that_waits(train):
    (train / "x.png").symlink_to("/dev/random")


@case("it is empty")
def a_file_of_the_kernel(train):
    (train / "x.png").symlink_to("/proc/self/maps")


@case("is a device or socket")
def a_socket(train):
    os.chdir(train)  # its name must be short
    socket.socket(socket.AF_UNIX).bind("x.png")


@case("a link that leads nowhere")
def a_link_that_leads_nowhere(train):
    (train / "x.png").symlink_to("nowhere.png")


@case("x.png")
def a_link_to_itself(train):
    (train / "x.png").symlink_to("x.png")


@case(RIGHT)
def a_link_to_a_picture(train):
    (train / "x.png").symlink_to(train / "train_0.png")


@case(RIGHT)
def a_folder_called_as_a_picture(train):
    (train / "x.png").mkdir()


@case(RIGHT)
def a_link_to_the_folder_above(train):
    (train / "up").symlink_to("..")


@case(RIGHT)
def a_link_to_the_whole_disk(train):
    (train / "all").symlink_to("/")


@case(RIGHT)
def links_in_a_circle(train):
    (train / "a").mkdir()
    (train / "b").mkdir()
    (train / "a/b").symlink_to(train / "b")
    (train / "b/a").symlink_to(train / "a")


@case("more than 30 deep")
def folders_without_end(train):
    os.chdir(train)
    for _ in range(1500):
        os.mkdir("d")
        os.chdir("d")


# --- sizes ------------------------------------------------------------------------------------------------


@case("million that are read")
def a_bomb(train):
    (train / "x.png").write_bytes(png(30_000, 30_000, depth=1, colour=0))


@case("million that are read")
def a_bomb_of_few_bytes(train):
    (train / "x.png").write_bytes(png(2**31 - 2, 2**31 - 2, rows=b""))


@case(EITHER)
def as_large_as_is_read(train):
    (train / "x.png").write_bytes(png(7070, 7070, depth=1, colour=0))


@case("cannot be read")
def no_pixels(train):
    (train / "x.png").write_bytes(png(0, 0, rows=b""))


@case("million that are read")
def a_gif_of_gigapixels(train):
    data = bytearray(encoded(pair(), "GIF"))
    data[6:10] = b"\xff\xff\xff\xff"
    (train / "x.gif").write_bytes(data)


@case(EITHER)
def a_gif_of_many_frames(train):
    frames = [Image.new("P", (64, 32), k % 256) for k in range(500)]
    frames[0].save(train / "x.gif", save_all=True, append_images=frames[1:])


@case("million that are read")
def a_bmp_of_gigapixels(train):
    data = bytearray(encoded(pair(), "BMP"))
    data[18:26] = struct.pack("<ii", 100_000, 100_000)
    (train / "x.bmp").write_bytes(data)


@case(EITHER)
def a_bmp_from_bottom_to_top(train):
    data = bytearray(encoded(pair(), "BMP"))
    data[22:26] = struct.pack("<i", -32)
    (train / "x.bmp").write_bytes(data)


@case("cannot be read")
def a_text_of_a_gigabyte(train):
    pack = zlib.compressobj(9)
    packed = b"".join(zeros(pack, 2**30)) + pack.flush()
    (train / "x.png").write_bytes(png(64, 32, extra=chunk(b"zTXt", b"note\0\0" + packed)))


@case(EITHER)
def a_profile_of_a_gigabyte(train):
    pack = zlib.compressobj(9)
    packed = b"".join(zeros(pack, 2**30)) + pack.flush()
    (train / "x.png").write_bytes(png(64, 32, extra=chunk(b"iCCP", b"note\0\0" + packed)))


@case(RIGHT)
def two_pixels(train):
    Image.new("RGB", (2, 1)).save(train / "x.png")


@case("1 pixels wide")
def one_pixel(train):
    Image.new("RGB", (1, 1)).save(train / "x.png")


@case("65 pixels wide")
def an_odd_width(train):
    Image.new("RGB", (65, 32)).save(train / "x.png")


@case(RIGHT)
def very_long(train):
    Image.new("RGB", (60_000, 1), (128, 0, 0)).save(train / "x.png")


@case(RIGHT)
def very_high(train):
    Image.new("RGB", (2, 60_000), (128, 0, 0)).save(train / "x.png")


# --- kinds ------------------------------------------------------------------------------------------------

for _mode, _kind, _says in (
    ("CMYK", "TIFF", "is a CMYK picture"),
    ("LAB", "TIFF", "is a LAB picture"),
    ("F", "TIFF", "holds numbers with fractions"),
    ("I", "TIFF", RIGHT),
    ("I;16", "PNG", RIGHT),
    ("1", "PNG", RIGHT),
    ("L", "JPEG", RIGHT),
    ("LA", "PNG", "partly transparent"),
    ("RGBA", "PNG", "partly transparent"),
    ("RGBA", "WEBP", "partly transparent"),
    ("P", "GIF", RIGHT),
):
    CASES.append(
        Case(
            f"{_mode} in {_kind}",
            lambda train, mode=_mode, kind=_kind: Image.new(mode, (64, 32)).save(train / f"x.{kind.lower()}"),
            _says,
        )
    )


@case(RIGHT)
def turned_by_exif(train):
    exif = Image.Exif()
    exif[0x0112] = 3
    pair().save(train / "x.jpg", exif=exif)


@case(EITHER)
def exif_that_is_none(train):
    pair().save(train / "x.jpg", exif=b"Exif\0\0" + random.Random(1).randbytes(3000))


@case(RIGHT)
def called_by_another_ending(train):
    (train / "x.png").write_bytes(encoded(pair(), "JPEG"))


@case(RIGHT)
def endings_in_capitals(train):
    (train / "X.PNG").write_bytes(encoded(pair(), "PNG"))


# --- names and partners -----------------------------------------------------------------------------------

for _name in (
    "a b.png",
    "-rf.png",
    "ü漢字🙂.png",
    "é.png",
    "line\nbreak.png",
    "'$(touch x)'.png",
    "%s{0}.png",
    "epoch_0001.png",
    "n" * 251 + ".png",
    os.fsdecode(b"\xff\xfe.png"),
    "con.png",
    "..png",
):
    CASES.append(
        Case(
            f"the name {ascii(_name)[:30]}",
            lambda train, name=_name: (train / name).write_bytes(encoded(pair(), "PNG")),
            RIGHT,
        )
    )


@case(RIGHT)
def hidden(train):
    (train / ".x.png").write_bytes(b"not looked at")


@case("have the same name")
def two_of_one_name(train):
    for kind in ("png", "bmp"):
        pair().save(train / f"x.{kind}")


@case("no partner", apart=True)
def without_a_partner(train):
    pair().save(train / "A/x.png")


@case("no partner", apart=True)
def names_that_only_look_alike(train):
    Image.new("RGB", (32, 32)).save(train / "A/\u00e9.png")
    Image.new("RGB", (32, 32)).save(train / "B/e\u0301.png")


@case("must be of one size", apart=True)
def of_different_sizes(train):
    for side, width in (("A", 32), ("B", 33)):
        Image.new("RGB", (width, 32)).save(train / side / "x.png")


@case("must be of one size", apart=True)
def one_of_them_turned(train):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(train / "A/x.jpg", exif=exif)
    Image.new("RGB", (40, 20)).save(train / "B/x.png")


@case("is a named pipe", apart=True)
def a_pipe_as_a_partner(train):
    Image.new("RGB", (32, 32)).save(train / "A/x.png")
    os.mkfifo(train / "B/x.png")


@case("cannot be read", apart=True)
def a_broken_partner(train):
    Image.new("RGB", (32, 32)).save(train / "A/x.png")
    (train / "B/x.png").write_bytes(b"no picture")


@case("million that are read", apart=True)
def a_bomb_as_a_partner(train):
    Image.new("RGB", (32, 32)).save(train / "A/x.png")
    (train / "B/x.png").write_bytes(png(30_000, 30_000, depth=1, colour=0))


@case(EITHER, apart=True)
def a_photo_as_a_label(train):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for side in "AB":
        Image.fromarray(noise).save(train / side / "x.png")


@case(EITHER, apart=True)
def ids_among_colours(train):
    Image.new("RGB", (32, 32)).save(train / "A/x.png")
    Image.fromarray(np.arange(1024, dtype=np.uint16).reshape(32, 32)).save(train / "B/x.png")
