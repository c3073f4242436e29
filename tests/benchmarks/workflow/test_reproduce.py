"""The papers' suites in every size, what a plan says before anything runs, and bad input."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_jobs import MakeJob, ledger, plan_of
from test_plan import SUITE, write

from benchmarks.report.after_run import SUITES_FOLDER
from benchmarks.suites.data_places import place_of
from benchmarks.workflow.devices import held_devices, visible_gpus
from benchmarks.workflow.engine_options import PARTITION, EngineOptions, job_resources, with_gpus
from benchmarks.workflow.job import _executable
from benchmarks.workflow.plan import Job, check_acyclic, read_plan
from benchmarks.workflow.runner import run_plan
from benchmarks.workflow.slurm import run_ids
from benchmarks.workflow.work import prepare
from pretrain.stopping import StopRequest
from scenebench.cli import main
from scenebench.errors import UserError
from scenebench.locking import only_process

PAPERS = [*(f"mls_table{number}" for number in range(1, 9)), "mls_fig3", "mls_fig4", "mls_fig5a", "mls_fig5b"]
PAPERS += ["saliency_headline", "saliency_ablation"]


@pytest.mark.parametrize("name", PAPERS)
def test_a_papers_suite_resolves_at_paper_size_and_states_its_costs(name: str, tmp_path: Path) -> None:
    work = prepare(name, data=tmp_path)
    pretrainings = [job for job in work.plan.jobs if job.kind == "pretrain" and "random_demo" not in job.command]
    assert pretrainings
    assert all(job.gpus == 8 and job.gpu_hours > 50 and job.disk_mb > 500 for job in pretrainings)
    assert all(job.gpus == 1 and job.gpu_hours > 0 for job in work.plan.jobs if job.kind == "evaluate")
    assert all("train2017" in " ".join(job.command) for job in pretrainings)
    assert work.places[0].name == "coco2017"
    assert not work.places[0].is_complete


def test_the_group_of_the_papers_is_one_graph_that_shares_pretrainings() -> None:
    work = prepare("papers", size="demo")
    assert [plan.suite for plan in work.plans] == [f"{name}_demo" for name in PAPERS]
    kinds = Counter(job.kind for job in work.plan.jobs)
    assert kinds["data"] == 1
    apart = sum(job.kind == "pretrain" for plan in work.plans for job in plan.jobs)
    assert kinds["pretrain"] == len({job.id for plan in work.plans for job in plan.jobs if job.kind == "pretrain"})
    assert kinds["pretrain"] < apart / 1.5
    assert {job.cell["seed"] for job in work.plan.jobs if job.cell and not job.cell["is_reference"]} == {0}
    # what is stated for two cores comes to less than 45 minutes of one
    assert sum(job.seconds for job in work.plan.jobs) < 45 * 60
    assert len({output for job in work.plan.jobs for output in job.outputs}) == sum(
        len(job.outputs) for job in work.plan.jobs
    ), "no output has two makers"
    wanted = {output for plan in work.plans for job in plan.targets for output in job.outputs}
    assert wanted <= {output for job in work.plan.jobs for output in job.outputs}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mls_tabel8"], "unknown suite 'mls_tabel8' (did you mean 'mls_table8'?)"),
        (["mls_tabel8", "--size", "demo"], "unknown suite 'mls_tabel8"),
        (["demo", "--size", "dmeo"], "--size: unknown value 'dmeo' (did you mean 'demo'?)"),
        (["smoke", "--size", "demo"], "suite 'smoke' has no size 'demo'"),
        (["recipe.yaml"], "unknown recipe 'mls_dmeo' (did you mean 'mls_demo'?)"),
        (["protocol.yaml"], "unknown protocol 'multilabel_kn' (did you mean 'multilabel_knn'?)"),
        (["circle.yaml"], "a cycle: "),
        (["empty.yaml"], "'suites' is empty"),
        (["costs.yaml"], "gpus: -1 is negative"),
        (["demo", "--executor", "slrum"], "--executor: unknown value 'slrum' (did you mean 'slurm'?)"),
        (["demo", "--partition", "gpu"], "--partition: 'gpu' is of a cluster; add --executor slurm"),
        (["demo", "--profile", "nowhere"], "--profile: nowhere holds no config.yaml"),
        (["demo", "--gpus", "-1"], "--gpus: -1 is negative"),
        (["demo", "--retries", "-1"], "--retries: -1 is negative"),
        (["paper.yaml", "--data", "nowhere"], "coco2017: missing (expected at "),
        (["paper.yaml", "--annotations", "a.json"], "reads published data sets; leave --annotations away"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    def suite(name: str, **changes: Any) -> None:
        (tmp_path / name).write_text(yaml.safe_dump({**SUITE, **changes}))

    suite("recipe.yaml", backbones=[{"label": "a", "recipe": "mls_dmeo"}], protocols=[{"protocol": "multilabel_knn"}])
    suite("protocol.yaml", protocols=[{"protocol": "multilabel_kn"}])
    suite("costs.yaml", backbones=[{"label": "a", "recipe": "mls_demo", "gpus": -1}])
    suite("paper.yaml", pretrain_data="coco2017", references=[])
    (tmp_path / "circle.yaml").write_text("suites: [other.yaml]\n")
    (tmp_path / "other.yaml").write_text("suites: [demo, circle.yaml]\n")
    (tmp_path / "empty.yaml").write_text("suites: []\n")
    monkeypatch.chdir(tmp_path)
    assert main(["run", *arguments, "--out", "out"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_slurm_without_slurm_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["run", "demo", "--executor", "slurm"]) == 2
    assert "there is no 'sbatch' here" in capsys.readouterr().err


def test_a_folder_of_another_version_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_file = {"format_version": 7, "suite": "mine", "data": "scenes", "data_identity": "x"}
    (tmp_path / "run.json").write_text(json.dumps(run_file))
    assert main(["run", str(write(tmp_path)), "--out", str(tmp_path)]) == 2
    assert "results folder of format 7, this version works on 1; choose another folder" in capsys.readouterr().err


def test_jobs_in_a_circle_are_named(out: Path, make_job: MakeJob) -> None:
    one = make_job("one")
    two = make_job("two", [one])
    one = replace(one, inputs=[two.outputs[0]])
    with pytest.raises(UserError, match=r"here: a cycle: cells/evaluate/one needs cells/evaluate/two needs cells/eva"):
        check_acyclic([one, two], "here")
    with pytest.raises(UserError, match=r"plan\.json: a cycle"):
        read_plan((plan_of([one, two], out), out / "plan.json")[1])


def test_a_plan_says_what_is_done_what_is_missing_and_what_it_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"recipe": "mls_coco", "gpus": 8, "gpu_hours": 96, "disk_mb": 1200}
    rows = [{**row, "label": "k 20"}, {**row, "label": "k 5", "overrides": ["mls.k=5"]}]
    column = {"protocol": "multilabel_knn", "gpus": 1, "gpu_hours": 2, "disk_mb": 10}
    suite = write(tmp_path, pretrain_data="coco2017", backbones=rows, protocols=[column], references=[])
    (tmp_path / "data/coco/train2017").mkdir(parents=True)
    (tmp_path / "data/coco/val2017").mkdir()
    monkeypatch.chdir(tmp_path)
    work = prepare(str(suite), data="data")
    done = next(job for job in work.plan.jobs if job.label == "pretrain k 20, seed 0")
    (tmp_path / "out" / done.id).mkdir(parents=True)
    (tmp_path / "out" / done.outputs[0]).touch()
    before = sorted(tmp_path.rglob("*"))
    assert main(["run", str(suite), "--data", "data", "--out", "out", "--plan", "--gpus", "8"]) == 0
    shown = capsys.readouterr().out
    assert "done      8      96.0   12.00   1.2 GB  pretrain k 20, seed 0" in shown
    assert "to do     8      96.0   12.00   1.2 GB  pretrain k 5, seed 0" in shown
    assert "to do     1       2.0    2.00    10 MB  evaluate k 5, seed 0, multilabel_knn" in shown
    assert "to do     8     100.0   16.00   1.2 GB  3 cells; 1 done" in shown
    assert "coco2017: incomplete: lacks annotations/instances_train2017.json, annotations/instances_val2017" in shown
    picture = tmp_path / "out-plan.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert sorted(tmp_path.rglob("*")) == sorted([*before, picture]), "a plan leaves nothing but its picture"


def test_the_plan_of_a_suite_does_not_depend_on_where_the_data_lie(tmp_path: Path) -> None:
    suite = write(tmp_path, pretrain_data="coco2017", references=[])
    here, there = (prepare(str(suite), data=tmp_path / name).plan for name in ("here", "there"))
    assert [job.id for job in here.jobs] == [job.id for job in there.jobs]
    assert here.jobs[0].command != there.jobs[0].command
    assert place_of("coco2017", tmp_path / "here").root == tmp_path / "here" / "coco"


def test_each_cell_sees_gpus_of_its_own(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "which_gpu.py"
    script.write_text(
        "import os, pathlib, sys, time\n"
        "open('ledger.txt', 'a').write(f\"{sys.argv[1]} start {os.environ['CUDA_VISIBLE_DEVICES']}\\n\")\n"
        "time.sleep(0.8)\nopen('ledger.txt', 'a').write(f'{sys.argv[1]} end\\n')\npathlib.Path(sys.argv[2]).touch()\n"
    )

    def job(name: str, gpus: int) -> Job:
        output = f"cells/{name}/done"
        command = [sys.executable, str(script), name, output]
        return Job(f"cells/{name}", "evaluate", name, command, [], [output], f"logs/{name}.log", 1.0, gpus=gpus)

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    options = EngineOptions(cores=4, gpus=2)
    plan = with_gpus(plan_of([job("a", 0), job("b", 1), job("c", 8)], out), options)
    assert [one.gpus for one in plan.jobs] == [1, 1, 2], "one at least, and no more than there are"
    plan.write(out / "plan.json")
    with only_process(out) as lock:
        assert run_plan(plan, out, options, lock).failed == {}
    seen = {line.split()[0]: line.split()[2] for line in ledger(out) if " start " in line}
    assert {seen["a"], seen["b"]} == {"4", "6"}
    assert seen["c"] == "4,6"
    order = [tuple(line.split()[:2]) for line in ledger(out)]
    beside_c = order[order.index(("c", "start")) : order.index(("c", "end"))]
    assert len(beside_c) == 1, "nothing starts while one cell has both"


def test_a_held_device_is_given_to_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,-1")
    assert visible_gpus() == ["0", "1"]
    with held_devices(tmp_path, 1, 2) as first, held_devices(tmp_path, 1, 2) as second:
        assert {*first.names, *second.names} == {"0", "1"}
    with held_devices(tmp_path, 2, 2) as both:
        assert both.names == ["0", "1"]
        assert all(os.fstat(lock) for lock in both.locks)


def test_a_pretraining_on_several_gpus_starts_by_torchrun(make_job: MakeJob) -> None:
    job = replace(make_job("a"), kind="pretrain", command=["scenebench", "pretrain", "mls_coco"], gpus=4)
    assert _executable(job)[1:] == [
        *("-P", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=4"),
        *("-m", "scenebench.cli", "pretrain", "mls_coco"),
    ]
    assert "torch.distributed.run" not in _executable(replace(job, gpus=1))
    assert "torch.distributed.run" not in _executable(replace(job, kind="evaluate"))


def test_what_a_cluster_is_asked_for(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    long = replace(make_job("a"), gpus=8, gpu_hours=96.0)
    monkeypatch.delenv(PARTITION, raising=False)
    assert job_resources(long) == {"runtime": 12 * 60 * 2, "gpu": 8}
    assert job_resources(make_job("b")) == {"runtime": 30}
    monkeypatch.setenv(PARTITION, "gpu")
    assert job_resources(make_job("b")) == {"runtime": 30, "slurm_partition": "gpu"}
    log = tmp_path / "log"
    log.write_text("SLURM run ID: a-1\nother\nSLURM run ID: b-2\nSLURM run ID: a-1\n")
    assert run_ids(log) == ["a-1", "b-2"]
    assert run_ids(tmp_path / "none") == []


def test_slurms_second_sigterm_does_not_stop_the_saving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert stop.signal_number == signal.SIGTERM


@pytest.mark.slow
def test_a_group_runs_to_the_tables_of_each_suite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = {"overrides": ["settings.image_size=32", "settings.knn.k=3"], "seconds": 2}
    for name in ("one", "two"):
        content = {**SUITE, "backbones": [{"label": "random", "recipe": "random_demo"}], "references": []}
        content["protocols"] = [{"protocol": "multilabel_knn", **small}]
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "both.yaml").write_text("suites: [one.yaml, two.yaml]\n")
    assert main(["run", str(tmp_path / "both.yaml"), "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "both: 2 suites: 3 jobs to run" in shown, "data and pretraining are shared, and the judging is one process"
    assert "3 done of 3; complete" in shown
    for name in ("one", "two"):
        assert (tmp_path / "out" / SUITES_FOLDER / name / "tables/tables.md").is_file()
    assert "Finished: 3 done of 3" in (tmp_path / "out/status.html").read_text()
