"""What the project stands on: hashes in the lock, licences, the bill of materials, the audit."""

import json
import os
import shutil
from email.message import Message
from pathlib import Path

import pytest

from flawsmith.tools import audit, licences, sbom
from flawsmith.tools.lock import ROOT, Locked, read_lock

A, B = "a" * 64, "b" * 64


def test_every_line_of_the_lock_has_a_hash():
    lock = read_lock()
    assert len(lock) > 100
    assert {"torch", "numpy", "click"} <= set(lock)
    assert [name for name, line in lock.items() if not line.hashes] == []
    with_pins = (ROOT / "requirements.lock").read_text("utf-8").count("==")
    markers = sum(line.marker.count("==") for line in lock.values())
    assert len(lock) == with_pins - markers


def test_a_lock_of_another_form_is_not_read(tmp_path):
    path = tmp_path / "requirements.lock"
    path.write_text(f"click==8.5.1 \\\n    --hash=sha256:{A}\n# said\n")
    assert read_lock(path) == {"click": Locked("8.5.1", (A,))}
    for line in ("torch>=2", "-r other.txt", "--hash=md5:0", "click==8.5.1 \\"):
        path.write_text(f"click==8.5.1 \\\n    --hash=sha256:{A}\n{line}\n")
        with pytest.raises(ValueError, match=r"requirements.lock:3"):
            read_lock(path)


def test_the_licences_of_all_dependencies_are_listed_and_allowed():
    listed, lock = sbom.licences(), read_lock()
    # tools/licences.py lists those that are missing here; make licences writes them.
    assert set(listed) == set(lock)
    assert [n for n, licence in listed.items() if licences.fault_of(n, licence)] == []


def test_what_is_installed_says_what_is_listed():
    rows, faults = licences.examined()
    other = [fault for fault in faults if "is installed here" not in fault]
    assert other == []
    listed = sbom.licences()
    assert [row for row in rows if listed[row[0]] != row[2]] == []
    if not faults:  # the very versions of the lock
        assert licences.TABLE.read_text("utf-8") == licences.page(rows)


@pytest.mark.parametrize(
    ("name", "licence", "fault"),
    [
        ("some", "MIT", ""),
        ("some", "Apache-2.0 OR BSD-2-Clause", ""),
        ("some", "GPL-3.0-only OR MIT", "forbidden"),
        ("some", "MIT AND LGPL-2.1", "LGPL-2.1 is not among"),
        ("some", "AGPL-3.0-or-later", "forbidden"),
        ("some", "GNU Affero General Public License v3", "forbidden"),
        ("some", "CC-BY-NC-4.0", "forbidden"),
        ("some", "Free for non-commercial use", "forbidden"),
        ("some", "", "unclear"),
        ("some", licences.NVIDIA, "not among"),
        ("nvidia-cublas", licences.NVIDIA, ""),
        ("torch", "(Apache-2.0 WITH LLVM-exception) AND MIT", ""),
    ],
)
def test_which_licences_are_allowed(name, licence, fault):
    found = licences.fault_of(name, licence)
    assert fault in found
    assert bool(found) == bool(fault)


