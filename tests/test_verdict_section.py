"""The verdict on top says what the interval says, what is done with the data, and how to train."""

import re
from dataclasses import replace

import pytest

from flawsmith.evaluate.overlap import Overlap
from flawsmith.evaluate.paired import Difference
from flawsmith.evaluate.segment import ArmResult, SegmentCheck
from flawsmith.evaluate.segmenter.schedule import Schedule
from flawsmith.evaluate.verdict import Finding
from flawsmith.evaluate.verdict_section import Decision, recipe, state_of, verdict_section
from tests.report_helpers import EVIL, Page, render

DECISION = Decision(images=132, place="dataset/synthetic")
RUN = Overlap(
    classes=("Crack",),
    iou=(0.5,),
    dice=(0.6,),
    miou=0.5,
    mdice=0.6,
    absent=(),
    images=40,
    groups=14,
    clean=0,
    alarmed=None,
    alarm_share=None,
    min_area=1,
    unknown=0,
)


def finding(arm: str, base: str, value: float, low: float, high: float) -> Finding:
    by_seed = (value - 0.01, value, value + 0.01)
    found = Difference(
        "mIoU", "high", 0.5 + value, 0.5, value, low, high, by_seed, 14, 16, 40, 3, 5000
    )
    return Finding(arm, base, found)


def check(*findings: Finding, base: str = "real", leak: str = "") -> SegmentCheck:
    return SegmentCheck(
        base=base,
        arms=(ArmResult(base, 0, (RUN,) * 3),),
        findings=findings,
        details=(),
        seeds=(0, 1, 2),
        steps=800,
        crop=128,
        batch=12,
        real=60,
        real_groups=21,
        test=40,
        test_groups=16,
        leak=leak,
    )


HELPS = finding("real+filtered", "real", 0.051, 0.02, 0.082)
NOTHING = finding("real+filtered", "real", 0.01, -0.02, 0.04)
HURTS = finding("real+filtered", "real", -0.03, -0.05, -0.01)
RANDOM = finding("real+filtered", "real+random", 0.01, -0.005, 0.02)


def shown(found: SegmentCheck | None, decision: Decision = DECISION) -> Page:
    return render([verdict_section(found, decision)])[1]


def test_what_helps_is_accepted_with_the_numbers() -> None:
    page = shown(check(HELPS, RANDOM))
    assert state_of(check(HELPS)) == "accepted"
    told = "Accepted: it helps. real+filtered against real: mIoU +5.1 points"
    assert told in page.text
    assert "(95% interval +2.0 to +8.2; 14 groups, 3 seeds): helps." in page.text
    assert "132 synthetic images are accepted, in dataset/synthetic" in page.text
    assert "0.500 → 0.551" in page.text
    assert "beside 60 real ones of 21 groups" in page.text
    assert "40 images" in page.text
    assert "real ones of 16 groups, 14 of them with defects" in page.text
    assert "Train as it was measured:" in page.text


@pytest.mark.parametrize(
    ("found", "headline"),
    [(NOTHING, "Not accepted: no evidence that it helps."), (HURTS, "Not accepted: it hurts.")],
)
def test_nothing_else_is_called_accepted(found: Finding, headline: str) -> None:
    page = shown(check(found), replace(DECISION, place="candidates"))
    assert state_of(check(found)) == "not accepted"
    assert headline in page.text
    assert "Nothing is accepted. The 132 candidates that passed the filter lie in" in page.text
    # Neither as a word, nor as advice.
    assert not re.search(r"(?<!Not )Accepted|are accepted|Train as", page.text)
    assert "How it was trained" in page.text


def test_an_interval_that_ends_at_zero_is_no_evidence() -> None:
    edge = finding("real+filtered", "real", 0.03, 0.0, 0.06)
    assert state_of(check(edge)) == "not accepted"


def test_what_was_not_measured_is_not_accepted() -> None:
    page = shown(None)
    assert state_of(None) == "not measured"
    assert "Not measured." in page.text
    assert "not known: no segmenter was trained in this run." in page.text
    assert "ccepted" not in page.text
    # A check of other arms says nothing of this one, however well they did.
    other = check(finding("real+paste", "real", 0.1, 0.05, 0.2), RANDOM)
    assert state_of(other) == "not measured"
    assert "Not measured." in shown(other).text


def test_where_nothing_passed_nothing_is_accepted() -> None:
    page = shown(None, replace(DECISION, images=0, missing="no candidate passed the filter"))
    assert "Not accepted: no candidate passed the filter." in page.text
    assert "Nothing is accepted." in page.text
    assert "easure" not in page.text


def test_rivals_are_told_in_words() -> None:
    worse = finding("real+filtered", "real+paste", -0.02, -0.03, -0.01)
    better = replace(RANDOM, difference=replace(RANDOM.difference, low=0.001))
    page = shown(check(HELPS, better, worse))
    assert "Better than real+random ." in page.text
    assert "Worse than real+paste ." in page.text
    assert "Not shown to differ from real+random ." in shown(check(HELPS, RANDOM)).text
    assert "No random subset" in shown(check(HELPS)).text


def test_a_leak_is_warned_of_above_everything() -> None:
    text, page = render([verdict_section(check(HELPS, leak="2 groups are shared"), DECISION)])
    body = text[text.index("<body>") :]
    assert body.index("The test is not to be trusted: 2 groups are shared.") < body.index("<h1>")
    assert page.text.count("2 groups are shared") == 1
    assert "this verdict, are not to be trusted" in page.text
    assert "Accepted on a test that is not to be trusted: it seems to help." in page.text
    assert "not to be trusted" not in shown(check(HELPS)).text
    assert "Not accepted: it hurts." in shown(check(HURTS, leak="x")).text


def test_the_verdict_stands_above_the_summary_and_is_no_chapter() -> None:
    text, page = render([verdict_section(check(HELPS), DECISION)])
    assert text.index("Accepted: it helps.") < text.index("<dt>Made</dt>")
    assert "<nav" not in text
    assert [found["id"] for found in page.all("section")] == ["lead-1"]


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Schedule(), "synthetic first, then real: about 80% of each batch synthetic for the first "
         "300 steps (a share of 0.375), then real images only"),
        (Schedule("constant", 0.4), "about 40% of each batch synthetic, throughout"),
        (Schedule("falling", 0.5, 1.0), "a share of synthetic samples that falls from 50% of a "
         "batch to none over the first 800 steps (a share of 1), then real images only"),
        (Schedule("none"), "on real images only"),
    ],
)  # fmt: skip
def test_how_to_train_is_what_was_done(schedule: Schedule, words: str) -> None:
    said = recipe(check(HELPS), schedule)
    assert said == f"{words}; 800 steps of 12 crops of 128 × 128 pixels in all"


def test_doubts_are_told_and_names_escaped() -> None:
    doubtful = replace(HELPS.difference, warning="only 2 seeds")
    told = shown(check(replace(HELPS, difference=doubtful))).text
    assert "Reasons for doubt: only 2 seeds." in told
    evil = replace(HELPS, arm=EVIL)
    found = check(evil, finding(EVIL, "<i>", 0.1, 0.05, 0.2), leak="<b>")
    decision = Decision(1, "<i>", arm=EVIL, missing="<i>")
    text, page = render([verdict_section(found, decision)])
    assert "<script" not in text
    assert not page.all("i")
    assert "1 synthetic image is accepted" in page.text
