"""The one exception tree; each class names the exit code that the command line returns for it.

Every message is one line that says what was found, where, and how to mend it.
"""

EXIT_OK = 0
EXIT_BUG = 1
EXIT_USER = 2
EXIT_INTERRUPTED = 3
EXIT_GATE = 4


class FlawsmithError(Exception):
    """Base of all errors that flawsmith raises on purpose."""

    exit_code = EXIT_USER


class InputError(FlawsmithError):
    """The user's data or settings cannot be used as they are.

    The message reads ``where: what (mend: how)``; the three parts stay available as attributes.
    """

    def __init__(self, what: str, *, where: object = "", mend: str = "") -> None:
        self.what = what
        self.where = str(where)
        self.mend = mend
        message = f"{where}: {what}" if self.where else what
        # A file name may hold a line break; the message must stay one line.
        super().__init__(" ".join((message + (f" (mend: {mend})" if mend else "")).split()))

    def __reduce__(self) -> tuple[object, ...]:
        # Errors travel from worker processes with all their parts.
        return _rebuild, (type(self), self.what, self.where, self.mend)


def _rebuild(kind: type[InputError], what: str, where: str, mend: str) -> InputError:
    return kind(what, where=where, mend=mend)


class OutputError(FlawsmithError):
    """An output could not be written (disk full, no permission, already taken)."""


class Interrupted(FlawsmithError):
    """The user stopped a job that can be resumed."""

    exit_code = EXIT_INTERRUPTED
