from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml

from edgeq import places
from edgeq.agent.vision.decode import DECODERS
from edgeq.calibrators import calibrators
from edgeq.errors import InputError, InputErrors
from edgeq.spec import document, recipe
from edgeq.spec.image_list import image_files
from edgeq.spec.loader import Loader
from edgeq.spec.quantize import Quantize, builtin_names
from edgeq.spec.repair import AdaRound, Repair

GOOD = """\
model: model.onnx
task:
  decoder: yolov8-seg
  classes: [pig, sheep]
  categories: {0: 1, 1: 7}
preprocess:
  size: [480, 640]
calibration:
  images: images
  count: 2
quantize:
  weights: {granularity: per-channel, calibrator: max}
  activations: {calibrator: percentile, percentile: 99.99}
  overrides:
    "op:Gemm": float
    "/model/0": {weights: {granularity: per-tensor}}
  exclude: ["/head/*"]
evaluate:
  images: images
  annotations: instances.json
gates:
  mask_ap_drop: 0.02
  peak_memory_bytes: 4 MiB
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with everything that GOOD names."""
    folder = tmp_path / "project"
    (folder / "images").mkdir(parents=True)
    (folder / "empty").mkdir()
    for name in ("b.jpg", "a.PNG", "notes.txt"):
        (folder / "images" / name).write_bytes(b"content")
    (folder / "model.onnx").write_bytes(b"onnx")
    (folder / "instances.json").write_text("{}")
    (folder / "classes.txt").write_text("pig\n\n sheep \n")
    (folder / "latin.txt").write_bytes("Kälber".encode("latin-1"))
    (folder / "categories.json").write_text('{"0": 1, "1": 7}')
    (folder / "broken.json").write_text("{")
    return folder


def load(project: Path, text: str = GOOD) -> recipe.Recipe:
    path = project / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return recipe.load(path)


