"""More rows of lying_rows.py: servers that give parts of other files, or come to no end."""

import time

from lying_rows import ROWS, row
from lying_server import DATA, HALF, OTHER, Request

__all__ = ["ROWS"]


def trickle(request: Request, data: bytes, pause: float = 0.05) -> None:
    for k in range(len(data)):
        request.send(data[k : k + 1])
        time.sleep(pause)


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


# --- what surrounds the file ------------------------------------------------------------------------------


@row("refused", "refused")
def a_redirect_with_an_endless_page(request):
    request.head("302 Found", Location="/again")
    trickle(request, bytes(2000))


@row("whole", "whole")
def trailers_without_end(request):
    request.head(Transfer_Encoding="chunked")
    request.chunk(DATA)
    request.send(b"0\r\n")
    trickle(request, b"X: y\r\n" * 500)


@row("refused", "refused")
def a_chunk_whose_length_has_no_end(request):
    request.head(Transfer_Encoding="chunked")
    request.chunk(DATA[:100])
    request.send(b"5;")
    trickle(request, b"a" * 2000)
