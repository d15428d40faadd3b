"""The one exception tree; each class names the exit code that the command line returns for it.

Every message is one line that says what was found, where, and how to mend it.
"""

import errno
import re

EXIT_OK = 0
EXIT_BUG = 1
EXIT_USER = 2
EXIT_INTERRUPTED = 3
EXIT_GATE = 4

# What the system says of disks and rights, which the user can mend and no program can.
OF_DISKS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
# Line breaks, terminal escapes, text-direction overrides and halves of broken Unicode.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class FlawsmithError(Exception):
    """Base of all errors that flawsmith raises on purpose; the message is one printable line."""

    exit_code = EXIT_USER

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class InputError(FlawsmithError):
    """The user's data or settings cannot be used as they are.

    The message reads ``where: what (mend: how)``; the three parts stay available as attributes.
    """

    def __init__(self, what: str, *, where: object = "", mend: str = "") -> None:
        self.what = what
        self.where = str(where)
        self.mend = mend
        # What a library reports may run over lines; a file name keeps its characters, escaped.
        message = " ".join((what + (f" (mend: {mend})" if mend else "")).split())
        super().__init__(f"{self.where}: {message}" if self.where else message)

    def __reduce__(self) -> tuple[object, ...]:
        # Errors travel from worker processes with all their parts.
        return _rebuild, (type(self), self.what, self.where, self.mend)


def printable(text: str) -> str:
    """Return the text with its control characters escaped: one line, harmless to a terminal."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def _rebuild(kind: type[InputError], what: str, where: str, mend: str) -> InputError:
    return kind(what, where=where, mend=mend)


class OutputError(FlawsmithError):
    """An output could not be written (disk full, no permission, already taken)."""


class Interrupted(FlawsmithError):
    """The user stopped a job that can be resumed."""

    exit_code = EXIT_INTERRUPTED


class DoesNotHelp(FlawsmithError):
    """A job is done, and what it made is not shown to help; nothing is called accepted."""

    exit_code = EXIT_GATE
