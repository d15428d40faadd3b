"""Photos of one part in two groups are found; parts of one design are not called one."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from flawsmith.cli import cli
from flawsmith.data.alike import (
    LEAST,
    Alike,
    Pair,
    chains,
    correlation,
    join_look_alikes,
    look_alikes,
    shared_looks,
    sketch,
    told,
)
from flawsmith.data.formats import read_dataset
from flawsmith.data.images import encode_png
from flawsmith.data.joining import largest, merged
from flawsmith.data.scan import scan

SIZE = (120, 160)


def part(seed, design=0.0):
    """A surface (H, W) of marks of its own, over a design that all parts share."""
    own = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=SIZE), (0, 0), 3)
    same = cv2.GaussianBlur(np.random.default_rng(999).normal(size=SIZE), (0, 0), 3)
    return (own + design * same) / np.sqrt(1 + design**2)


def photo(surface, seed, shift=0):
    """A photo of it: shifted by columns, in another light, with the noise of a camera."""
    generator = np.random.default_rng(1000 + seed)
    light = generator.uniform(60, 150) + generator.uniform(-30, 30) * np.linspace(-1, 1, SIZE[1])
    grey = light + 150 * np.roll(surface, shift, axis=1) + generator.normal(0, 4, SIZE)
    return np.clip(grey, 0, 255).astype(np.uint8)


def write_png(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(image))


def folder(root, surfaces, repeated=(), design=0.0):
    """Photos 0 to n - 1 of a part each, and second ones of some, in groups of their own."""
    for number in range(surfaces):
        write_png(root / "images" / f"p{number:02d}.png", photo(part(number, design), number))
    for number in repeated:
        again = photo(part(number, design), 50 + number, shift=6)
        write_png(root / "images" / f"q{number:02d}.png", again)
    return scan(read_dataset(root))


def names(found, alike):
    return {(found.facts[p.first].id, found.facts[p.second].id) for p in alike.pairs}


def test_second_photos_are_found_and_nothing_else(tmp_path):
    found = folder(tmp_path, 30, repeated=(3, 17))
    alike = look_alikes(found)
    assert names(found, alike) == {("p03", "q03"), ("p17", "q17")}
    assert all(pair.correlation > 0.8 for pair in alike.pairs)
    assert look_alikes(found, workers=2) == alike
    joined = join_look_alikes(found)
    group = {fact.id: fact.group for fact in joined.facts}
    assert group["p03"] == group["q03"] != group["p17"] == group["q17"]
    assert len(set(group.values())) == 30
    assert [r.group for r in joined.dataset.records] == [f.group for f in joined.facts]
    assert {f.joined for f in joined.facts} == {"", "q03", "q17"}
    assert "2 pairs of photos of 4 groups look like one part" in joined.dataset.notices[-1]


def test_parts_of_one_design_are_not_one_part(tmp_path):
    """Four fifths of what is seen is the design: photos of any two parts correlate by 0.8."""
    found = folder(tmp_path, 30, repeated=(5,), design=2.0)
    sketches = [sketch(found.dataset[i].image) for i in range(3)]
    assert correlation(sketches[0], sketches[1]) > LEAST
    alike = look_alikes(found)
    assert alike.threshold > 0.8
    assert names(found, alike) == {("p05", "q05")}


def test_photos_of_one_group_are_no_news_and_plain_ones_are_like_nothing(tmp_path):
    found = folder(tmp_path, 20, repeated=(3,))
    facts = tuple(replace(f, group=f"part{f.id[1:]}") for f in found.facts)
    assert look_alikes(replace(found, facts=facts)).pairs == ()
    for number in range(20):
        write_png(
            tmp_path / "plain" / "images" / f"{number}.png", np.full(SIZE, 10 * number, np.uint8)
        )
    assert look_alikes(scan(read_dataset(tmp_path / "plain"))).pairs == ()


def test_light_stripes_and_a_shift_do_not_matter():
    surface = part(1)
    striped = 150 * surface + 100 + 40 * np.sin(np.arange(SIZE[1]) / 5)[None]
    lit = 100 * np.roll(surface, 8, axis=1) + np.linspace(20, 180, SIZE[0])[:, None]
    pictures = [np.clip(x, 0, 255).astype(np.uint8) for x in (striped, lit)]
    assert correlation(*map(sketch, pictures)) > 0.8
    other = np.clip(150 * part(2) + 100 + 40 * np.sin(np.arange(SIZE[1]) / 5), 0, 255)
    assert correlation(sketch(pictures[0]), sketch(other.astype(np.uint8))) < LEAST


def test_chains_of_look_alikes_are_told_and_not_joined(tmp_path, monkeypatch):
    found = folder(tmp_path, 40)
    alike = Alike(tuple(Pair(i, i + 1, 0.9) for i in range(19)), 0.5)
    assert chains(found.facts, alike)
    monkeypatch.setattr("flawsmith.data.alike.look_alikes", lambda *_, **__: alike)
    apart = join_look_alikes(found)
    assert [f.group for f in apart.facts] == [f.group for f in found.facts]
    assert "stay apart" in apart.dataset.notices[-1]
    assert "they link too many groups to tell anything" in told(found.facts, alike)
    few = replace(alike, pairs=alike.pairs[:10])
    assert not chains(found.facts, few)


def test_merged_groups_have_the_first_name_whatever_the_order():
    groups = ["c", "b", "a", "d", "b"]
    for links in ([(0, 1), (1, 2)], [(2, 1), (4, 0)]):
        assert merged(groups, links) == ["a", "a", "a", "d", "a"]
        assert largest(groups, links) == 3
    assert merged(groups, []) == groups
    assert largest(groups, []) == 1


def test_split_keeps_them_together_unless_told_to_leave_them(tmp_path):
    folder(tmp_path / "src", 12, repeated=range(12))
    apart = []
    for how in ("join", "leave"):
        out = tmp_path / how
        words = ["data", "split", str(tmp_path / "src"), str(out), "--assume-good"]
        done = CliRunner().invoke(cli, [*words, "--look-alikes", how, "--workers", "1"])
        assert done.exit_code == 0, done.output
        parts = [{f.stem for f in (out / p).rglob("*.png")} for p in ("train", "test")]
        apart.append(sum((f"p{n:02d}" in parts[0]) != (f"q{n:02d}" in parts[0]) for n in range(12)))
        assert ("12 pairs of photos" in done.output) == (how == "join")
    assert apart[0] == 0
    assert apart[1] > 0


def test_shared_looks_are_told_between_two_sets_only(tmp_path):
    train = folder(tmp_path / "train", 20, repeated=(1,))
    for name, number in [*((n, 40 + n) for n in range(10)), (99, 7)]:
        picture = photo(part(number), 70 + number, shift=4)
        write_png(tmp_path / "test" / "images" / f"p{name:02d}.png", picture)
    test = scan(read_dataset(tmp_path / "test"))
    said = shared_looks(train, test)
    assert "1 pair of photos of 2 groups" in said
    assert "p07 and p99" in said
    assert shared_looks(train, test.select(range(10))) == ""


@pytest.mark.parametrize(("parts", "photos"), [(6, 20), (8, 10), (5, 2)])
def test_few_parts_photographed_often_are_found(tmp_path, parts, photos):
    """A large share of all pairs shows one part: they must not count as what chance gives."""
    for number in range(parts * photos):
        picture = photo(part(number // photos), number, shift=number % 3)
        write_png(tmp_path / "images" / f"p{number:03d}.png", picture)
    joined = join_look_alikes(scan(read_dataset(tmp_path)))
    assert len({fact.group for fact in joined.facts}) == parts


@pytest.mark.parametrize("images", [1, 2, 3])
def test_few_photos_raise_nothing(tmp_path, images):
    assert look_alikes(folder(tmp_path, images)).pairs == ()
