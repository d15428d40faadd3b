"""The exit codes of the process: done, the user's, interrupted, the gate's."""

import subprocess
import sys

import pytest

from flawsmith.errors import EXIT_GATE, EXIT_INTERRUPTED, EXIT_OK, EXIT_USER

SCRIPT = """
import os, signal, sys
from flawsmith import cli, errors

def stopped(context):
    {body}

cli.cli.invoke = stopped
from flawsmith.__main__ import main
main()
"""


def ended(body, *words, before=""):
    code = before + (
        SCRIPT.format(body=body) if body else "from flawsmith.__main__ import main; main()"
    )
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
def test_interrupted(signal):
    # A shell's background job starts with SIGINT ignored.
    code, _, told = ended(
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"os.kill(os.getpid(), signal.{signal}); signal.pause()",
        "data",
    )
    assert code == EXIT_INTERRUPTED
    assert told.strip() == "flawsmith: stopped; run the same command again to go on"


def test_stopped_while_it_loads():
    code, _, told = ended("", "data", before="import builtins; inner = builtins.__import__\n"
        "def stop(name, *rest):\n"
        "    if name == 'click': raise KeyboardInterrupt\n"
        "    return inner(name, *rest)\n"
        "builtins.__import__ = stop\n")  # fmt: skip
    assert code == EXIT_INTERRUPTED
    assert told == "flawsmith: stopped; run the same command again to go on\n"


@pytest.mark.parametrize("fault", ["ENOSPC", "EROFS", "EACCES", "EIO"])
def test_what_a_library_could_not_write_is_one_line(fault):
    raised = f"import errno; raise OSError(errno.{fault}, os.strerror(errno.{fault}), 'a/b')"
    code, _, told = ended(raised, "data")
    assert code == EXIT_USER
    assert told.startswith("flawsmith: a/b: ")
    assert told.count("\n") == 1
    code, _, told = ended("raise OSError(2, 'a bug', 'a/b')", "data")
    assert code == 1
    assert "Traceback" in told


def test_the_gates_refusal_is_one_line():
    code, _, told = ended("raise errors.DoesNotHelp('does not help: no')", "data")
    assert (code, told) == (EXIT_GATE, "flawsmith: does not help: no\n")


def test_wrong_words_and_none():
    code, _, told = ended("", "run", "--glue")
    assert code == EXIT_USER
    assert "No such option" in told
    code, told, _ = ended("", "--version")
    assert code == EXIT_OK
    assert told.startswith("flawsmith, version")
    assert ended("return 'a value of a command'", "data")[0] == EXIT_OK
