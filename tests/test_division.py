"""Shards: together they are the job, and none is empty; what names no shard is refused."""

from itertools import pairwise

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from flawsmith.cli import cli
from flawsmith.data import shards
from flawsmith.data.division import MOST, Shard, part_of
from flawsmith.errors import EXIT_USER, InputError


@given(st.integers(1, 40), st.integers(0, 10_000_000), st.integers(1, 5000))
@settings(max_examples=200, deadline=None)
def test_shares_follow_one_another_and_are_everything(of, count, unit):
    shares = [Shard(i, of).part(count, unit) for i in range(1, of + 1)]
    assert shares[0].start == 0
    assert shares[-1].stop == count
    assert all(one.stop == two.start for one, two in pairwise(shares))
    assert sum(map(len, shares)) == count
    if unit == 1:
        sizes = set(map(len, shares))
        assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 64), st.integers(0, 200_000))
@settings(max_examples=200, deadline=None)
def test_no_shard_of_samples_is_empty_and_large_ones_begin_with_a_tar(of, more):
    count = of + more
    shares = [Shard(i, of).samples(count) for i in range(1, of + 1)]
    assert all(shares)
    if count >= of * shards.SHARD_SIZE:
        assert all(share.start % shards.SHARD_SIZE == 0 for share in shares)


@pytest.mark.parametrize(
    "text", ["0/8", "9/8", "8", "two/8", "1/0", "-1/8", "1/8/2", "", "١/٨", f"1/{MOST + 1}"]
)
def test_what_names_no_shard_is_refused(tmp_path, text):
    with pytest.raises(InputError, match="shard"):
        Shard.parse(text)
    words = ("augment", tmp_path, tmp_path / "out", "--method", "paste", "--shard", text)
    done = CliRunner().invoke(cli, [*map(str, words)])
    assert done.exit_code == EXIT_USER
    assert "--shard" in done.output
    assert not (tmp_path / "out").exists()


def test_names_of_shards():
    assert Shard.parse("2/8") == Shard(2, 8)
    assert str(Shard(2, 8)) == "2/8"


def test_a_job_and_its_shards_are_told_apart():
    job = {"command": "test"}
    assert part_of(job, 5, None) == job
    assert part_of(job, 5, Shard(2, 5)) == {"command": "test", "shard": "2/5"}
    with pytest.raises(InputError, match="5 samples cannot be divided into 6 shards"):
        part_of(job, 5, Shard(2, 6))
