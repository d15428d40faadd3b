"""Candidates by their fate: some of each reason, of each method, with words beside the pictures."""

import re

from flawsmith.evaluate.certificate import Verdict
from flawsmith.evaluate.rejected_section import (
    Candidate,
    Heap,
    heaps,
    rejected_section,
    scores_told,
)
from flawsmith.sample import Sample
from tests.report_helpers import CLASSES, EVIL, Page, draw, render


def verdicts(*reasons: str) -> list[Verdict]:
    return [Verdict(f"v{i}", ("Pit",), str(i), r, {"x": i}) for i, r in enumerate(reasons)]


def load(method: str, place: int) -> Sample:
    return draw(f"{method}-{place}", {place % 2})


def shown(found: list[Heap], **options: list[dict[str, object]]) -> tuple[str, Page]:
    return render([rejected_section(found, CLASSES, **options)])


def test_accepted_come_first_then_the_commonest_reason() -> None:
    judged = {"a": verdicts("faint", "copy", ""), "b": verdicts("copy", "bad", "bad", "copy")}
    found = heaps(judged, load)
    told = [(heap.reason, heap.total) for heap in found]
    assert told == [("", 1), ("copy", 3), ("bad", 2), ("faint", 1)]
    ids = [[candidate.sample.id for candidate in heap.shown] for heap in found]
    assert ids == [["a-2"], ["a-1", "b-0", "b-3"], ["b-1", "b-2"], ["a-0"]]
    assert found[1].shown[0] == Candidate(found[1].shown[0].sample, "a", {"x": 1})


def test_only_some_are_loaded_and_no_method_is_lost() -> None:
    loaded = []

    def note(method: str, place: int) -> Sample:
        loaded.append((method, place))
        return load(method, place)

    judged = {"many": verdicts(*["faint"] * 500), "few": verdicts("faint")}
    (heap,) = heaps(judged, note, limit=4, seed=1)
    assert heap.total == 501
    assert len(loaded) == 4
    assert ("few", 0) in loaded
    loaded.clear()
    again = heaps(judged, note, limit=4, seed=1)
    assert [c.sample.id for c in again[0].shown] == [c.sample.id for c in heap.shown]
    other = [tuple(c.sample.id for c in heaps(judged, load, seed=s)[0].shown) for s in range(5)]
    assert len(set(other)) > 1


def test_each_picture_has_its_words_and_outline() -> None:
    scores = {"contrast": 3.25179, "surface": 0.4}
    found = [Heap("change not visible", 41, (Candidate(draw("p1", {1}), "paste", scores),))]
    _, page = shown(found)
    assert "Rejected: change not visible (41)" in " ".join(page.text.split())
    assert "p1 · Pit · paste · whole, 64 × 64 px · contrast 3.25, surface 0.4" in page.text
    alts = [image["alt"] for image in page.all("img")]
    assert alts == ["paste sample p1 with Pit", "the same picture, its mask outlined"]
    assert "No candidate was accepted." in page.text
    assert page.open == []


def test_a_candidate_without_a_defect_has_words_too() -> None:
    _, page = shown([Heap("mask empty", 1, (Candidate(draw("p", ()), "paste", {}),))])
    assert page.all("img")[0]["alt"] == "paste sample p, no defect"
    assert "p · no defect · paste · whole, 64 × 64 px " in page.text


def test_thresholds_are_told_with_what_they_come_from() -> None:
    row = {"class": "Pit", "step": "quality", "value": 3.41239, "real": 1200, "groups": 12}
    text, page = shown([Heap("", 1, ())], thresholds=[row, {**row, "step": "new one"}])
    wanted = "quality at most this distance to the nearest real defect Pit 3.412 1,200 12"
    assert wanted in page.text
    assert "new one – Pit" in page.text
    assert "Thresholds" not in shown([Heap("", 1, ())])[1].text
    assert re.search(r"Accepted\s+<span", text)


def test_what_was_not_measured_is_not_called_accepted() -> None:
    text, _ = render([rejected_section([Heap("", 1, ())], CLASSES, measured=False)])
    assert "Passed the checks" in text
    assert not re.search(r"Accepted\s+<span", text)


def test_names_are_escaped_and_nothing_is_said() -> None:
    candidate = Candidate(draw(EVIL, {0}), EVIL, {EVIL: 1.0})
    text, _ = shown([Heap(EVIL, 1, (candidate,))])
    assert "<script" not in text
    assert "There was no candidate to judge." in shown([])[1].text
    assert scores_told({"a": 1.0, "b": 0.00012345}) == "a 1, b 0.000123"
