"""``python -m flawsmith`` and the console script: exit codes and one-line errors live here."""

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command line; a FlawsmithError becomes one line and its exit code."""
    # Albumentations asks the network for its newest version when imported; the data may be secret.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import click

    from flawsmith.cli import cli
    from flawsmith.errors import EXIT_INTERRUPTED, FlawsmithError

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        # By itself click would end an interrupted command with the exit code of a bug.
        code = cli(standalone_mode=False)
    except FlawsmithError as error:
        print(f"flawsmith: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        print("flawsmith: stopped; run the same command again to go on", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(number: int, frame: FrameType | None) -> None:
    # A second signal must not cut the clean-up of the first short.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
