"""Forms with files (RFC 7578), parsed from a body that is in memory and bounded already."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_string
from email.message import Message

from starlette.exceptions import HTTPException

MAX_OVERHEAD_BYTES = 64 << 10
"""What a form may add to its files: the other fields and all headers."""

_MAX_PARTS = 64
# Python's parser of parameters takes quadratic time.
_MAX_HEADER_BYTES = 8 << 10
_MEDIA_TYPE = "multipart/form-data"
_MALFORMED = "expected a complete form (multipart/form-data), received a malformed one"


@dataclass(frozen=True)
class FormFile:
    """A file of a form, by the name of its field and its own."""

    field: str
    name: str
    content: bytes


@dataclass(frozen=True)
class Form:
    """A form with files; its other fields in their order."""

    files: tuple[FormFile, ...]
    fields: tuple[tuple[str, str], ...]


def is_form(content_type: str) -> bool:
    """Return whether a body is a form, by its Content-Type."""
    return content_type.partition(";")[0].strip().lower() == _MEDIA_TYPE


def parse_form(body: bytes, content_type: str, n_most: int = 1) -> Form:
    """Parse a form: 400 if it is malformed, 413 if it has too many fields, 422 unless it has one file, to `n_most`."""
    files: list[FormFile] = []
    fields: list[tuple[str, str]] = []
    for part in _parts(body, _boundary(content_type)):
        headers, content = _headers_and_content(part)
        name, filename = _parameter(headers, "name"), headers.get_filename()
        if filename:
            files.append(FormFile(name, str(filename), content))
        # A browser sends a field for files that nobody chose, with an empty name.
        elif filename is None:
            fields.append((name, _text(content)))
    if not 1 <= len(files) <= n_most:
        expected = "one file" if n_most == 1 else f"1 to {n_most} files"
        raise HTTPException(422, f"expected {expected} in the form, received {len(files) or 'none'}")
    if len(body) - sum(len(file.content) for file in files) > MAX_OVERHEAD_BYTES:
        raise HTTPException(413, f"expected at most {MAX_OVERHEAD_BYTES >> 10} KiB in a form beside its files")
    return Form(tuple(files), tuple(fields))


def _boundary(content_type: str) -> bytes:
    headers = Message()
    headers["content-type"] = content_type[:_MAX_HEADER_BYTES]
    boundary = headers.get_boundary("")
    if not (1 <= len(boundary) <= 70 and boundary.isascii()):
        raise HTTPException(400, f"{_MALFORMED}: its Content-Type has no boundary")
    return boundary.encode()


def _parts(body: bytes, boundary: bytes) -> list[bytes]:
    """Split a body; each part starts at the end of the line of its boundary."""
    # The line break before a boundary belongs to it, and may be missing before the first one.
    _preamble, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary, _MAX_PARTS)
    ends = [number for number, part in enumerate(parts) if part.startswith(b"--")]
    if ends:
        return parts[: ends[0]]
    if len(parts) == _MAX_PARTS:
        raise HTTPException(413, f"expected a form of fewer than {_MAX_PARTS} fields")
    raise HTTPException(400, _MALFORMED)


def _headers_and_content(part: bytes) -> tuple[Message, bytes]:
    start = re.match(rb"[ \t]*\r\n", part)
    headers, separator, content = part.partition(b"\r\n\r\n")
    if not (start and separator) or len(headers) > _MAX_HEADER_BYTES:
        raise HTTPException(400, _MALFORMED)
    return message_from_string(headers[start.end() :].decode("utf-8", "replace")), content


def _parameter(headers: Message, name: str) -> str:
    value = headers.get_param(name, header="content-disposition")
    if not isinstance(value, str) or not value:
        raise HTTPException(400, f"{_MALFORMED}: a field has no name")
    return value


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise HTTPException(422, "expected the fields of a form in UTF-8, and a file with a filename") from error
