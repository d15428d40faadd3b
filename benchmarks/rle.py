"""Severstal rows: decoding and encoding, against the snippet that everybody copies.

The baseline (split, subtract 1, fill slices; and for encoding, compare neighbours of the flattened
transpose) and ours work on the same rows in turns within one process. Rows are those of 12,568
drawn strips with the real data set's share of defects; drawing few and repeating them keeps the
runs' lengths real without hours of drawing.

    python benchmarks/rle.py [--strips 12568] [--rounds 3]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flawsmith.benchmarks.shared import of_line, tell
from flawsmith.data.demo import demo_sample
from flawsmith.data.rle import decode_severstal, encode_severstal

GOAL = 2.5
HEIGHT, WIDTH = 256, 1600
DRAWN = 96
Mask = NDArray[np.bool_]


def snippet_decode(text: str) -> NDArray[np.uint8]:
    s = text.split()
    starts, lengths = (np.asarray(x, dtype=int) for x in (s[0::2], s[1::2]))
    starts -= 1
    ends = starts + lengths
    img = np.zeros(HEIGHT * WIDTH, dtype=np.uint8)
    for lo, hi in zip(starts, ends, strict=True):
        img[lo:hi] = 1
    return img.reshape(WIDTH, HEIGHT).T


def snippet_encode(mask: NDArray[np.uint8]) -> str:
    pixels = mask.T.flatten()
    pixels = np.concatenate([[0], pixels, [0]])
    runs = np.where(pixels[1:] != pixels[:-1])[0] + 1
    runs[1::2] -= runs[::2]
    return " ".join(str(x) for x in runs)


def rows(strips: int) -> list[str]:
    """Return the rows of that many strips, from the drawn ones over and over."""
    drawn: list[list[str]] = []
    for index in range(DRAWN):
        sample = demo_sample("severstal", 3, index, scale=1.0)
        drawn.append([row for row in map(encode_severstal, sample.masks) if row])
    return [row for i in range(strips) for row in drawn[i % DRAWN]]


def timed(work: Callable[[str], object], texts: list[str]) -> float:
    start = time.perf_counter()
    for text in texts:
        work(text)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--strips", type=int, default=12568)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    texts = rows(given.strips)
    sides: dict[str, Callable[[str], object]] = {
        "snippet": lambda text: snippet_encode(snippet_decode(text)),
        "ours": lambda text: encode_severstal(decode_severstal(text, HEIGHT, WIDTH)),
    }
    for text in dict.fromkeys(texts):
        assert sides["snippet"](text) == sides["ours"](text) == text
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(given.rounds):
        for name, work in sides.items():
            times[name].append(timed(work, texts))
    ratios = [a / b for a, b in zip(times["snippet"], times["ours"], strict=True)]
    result = {
        "name": "rle decode + encode",
        "rows": len(texts),
        "snippet rows/s": round(len(texts) / statistics.median(times["snippet"])),
        "ours rows/s": round(len(texts) / statistics.median(times["ours"])),
        "ratio": round(statistics.median(ratios), 2),
        "lowest ratio": round(min(ratios), 2),
        "goal": GOAL,
    }
    sides_told = ("ours rows/s", "snippet rows/s")
    tell(of_line(result, *sides_told, unit="rows/s", n=len(texts)))


if __name__ == "__main__":
    main()
