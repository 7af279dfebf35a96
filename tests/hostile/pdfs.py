"""PDFs by a small writer, whole and hostile: what is wrong with each is its name in HOSTILE."""

import zlib
from collections.abc import Sequence

FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


def stream(data: bytes, more: bytes = b"") -> bytes:
    """A stream of these bytes."""
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), more, data)


def written(objects: Sequence[bytes], more: bytes = b"") -> bytes:
    """A file of these objects, numbered from 1, of which the first is the catalog; `more` goes into the trailer."""
    made, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    end = b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, more, len(made))
    return made + head + table + end


def shown(lines: Sequence[str]) -> bytes:
    """What a page draws: these lines below each other."""
    said = [line.encode("cp1252").replace(b"\\", rb"\\").replace(b"(", rb"\(").replace(b")", rb"\)") for line in lines]
    return b"BT /F1 12 Tf 72 720 Td 14 TL\n" + b"".join(b"(%s) Tj T*\n" % line for line in said) + b"ET"


def pdf(pages: Sequence[Sequence[str]], packed: bool = True, more: bytes = b"") -> bytes:
    """A document whose pages have these lines."""
    numbers = range(4, 4 + 2 * len(pages), 2)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(pages), b" ".join(b"%d 0 R" % n for n in numbers)),
        FONT,
    ]
    for number, lines in zip(numbers, pages, strict=True):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            b"/Contents %d 0 R >>" % (number + 1)
        )
        drawn = shown(lines)
        objects.append(stream(zlib.compress(drawn), b"/Filter /FlateDecode") if packed else stream(drawn))
    return written(objects, more)


def _of_kids(kids: bytes, count: int = 1, more: Sequence[bytes] = ()) -> bytes:
    return written([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, kids), *more])


def _drawing(content: bytes, more: Sequence[bytes] = ()) -> bytes:
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << %s >> /Contents 5 0 R >>"
    page %= b"/Font << /F1 4 0 R >> /XObject << /X 6 0 R >>"
    return _of_kids(b"3 0 R", 1, [page, FONT, content, *more])


def _packed_often(data: bytes, times: int) -> bytes:
    for _ in range(times):
        data = zlib.compress(data, 9)
    return stream(data, b"/Filter [%s]" % b" ".join([b"/FlateDecode"] * times))


KEYS = (b"11" * 32, b"22" * 32)
ENCRYPTED = pdf(
    [["secret"]],
    more=b"/ID [<00><00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>" % KEYS,
)
FORM = b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >>"
HOSTILE = {
    "encrypted": ENCRYPTED,
    "cut off": pdf([["a page"] * 40] * 3, packed=False)[:700],
    "nothing but its head": b"%PDF-1.7\n",
    "no PDF": b"<html>Not found</html>",
    "a page that is its own parent": _of_kids(b"2 0 R"),
    "a form that draws itself": _drawing(stream(b"/X Do"), [stream(b"/X Do " * 50, FORM)]),
    "a stream that inflates to 256 MiB": _drawing(_packed_often(b" " * (1 << 28), 3)),
    "millions of letters": _drawing(_packed_often(b"BT /F1 1 Tf 9 9 Td " + b"(%s) Tj " % (b"x" * 1000) * 5_000 + b"ET", 2)),
    "arrays within each other": _drawing(stream(b"[" * 500_000)),
    "a million pages that are one": _of_kids(b"3 0 R " * 1_000_000, 1_000_000, [b"<< /Type /Page /MediaBox [0 0 9 9] >>"]),
    "a table that leads to itself": b"%PDF-1.7\nxref\n0 0\ntrailer\n<< /Size 1 /Root 1 0 R /Prev 9 >>\nstartxref\n9\n%%EOF\n",
}
