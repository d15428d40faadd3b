"""``flawsmith gen``: train, stop, go on, sample; the same bytes however they are made."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from flawsmith.commands.gen import command as GEN
from flawsmith.data.formats import read_dataset
from flawsmith.errors import InputError
from flawsmith.gen.sampler import load_sampler
from flawsmith.gen.shapes import marked
from tests.feature_helpers import one_thread  # noqa: F401
from tests.gen_run_helpers import make_source
from tests.trees import tree_hash

TRAIN = (
    *("--preset", "tiny", "--arch", "dcgan", "--steps", 6, "--batch", 6, "--longest", 0),
    *("--device", "cpu", "--workers", 1),
)
SAMPLE = ("--count", 5, "--seed", 4, "--device", "cpu")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with ``parts``, a ``run`` with masks trained on them, and ``whole``, drawn of it."""
    root = tmp_path_factory.mktemp("gen")
    make_source(root / "parts")
    told = result_of("train", root / "parts", root / "run", *TRAIN, "--with-masks")
    assert (told["steps"], told["made"], told["warnings"]) == (6, 6, [])
    assert told["gen"]["with_masks"]
    result_of("sample", root / "run", root / "whole", *SAMPLE, "--workers", 1)
    return root


def run(*words):
    return CliRunner().invoke(GEN, [*map(str, words)])


def result_of(*words):
    done = run(*words, "--json")
    assert done.exception is None, (done.exception, done.stderr)
    return json.loads(done.stdout)


def refusal_of(*words):
    """Return the one line of an error that the user can mend."""
    done = run(*words)
    assert isinstance(done.exception, InputError), (done.exception, done.output)
    assert "\n" not in str(done.exception)
    return str(done.exception)


def test_samples_are_pairs_with_their_origin(home):
    samples = list(read_dataset(home / "whole"))
    assert [s.id for s in samples] == [f"gen_{i:06d}" for i in range(5)]
    sampler = load_sampler(home / "run", "cpu")
    for i, one in enumerate(samples):
        assert one.image.shape == (24, 16)
        assert one.masks.shape == (2, 24, 16)
        assert one.label == ("defective" if one.masks.any() else "unknown")
        assert one.meta["method"] == "gen"
        assert (one.meta["seed"], one.meta["index"]) == (4, i)
        assert one.meta["weights"] == sampler.digest
    assert read_dataset(home / "whole").classes == ("square", "stripe")


def test_the_mask_is_where_the_rule_says(home):
    from flawsmith.gen.latents import latents

    sampler = load_sampler(home / "run", "cpu")
    (sample,) = sampler.sample(1, 4, start=2)
    with torch.no_grad():
        made = sampler.generator(latents(4, [2], sampler.settings.latent))[0]
    assert np.array_equal(sample.masks, marked(made[None, 1:])[0].numpy())
    wanted = ((made[0] + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    assert np.array_equal(sample.image, wanted)


def test_the_bytes_depend_on_neither_workers_nor_count(home, tmp_path):
    result_of("sample", home / "run", tmp_path / "two", *SAMPLE, "--workers", 2)
    assert tree_hash(tmp_path / "two") == tree_hash(home / "whole")
    sampler = load_sampler(home / "run", "cpu")
    (third,) = sampler.sample(1, 4, start=3)
    whole = read_dataset(home / "whole")[3]
    assert np.array_equal(third.image, whole.image)
    assert np.array_equal(third.masks, whole.masks)
    (other,) = sampler.sample(1, 5, start=3)
    assert not np.array_equal(other.image, third.image)


def test_full_batches_as_on_a_gpu(home, monkeypatch):
    """A picture is the same one wherever it lies in what is asked for."""
    from flawsmith.gen import sampler as module

    sampler = load_sampler(home / "run", "cpu")
    alone = [s.image for s in sampler.sample(7, 4)]
    monkeypatch.setattr(module, "BATCH", 4)

    class Elsewhere:
        type = "cuda"

    object.__setattr__(sampler, "device", Elsewhere())
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *a, **k: self)
    together = [s.image for s in sampler.sample(7, 4)]
    middle = [s.image for s in sampler.sample(3, 4, start=3)]
    assert all(np.array_equal(a, b) for a, b in zip(together[3:6], middle, strict=True))
    assert all(np.abs(a.astype(int) - b).max() <= 1 for a, b in zip(alone, together, strict=True))


def test_truncation(home):
    sampler = load_sampler(home / "run", "cpu")
    same = [s.image for s in sampler.sample(3, 4, truncation=0.0)]
    assert np.array_equal(same[0], same[1])
    with pytest.raises(InputError, match="truncation 3"):
        next(sampler.sample(1, 4, truncation=3))
    done = run("sample", home / "run", home / "never", "--truncation", 3)
    assert done.exit_code == 2
    assert not (home / "never").exists()


def test_clean_pictures_give_clean_samples(home, tmp_path):
    words = ("train", home / "parts", tmp_path / "run", *TRAIN[:-6], "--batch", 4)
    result_of(*words, "--steps", 1, "--device", "cpu")
    (sample,) = load_sampler(tmp_path / "run", "cpu").sample(1, 0)
    assert (sample.label, sample.masks.shape) == ("good", (0, 24, 16))
    told = result_of("sample", tmp_path / "run", tmp_path / "clean", "--count", 2)
    assert told["labels"]["good"] == 2


def test_the_same_command_again_does_nothing_more(home):
    told = result_of("train", home / "parts", home / "run", *TRAIN, "--with-masks")
    assert (told["steps"], told["made"]) == (6, 0)
    assert "is complete already" in run("sample", home / "run", home / "whole", *SAMPLE).stderr


def test_a_dry_run_writes_nothing(home, tmp_path):
    told = result_of("train", home / "parts", tmp_path / "run", *TRAIN, "--dry-run")
    assert told["gen"]["arch"] == "dcgan"
    assert told["images"] == 12
    assert not (tmp_path / "run").exists()


def test_sizes_are_read(home, tmp_path):
    words = ("train", home / "parts", tmp_path / "run", *TRAIN, "--dry-run")
    assert result_of(*words, "--resize", "20x30")["gen"]["resize"] == [20, 30]
    assert "is no size such as 240x400" in run(*words, "--crop", "20").output


def test_a_run_of_something_else(home, tmp_path):
    empty = tmp_path / "empty"
    assert "no trained weights here" in refusal_of("sample", empty, tmp_path / "out")
    from safetensors.torch import save_file

    (tmp_path / "run").mkdir()
    facts = {"flawsmith": json.dumps({"kind": "inpaint"})}
    save_file({"x": torch.zeros(1)}, tmp_path / "run" / "model.safetensors", facts)
    told = refusal_of("sample", tmp_path / "run", tmp_path / "out")
    assert "weights of 'inpaint', not of a run of gen" in told
    facts = {"flawsmith": json.dumps({"kind": "gen", "config": {"settings": {}}})}
    save_file({"x": torch.zeros(1)}, tmp_path / "run" / "model.safetensors", facts)
    told = refusal_of("sample", tmp_path / "run", tmp_path / "out")
    assert "its settings are not this flawsmith's" in told
    assert "would lie inside" in refusal_of("sample", home / "run", home / "run" / "out")


def test_the_preview_of_samples(home, tmp_path):
    words = ("sample", home / "run", tmp_path / "out", *SAMPLE, "--preview", tmp_path / "p.png")
    assert result_of(*words)["preview"] == str(tmp_path / "p.png")
    assert (tmp_path / "p.png").is_file()
