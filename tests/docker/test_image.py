"""The image for real: built by buildah, then run without network, on a read-only root, as an ordinary user."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dockerfile_parts import DOCKER
from image_workshop import IMAGE, OPERATORS, VARIANT, Workshop, why_not

import scenebench
from transfer.example_checkpoint import write_example

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]
USER = 12345
SHUT_OFF = [
    "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp:rw,mode=1777", "--cap-drop", "ALL",
    "--security-opt", "no-new-privileges",
]  # fmt: skip


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    if reason := why_not():
        pytest.skip(reason)
    kept = os.environ.get("SCENEBENCH_IMAGE_STORAGE")
    made = Workshop(Path(kept) if kept else tmp_path_factory.mktemp("images"))
    try:
        made.prepare()
        made.build()
        yield made
    finally:
        if not kept:
            made.remove()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder that belongs to the user of the container."""
    folder = tmp_path / "out"
    folder.mkdir()
    os.chown(folder, USER, USER)
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(0o755)
    return folder


def _podman(
    workshop: Workshop, words: list[str], *options: str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    command = ["podman", "run", *SHUT_OFF, "--user", f"{USER}:{USER}", *options, IMAGE, *words]
    done = workshop.run(command, check=check)
    print(f"$ scenebench {' '.join(words)}\n{done.stdout}{done.stderr}")
    return done


def _python(workshop: Workshop, program: str) -> str:
    return _podman(workshop, ["-c", program], "--entrypoint", "python").stdout


def test_it_says_what_it_is(workshop: Workshop):
    read = json.loads(workshop.run(["podman", "image", "inspect", IMAGE]).stdout)[0]
    print(f"size: {read['Size'] / 1e6:.0f} MB")
    labels = read["Labels"]
    assert labels["org.opencontainers.image.version"] == scenebench.__version__
    assert len(labels["org.opencontainers.image.revision"].removesuffix("-changed")) == 40
    assert read["Config"]["User"] == "10001:10001"
    assert labels["scenebench.variant"] == VARIANT
    assert read["Size"] < {"cpu": 3.5e9, "cuda": 9e9}[VARIANT]


def test_it_holds_no_compiler_no_tests_and_no_installer(workshop: Workshop):
    program = (
        "import importlib.util, pathlib, shutil\n"
        "print([tool for tool in ('gcc', 'g++', 'cc', 'git', 'ninja') if shutil.which(tool)])\n"
        "print([name for name in ('pip', 'pytest', 'ruff') if importlib.util.find_spec(name)])\n"
        "print([str(path) for path in pathlib.Path('/app').iterdir() if path.name in ('tests', 'results', '.git')])\n"
    )
    assert _python(workshop, program).split("\n")[:3] == ["[]", "[]", "[]"]


def test_torch_is_that_of_its_variant(workshop: Workshop):
    program = (
        "import importlib.util, torch\n"
        "print(torch.version.cuda is not None, torch.cuda.is_available())\n"
        "print([name for name in ('nvidia', 'triton') if importlib.util.find_spec(name)])\n"
    )
    found = _python(workshop, program).split("\n")[:2]
    assert found == (["False False", "[]"] if VARIANT == "cpu" else ["True False", "['nvidia', 'triton']"])


def test_it_has_no_network_and_can_write_to_tmp_alone(workshop: Workshop):
    program = (
        "import os, socket, tempfile\n"
        "print([name for _, name in socket.if_nameindex()], os.getuid())\n"
        "tempfile.TemporaryFile()\n"
        "for folder in ('/', '/app', '/opt/scenebench', '/root', '/usr'):\n"
        "    try:\n"
        "        open(folder + '/x', 'w')\n"
        "        print('wrote', folder)\n"
        "    except OSError:\n"
        "        pass\n"
    )
    assert _python(workshop, program) == f"['lo'] {USER}\n"


def test_a_folder_that_cannot_be_written_is_one_line(workshop: Workshop):
    done = _podman(workshop, ["run", "smoke", "--out", "/out"], check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("scenebench: /out cannot be written by user 12345")
    assert done.stderr.count("\n") == 1


def test_the_smoke_suite_runs_from_images_to_tables(workshop: Workshop, out: Path):
    done = _podman(workshop, ["run", "smoke", "--out", "/out/smoke"], "-v", f"{out}:/out")
    assert "multilabel" in done.stdout.lower()
    records = sorted(out.rglob("record.json"))
    assert len(records) >= 6
    environment = json.loads(records[0].read_text())["environment"]
    labels = json.loads(workshop.run(["podman", "image", "inspect", IMAGE]).stdout)[0]["Labels"]
    assert environment["git_commit"] == labels["org.opencontainers.image.revision"].removesuffix("-changed")


def test_a_checkpoint_in_mocos_layout_is_judged(workshop: Workshop, out: Path, tmp_path: Path):
    checkpoint = tmp_path / "moco.pth.tar"
    write_example(checkpoint)
    mounts = ["-v", f"{checkpoint}:/checkpoint/moco.pth.tar:ro", "-v", f"{out}:/out"]
    backbone = "/out/moco.safetensors"
    _podman(workshop, ["import", "/checkpoint/moco.pth.tar", backbone], *mounts)
    _podman(workshop, ["data", "scenes", "--images", "40", "--size", "64", "--seed", "0", "/out/scenes"], *mounts)
    words = ["evaluate", backbone, "--protocol", "multilabel_knn", "--data", "/out/scenes", "--out", "/out/knn"]
    _podman(workshop, [*words, "settings.image_size=64", "settings.knn.k=3"], *mounts)
    record = json.loads((out / "knn/record.json").read_text())
    assert record["backbone"]["origin"] == "imported"
    assert record["metrics"]["mAP"] > 0


def test_docker_evaluate_judges_a_checkpoint_by_a_suite(workshop: Workshop, tmp_path: Path):
    if "--expected" not in _podman(workshop, ["submit", "--help"]).stdout:
        pytest.skip("this version has no `submit`")
    checkpoint = tmp_path / "moco.pth.tar"
    write_example(checkpoint)
    settings = {"ENGINE": "podman", "IMAGE": IMAGE, "BACKBONE": str(checkpoint), "SUITE": "smoke"}
    done = workshop.run([str(DOCKER / "evaluate.sh")], settings | {"OUT": str(tmp_path / "records")})
    print(done.stdout)
    assert list((tmp_path / "records").rglob("record.json"))


def test_mmcvs_operators_are_in_it(workshop: Workshop):
    if OPERATORS != "1":
        pytest.skip("built without mmcv's operators; MMCV_OPS=1 builds them")
    program = "import torch, mmcv.ops; print(mmcv.ops.nms(torch.rand(3, 4), torch.rand(3), 0.5)[1].numel() > 0)"
    assert _python(workshop, program) == "True\n"


def test_mmdetection_judges_a_backbone_in_it(workshop: Workshop, out: Path, tmp_path: Path):
    if OPERATORS != "1":
        pytest.skip("built without mmcv's operators; MMCV_OPS=1 builds them")
    checkpoint = tmp_path / "moco.pth.tar"
    write_example(checkpoint)
    mounts = ["-v", f"{checkpoint}:/checkpoint/moco.pth.tar:ro", "-v", f"{out}:/out"]
    _podman(workshop, ["import", "/checkpoint/moco.pth.tar", "/out/moco.safetensors"], *mounts)
    _podman(workshop, ["data", "scenes", "--images", "20", "--size", "64", "--seed", "0", "/out/scenes"], *mounts)
    words = ["evaluate", "/out/moco.safetensors", "--protocol", "mask_rcnn_fpn_mmdet_demo", "--data", "/out/scenes"]
    few = ["iterations=2", "warmup_iterations=1", "batch_size=2"]
    settings = [*(f"settings.{one}" for one in few), "data.max_test_images=2"]
    _podman(workshop, [*words, "--out", "/out/mmdet", *settings], *mounts)
    record = json.loads((out / "mmdet/record.json").read_text())
    assert record["protocol"]["resolved"]["toolbox"] == "mmdetection"
    assert {"box_AP", "mask_AP"} <= set(record["metrics"])
