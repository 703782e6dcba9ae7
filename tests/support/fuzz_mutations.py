"""Changes of a file that a reader must survive: of bytes, of a pickle's instructions, of JSON, of XML, of zip members.

    damaged = mutate("safetensors", data, random.Random(7))

The same random numbers give the same file.
"""

import io
import json
import pickletools
import re
import struct
import warnings
import zipfile
from random import Random

NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**40 + 1, 2**63 - 1, 2**63,
           2**64 - 1, -1, -128, -(2**31))  # fmt: skip
DEEP = 20_000
# What a value of a JSON text may become; some are no JSON, and Python's reader takes them all the same.
JSON_VALUES = ("NaN", "Infinity", "-Infinity", "1e999", "-1", "0", "1e-320", "9" * 4000, "9" * 5000, "1" + "0" * 400,
               "true", "null", '""', '"x"', "[]", "{}", "18446744073709551616", "3.5", '"\\ud800"', '"\\u0000"',
               "[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP, '"' + "a" * 100_000 + '"',
               "[" + "0," * 50_000 + "0]", "[[[[[[1]]]]]]", '"mobile-ffhq"', "4096", "[4096,4096,4096]")  # fmt: skip
# What a program does that wants more than to be read. TRAP is replaced by a path that may not come into being.
PICKLES = (
    b"cposix\nsystem\n(X\x0a\x00\x00\x00touch TRAPtR",
    b"cbuiltins\neval\n(X\x12\x00\x00\x00open('TRAP', 'w')  tR",
    b"\x8c\x05posix\x8c\x06system\x93X\x0a\x00\x00\x00touch TRAP\x85R",
    b"cbuiltins\nexec\n(X\x12\x00\x00\x00open('TRAP', 'w')  tR",
    b"ctorch\nload\n(X\x04\x00\x00\x00TRAPtR",
    b"cos\nsystem\n)\x81}b",
    b"(S'touch TRAP'\nios\nsystem\n",
    b"}q\x01h\x01h\x01s",
    b"]q\x01h\x01a",
    b"(" * 200,
    b")" + b"\x85" * 500,
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x8b\xff\xff\xff\x7f",
    b"r\xff\xff\xff\x7f",
    b"\x8a\xff" + b"\xff" * 255,
    b"ctorch\nFloatStorage\n",
    b"cnumpy\ndtype\n(X\x02\x00\x00\x00O8K\x00K\x01tR",
    b"Q",
    b"0",
    b".",
)
XML_VALUES = ("", "-1", "0", "9" * 5000, "1e9", "999999999999", "1," * 2000, "4096,4096,4096,4096", "f32", "i64",
              "Const", "x" * 10_000, "&#0;", "&lt;", "18446744073709551616", "0x10", "\uff11", "\u202e", "1,,2",
              "-3,4")  # fmt: skip


def mutate(kind: str, data: bytes, random: Random) -> bytes:
    """A damaged copy of a file of that kind: pickle, legacy, zip, npz, safetensors, xml or bytes."""
    if random.random() < 0.6:
        try:
            data = STRUCTURED.get(kind, _bytes)(data, random)
        except Exception:  # it is so damaged already that it has no parts
            data = _bytes(data, random)
        if random.random() < 0.7:
            return data
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        data = _bytes(data, random)
    return data


# --- bytes ------------------------------------------------------------------------------------------------


def _bytes(data: bytes, random: Random) -> bytes:
    """One change anywhere, more often near the ends, where the structure is."""
    out = bytearray(data or b"\0")
    at = random.randrange(len(out)) if random.random() < 0.5 else min(random.randrange(2_000), len(out) - 1)
    if random.random() < 0.2:
        at = max(len(out) - 1 - random.randrange(600), 0)
    size = random.choice((1, 2, 4, 8, 32, 200, 3_000))
    end = min(at + size, len(out))
    what = random.randrange(10)
    if what == 0:
        out[at] ^= 1 << random.randrange(8)
    elif what == 1:
        out[at:end] = random.randbytes(end - at)
    elif what == 2:
        del out[at:end]
    elif what == 3:
        out[at:at] = random.randbytes(size)
    elif what == 4:
        out[at:at] = out[at:end] * random.choice((1, 2, 50))
    elif what == 5:
        width = random.choice((1, 2, 4, 8))
        number = random.choice(NUMBERS) % (1 << 8 * width)
        out[at : at + width] = number.to_bytes(width, random.choice(("little", "big")))
    elif what == 6:
        del out[at:]
    elif what == 7:
        other = random.randrange(len(out))
        out[at:end] = out[other : other + end - at]
    elif what == 8:
        out[at:end] = bytes([random.choice((0, 255, 0x80, 0x7F))]) * (end - at)
    else:
        out[at:at] = random.choice(PICKLES)
    return bytes(out)


