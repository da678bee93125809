"""Read delimited text files; errors name file, line, column and what was expected."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from catalog.errors import DataError
from catalog.ids import MAX_ID
from catalog.io.files import read_input

# What spreadsheets take for the beginning of a formula, or pass over in front of one.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
# The plot of a film in a cell may be longer than Python's 131,072 letters; a file is read whole in any case.
csv.field_size_limit(2**24)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """One row of a table, with its file and line."""

    path: Path
    line: int
    values: dict[str, str]
    # How the file spells its columns, where otherwise.
    spellings: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, column: str) -> str:
        return self.values[column]

    def error(self, column: str, expected: str) -> DataError:
        """Make the error for an invalid cell."""
        received = self.values[column]
        name = self.spellings.get(column, column)
        return DataError(f"{self.path}, line {self.line}, column {name}: expected {expected}, received {received!r}")

    def integer(self, column: str, expected: str) -> int:
        """Parse a cell as an integer above zero."""
        number = self.optional_integer(column, expected)
        if number is None:
            raise self.error(column, expected)
        return number

    def optional_integer(self, column: str, expected: str, most: int = MAX_ID, least: int = 1) -> int | None:
        """Parse a cell as an integer, by default one above zero; None if it is blank.

        Spreadsheets and data frames turn a column with blanks into floats: ``862.0`` reads as 862.
        """
        text = self.values[column].removesuffix(".0")
        if not text:
            return None
        # The length first: Python refuses to parse a number of thousands of digits.
        if not (text.isascii() and text.isdigit() and len(text) <= 12 and least <= int(text) <= most):
            raise self.error(column, expected)
        return int(text)


def read_rows(
    path: Path, columns: Sequence[str], optional: Sequence[str] = (), names: Mapping[str, str] | None = None
) -> Iterator[Row]:
    """Yield the rows of a CSV file with a header; `columns` have to be among its columns.

    Columns are known in either spelling, movie_id or movieId, or by what `names` says that the file calls them; a row
    has them as `columns` and `optional` spell them.
    """
    return parse_rows(read_text(path), path, columns, optional, names=names)


def parse_rows(
    text: str,
    path: Path,
    columns: Sequence[str] = (),
    optional: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
) -> Iterator[Row]:
    """Yield the rows of the text of a CSV file, as `read_rows` does."""
    delimiter = delimiter_of(text.partition("\n")[0])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    n_read = 0
    try:
        received = [name.strip() for name in next(reader, [])]
        header = spelled(received, (*columns, *optional), names)
        spellings = dict(zip(header, received, strict=True))
        own = names or {}
        # A column that is named has to be there, however optional it is.
        wanted = [*columns, *(name for name in optional if name in own)]
        if missing := [own.get(name, name) for name in wanted if name not in header]:
            listed = ", ".join(spellings.get(name, own.get(name, name)) for name in wanted)
            raise DataError(
                f"{path}, line 1: expected the columns {listed}; "
                f"{', '.join(missing)} missing, received {', '.join(received) or 'an empty file'}"
            )
        _check_single(header, [*columns, *optional], received, path)
        n_read = reader.line_num
        for cells in reader:
            n_read = reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise DataError(
                    f"{path}, line {reader.line_num}: expected {len(header)} columns ({', '.join(received)}), "
                    f"received {len(cells)}"
                )
            values = {name: _from_text(cell.strip()) for name, cell in zip(header, cells, strict=True)}
            yield Row(path, reader.line_num, values, spellings)
    except csv.Error as error:
        # The row may go on to the end of the file, where a quotation mark is not closed.
        raise DataError(f"{path}, line {n_read + 1}: expected CSV, received something else ({error})") from error


def _check_single(header: Sequence[str], known: Sequence[str], received: Sequence[str], path: Path) -> None:
    """Raise DataError for a column that is there twice, of which one would be ignored."""
    for name in known:
        if header.count(name) > 1:
            spellings = " and ".join(own for own, spelled in zip(received, header, strict=True) if spelled == name)
            raise DataError(
                f"{path}, line 1: expected one column {name}, received {spellings}; remove or rename the others"
            )


def write_csv(
    stream: IO[str], columns: Sequence[str], rows: Iterable[Mapping[str, Any]], cell: Callable[[str], str] = str
) -> None:
    """Write rows under a header; None is an empty cell. `cell` changes texts, for a terminal for example.

    Texts that a spreadsheet would take for a formula get an apostrophe in front, which `parse_rows` takes off again.
    """
    stream.write(_csv_line(columns))
    for row in rows:
        values = (row.get(name) for name in columns)
        stream.write(_csv_line([as_text(cell(value)) if isinstance(value, str) else value for value in values]))


def _csv_line(cells: Sequence[object]) -> str:
    # Python quotes the characters of its line end only: a lone \r would end a line for whoever reads it.
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().removesuffix("\r\n") + "\n"


def as_text(text: str) -> str:
    """Keep spreadsheets from reading a text as a formula."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _from_text(text: str) -> str:
    """Undo `as_text`."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def delimiter_of(header: str) -> str:
    """Return what separates the cells of a header: spreadsheets of many languages write semicolons for commas."""
    return max(",;\t", key=header.count)


def spelled(header: Sequence[str], columns: Sequence[str], names: Mapping[str, str] | None = None) -> list[str]:
    """Return the names of a header, each as `columns` spell it: user_id for userId, or the other way round.

    What `names` has, by the names of `columns`, is called so in the file, and nothing else.
    """
    names = names or {}
    by_key = {_key(names.get(name, name)): name for name in columns}
    # A column called rating is another one where the ratings are called score.
    by_key |= {_key(name): f"({name})" for name in names if _key(name) not in by_key}
    return [by_key.get(_key(name), name.strip()) for name in header]


def _key(name: str) -> str:
    return name.strip().replace("_", "").lower()


def read_text(path: Path, encodings: Sequence[str] = ("utf-8-sig",)) -> str:
    """Read a text file in the first encoding that fits."""
    return decode_text(read_input(path), path, encodings)


def decode_text(content: bytes, path: Path, encodings: Sequence[str] = ("utf-8-sig",)) -> str:
    """Decode the content of a text file in the first encoding that fits; the path is for messages."""
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
        else:
            if "\0" in text:
                raise DataError(
                    f"{path}, line {text[: text.index(chr(0))].count(chr(10)) + 1}: expected text, not a binary file"
                )
            return text
    raise DataError(f"{path}, line {line}: expected text in UTF-8; save the file as such")
