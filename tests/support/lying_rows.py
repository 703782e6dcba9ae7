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

from lying_server import BLOCK, DATA, HALF, OTHER, Request


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


def trickle(request: Request, data: bytes, pause: float = 0.05) -> None:
    for k in range(len(data)):
        request.send(data[k : k + 1])
        time.sleep(pause)


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


# --- parts of other files ---------------------------------------------------------------------------------


@row("refused", "refused")
def a_part_that_was_not_asked_for(request):
    request.head("206 Partial Content", Content_Length=9, Content_Range=f"bytes 0-8/{len(DATA)}", ETag='"1"')
    request.send(DATA[:9])


@row("refused", "other")
def changed_and_says_so(request):
    request.give(OTHER, etag='"2"') if request.number else request.give(DATA, most=HALF)


@row("refused", "other")
def spliced_with_another_etag(request):
    request.rest(OTHER if request.number else DATA, ETag='"2"')


@row("refused", "other")
def spliced_without_an_etag(request):
    request.rest(OTHER if request.number else DATA)


@row("refused", "other")
def spliced_with_another_date(request):
    date = f"Mon, 0{1 + bool(request.number)} Jan 2024 00:00:00 GMT"
    if request.start:
        return request.rest(OTHER, Last_Modified=date)
    request.give(OTHER if request.number else DATA, "", None if request.number else HALF, Last_Modified=date)


@row("refused", "refused", "zip")
def spliced_under_the_same_etag(request):
    request.rest(OTHER if request.number else DATA, ETag='"1"')


@row("refused", "other")
def without_any_version(request):
    request.rest(OTHER) if request.start else request.give(
        OTHER if request.number else DATA, "", None if request.number else HALF
    )


@row("refused", "refused", "zip")
def shrunk(request):
    request.rest(DATA[: HALF + 99] if request.number else DATA, ETag='"1"')


@row("refused", "refused", "zip")
def grown(request):
    request.rest(DATA + bytes(99) if request.number else DATA, ETag='"1"')


@row("whole", "whole")
def another_beginning_of_the_part(request):
    if not request.start:
        return request.give(DATA, most=HALF if request.number == 0 else None)
    request.head("206 Partial Content", Content_Length=9, Content_Range=f"bytes 0-8/{len(DATA)}", ETag='"1"')
    request.send(DATA[:9])


@row("whole", "whole")
def another_end_of_the_part(request):
    if not request.start:
        return request.give(DATA, most=HALF if request.number == 0 else None)
    span = f"bytes {request.start}-{request.start + 8}/{len(DATA)}"
    request.head("206 Partial Content", Content_Length=9, Content_Range=span, ETag='"1"')
    request.send(DATA[request.start : request.start + 9])


@row("whole", "whole")
def a_part_without_its_place(request):
    if not request.start:
        return request.give(DATA, most=HALF if request.number == 0 else None)
    request.head("206 Partial Content", Content_Length=9, ETag='"1"')
    request.send(DATA[:9])


@row("whole", "whole")
def a_part_of_nobody_knows_what(request):
    if not request.start:
        return request.give(DATA, most=HALF if request.number == 0 else None)
    request.rest(DATA, Content_Range=f"bytes {request.start}-{len(DATA) - 1}/*", ETag='"1"')


@row("refused", "refused")
def several_parts(request):
    if not request.start:
        return request.give(DATA, most=HALF)
    request.head("206 Partial Content", Content_Type="multipart/byteranges; boundary=x", Content_Length=3)
    request.send(b"--x")


@row("whole", "whole")
def nothing_is_missing_it_says(request):
    if not request.start:
        return request.give(DATA, most=HALF if request.number == 0 else None)
    request.head("416 Range Not Satisfiable", Content_Range=f"bytes */{request.start}", Content_Length=0)


@row("refused", "refused")
def no_range_is_right(request):
    request.head("416 Range Not Satisfiable", Content_Length=0)


@row("refused", "refused")
def each_time_another_version(request):
    data = (DATA, OTHER)[request.number % 2]
    request.give(data, etag=f'"{request.number}"', most=HALF + request.number)


# --- slow, looping, no HTTP -------------------------------------------------------------------------------


@row("refused", "refused")
def drop_by_drop(request):
    request.head(Content_Length=len(DATA), ETag='"1"')
    trickle(request, DATA)


@row("refused", "refused")
def a_head_drop_by_drop(request):
    trickle(request, b"HTTP/1.1 200 OK\r\n" + b"X-More: drops\r\n" * 1000)


@row("refused", "refused")
def silent(request):
    time.sleep(3)


@row("refused", "refused")
def hangs_up(request):
    pass


@row("refused", "refused")
def leads_in_a_circle(request):
    request.head("302 Found", Location=request.path, Content_Length=0)


@row("refused", "refused")
def leads_ever_further(request):
    request.head("302 Found", Location=f"/{request.number}", Content_Length=0)


@row("refused", "refused")
def leads_to_a_local_file(request):
    request.head("302 Found", Location="file:///etc/passwd", Content_Length=0)


@row("refused", "refused")
def leads_to_ftp(request):
    request.head("302 Found", Location="ftp://127.0.0.1/net", Content_Length=0)


@row("refused", "refused")
def leads_nowhere(request):
    request.head("302 Found", Location="http://[", Content_Length=0)


@row("refused", "refused")
def no_http(request):
    request.send(b"\x00\xffwhat?\r\n\r\n" * 100)


@row("refused", "refused")
def headers_without_end(request):
    request.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        request.send(b"X-More: " + bytes(40).hex().encode() * 100 + b"\r\n")


@row("refused", "refused")
def continues_for_ever(request):
    while True:
        request.send(b"HTTP/1.1 100 Continue\r\n\r\n")
