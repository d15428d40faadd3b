"""Two folders measured: what comes back, and what is wrong with a folder."""

from dataclasses import replace

import numpy as np
import pytest

from flawsmith.data.dataset import DataSet
from flawsmith.data.formats import ReadOptions
from flawsmith.errors import InputError
from flawsmith.evaluate.distance import DistanceSettings, measure
from tests.augment_helpers import write_scan
from tests.distance_helpers import MADE, REAL, clean, eye, marked, of  # noqa: F401
from tests.eye import Eye


def test_measure_returns_what_it_compared(tmp_path):
    roots = {
        name: write_scan(tmp_path / name, samples).dataset.root
        for name, samples in {"real": REAL, "made": MADE, "train": clean("train", 3)}.items()
    }
    shown: list[DataSet] = []
    measured = measure(
        roots["real"], roots["made"], DistanceSettings(), train=roots["train"], show=shown.append
    )
    assert shown == [measured.real, measured.made, measured.train]
    assert [dataset.root for dataset in shown] == list(roots.values())
    assert measured.made.ids == tuple(sorted(sample.id for sample in MADE))
    assert measure(roots["real"], roots["made"], DistanceSettings()).train is None


def test_candidates_without_masks_are_nothing_to_compare(tmp_path):
    real = write_scan(tmp_path / "real", REAL).dataset.root
    bare = [replace(s, label="unknown", masks=np.zeros_like(s.masks)) for s in MADE]
    write_scan(tmp_path / "made", bare)
    with pytest.raises(InputError) as caught:
        measure(real, tmp_path / "made", DistanceSettings())
    assert str(caught.value).startswith(
        f"{tmp_path / 'made'}: nothing can be compared: no labelled sample in common"
    )
    assert Eye.seen == 0


@pytest.mark.parametrize("side", ["real", "made"])
def test_an_unreadable_picture_stops_or_is_skipped(tmp_path, side):
    written = {
        "real": write_scan(tmp_path / "real", [*REAL, marked("real-more", 170)]),
        "made": write_scan(tmp_path / "made", MADE),
    }
    broken = written[side].dataset.records[7].image
    broken.write_bytes(broken.read_bytes()[:60])
    roots = [found.dataset.root for found in written.values()]
    with pytest.raises(InputError) as caught:
        measure(*roots, DistanceSettings())
    assert str(caught.value).startswith(str(broken))
    assert "\n" not in str(caught.value)
    measured = measure(*roots, DistanceSettings(), options=ReadOptions(on_error="skip"))
    (skipped,) = getattr(measured, side).skipped
    assert broken.name in skipped.where
    entry = of(measured.distances, "crop", "pit")
    assert (entry.n_real, entry.n_made) == ((20, 20) if side == "real" else (21, 19))
