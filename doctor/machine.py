"""What flawsmith may compute with: cores, memory, GPUs."""

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from flawsmith.data.parallel import default_workers
from flawsmith.doctor.findings import Finding, error_line

GIB = 1 << 30
# Below this even the small presets are at risk.
LITTLE = 2 * GIB
CGROUPS = Path("/sys/fs/cgroup")
PROC = Path("/proc")


def machine() -> list[Finding]:
    """Return the findings on system, cores and memory; torch is not needed."""
    system = f"{platform.system()} {platform.machine()}"
    return [Finding("system", "ok", system), _cores(), _memory()]


def _cores() -> Finding:
    usable, quota = default_workers(), cpu_quota()
    told = f"{usable} usable of {os.cpu_count() or usable}"
    if quota is None:
        return Finding("CPU cores", "ok", told)
    told += f"; a control group allows the time of {quota:g}"
    if quota >= usable:
        return Finding("CPU cores", "ok", told)
    mend = f"--workers {max(1, int(quota))}: by default there is a process for each usable core"
    return Finding("CPU cores", "note", told, mend=mend)


def _memory() -> Finding:
    total, free = memory()
    if total is None:
        return Finding("memory", "note", "unknown")
    told = f"{total / GIB:.1f} GiB" + (f", {free / GIB:.1f} free" if free is not None else "")
    little = free is not None and free < LITTLE
    mend = "close other programs, or fewer --workers" if little else ""
    return Finding("memory", "note" if little else "ok", told, mend=mend)


def memory() -> tuple[int | None, int | None]:
    """Return the bytes of memory and those free, by the machine or by its control group."""
    try:
        lines = (PROC / "meminfo").read_text().splitlines()
        known = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines if "kB" in line}
        total, free = known["MemTotal"], known["MemAvailable"]
    except (OSError, KeyError, ValueError, IndexError):
        return _pages(), None
    for folder in control_groups():
        limit = _number(folder / "memory.max") or _number(folder / "memory.limit_in_bytes")
        if limit is not None and limit < total:
            used = _number(folder / "memory.current") or _number(folder / "memory.usage_in_bytes")
            held = max(0.0, (used or 0) - _given_back(folder))
            total, free = int(limit), max(0, min(free, int(limit - held)))
    return total, free


def _given_back(folder: Path) -> float:
    """Return the bytes of files that a control group keeps in memory only while there is room."""
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
        known = {name: float(value) for name, value in map(str.split, lines)}
    except (OSError, ValueError):
        return 0.0
    # Version 1 has its own and that of the groups within.
    return known.get("total_inactive_file", known.get("inactive_file", 0.0))


def _pages() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def cpu_quota() -> float | None:
    """Return how many cores' time the control groups allow, or None without a limit."""
    allowed = [share for folder in control_groups() if (share := _quota(folder)) is not None]
    return min(allowed, default=None)


def _quota(folder: Path) -> float | None:
    try:
        # Version 2: "200000 100000", or "max 100000".
        granted, period = (folder / "cpu.max").read_text().split()
        return None if granted == "max" else int(granted) / int(period)
    except (OSError, ValueError):
        old, span = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        return old / span if old and span and old > 0 else None


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text())
    except (OSError, ValueError):  # "max" is no number and no limit
        return None


def control_groups() -> list[Path]:
    """Return the folders of this process's control groups and of those around them."""
    try:
        lines = (PROC / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, kinds, own = line.split(":", 2)
        root = CGROUPS / kinds if kinds else CGROUPS
        inner = root / own.lstrip("/")
        # Inside of a container the own path may not be visible; its root then is.
        found += [folder for folder in (inner, *inner.parents) if folder.is_relative_to(root)]
    return found


def devices() -> Iterator[Finding]:
    """Yield the findings on torch, torchvision and the GPUs; each does a small piece of work."""
    try:
        import torch
    except Exception as error:  # a broken library may raise anything at all
        yield Finding("torch", "wrong", error_line(error), "every network", "pip install torch")
        return
    built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "for the CPU alone"
    threads = f"{torch.get_num_threads()} threads"
    yield Finding("torch", "ok", f"{torch.__version__}, built {built}, {threads}")
    yield _vision()
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    yield from map(_gpu, range(count))
    if torch.backends.mps.is_available():
        yield Finding("mps", "ok", "Apple's GPU")
    driver = (PROC / "driver" / "nvidia" / "version").exists() or shutil.which("nvidia-smi")
    if driver and not count:
        told = "an NVIDIA driver is here, but torch sees no GPU"
        cause = "its driver is too old for this CUDA, or no GPU is given to this process"
        mend = cause if torch.version.cuda else "this torch is for the CPU: install one for CUDA"
        yield Finding("GPU", "note", told, "trainings in minutes instead of hours", mend)
    elif not count:
        yield Finding("GPU", "absent", "none: everything works on the CPU, trainings take longer")


def _vision() -> Finding:
    """A torchvision of another build imports, and lacks its operators."""
    try:
        import torch
        import torchvision  # type: ignore[import-untyped]
        from torchvision.ops import nms  # type: ignore[import-untyped]

        nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1.0]), 0.5)
    except Exception as error:
        mend = "pip install --force-reinstall torch torchvision, both from one index"
        return Finding("torchvision", "wrong", error_line(error), "every network", mend)
    return Finding("torchvision", "ok", torchvision.__version__)


def _gpu(number: int) -> Finding:
    import torch

    name = f"cuda:{number}"
    try:
        about = torch.cuda.get_device_properties(number)
        free, total = torch.cuda.mem_get_info(number)
        side = torch.ones(64, 64, device=name)
        if float((side @ side).sum().cpu()) != 64**3:
            raise ArithmeticError("a matrix product is wrong")
        # torch says yes where it only emulates, too: NVIDIA's have it from 8.0 on.
        half = "bfloat16" if about.major >= 8 or torch.version.hip else "no bfloat16 of its own"
    except Exception as error:
        mend = "a torch that is built for this GPU, or --device cpu"
        return Finding(name, "wrong", error_line(error), "--device auto takes it", mend)
    told = f"{about.name}, {total / GIB:.1f} GiB, {free / GIB:.1f} free"
    return Finding(name, "ok", f"{told}, compute capability {about.major}.{about.minor}, {half}")