def replaced(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def messages(project: Path, text: str) -> list[str]:
    """What is reported, `line: message`, with the folder of the project taken out."""
    with pytest.raises(InputError) as caught:
        load(project, text)
    prefix = f"{project}/recipe.yaml:"
    lines = str(caught.value).splitlines()
    assert all(line.startswith(prefix) for line in lines)
    return [line.removeprefix(prefix).replace(str(project), "P") for line in lines]


def test_good_recipe_becomes_a_record(project: Path) -> None:
    loaded = load(project)
    assert loaded.model == project / "model.onnx"
    assert loaded.task.categories == {0: 1, 1: 7}
    assert loaded.preprocess.size == (480, 640)
    assert loaded.calibration.images == project / "images"
    assert loaded.quantize.activations.percentile == 99.99
    assert loaded.quantize.overrides["op:Gemm"].float
    assert loaded.evaluate is not None
    assert loaded.evaluate.annotations == project / "instances.json"
    assert loaded.gates.peak_memory_bytes == 4 * 2**20


def test_defaults_are_those_of_the_documentation(project: Path) -> None:
    minimal = GOOD[: GOOD.index("quantize:")]
    loaded = load(project, minimal)
    assert loaded.quantize == Quantize()
    assert loaded.evaluate is None
    assert loaded.quantize.weights.granularity == "per-channel"
    assert loaded.quantize.head == "float-tail"


def test_paths_are_relative_to_the_recipe(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(project)
    monkeypatch.chdir(project.parent)
    loaded = recipe.load(Path("project/recipe.yaml"))
    assert loaded.model.samefile(project / "model.onnx")
    assert loaded.calibration.images.samefile(project / "images")


def test_absolute_paths_stay(project: Path) -> None:
    loaded = load(project, replaced("model: model.onnx", f"model: {project}/model.onnx"))
    assert loaded.model == project / "model.onnx"


def test_one_number_is_a_square(project: Path) -> None:
    assert load(project, replaced("[480, 640]", "320")).preprocess.size == (320, 320)


def test_classes_come_from_a_text_file(project: Path) -> None:
    loaded = load(project, replaced("[pig, sheep]", "classes.txt"))
    assert loaded.task.classes == ("pig", "sheep")


def test_categories_come_from_a_json_file(project: Path) -> None:
    loaded = load(project, replaced("{0: 1, 1: 7}", "categories.json"))
    assert loaded.task.categories == {0: 1, 1: 7}


def test_anchors_and_merge_keys_work(project: Path) -> None:
    text = replaced(
        "  weights: {granularity: per-channel, calibrator: max}\n"
        "  activations: {calibrator: percentile, percentile: 99.99}\n",
        "  weights: &same {granularity: per-tensor, calibrator: percentile, percentile: 99.9}\n"
        "  activations: {<<: *same, percentile: 99.99}\n",
    )
    quantize = load(project, text).quantize
    assert quantize.activations.calibrator == "percentile"
    assert (quantize.weights.percentile, quantize.activations.percentile) == (99.9, 99.99)


def test_numbers_with_an_exponent_work(project: Path) -> None:
    text = replaced("  decoder:", "  score_threshold: 1e-3\n  decoder:")
    assert load(project, text).task.score_threshold == 0.001


def test_class_that_looks_like_a_date_stays_text(project: Path) -> None:
    text = replaced("[pig, sheep]", "[2024-01-31, sheep]")
    assert load(project, text).task.classes == ("2024-01-31", "sheep")


@pytest.mark.parametrize("name", builtin_names())
def test_builtin_quantize_conforms(project: Path, name: str) -> None:
    start, end = GOOD.index("quantize:"), GOOD.index("evaluate:")
    loaded = load(project, GOOD[:start] + f"quantize: {name}\n" + GOOD[end:])
    source = document.read(places.builtin("recipes") / f"{name}.yaml")
    assert loaded.quantize == document.validate(source, Quantize)
    assert loaded.quantize.activations.calibrator == name.removeprefix("int8-")


def by_name(name: str) -> str:
    return GOOD[: GOOD.index("quantize:")] + f"quantize: {name}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # Unknown keys: at the top, nested, in quantize, in overrides.
        (
            replaced("gates:", "gate:"),
            "21: 'gate' is unknown; did you mean 'gates'? (calibration, compare, evaluate, "
            "gates, measure, model, preprocess, quantize, repair, task, tune)",
        ),
        (
            replaced("  count: 2", "  cuont: 2"),
            "10: 'cuont' is unknown; did you mean 'count'? (count, images",
        ),
        (
            replaced('exclude: ["/head/*"]', 'exclud: ["/head/*"]'),
            "17: 'exclud' is unknown; did you mean 'exclude'? (activations, exclude, head, "
            "io, overrides, weights)",
        ),
        (
            replaced("{weights: {granularity: per-tensor}}", "{weight: {granularity: per-tensor}}"),
            "16: 'weight' is unknown; did you mean 'weights'? (activations, float, weights)",
        ),
        (
            replaced("{weights: {granularity: per-tensor}}", "{weights: {granulrity: per-tensor}}"),
            "16: 'granulrity' is unknown; did you mean 'granularity'? (calibrator, granularity, "
            "percentile, scheme)",
        ),
        # Wrong types.
        (replaced("count: 2", "count: '2'"), '10: calibration.count is "2"; it should be a whole '),
        (replaced("count: 2", "count: true"), "10: calibration.count is true; it should be a whol"),
        (replaced("count: 2", "count: 2.0"), "10: calibration.count is 2.0; it should be a whole "),
        (replaced("count: 2", "count:\n    - 2"), "10: calibration.count is [2]; it should be a w"),
        (replaced("mask_ap_drop: 0.02", "mask_ap_drop: '0.02'"), "22: gates.mask_ap_drop is "),
        (
            replaced("preprocess:\n  size: [480, 640]", "preprocess: [480, 640]"),
            "6: preprocess is [480, 640]; it should be a mapping, 'key: value' lines",
        ),
        (replaced("[480, 640]", "[480]"), "7: preprocess.size is [480]; it has too few items"),
        (replaced("[480, 640]", "[480, 1, 2]"), "7: preprocess.size is [480, 1, 2]; it has too m"),
        (replaced("[480, 640]", "480x640"), '7: preprocess.size is "480x640"; it should be a list'),
        (replaced("[480, 640]", "\n  - 480\n  - x"), '9: preprocess.size.1 is "x"; it should be a'),
        (replaced('["/head/*"]', "/head/*"), '17: quantize.exclude is "/head/*"; it should be a l'),
        (replaced('"op:Gemm": float', '"op:Gemm": flaot'), "15: op:Gemm: 'flaot' is unknown; writ"),
        (replaced('"op:Gemm": float', '"op:Gemm":'), "15: quantize.overrides.op:Gemm is null; it "),
        (replaced('"op:Gemm": float', '"op:Gemm": {}'), "15: op:Gemm: says nothing; write 'float'"),
        (
            replaced('"op:Gemm": float', '"op:Gemm": {float: true, weights: {}}'),
            "15: op:Gemm: says both, float and how to quantize; keep one",
        ),
        (replaced("[pig, sheep]", "[]"), "4: task.classes is []; it has too few items"),
        (replaced("[pig, sheep]", "[pig, 2]"), "4: task.classes.1 is 2; it should be text"),
        (
            replaced("model: model.onnx", "model: 5"),
            "1: model is 5; it should be text; YAML reads 5 ",
        ),
        (replaced("{0: 1, 1: 7}", "{pig: 1}"), '5: task.categories.pig is "pig"; it should be a w'),
        (
            replaced("{0: 1, 1: 7}", "[1, 7]"),
            "5: task.categories is [1, 7]; it should be a mapping",
        ),
        # Missing.
        (
            GOOD.removeprefix("model: model.onnx\n"),
            "1: 'model' is missing; add a line 'model: ...'",
        ),
        (
            replaced("  decoder: yolov8-seg\n", ""),
            "2: 'task.decoder' is missing; add a line 'decoder: ...'",
        ),
        # Files.
        (
            replaced("model: model.onnx", "model: modl.onnx"),
            "1: model: 'modl.onnx' does not exist; did you mean 'model.onnx'?",
        ),
        (
            replaced("model: model.onnx", "model: far/away.onnx"),
            "1: model: 'far/away.onnx' does not exist; there is no folder P/far",
        ),
        (replaced("model: model.onnx", "model: images"), "1: model: 'images' is a folder; name a "),
        (replaced("model: model.onnx", f"model: {'x' * 300}"), "1: model: 'xxx"),
        (replaced("model: model.onnx", "model: ~nobody_at_all/m"), "1: model: '~nobody_at_all/m' "),
        (
            replaced("  images: images\n  count", "  images: imges\n  count"),
            "9: images: 'imges' does not exist; did you mean 'images'?",
        ),
        (
            replaced("annotations: instances.json", "annotations: instance.json"),
            "20: annotations: 'instance.json' does not exist; did you mean 'instances.json'?",
        ),
        (
            replaced("  images: images\n  annotations", "  images: classes.txt\n  annotations"),
            "19: images: 'classes.txt' is no folder; name the folder of the images",
        ),
        (replaced("[pig, sheep]", "class.txt"), "4: classes: 'class.txt' does not exist; did you "),
        (replaced("[pig, sheep]", "images"), "4: classes: 'images' is a folder; name a file"),
        (replaced("[pig, sheep]", "latin.txt"), "4: classes: 'latin.txt' is not UTF-8 text; name "),
        (replaced("{0: 1, 1: 7}", "category.json"), "5: categories: 'category.json' does not exis"),
        (replaced("{0: 1, 1: 7}", "broken.json"), "5: categories: 'broken.json' is not JSON (Expe"),
        (replaced("{0: 1, 1: 7}", "images"), "5: categories: 'images' is a folder; name a file"),
        # Wrong words.
        (
            replaced("yolov8-seg", "yolo8-seg"),
            "3: decoder 'yolo8-seg' is unknown; did you mean 'yolov8-seg'? "
            f"({', '.join(sorted(DECODERS))})",
        ),
        (
            replaced("calibrator: max", "calibrator: entrpy"),
            "12: calibrator 'entrpy' is unknown; did you mean 'entropy'? "
            f"({', '.join(sorted(calibrators()))})",
        ),
        (by_name("int8-percentil"), "11: quantize 'int8-percentil' is unknown; did you mean 'int8"),
        # Wrong numbers.
        (replaced("[480, 640]", "-1"), "7: preprocess.size.0 is -1; it should be greater than 0"),
        (replaced("0.02", "1.5"), "22: gates.mask_ap_drop is 1.5; it should be less than or equal"),
        (replaced("0.02", ".nan"), "22: gates.mask_ap_drop is NaN; it should be a finite number"),
        (replaced("0.02", "-.inf"), "22: gates.mask_ap_drop is -Infinity; it should be a finite n"),
        (replaced("99.99", "0"), "13: quantize.activations.percentile is 0; it should be greater "),
        (replaced("99.99", "100.1"), "13: quantize.activations.percentile is 100.1; it should be "),
        (replaced("4 MiB", "4 XiB"), "23: peak_memory_bytes: '4 XiB' is no size; write a number o"),
        (replaced("4 MiB", "1.2.3"), "23: peak_memory_bytes: '1.2.3' is no size; write a number o"),
        (replaced("4 MiB", "0 MiB"), '23: gates.peak_memory_bytes is "0 MiB"; it should be greate'),
        (
            GOOD + "repair: {bias_corection: true}\n",
            "24: 'bias_corection' is unknown; did you mean 'bias_correction'? (adaround, "
            "bias_correction, equalize, images, reconstruct, seed)",
        ),
        (
            GOOD + "repair:\n  adaround: {iteration: 5}\n",
            "25: 'iteration' is unknown; did you mean 'iterations'? (iterations)",
        ),
        (GOOD + "repair: {adaround: 5}\n", "24: repair.adaround is 5; it should be a mapping"),
        (GOOD + "repair: {equalize: 1}\n", "24: repair.equalize is 1; it should be true or fal"),
        (GOOD + "repair: {seed: -1}\n", "24: repair.seed is -1; it should be greater than or eq"),
        # Keys that do not fit together.
        (
            GOOD + "repair: {reconstruct: {ranges: true}}\n",
            "24: ranges by calibrator percentile are not learned: it clips what max would keep; "
            "write 'calibrator: max' under 'activations', or leave 'ranges' out",
        ),
        (
            replaced("calibrator: max}", "calibrator: max, percentile: 99}"),
            "12: percentile is given for calibrator 'max'; write 'calibrator: percentile' or leave "
            "it out",
        ),
        (
            replaced("{calibrator: percentile, percentile: 99.99}", "\n    calibrator: percentile"),
            "14: calibrator percentile needs its value; add 'percentile: 99.99'",
        ),
        (
            replaced("{0: 1, 1: 7}", "\n    0: 1\n    2: 7"),
            "7: categories names class 2 of 2; class indices start at 0",
        ),
        (
            replaced("  count: 2", "  count: 3"),
            "10: count is 3, but there are 2 images in P/images; add images or lower the count",
        ),
        (
            replaced("  images: images\n  count", "  images: empty\n  count"),
            "9: no images in P/empty; wanted: .jpg, .jpeg, .png, .bmp, .webp, .tif, .tiff",
        ),
        (
            GOOD[: GOOD.index("evaluate:")] + "gates:\n  latency_p50_ms: 9\n  box_ap_drop: 0.1\n",
            "20: gate box_ap_drop needs annotated images; add 'evaluate:' with images and "
            "annotations",
        ),
        (
            GOOD[: GOOD.index("gates:")] + "gates:\n  mask_recall_drop: 0.1\n",
            "22: gate mask_recall_drop needs the score at which your application keeps a "
            "detection; add 'deploy_threshold:' to 'task:'",
        ),
        (
            GOOD.replace("task:\n", "task:\n  deploy_threshold: 0.0001\n"),
            "3: deploy_threshold is 0.0001, below score_threshold 0.001; what it would keep is",
        ),
        (
            GOOD + "measure:\n  min_duration_s: 300\n",
            "25: min_duration_s is 300, but max_duration_s is 120; raise the one or lower the",
        ),
        # The file itself.
        (GOOD + "model: model.onnx\n", "24: 'model' is given twice, first on line 1; keep one"),
        (GOOD + "measure:\n\twarmup_s: 1\n", "25: a tab stands where YAML takes only spaces"),
        (GOOD + "measure: 'open\n", "25: is not valid YAML: found unexpected end of stream; che"),
        ("", "1: holds no keys; write 'key: value' lines"),
        ("- model.onnx\n", "1: holds no keys; write 'key: value' lines"),
    ],
)
def test_wrong_recipe_is_one_clear_message(project: Path, text: str, message: str) -> None:
    found = messages(project, text)
    # A square of a wrong number is wrong in both places.
    assert found[0].startswith(message)
    assert len(found) == (2 if "preprocess.size.0" in message else 1)