# --- pickles ----------------------------------------------------------------------------------------------


def _instructions(data: bytes) -> list[bytes]:
    """Pickles in a row, cut into their instructions, without the lengths of parts; what follows as one piece."""
    found, start = [], 0
    while data[start : start + 1] == b"\x80":
        stream = io.BytesIO(data[start:])
        places = [(code.name, at) for code, _, at in pickletools.genops(stream)]
        ends = [at for _, at in places[1:]] + [stream.tell()]
        pieces = zip(places, ends, strict=True)
        found += [data[start + at : start + end] for (name, at), end in pieces if name != "FRAME"]
        start += stream.tell()
    return [*found, data[start:]]


def _pickle(data: bytes, random: Random) -> bytes:
    parts = _instructions(data)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        at = random.randrange(len(parts))
        what = random.choice((0, 1, 2, 3, 4, 4, 4, 5, 6, 6, 7))
        if what == 0:
            parts.insert(at, random.choice(PICKLES))
        elif what == 1:
            del parts[at]
            parts = parts or [b"."]
        elif what == 2:
            parts.insert(at, random.choice(parts[:-1] or [b"N"]))
        elif what == 3:
            other = random.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
        elif what == 4:  # another number: a size, an offset, a key, a value
            numbers = [i for i, part in enumerate(parts) if part[:1] in (b"K", b"M", b"J", b"G", b"\x8a")]
            number = random.choice(NUMBERS)
            parts[random.choice(numbers or [at])] = b"\x8a\x09" + number.to_bytes(9, "little", signed=True)
        elif what == 5:
            parts[at] = random.choice(
                (b"N", b"\x88", b"]", b"}", b")", b"K\x00", b"G\x7f\xf0\0\0\0\0\0\0", b"C\x01a")
            )
        elif what == 6:  # a name that stands for something else, or with another letter
            names = [i for i, part in enumerate(parts) if part[:1] in (b"X", b"\x8c", b"c", b"C", b"B")]
            at = random.choice(names or [at])
            if random.random() < 0.5:
                parts[at] = parts[random.choice(names or [at])]
            else:
                letters = bytearray(parts[at])
                letters[-1 - random.randrange(max(len(letters) - 5, 1))] = random.randrange(256)
                parts[at] = bytes(letters)
        else:
            piece = parts[at : at + random.choice((2, 10, 100))]
            parts[at:at] = piece * random.choice((1, 3, 30))
    return b"".join(parts)


def _zip(data: bytes, random: Random) -> bytes:
    """Its members changed, one left out or doubled, or packed."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at = random.randrange(len(members))
    if random.random() < 0.7:  # what says what the others are
        at = next((i for i, (name, _) in enumerate(members) if name.endswith("data.pkl")), at)
    name, content = members[at]
    what = random.randrange(10)
    if what < 6:
        change = _pickle if name.endswith(".pkl") else _array if name.endswith(".npy") else _bytes
        content = change(content, random)
    elif what == 6:
        content = bytes(random.choice((0, 1, 1 << 16)))
    elif what == 7:
        name = random.choice(
            ("data.pkl", "a/data.pkl", "../../x", "a/" * 200 + "x", "\U0001f600", "", "a/constants.pkl")
        )
    members[at] = (name, content)
    if what == 8:
        del members[at]
    elif what == 9:
        members.insert(0, members[-1])
    stream = io.BytesIO()
    packing = zipfile.ZIP_DEFLATED if random.random() < 0.1 else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", packing) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice, which is meant
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, packing)
    return stream.getvalue()


def _array(data: bytes, random: Random) -> bytes:
    """The header of an npy file, which is the text of a dict in Python."""
    size = struct.unpack("<H", data[8:10])[0]
    header, rest = data[10 : 10 + size].decode("latin-1"), data[10 + size :]
    changes = (
        (r"\(.*\)", random.choice(("(-1,)", "(9" + "9" * 30 + ",)", "(2, 2", "()", "(1e3,)", "(" * 500, "(True,)"))),
        (r"'<f4'", random.choice(("'|O'", "'<f8'", "'<U9999999'", "'V0'", "[('a', '<f4')]", "'x'", "'<c16'", "7"))),
        (r"False", random.choice(("True", "None", "__import__('os').system('touch TRAP')", "2"))),
        (r"'descr'", random.choice(("'shape'", "descr", "b'x'"))),
    )  # fmt: skip
    pattern, new = random.choice(changes)
    header = re.sub(pattern, lambda _: new, header, count=1).encode("latin-1")
    version = random.choice((b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\x09\0"))
    length = struct.pack("<H", len(header)) if version == b"\1\0" else struct.pack("<I", len(header))
    return data[:6] + version + length + header + rest


# --- texts ------------------------------------------------------------------------------------------------


def _places(value, path=()) -> list[tuple]:
    """The ways to every value in a JSON text."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] + [inner for key, each in items for inner in _places(each, (*path, key))]


