"""Any bytes under a picture's name: pixels come out, or InputError, nothing else."""

import io
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from flawsmith.data.images import read_image, read_index
from flawsmith.errors import InputError
from tests.format_helpers import FUZZ
from tests.fuzzing import only_inside


def _pictures() -> list[bytes]:
    noise = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    found = []
    for mode in ("RGB", "L", "P", "1", "RGBA", "CMYK", "I;16"):
        picture = Pillow.fromarray(noise)
        picture = picture.convert("I").convert(mode) if mode == "I;16" else picture.convert(mode)
        for kind in ("PNG", "JPEG", "BMP", "TIFF", "WEBP"):
            file = io.BytesIO()
            # Not every kind of file holds every mode.
            with suppress(OSError, ValueError):
                picture.save(file, kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
                found.append(file.getvalue())
    exif = Pillow.Exif()
    exif[274] = 1
    for kind in ("JPEG", "PNG", "WEBP"):
        file = io.BytesIO()
        Pillow.fromarray(noise).save(file, kind, exif=exif)
        found.append(file.getvalue())
    return found


PICTURES = _pictures()
edits = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255), st.integers(0, 3)), max_size=6
)


@FUZZ
@given(st.sampled_from(PICTURES), edits, st.floats(0, 1), st.booleans())
def test_mutated_pictures(
    content: bytes, changes: list[tuple[float, int, int]], keep: float, head: bool
) -> None:
    mutated = bytearray(content[: int(len(content) * keep)] if changes and keep < 0.3 else content)
    for place, value, kind in changes:
        # Most of a decoder's decisions lie in the first bytes.
        at = int(place * (min(len(mutated), 120) if head else len(mutated)))
        mutated[at : at + (kind != 1)] = bytes([value]) * (kind < 3)
    check_picture(bytes(mutated))


@FUZZ
@given(st.binary(max_size=60), st.sampled_from([b"", *(p[:24] for p in PICTURES[:5])]))
def test_bytes_as_pictures(content: bytes, start: bytes) -> None:
    check_picture(start + content)


def check_picture(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.png"
        path.write_bytes(content)
        for read in (read_image, read_index):
            # Anything else than InputError fails the test.
            name = "pictures" if read is read_image else ""  # to count each once
            with suppress(InputError), only_inside(Path(folder), name=name):
                found = read(path)
                assert found.dtype == np.uint8
                assert found.ndim == 2 or (found.shape[2:] == (3,) and read is read_image)