@pytest.mark.parametrize(
    ("told", "licence"),
    [
        ({"License-Expression": "BSD-3-Clause", "License": "x"}, "BSD-3-Clause"),
        ({"License": "MIT License\n\nCopyright"}, "MIT"),
        ({"License": "UNKNOWN"}, ""),
        ({"License": "as you like", "Classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
        ({"Classifier": "License :: Free for non-commercial use"}, ""),
        ({"License": "MIT", "Classifier": "License :: OSI Approved :: GPLv3"}, ""),
        ({}, ""),
    ],
)
def test_what_metadata_say(told, licence):
    class Found:
        metadata = Message()

    Found.metadata["Name"] = "Some_Package"
    for key, value in told.items():
        Found.metadata[key] = value
    assert licences.licence_of(Found())[0] == licence


def part(name="click", version="8.5.1", sums=(A,), **other):
    return {
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        "hashes": [{"alg": "SHA-256", "content": one} for one in sums],
        "licenses": [{"expression": "MIT"}],
        **other,
    }


def test_a_bill_lists_what_the_lock_lists():
    lock = {"click": Locked("8.5.1", (A,)), "rich": Locked("15.0.0", (A, B))}

    def faults(*parts, form="CycloneDX"):
        return sbom.faults_of({"bomFormat": form, "components": list(parts)}, lock)

    good = (part(), part("rich", "15.0.0", (B, A)))
    assert faults(*good) == []
    assert faults(good[0]) == ["rich: missing"]
    assert faults(*good, part("evil")) == ["evil: not in the lock"]
    assert faults(*good, good[0]) == ["a package comes twice"]
    assert "8.5.0, the lock names 8.5.1" in faults(part(version="8.5.0"), good[1])[0]
    assert "other hashes" in faults(part(sums=(B,)), good[1])[0]
    assert faults(part(licenses=[]), good[1]) == ["click: no licence"]
    assert "package URL" in faults(part(purl="pkg:npm/click@8.5.1"), good[1])[0]
    assert faults(*good, form="SPDX") == ["no CycloneDX document"]


def test_the_bill_is_made_of_the_lock(tmp_path, monkeypatch):
    own = ROOT / ".venv-supply" / "bin" / "cyclonedx-py"
    tool = str(own) if own.is_file() else shutil.which("cyclonedx-py")
    if tool is None:
        pytest.skip("cyclonedx-py is not here: make sbom installs it beside")
    out = tmp_path / "sbom.cdx.json"
    monkeypatch.setattr("sys.argv", ["sbom.py", str(out), "--tool", tool])
    sbom.main()
    bom = json.loads(out.read_text("utf-8"))
    assert sbom.faults_of(bom, read_lock()) == []
    assert bom["metadata"]["component"]["name"] == "flawsmith"
    # The same lock gives the same bytes.
    assert "serialNumber" not in bom
    assert "timestamp" not in bom["metadata"]
    nvidia = next(one for one in bom["components"] if one["name"] == "nvidia-cublas")
    assert nvidia["licenses"] == [{"license": {"name": licences.NVIDIA}}]
    assert [path.name for path in tmp_path.iterdir()] == ["sbom.cdx.json"]


def entry(name, *ids, **more):
    found = [{"id": one, "fix_versions": ["2"]} for one in ids]
    return {"name": name, "version": "1", "vulns": found, **more}


def test_an_audit_that_looked_nothing_up_is_no_pass():
    names = {"click", "rich"}
    clean, skipped = entry("click"), {"name": "rich", "skip_reason": "not found"}
    assert audit.verdict({"dependencies": [clean, entry("rich")]}, names)[0] == audit.CLEAN
    code, lines = audit.verdict({"dependencies": [clean, skipped]}, names)
    assert code == audit.NOT_AUDITED
    assert lines[0] == "NOT AUDITED: 1 of 2 packages: rich"
    assert audit.verdict({"dependencies": []}, names)[0] == audit.NOT_AUDITED
    code, lines = audit.verdict({"dependencies": [entry("click", "PYSEC-1"), skipped]}, names)
    assert code == audit.WEAK
    assert lines == ["click 1: PYSEC-1 (mended in: 2)", "NOT AUDITED: 1 of 2 packages: rich"]


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (None, "is not installed"),
        ("echo 'no route to the service' >&2; exit 1", "no route to the service"),
        ("echo '[]'", "another form"),
        ("exit 1", "it said nothing"),
    ],
)
def test_an_audit_that_failed_says_why(tmp_path, monkeypatch, capsys, script, told):
    tool = tmp_path / "pip-audit"
    if script is not None:
        tool.write_text(f"#!/bin/sh\n{script}\n")
        os.chmod(tool, 0o755)  # noqa: PTH101
    monkeypatch.setattr("sys.argv", ["audit.py", "--tool", str(tool)])
    with pytest.raises(SystemExit) as end:
        audit.main()
    assert end.value.code == audit.NOT_AUDITED
    said = capsys.readouterr().err
    assert "NOT AUDITED" in said
    assert told in said


def test_the_pins_of_the_tools_stand_in_the_makefile():
    text = Path(ROOT / "Makefile").read_text("utf-8")
    assert "pip-audit==" in text
    assert "cyclonedx-bom==" in text