def change_json(value, random: Random) -> str:
    """The text with one value replaced, moved, left out or doubled; texts that are JSON themselves are gone into."""
    places = _places(value)
    path = random.choice(places[1:] or places)
    if not path:
        return random.choice(JSON_VALUES)
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    key, old = path[-1], parent[path[-1]]
    what, inner = random.randrange(6), None
    if isinstance(old, str) and old[:1] in ("{", "["):
        try:
            inner = json.loads(old)
        except ValueError:
            inner = None
    if inner is not None and random.random() < 0.9:
        parent[key] = change_json(inner, random)
    elif what == 0 and isinstance(parent, dict):
        parent[random.choice(("x", "", "weights.x", "__metadata__", "draggan", "\u0000"))] = parent.pop(key)
    elif what == 1:
        del parent[key]
    elif what == 2:
        other = value
        for each in random.choice(places):
            other = other[each]
        parent[key] = json.loads(json.dumps(other))
    else:
        parent[key] = "@@VALUE@@"
    return json.dumps(value).replace('"@@VALUE@@"', random.choice(JSON_VALUES))


def _safetensors(data: bytes, random: Random) -> bytes:
    size = struct.unpack("<Q", data[:8])[0]
    header, rest = json.loads(data[8 : 8 + size]), data[8 + size :]
    if "__metadata__" in header and random.random() < 0.5:
        try:
            metadata = json.loads(change_json(header["__metadata__"], random))
        except (ValueError, RecursionError):
            metadata = None
        if isinstance(metadata, dict):
            header["__metadata__"] = metadata
            text = json.dumps(header)
        else:
            text = json.dumps(header | {"__metadata__": random.choice((7, None, [], {"format": 7}))})
    else:
        text = change_json(header, random)
    text = text.encode()
    text += b" " * (-len(text) % 8)
    if random.random() < 0.2:  # numbers that are none
        rest = bytearray(rest)
        at = random.randrange(max(len(rest) - 4, 1)) & ~3
        rest[at : at + 4] = struct.pack("<f", random.choice((float("nan"), float("inf"), 3e38, -3e38, 1e-45)))
    return struct.pack("<Q", len(text)) + text + bytes(rest)


def _xml(data: bytes, random: Random) -> bytes:
    text = data.decode()
    what = random.randrange(7)
    if what < 3:
        found = list(re.finditer(r'="([^"]*)"', text))
        match = random.choice(found)
        values = [other.group(1) for other in found]
        value = random.choice(XML_VALUES) if what else random.choice(values)
        text = text[: match.start(1)] + value + text[match.end(1) :]
    elif what == 3:
        match = random.choice(list(re.finditer(r"<[^>]*>", text)))
        text = text[: match.start()] + text[match.end() :]
    elif what == 4:
        match = random.choice(list(re.finditer(r"<(layer|edge)\b.*?(</layer>|/>)", text, re.DOTALL)))
        text = text[: match.start()] + match.group() * random.choice((2, 2, 500)) + text[match.end() :]
    elif what == 5:
        text = text.replace("<layers>", "<layers>" + "<a>" * 3_000 + "</a>" * 3_000)
    else:
        entity = '<!DOCTYPE net [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        text = entity + text.replace('name="', 'name="&b;', 1)
    encoded = text.encode(random.choice(("utf-8", "utf-8", "utf-8", "utf-16")))
    return encoded


STRUCTURED = {
    "pickle": _pickle, "legacy": _pickle, "zip": _zip, "npz": _zip, "npy": _array,
    "safetensors": _safetensors, "xml": _xml,
}  # fmt: skip