def test_all_problems_come_in_one_run(project: Path) -> None:
    text = (
        "modl: model.onnx\n"
        "task:\n"
        "  decoder: yolo\n"
        "  classes: nowhere.txt\n"
        "calibration: {images: images, count: 99}\n"
        "quantize:\n"
        "  weights: {percentile: 99}\n"
        "  activations: {calibrator: percentile}\n"
        "gates:\n"
        "  mask_ap_drop: 0.1\n"
    )
    starts = ("modl", "'model", "'prep", "decoder", "classes", "count", "perc", "calib", "gate ")
    found = messages(project, text)
    assert [line.split(": ")[0] for line in found] == ["1", "1", "1", "3", "4", "5", "7", "8", "10"]
    assert all(any(start in line for line in found) for start in starts)


def test_wrong_evaluate_does_not_blame_the_gates(project: Path) -> None:
    text = replaced("annotations: instances.json", "annotations: nowhere.json")
    assert len(messages(project, text)) == 1


def test_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"recipe\.yaml: cannot be read: does not exist"):
        recipe.load(tmp_path / "recipe.yaml")


def test_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        recipe.load(tmp_path)


def test_recipe_that_is_not_utf8_is_refused(project: Path) -> None:
    path = project / "recipe.yaml"
    path.write_bytes("# Kälber\n".encode("latin-1") + GOOD.encode())
    with pytest.raises(InputError, match="is not UTF-8 text"):
        recipe.load(path)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("300", 300), ("'300'", 300), ("4 MiB", 4 * 2**20), ("1.5kB", 1500), ("2 gib", 2**31)],
)
def test_sizes_are_understood(project: Path, text: str, size_bytes: int) -> None:
    assert load(project, replaced("4 MiB", text)).gates.peak_memory_bytes == size_bytes


