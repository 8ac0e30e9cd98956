"""What this device is made of, read from the system's own files. Shown to its owner; never sent."""

import os
import platform
from dataclasses import dataclass, field
from pathlib import Path

_PCI_CLASSES = {"0x0300": "display controller", "0x0302": "3D controller", "0x1200": "processing accelerator"}
"""Class and subclass of PCI devices that can compute."""

_PCI_VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel", "0x1e60": "Hailo", "0x1ac1": "Google"}

_PCI_ACCELERATORS = {("0x1ac1", "0x089a"): "Coral Edge TPU", ("0x1e60", "0x2864"): "Hailo-8"}
"""Accelerators that report another class."""

_USB_ACCELERATORS = {
    ("1a6e", "089a"): "Coral Edge TPU (before its first use)",
    ("18d1", "9302"): "Coral Edge TPU",
    ("03e7", "2485"): "Intel Movidius Myriad X",
    ("03e7", "2150"): "Intel Movidius Myriad 2",
}


@dataclass(frozen=True)
class Hardware:
    """One device."""

    cpu: str
    cores: int
    memory_bytes: int
    board: str | None = None
    """Name of a single-board computer, as its maker wrote it."""
    gpus: list[str] = field(default_factory=list)
    """Render nodes and their drivers: also GPUs that are on no bus."""
    pci: list[str] = field(default_factory=list)
    usb: list[str] = field(default_factory=list)


def hardware(*, sys: Path = Path("/sys"), proc: Path = Path("/proc")) -> Hardware:
    """Look at this device; what the system doesn't say is left out."""
    return Hardware(
        cpu=_cpu(proc),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=_memory(proc),
        board=_text(proc / "device-tree/model").strip("\0\n ") or None,
        gpus=_gpus(sys / "class/drm"),
        pci=_pci(sys / "bus/pci/devices"),
        usb=_usb(sys / "bus/usb/devices"),
    )


def _cpu(proc: Path) -> str:
    for line in _text(proc / "cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "Hardware"):
            return value.strip()
    return platform.machine()


def _memory(proc: Path) -> int:
    for line in _text(proc / "meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def _gpus(nodes: Path) -> list[str]:
    drivers = [(node.name, node / "device/driver") for node in _entries(nodes) if node.name.startswith("renderD")]
    return [f"{name}: driver {link.resolve().name if link.exists() else 'unknown'}" for name, link in drivers]


def _pci(devices: Path) -> list[str]:
    found = []
    for device in _entries(devices):
        vendor, model, kind = (_text(device / name).strip() for name in ("vendor", "device", "class"))
        what = _PCI_ACCELERATORS.get((vendor, model)) or _PCI_CLASSES.get(kind[:6])
        if what:
            found.append(f"{device.name}: {_PCI_VENDORS.get(vendor, vendor)} {what} ({vendor[2:]}:{model[2:]})")
    return found


def _usb(devices: Path) -> list[str]:
    found = []
    for device in _entries(devices):
        ids = (_text(device / "idVendor").strip(), _text(device / "idProduct").strip())
        if ids in _USB_ACCELERATORS:
            found.append(f"{device.name}: {_USB_ACCELERATORS[ids]} ({':'.join(ids)})")
    return found


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
