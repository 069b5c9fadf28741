from __future__ import annotations

import zipfile

import pytest

from edgeq.device.wheels import Platform, fetched
from edgeq.errors import DeviceError, InputError
from edgeq.runtimes import runtime

PI = Platform((3, 11), (2, 36), "aarch64")


def test_wheels_are_of_the_board_and_not_of_this_machine() -> None:
    with fetched(["numpy"], PI, "pi@barn") as wheels:
        numpy, pip = sorted(wheels.files)
        assert numpy.startswith("numpy-")
        assert "cp311" in numpy and "aarch64" in numpy
        assert pip.startswith("pip-")
        assert all(zipfile.is_zipfile(file) for file in wheels.files.values())
    assert not any(file.exists() for file in wheels.files.values())


def test_old_python_gets_what_still_runs_on_it() -> None:
    with fetched(["numpy"], Platform((3, 8), (2, 31), "aarch64"), "pi@barn") as wheels:
        [numpy] = [name for name in wheels.files if name.startswith("numpy")]
        assert "cp38" in numpy


@pytest.mark.parametrize(
    ("python", "glibc", "engine"),
    [
        ((3, 8), 31, "tflite"),
        pytest.param((3, 9), 31, "tflite", marks=pytest.mark.long),
        pytest.param((3, 10), 35, "ai_", marks=pytest.mark.long),
        ((3, 13), 41, "ai_"),
    ],
)
def test_litert_has_a_whole_set_for_each_python(
    python: tuple[int, int], glibc: int, engine: str
) -> None:
    wanted = runtime("litert").requirements(python)
    with fetched(wanted, Platform(python, (2, glibc), "aarch64"), "") as wheels:
        major = {name.split("-")[0]: int(name.split("-")[1].split(".")[0]) for name in wheels.files}
    assert any(name.startswith(engine) for name in major)
    # tflite-runtime was built for NumPy 1 and does not say so; OpenCV has to go with that.
    assert (major["numpy"] < 2) == (engine == "tflite")
    assert "opencv_python_headless" in major


def test_key_names_the_wheels_and_the_platform() -> None:
    with fetched(["six"], PI, "") as first, fetched(["six"], PI, "") as again:
        assert first.key == again.key
    with fetched(["six"], Platform((3, 12), (2, 36), "aarch64"), "") as other:
        assert other.key != first.key
    with fetched(["six", "PyYAML"], PI, "") as more:
        assert more.key != first.key


def test_old_c_library_is_named_with_what_is_needed() -> None:
    old = Platform((3, 11), (2, 16), "aarch64")
    words = r"the newest onnxruntime needs glibc 2\.\d+, none is for the board's 2\.16"
    with (
        pytest.raises(DeviceError, match=words) as caught,
        fetched(["onnxruntime"], old, "pi@barn"),
    ):
        pass
    assert caught.value.where == "pi@barn"
    assert (caught.value.kind, caught.value.exit_code) == ("no-wheel", 3)


def test_package_without_a_wheel_for_the_board_is_named() -> None:
    strange = Platform((3, 11), (2, 36), "mips64")
    words = "there is no wheel of numpy for Python 3.11 and glibc 2.36 on mips64"
    with pytest.raises(DeviceError, match=words), fetched(["numpy"], strange, "pi@barn"):
        pass


def test_index_that_cannot_be_reached_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    with pytest.raises(InputError, match="reaches the package index"), fetched(["six"], PI, ""):
        pass
