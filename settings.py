"""Settings are pydantic models: a YAML file and flags fill one, unknown keys are errors."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from flawsmith.errors import InputError

M = TypeVar("M", bound="Settings")


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
        found = f", found {str(first['input'])[:80]!r}" if told else ""
        if first["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            raise InputError(
                f"no such setting: {name}", where=config or "", mend=f"one of {known}"
            ) from error
        what = first["msg"].removeprefix("Value error, ").lower()
        raise InputError(f"{name}: {what}{found}" if name else what, where=config or "") from error


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"no valid YAML: {error}", where=path) from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError("must hold settings as 'name: value' lines", where=path)
    return content
