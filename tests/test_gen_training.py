"""Settings by architecture and preset, which pictures are learned, sizes, and what is refused."""

import json

import numpy as np
import pytest
import torch

from flawsmith.data.formats import read_dataset
from flawsmith.data.images import write_png
from flawsmith.data.scan import scan
from flawsmith.errors import InputError
from flawsmith.gen.pictures import Pictures, chosen, planes_of
from flawsmith.gen.sampler import load_sampler
from flawsmith.gen.sizes import fitted, shrunk
from flawsmith.gen.training import setup_of, warnings_of
from flawsmith.seeding import rng
from flawsmith.train.runs import read_job
from tests.gen_run_helpers import SHAPE, make_source, picture, setup, squares_task, train_squares
from tests.train_helpers import metrics


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("squares") / "source")


def found_in(root):
    return scan(read_dataset(root))


def refusal(call, *args, **flags):
    with pytest.raises(InputError) as caught:
        call(*args, **flags)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_flags_go_before_the_preset_before_the_architecture(tmp_path):
    plain = setup_of("small", None, {"arch": "wgan-gp"})
    assert (plain.gen.latent, plain.gen.critic_steps, plain.gen.longest) == (100, 5, 64)
    given = setup_of("small", None, {"arch": "wgan-gp", "critic_steps": 2, "batch": 16})
    assert (given.gen.critic_steps, given.loop.batch, given.loop.steps) == (2, 16, 2000)
    config = tmp_path / "config.yaml"
    config.write_text("arch: dcgan\nlatent: 7\nbetas: [0.1, 0.9]\n")
    filed = setup_of("small", config, {"latent": 9})
    assert (filed.gen.arch, filed.gen.latent, filed.gen.betas) == ("dcgan", 9, (0.1, 0.9))
    for flags in ({}, {"arch": "stylegan2"}, {"arch": "stylegan2", "critic": "projected"}):
        projected = setup_of("small", None, flags).gen
        assert (projected.arch, projected.critic, projected.critic_rate) == (
            "stylegan2", "projected", 5e-4,
        )  # fmt: skip
        assert (projected.adversarial, projected.penalised) == ("hinge", False)
    for preset, critic in (("small", {"critic": "own"}), ("tiny", {})):
        own = setup_of(preset, None, {"arch": "stylegan2", **critic}).gen
        assert (own.critic, own.adversarial, own.critic_rate) == ("own", "logistic", 2e-3)
    assert setup_of("tiny", None, {"arch": "dcgan", "critic": "projected"}).gen.dropout == 0


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"arch": "wgan-gp", "critic": "projected"}, "wgan-gp is its critic"),
        ({"arch": "wgan-gp", "penalty": 0.0}, "takes a penalty of the gradient"),
        ({"arch": "dcgan", "penalty": 1.0}, "goes with the loss of Wasserstein"),
        ({"arch": "wgan-gp", "adaptive": True}, "which Wasserstein's have not"),
        ({"arch": "fastgan", "r1": 1.0}, "R1 goes with the logistic loss"),
        ({"arch": "stylegan2", "dropout": 0.1}, "dropout is of the critics of dcgan and wgan-gp"),
        ({"arch": "dcgan", "critic": "projected", "dropout": 0.1}, "dropout is of the critics of"),
        ({"arch": "fastgan", "spectral": True}, "no spectral norm and no strides"),
        ({"resize": (16, 16), "crop": (16, 16)}, "either resize or crop"),
        ({"classes": ("a",)}, "classes are of masks"),
        ({"steps": 3, "epochs": 3}, "both steps and epochs"),
        ({"arch": "wgan-gp", "compile": True}, "no second derivative"),
        ({"width": 1}, "width: input should be greater than or equal to 2"),
        ({"latents": 3}, "no such setting: latents"),
    ],
)
def test_settings_that_are_refused(flags, words):
    assert words in refusal(setup_of, "small", None, flags)


def test_the_thesis_preset_is_of_its_networks():
    assert "is the layers of dcgan and wgan-gp" in refusal(
        setup_of, "plates", None, {"arch": "fastgan"}
    )
    assert "no preset 'huge'" in refusal(setup_of, "huge", None, {})


def test_epochs_count_the_critic_s_pictures(source, tmp_path):
    done = train_squares(source, tmp_path / "run", arch="wgan-gp", epochs=10, batch=4)
    assert done.steps == 6  # 10 x 12 pictures, 5 x 4 a step
    again = train_squares(source, tmp_path / "run", arch="wgan-gp", epochs=10, batch=4)
    assert (again.steps, again.made) == (6, 0)
    assert (tmp_path / "run" / "losses.png").is_file()
    assert warnings_of(tmp_path / "run") == []


