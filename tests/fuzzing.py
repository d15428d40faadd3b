"""What must hold of any input at all, and valid files with a few of their bytes changed.

Of any input: only InputError may come out; no file outside of the given folder is opened; no
process, no connection and no pickle's code is started; and memory stays within a bound.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from tests.format_helpers import FUZZ

# Of one test in a whole run; FLAWSMITH_FUZZ asks for more.
BRIEFLY = settings(FUZZ, max_examples=int(os.environ.get("FLAWSMITH_FUZZ", "15")))
MIB = 1 << 20
# Of one input of a few kilobytes, whatever it says of itself.
BOUND = 256 * MIB
STARTED = (
    *("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork"),
    *("subprocess.Popen", "socket.connect", "socket.getaddrinfo", "marshal.loads"),
)
# What libraries open on their own: code, the machine's facts, and torch's and Python's data.
LIBRARY = (".py", ".pyc", ".so", ".dist-info/METADATA")
_opened: list[str] = []
_started: list[str] = []
_watching = [False, False]
counts: dict[str, int] = {}


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if not _watching[0]:
        return
    if event == "open" and isinstance(args[0], (str, bytes)):
        _opened.append(os.fsdecode(args[0]))
    elif event in STARTED and not _importing():
        _started.append(f"{event} {args!r}"[:200])


def _importing() -> bool:
    """Tell whether a module is being imported, which reads marshalled code of libraries."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name == "_find_and_load":
            return True
    return False


def watch() -> None:
    """Look at what is opened and started from now on; cannot be undone, so once a process."""
    if not _watching[1]:
        _watching[1] = True
        sys.addaudithook(_watch)


@contextmanager
def only_inside(*roots: Path, bound: int = BOUND, name: str = "") -> Iterator[None]:
    """Hold what must hold of any input while the block reads it. name: to count it under."""
    watch()
    if name:
        counts[name] = counts.get(name, 0) + 1
    before = _fresh_memory()
    _opened.clear()
    _started.clear()
    _watching[0] = True
    try:
        yield
    finally:
        _watching[0] = False
    taken = _peak() - before
    homes = [root.resolve() for root in roots]
    strangers = [
        path
        for path in dict.fromkeys(_opened)
        if not path.endswith(LIBRARY)
        and not any(Path(os.path.realpath(path)).is_relative_to(home) for home in homes)
    ]
    assert not strangers, strangers
    assert not _started, _started
    assert taken < bound, f"{taken / MIB:.0f} MiB"


def _fresh_memory() -> int:
    """Forget the peak so far; return the bytes in use."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS:")


def _peak() -> int:
    return _memory("VmHWM:")


def _memory(field: str) -> int:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) << 10
    return 0


# Bytes that mean much to some format: brackets, signs, numbers beyond any range, other encodings.
TOKENS = (
    *(b"{", b"}", b"[", b"]", b'"', b",", b":", b"\n", b"\r", b"\0", b"-", b" ", b"&", b"*"),
    *(b"0", b"-1", b"1e999", b"NaN", b"9" * 20, b"9" * 400, b"null", b"true", b"[]", b"{}"),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\ud800", b"\xff\xff\xff\xff", b"\x00" * 8),
    *(b"../", b"/etc/passwd", b"!!python/object/apply:os.system [x]", b"[" * 1100, b"x" * 5000),
    *(b'{"a":' * 1100, b"\x7f\xff\xff\xff\xff\xff\xff\xff", b"2020-99-99", b"!!int x", b"? "),
)
# A few lines of YAML whose values are a thousand million.
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)

MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 10)
)
places = st.floats(0, 1, exclude_max=True)
edits = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), places, st.integers(0, 7)),
        st.tuples(st.just("byte"), places, st.integers(0, 255)),
        st.tuples(st.just("put"), places, st.integers(0, len(TOKENS) - 1)),
        st.tuples(st.just("over"), places, st.integers(0, len(TOKENS) - 1)),
        st.tuples(st.just("number"), places, st.integers(0, len(TOKENS) - 1)),
        st.tuples(st.just("drop"), places, st.integers(1, 40)),
        st.tuples(st.just("copy"), places, st.integers(1, 60)),
        st.tuples(st.just("cut"), places, st.just(0)),
    ),
    min_size=1,
    max_size=5,
)
Edit = tuple[str, float, int]


def changed(content: bytes, changes: Sequence[Edit], head: int = 0) -> bytes:
    """Return the bytes with these edits; head: where most of them fall, if the start matters."""
    found = bytearray(content)
    for number, (kind, place, value) in enumerate(changes):
        reach = min(len(found), head) if head and number % 2 == 0 else len(found)
        at = int(place * reach)
        if kind == "flip" and found:
            found[at] ^= 1 << value
        elif kind == "byte" and found:
            found[at] = value
        elif kind == "put":
            found[at:at] = TOKENS[value]
        elif kind == "over":
            found[at : at + len(TOKENS[value])] = TOKENS[value]
        elif kind == "number":
            start, end = _number_near(found, at)
            found[start:end] = TOKENS[value]
        elif kind == "drop":
            del found[at : at + value]
        elif kind == "copy":
            found[at:at] = found[max(0, at - value) : at]
        elif kind == "cut":
            del found[at:]
    return bytes(found)


def _number_near(content: bytearray, at: int) -> tuple[int, int]:
    """Return where the next number of a text begins and ends."""
    start = at
    while start < len(content) and not 48 <= content[start] <= 57:
        start += 1
    end = start
    while end < len(content) and 48 <= content[end] <= 57:
        end += 1
    return start, end
