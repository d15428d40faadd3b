"""CSV and JSON from the user's folder, read with line numbers and without trust."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flawsmith.data.reading import read_text
from flawsmith.errors import InputError

# One Severstal mask row can be long; the csv module's own limit is 128 KiB a field.
FIELD_LIMIT = 1 << 26
# Half of a character in two parts; alone it cannot be written as UTF-8.
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_csv(path: Path, required: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, row); raises InputError for missing columns and ragged rows."""
    csv.field_size_limit(FIELD_LIMIT)
    reader = csv.DictReader(io.StringIO(read_text(path)), restkey=None, restval=None, strict=True)
    try:
        missing = [name for name in required if name not in (reader.fieldnames or [])]
        if missing:
            raise InputError(
                f"the column {', '.join(missing)} is missing; found {reader.fieldnames}", where=path
            )
        for row in reader:
            # Surplus fields stand under None, missing ones hold it.
            if None in row or None in row.values():
                raise InputError(
                    f"the row has another number of fields than the {len(reader.fieldnames or [])} "
                    "columns",
                    where=f"{path}:{reader.line_num}",
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise InputError(f"not a CSV: {error}", where=f"{path}:{reader.line_num}") from error


def read_json(path: Path) -> Any:
    """Return the parsed file; raises InputError with the place of the first fault."""
    return parse_json(read_text(path), path)


def parse_json(text: str, where: object) -> Any:
    try:
        content = json.loads(text)
        if SURROGATE.search(text):
            json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InputError("holds half of a Unicode character (\\ud...)", where=where) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}", where=where) from error
    return content


def jsonl_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number, text) of the lines that are not blank."""
    # Not splitlines: JSON may hold the other characters that Python counts as line breaks.
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            yield number, line


def parse_object(text: str, where: object) -> dict[str, Any]:
    """Return the JSON object of one line; raises InputError for anything else."""
    entry = parse_json(text, where)
    if not isinstance(entry, dict):
        raise InputError("the line is no JSON object", where=where)
    return entry


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of a file with one JSON object a line."""
    for number, text in jsonl_lines(path):
        yield number, parse_object(text, f"{path}:{number}")


def stream_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield what ``read_jsonl`` does of a file of any length, a line in memory at a time.

    Raises InputError for a last line without its end, too: a file of ours was written whole.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(FIELD_LIMIT):
                number += 1
                where = f"{path}:{number}"
                if not line.endswith(b"\n"):
                    raise InputError(f"cut short, or over {FIELD_LIMIT >> 20} MiB", where=where)
                yield number, parse_object(line.decode(), where)
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", where=path) from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=path) from error