def test_clean_pictures_alone_without_masks(source, capsys):
    found = found_in(source)
    part, label = chosen(found, setup().gen)
    assert (len(part.facts), label) == (4, "good")
    whole, label = chosen(found, setup(images="all").gen)
    assert (len(whole.facts), label) == (12, "unknown")
    masked, _ = chosen(found, setup(with_masks=True).gen)
    assert len(masked.facts) == 12


def test_only_what_is_marked_can_be_learned(tmp_path):
    root = make_source(tmp_path / "source", classes=("square", "stripe", "dent", "hole"))
    told = refusal(train_squares, root, tmp_path / "run", with_masks=True)
    assert "no picture marks dent, hole" in told
    assert "--classes square,stripe, or leave out --with-masks" in told
    assert not (tmp_path / "run").exists()
    found = found_in(root)
    picked = setup(with_masks=True, classes=("stripe", "square")).gen
    assert planes_of(found, picked) == (1, 0)
    wrong = setup(with_masks=True, classes=("scratch",)).gen
    assert "no class scratch (mend: some of square, stripe" in refusal(planes_of, found, wrong)


def test_mixed_sizes_are_named(tmp_path):
    root = make_source(tmp_path / "source", sizes=(SHAPE, SHAPE, (30, 40)))
    told = refusal(train_squares, root, tmp_path / "run")
    assert "pictures of 2 sizes: 16x24 (8), 40x30 (4)" in told
    assert "--resize 16x24 scales all to one size, --crop cuts windows" in told
    resized = squares_task(root, resize=(20, 30))
    assert resized.shape.size == (30, 20)
    cut = squares_task(root, crop=(12, 16))
    assert cut.shape.size == (16, 12)
    small = refusal(squares_task, root, crop=(20, 20))
    assert "8 pictures are smaller than the windows of 20x20, such as" in small
    assert "(16x24)" in small


def test_windows_are_drawn_by_their_generators(tmp_path):
    root = make_source(tmp_path / "source", count=6)
    settings = setup(images="all", crop=(8, 12), with_masks=True).gen
    pictures = Pictures(found_in(root), settings)
    draws = [pictures.batch([1, 1, 4], [rng(k, i) for i in range(3)]) for k in (1, 1, 2)]
    assert draws[0].shape == (3, 3, 12, 8)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0][0], draws[0][1])
    whole = (picture(1)[0] / 127.5 - 1).astype(np.float32)
    window = draws[0][0, 0].numpy()
    assert any(
        np.allclose(whole[y : y + 12, x : x + 8], window, atol=1e-6)
        for y in range(13)
        for x in range(9)
    )
    assert pictures.middle([1])[0, 0].numpy() == pytest.approx(whole[6:18, 4:12], abs=1e-6)


def test_pictures_kept_or_read_anew_are_the_same(source):
    settings = setup(images="all", with_masks=True).gen
    found = found_in(source)
    kept, anew = Pictures(found, settings), Pictures(found, settings, limit=0)
    assert kept.stack is not None
    assert anew.stack is None
    batches = [p.batch([3, 7, 1]) for p in (kept, anew)]
    assert torch.equal(*batches)
    image, mask = picture(7)
    assert batches[0][1, 0].numpy() == pytest.approx(image / 127.5 - 1, abs=1e-6)
    assert torch.equal(batches[0][1, 1] > 0, torch.from_numpy(mask == 1))


def test_scaling_keeps_the_aspect_and_cuts_the_middle():
    image = np.zeros((20, 40), np.uint8)
    image[:, 16:26] = 200
    masks = (image > 0)[None]
    small, marked = fitted(image, masks, (10, 10))
    assert small.shape == (10, 10)
    assert marked.shape == (1, 10, 10)
    # Half the size, of its 20 columns those from 5 to 15: nothing is squeezed.
    assert np.array_equal(np.flatnonzero(small[5]), range(3, 8))
    assert np.array_equal(marked[0], small > 100)
    same = fitted(image, masks, (40, 20))
    assert same[0] is image
    none = fitted(image, masks[:0], (10, 10))[1]
    assert none.shape == (0, 10, 10)


def test_the_longer_side_shrinks():
    assert shrunk((240, 400), 64) == (38, 64)
    assert shrunk((240, 400), 0) == (240, 400)
    assert shrunk((32, 20), 64) == (32, 20)
    assert shrunk((4000, 16), 64) == (64, 8)


