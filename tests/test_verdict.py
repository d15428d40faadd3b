"""Verdicts: which side of 0, which way is better, and the sentence."""

import json

import pytest

from flawsmith.evaluate.paired import Difference, compare
from flawsmith.evaluate.verdict import Finding
from tests.paired_helpers import arms


def finding(value, low, high, **fields):
    base = 0.5
    given = {
        "name": "mIoU", "better": "high", "own": base + value, "base": base, "value": value,
        "low": low, "high": high, "by_seed": (value,) * 3, "showing": 27, "groups": 60,
        "images": 90, "seeds": 3, "draws": 5000,
    }  # fmt: skip
    return Finding("real+filtered", "real", Difference(**{**given, **fields}))


def test_the_sentence():
    assert finding(0.041, 0.008, 0.076).sentence == (
        "real+filtered against real: mIoU +4.1 points "
        "(95% interval +0.8 to +7.6; 27 groups, 3 seeds): helps"
    )
    alarms = finding(0.12, 0.0, 0.25, name="false alarms", better="low", showing=1, seeds=1)
    assert alarms.sentence == (
        "real+filtered against real: false alarms +12.0 points "
        "(95% interval 0 to +25.0; 1 group, 1 seed): no evidence"
    )


@pytest.mark.parametrize(
    ("low", "high", "if_high", "if_low"),
    [
        (0.01, 0.05, "helps", "hurts"),
        (-0.05, -0.01, "hurts", "helps"),
        (-0.01, 0.05, "no evidence", "no evidence"),
        (0.0, 0.05, "no evidence", "no evidence"),
        (-0.05, 0.0, "no evidence", "no evidence"),
        (0.0, 0.0, "no evidence", "no evidence"),
    ],
)
def test_the_word(low, high, if_high, if_low):
    value = (low + high) / 2
    assert finding(value, low, high).word == if_high
    assert finding(value, low, high, better="low", name="false alarms").word == if_low


def test_one_group_is_no_evidence():
    assert finding(0.3, 0.3, 0.3, name="IoU pit", showing=1).word == "no evidence"
    assert finding(0.3, 0.3, 0.3, name="IoU pit", showing=2).word == "helps"


def test_one_seed_is_no_evidence():
    assert finding(0.3, 0.2, 0.4, seeds=1).word == "no evidence"
    assert finding(0.3, 0.2, 0.4, seeds=2).word == "helps"


def test_rounding_hides_no_sign():
    found = finding(0.0114, 0.0004, 0.0224)
    assert "+1.14 points (95% interval +0.04 to +2.24;" in found.sentence
    assert found.word == "helps"
    assert "-0" not in finding(0.0, -0.0, 0.0).sentence
    # Nobody needs more than four places.
    assert "interval 0 to +2.2400;" in finding(0.0114, 1e-9, 0.0224).sentence


def test_json_and_back():
    found = finding(0.041, 0.008, 0.076, warning="only 2 seeds")
    content = json.loads(json.dumps(found.to_json()))
    assert content["verdict"] == "helps"
    assert content["sentence"] == found.sentence
    assert content["difference"]["warning"] == "only 2 seeds"
    assert Finding.from_json(content) == found


def test_arms_that_differ_and_arms_that_do_not():
    better = compare(*arms(gain=0.2, groups=40, seeds=5))[0]
    assert Finding("a", "b", better).word == "helps"
    arm, base = arms(gain=0.2, groups=40, seeds=5)
    assert Finding("b", "a", compare(base, arm)[0]).word == "hurts"
    assert Finding("a", "a", compare(arm, arm)[0]).word == "no evidence"
