"""Checkpoints: exact, without pickles, refused in one line when anything in them is not right."""

import json
import shutil

import pytest
import torch
from torch import nn

from flawsmith.errors import InputError, OutputError
from flawsmith.train.checkpoint import (
    load_checkpoint,
    newest,
    save_checkpoint,
    save_weights,
)
from flawsmith.train.runs import read_weights_facts
from tests.train_helpers import mlp, run_toy

FACTS = {"extra": {"strength": 0.1 + 0.2}, "sums": {"loss": [1.5, 3]}}
KINDS = {
    "adam": lambda p: torch.optim.Adam(p, 0.01, betas=(0.0, 0.99)),
    "amsgrad": lambda p: torch.optim.AdamW(p, 0.01, amsgrad=True),
    "momentum": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, nesterov=True),
    "plain": lambda p: torch.optim.SGD(p, 0.01),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01, centered=True),
}


def trained(kind="adam", steps=3, seed=0):
    """A network, and its optimiser after some steps."""
    model = mlp(seed, 3, 4, 2)
    optimizer = KINDS[kind](model.parameters())
    more(model, optimizer, range(steps))
    return model, optimizer


def more(model, optimizer, steps):
    for step in steps:
        optimizer.zero_grad()
        model(torch.full((2, 3), 0.1 * (step + 1))).square().sum().backward()
        optimizer.step()


def saved(folder, step=3, kind="adam"):
    model, optimizer = trained(kind)
    save_checkpoint(folder, step, {"net": model}, {"net": optimizer}, FACTS)
    return model, optimizer


