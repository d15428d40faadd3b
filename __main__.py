"""``python -m flawsmith`` and the console script: exit codes and one-line errors live here."""

import os
import signal
import sys
from types import FrameType

from flawsmith.errors import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USER,
    OF_DISKS,
    FlawsmithError,
    printable,
)


def main() -> None:
    """Run the command line; a FlawsmithError becomes one line and its exit code."""
    # Albumentations asks the network for its newest version when imported; the data may be secret.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = _run()
    except KeyboardInterrupt:
        print("flawsmith: stopped; run the same command again to go on", file=sys.stderr)
        code = EXIT_INTERRUPTED
    sys.exit(code)


def _run() -> int:
    """Run the command line; return its exit code."""
    import click

    from flawsmith.cli import cli

    try:
        # By itself click would end an interrupted command with the exit code of a bug.
        code = cli(standalone_mode=False)
    except FlawsmithError as error:
        print(f"flawsmith: {error}", file=sys.stderr)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except OSError as error:
        if error.errno not in OF_DISKS:
            raise
        # Of a folder nobody looked at before, or of a library's own file, as TensorBoard's is.
        where = printable(f"{error.filename}: " if error.filename else "")
        print(f"flawsmith: {where}{error.strerror}", file=sys.stderr)
        return EXIT_USER
    return code if isinstance(code, int) else EXIT_OK


def _interrupt(number: int, frame: FrameType | None) -> None:
    # A second signal must not cut the clean-up of the first short.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
