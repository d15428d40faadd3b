"""Settings are pydantic models: a YAML file and flags fill one, unknown keys are errors."""

import reprlib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from flawsmith.errors import InputError

M = TypeVar("M", bound="Settings")
# A config file's bytes, and its values: ten aliases in ten lists, and so on, are millions.
LARGEST, MOST, DIGITS = 1 << 20, 100_000, 80
INTEGER = "tag:yaml.org,2002:int"
# What the YAML library raises for bad values beside its own errors: dates, numbers, tags, depth.
FAULTS = (
    *(yaml.YAMLError, ValueError, RecursionError, KeyError, TypeError, AttributeError),
    IndexError,
)
BRIEF = reprlib.Repr()
BRIEF.maxstring = BRIEF.maxother = BRIEF.maxlong = 80


class Settings(BaseModel):
    """Base of all settings: immutable, and strict about names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def load_settings(model: type[M], config: Path | None, flags: dict[str, Any]) -> M:
    """Return the model filled from a YAML file, then from the flags that were given (not None).

    Raises InputError with one line that names the setting, what was found and what was wanted.
    """
    content = _read_yaml(config) if config else {}
    content |= {name: value for name, value in flags.items() if value is not None}
    try:
        return model(**content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        # Of a rule about several settings, the input is all of them.
        told = name and first["type"] != "missing"
        found = f", found {_shown(first['input'])}" if told else ""
        if first["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            raise InputError(
                f"no such setting: {name}", where=config or "", mend=f"one of {known}"
            ) from error
        what = first["msg"].removeprefix("Value error, ").lower()
        raise InputError(f"{name}: {what}{found}" if name else what, where=config or "") from error


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        # Not by its size: a device or a pipe tells none.
        with path.open("rb") as file:
            found = file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error
    if len(found) > LARGEST:
        raise InputError(f"over {LARGEST >> 20} MiB", where=path, mend="is it the right file?")
    try:
        text = found.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"no valid YAML: {error}", where=path) from error
    content = parse_yaml(text, path)
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError("must hold settings as 'name: value' lines", where=path)
    return content


def parse_yaml(text: str, where: object) -> Any:
    """Return what a YAML text holds; raises InputError naming ``where``, whatever the text.

    The text may be a stranger's: what aliases and merges would grow to is counted first.
    """
    try:
        loader = yaml.SafeLoader(text)
        document = loader.get_single_node()
        if not _is_small(document):
            raise InputError(
                f"over {MOST:,} values, or a number of over {DIGITS} digits",
                where=where,
                mend="write fewer, without aliases",
            )
        return None if document is None else loader.construct_document(document)
    except FAULTS as error:
        raise InputError(f"no valid YAML: {error}"[:300], where=where) from error


def _is_small(document: yaml.Node | None) -> bool:
    """Tell whether there are few values: aliases (``*a``, ``<<: *a``) count at each place."""
    left: list[yaml.Node] = [] if document is None else [document]
    seen = 0
    while left and seen <= MOST:
        seen += 1
        node = left.pop()
        if node.tag == INTEGER and len(node.value) > DIGITS:
            return False
        if isinstance(node, yaml.MappingNode):
            left += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            left += node.value
    return not left


def _shown(value: object) -> str:
    """Return a value for a message: short, however large it is."""
    large = isinstance(value, (dict, list, set, tuple, int))
    try:
        return repr((BRIEF.repr(value) if large else str(value))[:80])
    except ValueError:
        return "a huge number"