def complaint(path, model, optimizer):
    with pytest.raises(InputError) as caught:
        load_checkpoint(path, {"net": model}, {"net": optimizer})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_facts_whose_keys_are_numbers_are_read_again(tmp_path):
    """They sort as numbers when written, and as texts when read."""
    model, optimizer = trained()
    facts = {"extra": {2: "two", 10: "ten"}, "sums": {}}
    save_checkpoint(tmp_path, 3, {"net": model}, {"net": optimizer}, facts)
    state = load_checkpoint(tmp_path / "00000003", {"net": model}, {"net": optimizer})
    assert state["extra"] == {"2": "two", "10": "ten"}


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_as_if_nothing_had_happened(tmp_path, kind):
    model, optimizer = saved(tmp_path, kind=kind)
    fresh, other = trained(kind, steps=1, seed=5)
    for group in other.param_groups:
        group["lr"] = 7.0
    state = load_checkpoint(newest(tmp_path), {"net": fresh}, {"net": other})
    assert (state["step"], state["extra"], state["sums"]) == (3, FACTS["extra"], FACTS["sums"])
    assert other.param_groups[0]["lr"] == 0.01
    for m, o in ((model, optimizer), (fresh, other)):
        more(m, o, range(3, 6))
    for left, right in zip(model.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(left, right)
    left, right = (o.state_dict()["param_groups"] for o in (optimizer, other))
    assert left == right  # tuples are tuples again


def test_moments_are_laid_out_like_their_parameters(tmp_path):
    def made():
        model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        return model, torch.optim.Adam(model.parameters())

    model, optimizer = made()
    model(torch.ones(1, 3, 5, 5)).sum().backward()
    optimizer.step()
    save_checkpoint(tmp_path, 1, {"net": model}, {"net": optimizer}, FACTS)
    fresh, other = made()
    load_checkpoint(newest(tmp_path), {"net": fresh}, {"net": other})
    assert other.state[fresh.weight]["exp_avg"].stride() == fresh.weight.stride() == (27, 1, 9, 3)
    assert torch.equal(
        other.state[fresh.weight]["exp_avg"], optimizer.state[model.weight]["exp_avg"]
    )


def test_the_same_state_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        saved(tmp_path / name)
        save_weights(tmp_path / f"{name}.safetensors", trained()[0], {"kind": "x", "step": 3})
    for file in ("tensors.safetensors", "state.json"):
        left, right = (tmp_path / name / "00000003" / file for name in "ab")
        assert left.read_bytes() == right.read_bytes()
    left, right = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    assert left.read_bytes() == right.read_bytes()
    assert read_weights_facts(left) == {"kind": "x", "step": 3}


def test_the_last_two_are_kept(tmp_path):
    (tmp_path / "00000001.new").mkdir()  # left by a kill
    (tmp_path / "notes").mkdir()
    for step in (1, 9, 10, 99_999_999, 100_000_000):
        saved(tmp_path, step)
        assert newest(tmp_path).name == f"{step:08d}"
    assert {path.name for path in tmp_path.iterdir()} == {"99999999", "100000000", "notes"}
    assert newest(tmp_path / "none") is None


def test_broken_files(tmp_path):
    model, optimizer = saved(tmp_path / "good")
    good = newest(tmp_path / "good")

    def spoilt(name, change):
        copy = shutil.copytree(good, tmp_path / "spoilt" / "00000003", dirs_exist_ok=True)
        path = copy / name
        path.write_bytes(change(path.read_bytes()))
        return complaint(copy, model, optimizer)

    before = [p.clone() for p in model.parameters()]
    cut = spoilt("tensors.safetensors", lambda b: b[:-40])
    assert "not the one that was written" in cut
    assert "goes on from the checkpoint before it" in cut
    assert "not the one that was written" in spoilt(
        "tensors.safetensors", lambda b: b[:-1] + bytes([b[-1] ^ 1])
    )
    assert "not valid JSON" in spoilt("state.json", lambda b: b[:50])
    assert "no checkpoint of flawsmith" in spoilt("state.json", lambda b: b"{}")
    assert "no checkpoint of flawsmith" in spoilt("state.json", lambda b: b"[]")
    assert "no checkpoint of flawsmith" in spoilt(
        "state.json", lambda b: b.replace(b'"step": 3', b'"step": 4')
    )
    assert "a checkpoint of format 2; this flawsmith reads 1" in spoilt(
        "state.json", lambda b: b.replace(b'"format": 1', b'"format": 2')
    )
    (good / "tensors.safetensors").unlink()
    assert "cannot be read" in complaint(good, model, optimizer)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_of_something_else(tmp_path):
    saved(tmp_path)
    path = newest(tmp_path)
    wide = mlp(0, 3, 5, 2)
    assert "of another shape" in complaint(path, wide, KINDS["adam"](wide.parameters()))
    model, _ = trained()
    parts = list(model.parameters())
    two = torch.optim.Adam([{"params": parts[:1]}, {"params": parts[1:]}])
    assert "of another optimiser" in complaint(path, model, two)
    few = torch.optim.Adam(parts[:2])
    assert "of another optimiser" in complaint(path, model, few)
    with pytest.raises(InputError, match="of other optimisers"):
        load_checkpoint(path, {"net": model}, {"other": KINDS["adam"](parts)})


def test_a_moment_of_another_shape(tmp_path):
    """The digest guards the tensors, so this one is of somebody who wrote both files."""
    model, optimizer = trained()
    flat = KINDS["adam"]([nn.Parameter(torch.zeros(p.numel())) for p in model.parameters()])
    for group in flat.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    flat.step()
    save_checkpoint(tmp_path, 3, {"net": model}, {"net": flat}, FACTS)
    assert "of another shape" in complaint(newest(tmp_path), model, optimizer)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="file"):
        saved(tmp_path / "file" / "state")
    with pytest.raises(OutputError, match="file"):
        save_weights(tmp_path / "file" / "model.safetensors", trained()[0], {})


def test_a_run_with_a_broken_checkpoint_says_so_and_goes_on_without_it(tmp_path):
    out = tmp_path / "run"
    run_toy(out, steps=6)
    kept = (out / "model.safetensors").read_bytes()
    (out / "state" / "00000006" / "tensors.safetensors").write_bytes(b"cut")
    with pytest.raises(InputError, match=r"remove .*00000006"):
        run_toy(out, steps=8)
    shutil.rmtree(out / "state" / "00000006")
    assert run_toy(out, steps=6).made == 3
    assert (out / "model.safetensors").read_bytes() == kept


def test_weights_of_others(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="not flawsmith's"):
        read_weights_facts(tmp_path / "x.safetensors")
    save_file({"x": torch.zeros(2)}, tmp_path / "y.safetensors", {"flawsmith": "{"})
    with pytest.raises(InputError, match="not valid JSON"):
        read_weights_facts(tmp_path / "y.safetensors")
    (tmp_path / "z.safetensors").write_bytes(json.dumps({}).encode())
    with pytest.raises(InputError, match="no valid safetensors"):
        read_weights_facts(tmp_path / "z.safetensors")
    with pytest.raises(InputError, match="cannot be read"):
        read_weights_facts(tmp_path / "none.safetensors")
