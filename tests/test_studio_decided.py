"""What a person decided on in review is what a filter, a run and a saved pair heed."""

from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from flawsmith.cli import cli
from flawsmith.data.formats import read_dataset
from flawsmith.data.scan import scan
from flawsmith.evaluate.filtering.job import read_accepted
from flawsmith.evaluate.filtering.reasons import PERSON, TWIN
from flawsmith.evaluate.filtering.select_settings import SelectSettings
from flawsmith.evaluate.filtering.settings import FilterSettings
from flawsmith.evaluate.filtering.sieve import Sieve
from flawsmith.pipeline.clean import Maker
from flawsmith.studio.decisions import Decisions
from flawsmith.studio.paths import Roots
from tests.eye import eye  # noqa: F401
from tests.filter_helpers import crops_of, drawn, scanned
from tests.studio_helpers import lines_of, make_candidates, make_real, run_filter


@pytest.fixture
def made(tmp_path):
    return make_candidates(tmp_path / "made")


def test_a_filter_heeds_decisions(tmp_path):
    real = make_real(tmp_path / "real", 12)
    made = tmp_path / "made"
    words = ["augment", real, made, "--method", "paste", "--count", 16, "--workers", 1]
    assert CliRunner().invoke(cli, [*map(str, words)]).exception is None
    done = run_filter(made, tmp_path / "first", "--real", real)
    assert done.exception is None, (done.exception, done.output)
    verdicts = {line["id"]: line for line in lines_of(tmp_path / "first")}
    kept = [name for name, line in verdicts.items() if line["accepted"]]
    dropped = [name for name, line in verdicts.items() if not line["accepted"]]
    own = Decisions(made / "samples.jsonl", Roots([made]))
    for name in kept[:2]:
        own.decide(name, "rejected", None)
    for name in dropped[:3]:
        own.decide(name, "accepted", None)
    done = run_filter(made, tmp_path / "second", "--real", real)
    assert done.exception is None, (done.exception, done.output)
    after = {line["id"]: line for line in lines_of(tmp_path / "second")}
    accepted = set(read_accepted(tmp_path / "second").ids)
    for name in kept[:2]:
        assert after[name]["reason"] == PERSON
        assert after[name]["scores"]
        assert name not in accepted
    for name in dropped[:3]:
        assert after[name]["accepted"]
        assert name in accepted
    assert f"2 rejected: {PERSON}" in done.stdout
    # The quota holds: those whom a person accepted are among the kept.
    assert len(accepted) <= len(kept) + 1


def test_the_twin_of_what_a_person_accepted_goes(tmp_path):
    """Also where it comes earlier: the one that a person chose stands for both."""
    samples = [drawn(f"paste_{i}", 100 + i, 0, "paste") for i in range(3)]
    made = scanned(tmp_path / "made", samples).dataset.root
    Decisions(made / "samples.jsonl", Roots([made])).decide("paste_1", "accepted", None)
    found = scan(read_dataset(made))
    sieve = Sieve(found, found, FilterSettings())
    sieve.made_crops, sieve.distances = {0: crops_of([0.0, 0.1, 5.0])}, {}
    sieve.limits = {0: {"copies": 0.5}}
    sieve.by_novelty()
    assert sieve.reasons == [TWIN, "", ""]


def test_a_run_selects_anew_what_a_person_decided_on(made):
    """The stage that selects generated clean images: other decisions are another job."""
    jobs = []
    stages = SimpleNamespace(make=lambda name, inputs, needs, work: jobs.append(inputs) or made)
    plan = SimpleNamespace(select=SelectSettings())
    for choice, was in ((None, None), ("rejected", None), ("accepted", "rejected")):
        Decisions(made / "samples.jsonl", Roots([made])).decide("paste_000001", choice, was)
        Maker(stages, plan, "cpu", 1)._select("", made, None, "split")
    told = [job.get("choices") for job in jobs]
    assert told == [None, {"paste_000001": "rejected"}, {"paste_000001": "accepted"}]


def test_a_broken_pair_is_not_saved_by_a_person(tmp_path):
    """The certificate says that a label is wrong: nobody's liking mends that."""
    real = make_real(tmp_path / "real", 12)
    samples = [drawn(f"drawn_{i}", 300 + i, i % 2, "drawn") for i in range(4)]
    samples[0].masks[:] = False
    made = scanned(tmp_path / "made", samples).dataset.root
    Decisions(made / "samples.jsonl", Roots([made])).decide("drawn_0", "accepted", None)
    done = run_filter(made, tmp_path / "out", "--real", real)
    assert done.exception is None, (done.exception, done.output)
    line = lines_of(tmp_path / "out")[0]
    assert not line["accepted"]
    assert line["reason"] == "mask empty"
