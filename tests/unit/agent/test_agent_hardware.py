"""Hardware as sysfs and procfs describe it."""

from pathlib import Path

from pfpnas_agent.hardware import hardware


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def pci(sys: Path, slot: str, vendor: str, model: str, kind: str) -> None:
    for name, value in (("vendor", vendor), ("device", model), ("class", kind)):
        put(sys / "bus/pci/devices" / slot / name, value + "\n")


def test_accelerators_are_found_and_the_rest_is_not(tmp_path: Path) -> None:
    sys, proc = tmp_path / "sys", tmp_path / "proc"
    pci(sys, "0000:01:00.0", "0x10de", "0x2684", "0x030200")
    pci(sys, "0000:02:00.0", "0x1ac1", "0x089a", "0x0880ff")
    pci(sys, "0000:03:00.0", "0x8086", "0x15f3", "0x020000")
    for name, ids in (("1-1", ("18d1", "9302")), ("1-2", ("046d", "c52b"))):
        put(sys / "bus/usb/devices" / name / "idVendor", ids[0] + "\n")
        put(sys / "bus/usb/devices" / name / "idProduct", ids[1] + "\n")
    (sys / "class/drm/renderD128/device").mkdir(parents=True)
    (sys / "drivers/v3d").mkdir(parents=True)
    (sys / "class/drm/renderD128/device/driver").symlink_to(sys / "drivers/v3d")
    (sys / "class/drm/card0").mkdir()
    put(proc / "device-tree/model", "Test Board 5\0")
    put(proc / "cpuinfo", "processor : 0\nmodel name : Test CPU 9000\n")
    put(proc / "meminfo", "MemTotal:     2048 kB\n")
    found = hardware(sys=sys, proc=proc)
    assert found.cpu == "Test CPU 9000"
    assert found.memory_bytes == 2 * 2**20
    assert found.board == "Test Board 5"
    assert found.gpus == ["renderD128: driver v3d"]
    assert found.pci == [
        "0000:01:00.0: NVIDIA 3D controller (10de:2684)",
        "0000:02:00.0: Google Coral Edge TPU (1ac1:089a)",
    ]
    assert found.usb == ["1-1: Coral Edge TPU (18d1:9302)"]


def test_a_system_that_says_nothing_is_no_error(tmp_path: Path) -> None:
    found = hardware(sys=tmp_path, proc=tmp_path)
    assert (found.memory_bytes, found.pci, found.usb) == (0, [], [])
    assert found.cores >= 1