def test_folder_of_images_is_sorted_and_holds_nothing_else(project: Path) -> None:
    (project / "images" / "folder.jpg").mkdir()
    files = image_files(project / "images", "here")
    assert [file.name for file in files] == ["a.PNG", "b.jpg"]


def test_list_of_images_keeps_its_order_and_folder(project: Path) -> None:
    (project / "list.txt").write_text(f"images/b.jpg\n\n{project}/images/a.PNG\n")
    text = replaced("  images: images\n  count", "  images: list.txt\n  count")
    calibration = load(project, text).calibration
    files = image_files(calibration.images, "here")
    assert files == [project / "images/b.jpg", project / "images/a.PNG"]


def test_list_of_images_that_are_missing_names_the_lines(project: Path) -> None:
    source = project / "list.txt"
    source.write_text("images/b.jpg\nnowhere.jpg\nelsewhere.jpg\n")
    with pytest.raises(InputErrors) as caught:
        image_files(source, "here")
    assert [problem.where for problem in caught.value.problems] == [f"{source}:2", f"{source}:3"]
    text = replaced("  images: images\n  count", "  images: list.txt\n  count")
    assert messages(project, text) == [
        "9: P/list.txt:2: 'P/nowhere.jpg' does not exist (and 1 more); correct the list"
    ]


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_empty_list_of_images_is_refused(project: Path, content: bytes) -> None:
    (project / "list.txt").write_bytes(content)
    with pytest.raises(InputError, match=r"here: .*list\.txt lists no images"):
        image_files(project / "list.txt", "here")


