"""Processes without torch that are one job, for test_members.py; as a script, one such job.

``members_helpers.py WHAT FOLDER`` starts two that do WHAT, and prints how it ended as JSON.
"""

import errno
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

from flawsmith.errors import InputError, Interrupted
from flawsmith.train import members
from flawsmith.train.members import Bug, run_members

WHAT = sys.argv[1] if len(sys.argv) == 3 else ""
# More than a pipe takes before anybody reads it.
LARGE = bytes(1 << 20)


def answer(rank, folder, given):
    return rank, len(given)


def sleep(rank, folder, given):
    """Wait for ever, without heeding anything."""
    (folder / f"rank{rank}").write_text(str(os.getpid()))
    time.sleep(1000)


def die(rank, folder, given):
    """The second one is killed, and the first one is not told."""
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    sleep(rank, folder, given)


def refuse(rank, folder, given):
    raise (Interrupted("stopped at step 3"), InputError("no"))[rank]


def err(rank, folder, given):
    return 1 // rank


def answer_at_length(rank, folder, given):
    """One result and one error, both more than a pipe takes before anybody reads it."""
    if rank == 1:
        raise InputError("no" * len(given))
    return "yes" * len(given)


def run_out(rank, folder, given):
    """The second one reads on past an end, and the first one is not told."""
    if rank == 1:
        raise EOFError("nothing left")
    sleep(rank, folder, given)


def leave(rank, folder, given):
    """The second one ends as if all were well, and the first one is not told."""
    if rank == 1:
        sys.exit(0)
    sleep(rank, folder, given)


class OfLibrary(OSError):
    """An error as libraries have them: it cannot be made anew of its parts."""

    def __init__(self, number, path, reason):
        super().__init__(number, os.strerror(number), path)


def fill(rank, folder, given):
    """The first one's disk is full; the second one's line to the first breaks by that."""
    if rank == 1:
        raise ConnectionResetError(errno.ECONNRESET, "closed by peer")
    raise OfLibrary(errno.ENOSPC, "last.ckpt", "why")


WORKS = {
    "answer": answer, "die": die, "refuse": refuse, "err": err, "fill": fill, "leave": leave,
    "run out": run_out, "answer at length": answer_at_length,
}  # fmt: skip
IN_VAIN = ("die", "die early", "leave", "run out")  # the first one never ends


def main(folder):
    # On a busy machine one may end long after the other, but need not where it never would.
    members.GRACE = 1.0 if WHAT in IN_VAIN else 100.0
    ended = run_members(WORKS.get(WHAT, sleep), (folder, LARGE), 2)
    words = [word.trace if isinstance(word, Bug) else str(word) for word in ended.words]
    told = {"words": words, "codes": ended.codes, "stopped": ended.stopped, "lost": ended.lost()}
    print(json.dumps(told))


if __name__ == "__mp_main__":  # one of the two, before it knows what to do
    name = multiprocessing.current_process().name
    if WHAT == "start slowly":
        Path(sys.argv[2], name).write_text(str(os.getpid()))
        time.sleep(1000)
    elif WHAT == "die early" and name.endswith("-2"):
        os.kill(os.getpid(), signal.SIGKILL)
elif __name__ == "__main__":
    main(Path(sys.argv[2]))
