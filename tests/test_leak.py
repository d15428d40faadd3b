"""What a test set shares with what is learned from."""

from dataclasses import replace
from pathlib import Path

import pytest

from flawsmith.data.dataset import DataSet, Record
from flawsmith.data.leak import check_leaks, leaks, made_leaks
from flawsmith.data.scan import Facts, Scan, _join_copies
from flawsmith.errors import InputError


def scan_of(*entries, root="set"):
    """Entries: (id, group, digest) or (id, group, digest, meta)."""
    records, facts = [], []
    for key, group, digest, *meta in entries:
        records.append(Record(key, Path(key), group=group, meta=dict(*meta)))
        facts.append(Facts(key, "good", group, 8, 8, 1, (0,), (), False, digest))
    return Scan(DataSet(Path(root), "folder", ("pit",), tuple(records)), tuple(facts))


TRAIN = scan_of(("a", "part1", "00"), ("b", "part2", "01"), ("001", "001", "02"))
TEST = scan_of(("c", "part3", "03"), ("d", "d", "04"), ("001", "001", "05"))


def test_sets_that_are_apart():
    assert leaks(TRAIN, TEST) == ""
    assert check_leaks(TRAIN, {"x": scan_of(("s", "part1", "06"))}, TEST) == ""


def test_shared_groups_are_named():
    test = scan_of(("x", "part2", "07"), ("y", "part2", "08"), ("z", "part1", "09"))
    found = leaks(TRAIN, test)
    assert found == (
        "the test set is not apart: it shares 2 groups (part1, part2) with the training samples"
    )
    # A photo named after its part on one side is of that part on the other.
    assert "1 group (part3)" in leaks(scan_of(("part3", "part3", "10")), TEST)


def test_a_group_that_copies_joined_to_another_is_still_known():
    photos = scan_of(("a", "part1", "00"), ("b", "part2", "00"), ("c", "part2", "01"))
    joined = _join_copies(photos)
    assert {fact.group for fact in joined.facts} == {"part1"}
    assert "1 group (part2)" in leaks(joined, scan_of(("x", "part2", "07")))


def test_a_name_of_its_own_is_no_group():
    assert leaks(scan_of(("001", "001", "a")), scan_of(("001", "001", "b"))) == ""


def test_the_same_pixels_are_the_same_picture():
    test = scan_of(*((f"t{i}", f"t{i}", "00") for i in range(5)))
    assert leaks(TRAIN, test) == (
        "the test set is not apart: it shares 5 pictures with the same pixels (t0, t1, t2, ...) "
        "with the training samples"
    )


@pytest.mark.parametrize(
    "meta",
    [
        {"source": "c"},
        {"background": "d"},
        {"defects": [{"class": "pit", "donor": "a"}, {"class": "pit", "donor": "c"}]},
        {"defects": [{"class": "pit", "mask": "d"}]},
        {"defects": [{"class": "pit", "mask": "a+d"}]},
        {"defects": [{"class": "pit", "mask": "c+a"}]},
    ],
)
def test_samples_made_from_test_images(meta):
    made = scan_of(("s0", "part1", "10"), ("s1", "part1", "11", meta), root="out/paste")
    found = made_leaks(made, TRAIN, TEST)
    assert found.startswith("the test set is not apart: it shares 1 test sample that they were")
    assert found.endswith("with the samples of paste")


def test_samples_of_a_test_group_and_copies_of_test_images():
    assert "(part3)" in made_leaks(scan_of(("s", "part3", "10")), TRAIN, TEST)
    assert "1 picture with the same pixels (d)" in made_leaks(
        scan_of(("s", "s", "04")), TRAIN, TEST
    )


def test_plates_of_parts_that_are_tested():
    def plate(**glass):
        parts = {"anode": {"id": "a", "group": "part1"}, "glass": glass, "cathode": 3}
        return scan_of(("p", "p", "06", {"parts": parts}))

    assert made_leaks(plate(id="b", group="part2"), TRAIN, TEST) == ""
    assert "(d)" in made_leaks(plate(id="d", group="d"), TRAIN, TEST)
    assert "(part3)" in made_leaks(plate(id="x", group="part3"), TRAIN, TEST)
    assert made_leaks(scan_of(("p", "p", "06", {"parts": [1]})), TRAIN, TEST) == ""


def test_names_that_the_training_set_has_too_are_its_own():
    made = scan_of(("s", "001", "12", {"source": "001", "background": "a"}))
    assert made_leaks(made, TRAIN, TEST) == ""


def test_joined_masks_and_names_with_the_joining_sign():
    train = scan_of(("a+c", "part1", "00"))
    test = scan_of(("c", "part3", "03"), ("d+e", "part4", "04"))
    for mask, told in {"a+c": "", "a+c+d+e": "(d+e)", "d+e": "(d+e)", "b+c": "(c)"}.items():
        meta = {"defects": [{"mask": mask}]}
        found = made_leaks(scan_of(("s", "part1", "10", meta)), train, test)
        assert (told in found) if told else not found


@pytest.mark.parametrize(
    "meta",
    [{"source": 3}, {"source": ["c"]}, {"defects": {"donor": "c"}}, {"defects": ["c", None, 4]}],
)
def test_odd_provenance_is_no_leak(meta):
    assert made_leaks(scan_of(("s", "part1", "10", meta)), TRAIN, TEST) == ""


def test_a_leak_is_refused_unless_allowed():
    made = {"x": scan_of(("s", "s", "10", {"source": "c"})), "y": scan_of(("s", "s", "00"))}
    with pytest.raises(InputError, match=r"^set: the test set is not apart.*--allow-leak\)$"):
        check_leaks(TRAIN, made, TEST)
    found = check_leaks(TRAIN, made, TEST, allow=True)
    assert "made from (c)" in found
    assert check_leaks(TRAIN, made, TEST, accepted=found) == found
    # Of both sets and of each it is said once.
    both = replace(
        TEST,
        facts=TRAIN.facts[:1],
        dataset=replace(TEST.dataset, records=TRAIN.dataset.records[:1]),
    )
    said = check_leaks(TRAIN, made, both, allow=True)
    assert said.count("the training samples") == 1