def test_colours_where_any_picture_has_them(tmp_path):
    root = make_source(tmp_path / "source", count=3)
    grey = picture(0)[0]
    write_png(root / "images" / "000.png", np.stack([grey, grey, grey // 2], axis=2))
    task = squares_task(root)
    assert task.shape.channels == 3
    batch = task.pictures.batch([0, 1])
    assert not torch.equal(batch[0, 0], batch[0, 2])
    assert torch.equal(batch[1, 0], batch[1, 2])


def test_fewer_pictures_than_the_batch(source, tmp_path):
    told = refusal(train_squares, source, tmp_path / "run", batch=16)
    assert "12 pictures, fewer than the batch of 16 (mend: --batch 12, or more pictures)" in told
    assert "a batch of 1 (mend: --batch 2 or more)" in refusal(
        train_squares, source, tmp_path / "run", batch=1
    )


def test_another_setting_is_another_run(source, tmp_path):
    train_squares(source, tmp_path / "run", arch="dcgan", steps=1)
    told = refusal(train_squares, source, tmp_path / "run", arch="dcgan", steps=1, latent=7)
    assert "it was trained with other settings" in told
    assert "settings.latent" in told


@pytest.mark.parametrize(
    ("scaling", "batch", "rate"),
    [("none", 4, 1e-4), ("batch", 8, 1e-4), ("linear", 8, 2e-4), ("sqrt", 8, 2**0.5 * 1e-4)],
)
def test_batch_and_rates_grow_with_the_processes(
    source, tmp_path, monkeypatch, capsys, scaling, batch, rate
):
    from flawsmith.gen import training

    seen = []
    monkeypatch.setattr(training, "launch", lambda work, args, n, device: seen.append(args[2]))
    monkeypatch.setattr(training, "write_losses", lambda out: None)
    given = {"arch": "wgan-gp", "batch": 4, "scaling": scaling, "epochs": 10}
    train_squares(source, tmp_path / "run", num_processes=2, **given)
    (made,) = seen
    assert made.loop.batch == batch
    assert made.gen.critic_rate == pytest.approx(rate)
    assert made.loop.steps == -(-120 // (5 * batch))  # epochs are of pictures: fewer steps


def test_a_scaled_run_stays_as_it_began(source, tmp_path, capsys):
    given = {"arch": "dcgan", "batch": 4, "scaling": "linear", "steps": 1}
    run = tmp_path / "run"
    train_squares(source, run, **given)
    config = json.loads((run / "config.json").read_text())
    assert read_job(run)["task"]["scaled_for"] == 1
    from flawsmith.gen.training import _settled

    settled, count = _settled(setup(**given), run, 12, 2)
    assert (settled.loop.batch, count) == (4, 1)
    assert "stay as scaled for 1 process, now 2 processes" in capsys.readouterr().err
    assert config["job"]["training"]["batch"] == 4


def test_it_learns(tmp_path):
    """Bright squares anywhere on grey: it makes bright spots, and masks that lie on them."""
    root = tmp_path / "source"
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    (root / "classes.txt").write_text("square\n")
    for i in range(48):
        generator = rng(i, "square")
        image, mask = generator.normal(70, 4, (16, 16)), np.zeros((16, 16), np.uint8)
        top, left = generator.integers(0, 11, 2)
        mask[top : top + 6, left : left + 6] = 1
        image[mask > 0] = 200
        write_png(root / "images" / f"{i:02d}.png", image.clip(0, 255).astype(np.uint8))
        write_png(root / "masks" / f"{i:02d}.png", mask)
    given = {"arch": "stylegan2", "with_masks": True, "ema": 0.98, "log_every": 50}
    shares = []
    for name, steps in (("first", 1), ("last", 220)):
        train_squares(root, tmp_path / name, steps=steps, **given)
        shares.append(np.mean([agreement(s) for s in load_sampler(tmp_path / name).sample(24, 1)]))
    # By chance masks and bright spots agree in a fifth of what either covers.
    assert shares[1] > max(0.35, 1.5 * shares[0]), shares
    assert metrics(tmp_path / "last")[-1]["losses"]["diversity"] > 0.3


def agreement(sample):
    """Return the IoU of what is bright and what is marked."""
    bright, marked = sample.image > 135, sample.masks[0]
    return (bright & marked).sum() / max(1, (bright | marked).sum())


def test_the_losses_are_told(source, tmp_path):
    train_squares(source, tmp_path / "run", arch="wgan-gp", steps=2, with_masks=True)
    line = metrics(tmp_path / "run")[-1]["losses"]
    assert {"g_loss", "d_loss", "distance", "d_penalty", "diversity"} <= line.keys()
    assert line["d_loss"] == pytest.approx(-line["distance"], abs=1e-6)
