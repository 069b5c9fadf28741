"""Jetsons as their files tell of them, in the forms of JetPack 4 to 7."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Tuple

Files = Dict[str, str]

_CPU = "/sys/devices/system/cpu/cpufreq"
_THERMAL = "/sys/class/thermal"


def plant(root: Path, *boards: Files) -> Path:
    """Write the files of a board below `root`."""
    for files in boards:
        for path, text in files.items():
            file = root / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    return root


def release(line: str, model: str, compatible: str) -> Files:
    return {
        "/etc/nv_tegra_release": line,
        "/proc/device-tree/model": model + "\0",
        "/proc/device-tree/compatible": compatible + "\0",
    }


def sensor(address: str, number: int, *rails: Tuple[str, int, int]) -> Files:
    """An INA3221 of JetPack 5 and later; a rail is its name, mV and mA."""
    folder = f"/sys/bus/i2c/drivers/ina3221/{address}/hwmon/hwmon{number}"
    files = {
        f"{folder}/name": "ina3221\n",
        f"{folder}/in4_input": "120\n",
        f"{folder}/in7_label": "sum of shunt voltages\n",
        f"{folder}/in7_input": "600\n",
        f"{folder}/curr4_input": "900\n",
    }
    for channel, (name, millivolts, milliamperes) in enumerate(rails, 1):
        files[f"{folder}/in{channel}_label"] = f"{name}\n"
        files[f"{folder}/curr{channel}_crit_alarm"] = "0\n"
        # A channel that is not connected refuses to be read, which an empty file comes close to.
        connected = name != "NC"
        files[f"{folder}/in{channel}_input"] = f"{millivolts}\n" if connected else ""
        files[f"{folder}/curr{channel}_input"] = f"{milliamperes}\n" if connected else ""
    return files


def clock(path: str, current: int, minimum: int, maximum: int, prefix: str = "") -> Files:
    values = {"cur": current, "min": minimum, "max": maximum}
    return {f"{path}/{prefix}{name}_freq": f"{value}\n" for name, value in values.items()}


def cpu(current: int, minimum: int, maximum: int, policies: Tuple[int, ...] = (0, 4)) -> Files:
    files: Files = {}
    for policy in policies:
        files.update(clock(f"{_CPU}/policy{policy}", current, minimum, maximum, "scaling_"))
    return files


def gpu(node: str, current: int, minimum: int, maximum: int) -> Files:
    return clock(f"/sys/class/devfreq/{node}", current, minimum, maximum)


def cooling(*devices: Tuple[str, int]) -> Files:
    files: Files = {}
    for number, (kind, state) in enumerate(devices):
        files[f"{_THERMAL}/cooling_device{number}/type"] = f"{kind}\n"
        files[f"{_THERMAL}/cooling_device{number}/cur_state"] = f"{state}\n"
    return files


def zones(**temperatures: str) -> Files:
    files: Files = {}
    for number, (name, text) in enumerate(temperatures.items()):
        files[f"{_THERMAL}/thermal_zone{number}/type"] = f"{name.replace('_', '-')}\n"
        files[f"{_THERMAL}/thermal_zone{number}/temp"] = f"{text}\n"
    return files


def over_current(*counts: int) -> Files:
    folder = "/sys/class/hwmon/hwmon9"
    files = {f"{folder}/name": "soctherm_oc\n"}
    files.update({f"{folder}/oc{n}_event_cnt": f"{c}\n" for n, c in enumerate(counts, 1)})
    return files


MODES = """
# 15W: 4 cores
< PARAM TYPE=CLOCK NAME=GPU >
< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=1 NAME=25W >
< POWER_MODEL ID=2 NAME=MAXN_SUPER >
< PM_CONFIG DEFAULT=1 >
"""

NANO_JETPACK_4: Files = {
    **release(
        "# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64",
        "NVIDIA Jetson Nano Developer Kit",
        "nvidia,p3449-0000-b00\0nvidia,jetson-nano\0nvidia,tegra210",
    ),
    "/sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_0": "POM_5V_IN\n",
    "/sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power0_input": "2532\n",
    "/sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_1": "POM_5V_GPU\n",
    "/sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power1_input": "80\n",
    "/sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_2": "POM_5V_CPU\n",
    "/sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power2_input": "521\n",
}

XAVIER_NX: Files = {
    **release(
        "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64, "
        "DATE: Tue Aug  1 19:57:35 UTC 2023",
        "NVIDIA Jetson Xavier NX Developer Kit",
        "nvidia,p3449-0000+p3668-0001\0nvidia,tegra194",
    ),
    **sensor(
        "7-0040",
        4,
        ("VDD_IN", 4960, 1000),
        ("VDD_CPU_GPU_CV", 4960, 200),
        ("VDD_SOC", 4960, 300),
    ),
    **gpu("17000000.gv11b", 1_109_250_000, 1_109_250_000, 1_109_250_000),
    **cpu(1_420_800, 1_420_800, 1_420_800),
}

AGX_XAVIER: Files = {
    **release(
        "# R35 (release), REVISION: 3.1, GCID: 32827747, BOARD: t186ref, EABI: aarch64",
        "Jetson-AGX",
        "nvidia,p2972-0000\0nvidia,tegra194",
    ),
    **sensor("1-0040", 1, ("GPU", 19000, 100), ("CPU", 19000, 40), ("SOC", 19000, 60)),
    **sensor("1-0041", 2, ("CV", 19000, 0), ("VDDRQ", 19000, 10), ("SYS5V", 19000, 90)),
    **gpu("17000000.gv11b", 114_750_000, 114_750_000, 1_377_000_000),
    **cpu(1_190_400, 1_190_400, 2_265_600),
}

ORIN_NANO: Files = {
    **release(
        "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, "
        "DATE: Wed Jan  8 01:49:37 UTC 2025\n# KERNEL_VARIANT: oot\n"
        "TARGET_USERSPACE_LIB_DIR=nvidia\n",
        "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
        "nvidia,p3768-0000+p3767-0005-super\0nvidia,p3767-0005\0nvidia,tegra234",
    ),
    **sensor(
        "1-0040", 1, ("VDD_IN", 5000, 900), ("VDD_CPU_GPU_CV", 5000, 100), ("VDD_SOC", 5000, 250)
    ),
    **gpu("17000000.gpu", 306_000_000, 306_000_000, 1_020_000_000),
    "/sys/class/devfreq/15340000.vic/cur_freq": "115200000\n",
    **cpu(729_600, 729_600, 1_728_000),
    **cooling(
        ("pwm-fan", 2),
        ("cpu-throttle-alert", 0),
        ("gpu-throttle-alert", 1),
        ("cv0-throttle-alert", 0),
        ("devfreq-17000000.gpu", 3),
    ),
    **over_current(0, 2, 37),
    **zones(cpu_thermal="48250", gpu_thermal="-256000", tj_thermal="49000"),
    "/etc/nvpmodel.conf": MODES,
    "/var/lib/nvpmodel/status": "pmode:0001 fmode:quiet\n",
}

AGX_ORIN: Files = {
    **release(
        "# R35 (release), REVISION: 2.1, GCID: 32413640, BOARD: t186ref, EABI: aarch64",
        "Jetson AGX Orin",
        "nvidia,p3737-0000+p3701-0000\0nvidia,p3701-0000\0nvidia,tegra234",
    ),
    **sensor(
        "1-0040",
        3,
        ("VDD_GPU_SOC", 20000, 120),
        ("VDD_CPU_CV", 20000, 40),
        ("VIN_SYS_5V0", 5000, 800),
    ),
    **sensor("1-0041", 2, ("NC", 0, 0), ("VDDQ_VDD2_1V8AO", 20000, 30), ("NC", 0, 0)),
    **gpu("17000000.ga10b", 1_300_500_000, 1_300_500_000, 1_300_500_000),
    **cpu(2_201_600, 2_201_600, 2_201_600),
}

THOR: Files = {
    **release(
        "# R38 (release), REVISION: 2.0, GCID: 41844464, BOARD: generic, EABI: aarch64, "
        "DATE: Fri Aug 22 00:55:42 UTC 2025",
        "NVIDIA Jetson AGX Thor Developer Kit",
        "nvidia,p4071-0000+p3834-0008\0nvidia,p3834-0008\0nvidia,tegra264",
    ),
    **sensor(
        "2-0040",
        2,
        ("VDD_GPU", 12000, -30),
        ("VDD_CPU_SOC_MSS", 12000, 500),
        ("VIN_SYS_5V0", 5000, 1300),
    ),
    **gpu("gpu-gpc-0", 1_575_000_000, 315_000_000, 1_575_000_000),
    **gpu("gpu-gpc-1", 315_000_000, 315_000_000, 1_575_000_000),
    **gpu("gpu-gpc-2", 315_000_000, 315_000_000, 1_575_000_000),
    **gpu("gpu-nvd-0", 1_692_000_000, 1_692_000_000, 1_692_000_000),
    **cpu(972_000, 972_000, 2_601_000),
}