def test_image_instead_of_a_list_is_refused(project: Path) -> None:
    (project / "image.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(InputError, match=r"here: .*image\.jpg is no list of images"):
        image_files(project / "image.jpg", "here")


def test_every_builtin_recipe_is_named() -> None:
    assert {"int8-max", "int8-entropy", "int8-percentile", "int8-mse"} <= {*builtin_names()}


def valid(text: str) -> bool:
    """Whether an editor with our schema accepts a recipe."""
    content = json.loads(json.dumps(yaml.load(text, Loader)))
    return jsonschema.Draft202012Validator(recipe.schema()).is_valid(content)


@pytest.mark.parametrize("text, mode", [("15W", "15W"), ("MAXN", "MAXN"), ("null", None)])
def test_a_power_mode_is_a_name(project: Path, text: str, mode: str | None) -> None:
    file = project / "recipe.yaml"
    file.write_text(GOOD + f"measure:\n  power_mode: {text}\n")
    assert recipe.load(file).measure.power_mode == mode


def test_a_power_mode_is_no_number_and_not_empty(project: Path) -> None:
    for text in ("0", "''"):
        (project / "recipe.yaml").write_text(GOOD + f"measure:\n  power_mode: {text}\n")
        with pytest.raises(InputError, match="power_mode"):
            recipe.load(project / "recipe.yaml")


def test_nothing_is_repaired_unless_the_recipe_says_so(project: Path) -> None:
    assert load(project).repair == Repair()
    assert not Repair().is_wanted
    for text, needs_plan in (("equalize", False), ("bias_correction", True), ("adaround", True)):
        repair = load(project, f"{GOOD}repair: {{{text}: true}}\n").repair
        assert (repair.is_wanted, repair.needs_plan) == (True, needs_plan)
    assert load(project, f"{GOOD}repair: {{adaround: true}}\n").repair.adaround == AdaRound()
    assert not load(project, f"{GOOD}repair: {{adaround: false, seed: 3}}\n").repair.is_wanted


def test_schema_is_a_json_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(recipe.schema())


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        replaced("[480, 640]", "640"),
        replaced("[pig, sheep]", "classes.txt"),
        replaced("{0: 1, 1: 7}", "categories.json"),
        replaced("4 MiB", "300"),
        replaced("4 MiB", "1.5 GB"),
        by_name("int8-percentile"),
        GOOD + "repair: {equalize: true, bias_correction: true, adaround: true, seed: 3}\n",
        GOOD + "repair: {adaround: {iterations: 300}, images: 8}\n",
        GOOD + "repair: {adaround: false}\n",
    ],
)
def test_schema_accepts_what_the_loader_accepts(project: Path, text: str) -> None:
    load(project, text)
    assert valid(text)


