"""The command line run in a process of its own that kills itself at a chosen moment."""

import signal
import subprocess
import sys

# Runs the command line and kills itself just before or after call N of a function.
SCRIPT = """
import importlib, os, signal, sys
module, name, moment, number = sys.argv[1:5]
module = importlib.import_module(module)
inner, calls = getattr(module, name), 0

def wrapped(*args, **kwargs):
    global calls
    calls += 1
    if calls == int(number) and moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = inner(*args, **kwargs)
    if calls == int(number) and moment == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(module, name, wrapped)
from flawsmith.cli import cli
cli(sys.argv[5:])
"""
Point = tuple[str, str, str, int]  # module, function, before or after, which call


def run_until(point: Point, *words: object) -> None:
    """Run ``flawsmith words...`` until it kills itself; it must get as far as that."""
    command = [sys.executable, "-c", SCRIPT, *map(str, point), *map(str, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def name_of(point: Point) -> str:
    return f"{point[0].split('.')[-1]}.{point[1]}-{point[2]}-{point[3]}"
