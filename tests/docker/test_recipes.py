"""compose.yaml and the two CI recipes: what each system requires of them, and that all run the image shut off."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml
from dockerfile_parts import DOCKER

import scenebench

GITHUB = DOCKER / "ci/github-actions.yml"
GITLAB = DOCKER / "ci/gitlab-ci.yml"
GITLAB_JOB_KEYS = {
    "extends", "stage", "timeout", "script", "artifacts", "needs", "rules", "allow_failure", "image",
}  # fmt: skip


def _github() -> dict[str, Any]:
    read = yaml.safe_load(GITHUB.read_text())
    read["on"] = read.pop(True)  # YAML 1.1 reads the key `on` as a boolean; GitHub does not
    return read


def _steps() -> list[dict[str, Any]]:
    return _github()["jobs"]["evaluate"]["steps"]


def test_compose_runs_every_service_shut_off():
    read = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    assert set(read["services"]) == {"demo", "evaluate", "leaderboard", "board"}
    for name, service in read["services"].items():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["user"] == "${OWNER:-10001:10001}"
        assert service["tmpfs"] == ["/tmp:mode=1777"]
        assert service["image"] == f"${{IMAGE:-scenebench:{scenebench.__version__}-${{VARIANT:-cpu}}}}"
        assert service["network_mode"] == ("bridge" if name == "board" else "none")
    board = read["services"]["board"]
    assert board["volumes"][0].endswith(":/board:ro")
    assert all(port.startswith("127.0.0.1:") for port in board["ports"])
    assert read["services"]["evaluate"]["volumes"][0].endswith(":ro")


def test_compose_services_call_commands_that_exist():
    from scenebench.cli import build_parser

    (commands,) = [action.choices for action in build_parser()._actions if action.dest == "command" or action.choices]
    for name, service in yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"].items():
        if name != "board":
            assert service["command"][0] in commands


def test_github_has_what_a_workflow_needs_and_pins_its_actions():
    read = _github()
    assert "pull_request" in read["on"]
    assert "pull_request_target" not in read["on"]  # it would hand secrets to a fork's code
    assert read["permissions"] == {"contents": "read", "pull-requests": "write"}
    for step in _steps():
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
            assert re.search(rf"{step['uses']} # v\d+\.\d+\.\d+", GITHUB.read_text())


def test_github_puts_nothing_of_a_pull_request_into_a_script():
    for step in _steps():
        assert "${{" not in step.get("run", "")  # values come through the environment, where they are not code


def test_github_keeps_records_comments_and_fails_in_this_order():
    evaluate, keep, comment, fail = _steps()[1:]
    assert "docker run" in evaluate["run"]
    assert "records/" in keep["with"]["path"]
    assert comment["if"].startswith("always()")
    assert keep["if"] == fail["if"] == "always()"
    assert fail["env"]["CODE"] == "${{ steps.evaluate.outputs.code }}"


def test_github_runs_the_image_as_evaluate_sh_does():
    script = (DOCKER / "evaluate.sh").read_text()
    for option in (
        "--network none", "--read-only", "mode=1777", "--shm-size 1g", "--cap-drop ALL",
        "--security-opt no-new-privileges", '--user "$(id -u):$(id -g)"',
    ):  # fmt: skip
        assert option in script
        assert option in _steps()[1]["run"]


def test_gitlab_has_what_a_pipeline_needs():
    read = yaml.safe_load(GITLAB.read_text())
    jobs = {name: job for name, job in read.items() if name not in ("stages", "variables")}
    for name, job in jobs.items():
        assert set(job) <= GITLAB_JOB_KEYS, name
        if not name.startswith("."):
            assert job["stage"] in read["stages"]
            assert job["extends"] in jobs
            assert all(isinstance(line, str) for line in job["script"])
    assert jobs[".scenebench"]["image"] == {"name": "$SCENEBENCH_IMAGE", "entrypoint": [""]}
    assert jobs["evaluate"]["artifacts"]["when"] == "always"
    assert "records/" in jobs["evaluate"]["artifacts"]["paths"]
    assert "allow_failure" not in jobs["evaluate"]
    assert jobs["comment"]["needs"] == [{"job": "evaluate", "artifacts": True}]
    assert jobs["comment"]["rules"][0]["when"] == "always"


def test_gitlabs_comment_is_python():
    script = yaml.safe_load(GITLAB.read_text())["comment"]["script"][0]
    (program,) = re.findall(r"<<'END'\n(.*)\nEND\n", script, re.DOTALL)
    compile(program, "comment", "exec")


@pytest.mark.parametrize("code", [0, 1, 2])
def test_gitlabs_job_ends_with_scenebenchs_code_and_a_table(tmp_path, code):
    script = "\n".join(yaml.safe_load(GITLAB.read_text())["evaluate"]["script"])
    (tmp_path / "scenebench").write_text(f'#!/bin/sh\necho "$@"\nexit {code}\n')
    (tmp_path / "scenebench").chmod(0o755)
    settings = {"PATH": f"{tmp_path}:/usr/bin:/bin", "CHECKPOINT": "m.pth", "SUITE": "mini", "EXPECTED": "e.yaml"}
    done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=settings, capture_output=True, check=False)
    assert done.returncode == code
    assert (tmp_path / "table.txt").read_text() == "submit m.pth --suite mini --out records --expected e.yaml\n"


@pytest.mark.parametrize(("code", "verdict"), [(0, "passes"), (1, "is below"), (125, "could not be evaluated")])
def test_githubs_steps_pass_the_code_on_and_write_the_comment(tmp_path, code, verdict):
    (tmp_path / "docker").write_text(f'#!/bin/sh\necho "a table"\nexit {code}\n')
    (tmp_path / "docker").chmod(0o755)
    settings = {
        "PATH": f"{tmp_path}:/usr/bin:/bin", "CHECKPOINT": "models/m.pth", "SUITE": "mini", "EXPECTED": "",
        "IMAGE": "mine:1",
        "GITHUB_OUTPUT": str(tmp_path / "output"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }  # fmt: skip
    run = ["bash", "-e", "-c", _steps()[1]["run"]]
    subprocess.run(run, cwd=tmp_path, env=settings, capture_output=True, check=True, timeout=60)
    assert (tmp_path / "output").read_text() == f"code={code}\n"
    comment = (tmp_path / "comment.md").read_text()
    assert comment.startswith("<!-- scenebench:evaluate -->\n**scenebench**: m.pth " + verdict)
    assert "```\na table\n```\n" in comment
    assert (tmp_path / "summary").read_text() == comment
    fail = subprocess.run(["bash", "-e", "-c", _steps()[-1]["run"]], env={"CODE": str(code)}, check=False)
    assert fail.returncode == code