@pytest.mark.parametrize(
    "text",
    [
        replaced("gates:", "gate:"),
        replaced("count: 2", "cuont: 2"),
        replaced("count: 2", "count: true"),
        replaced("{weights: {granularity: per-tensor}}", "{weight: {}}"),
        replaced('"op:Gemm": float', '"op:Gemm": flaot'),
        replaced("4 MiB", "4 4"),
        replaced("[480, 640]", "0"),
        replaced("calibrator: max", "calibrator: entrpy"),
        GOOD + "repair: {adaround: 5}\n",
        GOOD + "repair: {images: 0}\n",
        GOOD.removeprefix("model: model.onnx\n"),
    ],
)
def test_schema_refuses_what_the_loader_refuses(project: Path, text: str) -> None:
    with pytest.raises(InputError):
        load(project, text)
    assert not valid(text)


def test_schema_describes_every_key_that_has_a_description() -> None:
    described = recipe.schema()["$defs"]["Task"]["properties"]["iou_threshold"]
    assert re.match("overlap above which", described["description"])


def test_demo_recipe_conforms(tmp_path: Path) -> None:
    demo = Path(recipe.__file__).parents[1] / "demo" / "recipe.yaml"
    assert valid(demo.read_text(encoding="utf-8"))


def test_real_images_are_found(real_data: Callable[[str], Path]) -> None:
    folder = real_data("coco-calib")
    files = image_files(folder, "here")
    assert len(files) == len(os.listdir(folder))  # noqa: PTH208


@pytest.mark.parametrize(
    ("scale", "std"), [(1 / 256, 1.0), (0.0039, 1.0), (1.0, 256.0), (1 / 127.5, 1.0)]
)
def test_std_that_leaves_values_as_they_are_passes(scale: float, std: float) -> None:
    made = recipe.Preprocess.model_validate({"size": [64, 64], "scale": scale, "std": (std,) * 3})
    assert made.std == (std, std, std)


@pytest.mark.parametrize(
    ("text", "seconds"), [("20 min", 1200), ("90 s", 90), ("2h", 7200), ("1.5 h", 5400), (30, 30)]
)
def test_times_may_be_written_with_their_unit(text: str | int, seconds: float) -> None:
    assert recipe.Measure.model_validate({"soak": text}).soak == seconds


@pytest.mark.parametrize("text", ["soon", "20", "-1 s", 0, 10**6])
def test_what_is_no_time_is_refused(text: str | int) -> None:
    with pytest.raises(ValueError):
        recipe.Measure.model_validate({"soak": text})
