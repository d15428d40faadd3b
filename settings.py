"""Settings are pydantic models: a YAML file and flags fill one, unknown keys are errors."""

import reprlib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from flawsmith.errors import InputError

M = TypeVar("M", bound="Settings")
# A config file's bytes, and its values: ten aliases in ten lists, and so on, are millions.
LARGEST, MOST, DIGITS = 1 << 20, 100_000, 256
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
        if path.stat().st_size > LARGEST:
            raise InputError(f"over {LARGEST >> 20} MiB", where=path, mend="is it the right file?")
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error
    except FAULTS as error:
        raise InputError(f"no valid YAML: {error}"[:300], where=path) from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError("must hold settings as 'name: value' lines", where=path)
    if not _is_small(content):
        raise InputError(
            f"over {MOST:,} values, or a number of over {DIGITS} bits",
            where=path,
            mend="write fewer, without aliases",
        )
    return content


def _is_small(content: Any) -> bool:
    """Tell whether a document has not too many values: aliases (``*a``) count at each place."""
    left, seen = [content], 0
    while left and seen <= MOST:
        seen += 1
        value = left.pop()
        if isinstance(value, int) and value.bit_length() > DIGITS:
            return False
        if isinstance(value, (dict, list, set, tuple)):
            left += [*value, *value.values()] if isinstance(value, dict) else list(value)
    return not left


def _shown(value: object) -> str:
    """Return a value for a message: short, however large it is."""
    try:
        return repr((str(value) if isinstance(value, str) else BRIEF.repr(value))[:80])
    except ValueError:
        return "a huge number"
