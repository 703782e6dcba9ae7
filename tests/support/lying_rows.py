"""The ways in which a server misbehaves, a row each: what it does, and what may come of it.

A row is a function that writes the answer to one request. ``number`` counts the requests from 0. What may come of it
is "whole" (the file is DATA), "other" (it is OTHER, another whole version) or "refused" (one line, no file, no record),
where the file's sha256 is known and where it is not.
"""

import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from lying_server import BLOCK, DATA, HALF, Request


@dataclass
class Row:
    name: str
    answer: Callable[[Request], object]
    known: str  # what may come of it where the sha256 is known
    unknown: str  # and where it is not
    ending: str = "bin"  # of the file: bytes of no kind, or an archive that can be opened


ROWS: list[Row] = []


def row(known: str, unknown: str, ending: str = "bin") -> Callable:
    def add(answer: Callable[[Request], object]) -> Callable[[Request], object]:
        ROWS.append(Row(answer.__name__.replace("_", " "), answer, known, unknown, ending))
        return answer

    return add


# --- what is in order -------------------------------------------------------------------------------------


@row("whole", "whole")
def honest(request):
    request.give(DATA)


@row("whole", "whole")
def in_chunks(request):
    request.head(Transfer_Encoding="chunked")
    for start in range(0, len(DATA), BLOCK):
        request.chunk(DATA[start : start + BLOCK])
    request.send(b"0\r\n\r\n")


@row("whole", "whole")
def cut_once(request):
    request.give(DATA, most=HALF if request.number == 0 else None)


@row("whole", "whole")
def cut_once_and_dated(request):
    request.rest(
        DATA, ETag=None, Last_Modified="Mon, 01 Jan 2024 00:00:00 GMT"
    ) if request.start else request.give(
        DATA,
        etag="",
        most=HALF if request.number == 0 else None,
        Last_Modified="Mon, 01 Jan 2024 00:00:00 GMT",
    )


@row("whole", "whole")
def reset_once(request):
    if request.number:
        return request.give(DATA)
    request.give(DATA, most=HALF)
    request.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@row("whole", "whole")
def redirected_twice(request):
    if request.path == "/file":
        return request.give(DATA)
    request.head("302 Found", Location="/file" if request.number else "/again", Content_Length=0)


@row("whole", "whole")
def busy_at_first(request):
    request.give(DATA) if request.number else request.head("503 Service Unavailable", Content_Length=0)


@row("whole", "whole")
def silent_at_first(request):
    request.give(DATA) if request.number else time.sleep(1.5)


@row("whole", "refused")
def until_it_closes(request):
    request.head()
    request.send(DATA)


# --- nothing, or something else ---------------------------------------------------------------------------


@row("refused", "refused")
def empty(request):
    request.head(Content_Length=0)


@row("refused", "refused")
def empty_chunks(request):
    request.head(Transfer_Encoding="chunked")
    request.send(b"0\r\n\r\n")


@row("refused", "refused")
def empty_until_it_closes(request):
    request.head()


@row("refused", "refused")
def no_content(request):
    request.head("204 No Content", ETag='"1"')


@row("refused", "refused")
def accepted_for_later(request):
    request.head("202 Accepted", Content_Length=4)
    request.send(b"soon")


@row("refused", "refused")
def not_found(request):
    request.head("404 Not Found", Content_Length=0)


@row("refused", "refused")
def too_many_requests(request):
    request.head("429 Too Many Requests", Content_Length=0)


@row("refused", "refused")
def always_busy(request):
    request.head("500 Internal Server Error", Content_Length=0)


@row("refused", "refused")
def a_page(request):
    request.head(Content_Type="text/html", Content_Length=13)
    request.send(b"<html></html>")


@row("refused", "refused")
def a_page_called_a_file(request):
    request.give(b"\n <!DOCTYPE html><html>quota exceeded</html>")


@row("refused", "refused", "zip")
def an_error_called_a_file(request):
    request.give(b'{"error": "quota exceeded"}')


@row("refused", "refused", "zip")
def another_kind(request):
    request.give(b"\x89PNG\r\n\x1a\n" + DATA)  # an archive is in it


@row("refused", "refused", "zip")
def a_file_that_ends_early(request):
    request.give(DATA[:HALF])


@row("refused", "refused", "zip")
def a_file_with_one_wrong_byte(request):
    request.give(DATA[:HALF] + bytes([DATA[HALF] ^ 1]) + DATA[HALF + 1 :])


@row("refused", "refused")
def packed_unasked(request):
    request.give(DATA, Content_Encoding="gzip")


# --- lengths that lie -------------------------------------------------------------------------------------


@row("refused", "refused")
def longer_than_it_is(request):
    request.head(Content_Length=len(DATA) + 9)
    request.send(DATA)


@row("refused", "refused", "zip")
def shorter_than_it_is(request):
    request.head(Content_Length=HALF)
    request.send(DATA)


@row("whole", "refused")
def negative_length(request):
    request.head(Content_Length=-5)
    request.send(DATA)


@row("whole", "refused")
def a_length_that_is_no_number(request):
    request.head(Content_Length="many")
    request.send(DATA)


@row("refused", "refused")
def a_length_of_petabytes(request):
    request.head(Content_Length=10**16)
    request.send(DATA)


@row("refused", "refused")
def without_end(request):
    request.head(Transfer_Encoding="chunked")
    while True:
        request.chunk(bytes(BLOCK))


@row("refused", "refused")
def the_last_chunk_is_missing(request):
    request.head(Transfer_Encoding="chunked")
    request.chunk(DATA)


@row("refused", "refused")
def chunks_that_are_no_numbers(request):
    request.head(Transfer_Encoding="chunked")
    request.send(b"zz\r\n" + DATA)


@row("refused", "refused")
def cut_for_ever(request):
    request.give(DATA, most=0 if request.number else HALF)


@row("refused", "refused")
def a_byte_at_a_time(request):
    request.give(DATA, most=1)
