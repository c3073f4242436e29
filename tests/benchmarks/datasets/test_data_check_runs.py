"""``data check`` as a program: its cache, its report, an interruption, wrong folders, exit codes, speed by design."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from miniature_files import write_image
from miniatures import build_coco2017, build_imagenet, build_pets, build_voc2007

from benchmarks.datasets.checking import check as checking
from benchmarks.datasets.checking.check import CheckOptions, check
from benchmarks.datasets.checking.inspect import Content, Task, look_into
from benchmarks.datasets.registry import describe, list_data_sets
from benchmarks.datasets.tree import Tree
from scenebench.cli import main
from scenebench.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that checks look into, as they do."""
    seen: list[str] = []

    def look(tasks: Sequence[Task]) -> list[Content]:
        seen.extend(task.relative for task in tasks)
        return look_into(tasks)

    monkeypatch.setattr(checking, "look_into", look)
    return seen


def test_a_second_check_reads_nothing_at_all(
    tmp_path: Path, looked_at: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = build_voc2007(tmp_path / "data")
    options = CheckOptions(partial=True, cache=tmp_path / "cache")
    first, path = check("voc2007", root, options)
    assert len(looked_at) == 12
    looked_at.clear()
    monkeypatch.setattr(checking, "read_official", lambda *arguments: pytest.fail("annotations were read again"))
    second, _ = check("voc2007", root, options)
    assert (looked_at, second) == ([], first)
    assert json.loads(path.read_text())["report"] == first.to_plain()


def test_after_a_change_only_what_changed_is_read(tmp_path: Path, looked_at: list[str]) -> None:
    root = build_voc2007(tmp_path / "data")
    options = CheckOptions(partial=True, cache=tmp_path / "cache")
    check("voc2007", root, options)
    looked_at.clear()
    write_image(root / "JPEGImages/000002.jpg", seed=4711)
    assert check("voc2007", root, options)[0].findings == []
    assert looked_at == ["JPEGImages/000002.jpg"]
    looked_at.clear()
    check("voc2007", root, CheckOptions(partial=True, cache=tmp_path / "cache", again=True))
    assert len(looked_at) == 12


def test_a_change_that_keeps_size_and_second_is_seen(tmp_path: Path, looked_at: list[str]) -> None:
    root = build_voc2007(tmp_path / "data")
    options = CheckOptions(partial=True, cache=tmp_path / "cache")
    check("voc2007", root, options)
    path = root / "JPEGImages/000002.jpg"
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[2:4] = b"\0\0"
    path.write_bytes(bytes(content))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert [finding.kind for finding in check("voc2007", root, options)[0].findings] == ["decode"]


def test_a_quick_look_is_no_full_one_but_the_other_way_round(tmp_path: Path, looked_at: list[str]) -> None:
    root = build_pets(tmp_path / "data")
    quick = CheckOptions(partial=True, cache=tmp_path / "cache", quick=True)
    full = CheckOptions(partial=True, cache=tmp_path / "cache")
    check("pets", root, quick)
    check("pets", root, full)
    assert len(looked_at) == 24
    looked_at.clear()
    assert check("pets", root, quick)[0].depth == "quick"
    assert looked_at == []


def test_a_broken_cache_is_only_forgotten(tmp_path: Path, looked_at: list[str]) -> None:
    root = build_pets(tmp_path / "data")
    options = CheckOptions(partial=True, cache=tmp_path / "cache")
    check("pets", root, options)
    for path in (tmp_path / "cache").iterdir():
        path.write_text('{"version": 1, "files": {"a": 3')
    looked_at.clear()
    assert check("pets", root, options)[0].findings == []
    assert len(looked_at) == 12


def test_an_interrupted_check_goes_on_where_it_was(
    tmp_path: Path, looked_at: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = build_imagenet(tmp_path / "data", train=40, val=2)
    options = CheckOptions(partial=True, cache=tmp_path / "cache")
    calls = 0

    def interrupted(tasks: Sequence[Task]) -> list[Content]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return look_into(tasks)

    with monkeypatch.context() as patch:
        patch.setattr(checking, "look_into", interrupted)
        with pytest.raises(KeyboardInterrupt):
            check("imagenet", root, options)
    assert not (tmp_path / "cache/report.json").exists()
    assert check("imagenet", root, options)[0].findings == []
    assert len(looked_at) == 126 - 2 * 16


def test_ctrl_c_stops_a_pool_within_seconds(tmp_path: Path) -> None:
    """A thousand large images over two processes: one line, exit code 130, no traceback."""
    root = build_imagenet(tmp_path / "data", train=1, val=1)
    big = write_image(root / "train/n01440764/n01440764_900.JPEG", seed=1, size=(2000, 2000))
    for number in range(1000):
        os.link(big, root / f"train/n01440764/n01440764_{1000 + number}.JPEG")
    command = [sys.executable, "-m", "scenebench.cli", "data", "check", "imagenet", str(root), "--partial"]
    command += ["--cache", str(tmp_path / "cache"), "--workers", "2"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )  # fmt: skip
    assert process.stderr is not None
    while "reading annotations" not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(2)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "scenebench: stopped"
    assert "Traceback" not in errors


def test_several_processes_find_the_same(tmp_path: Path) -> None:
    root = build_imagenet(tmp_path / "data", train=40)
    (root / "train/n01440764/n01440764_0.JPEG").write_bytes(b"no image")
    reports = [
        check("imagenet", root, CheckOptions(partial=True, cache=tmp_path / f"cache{workers}", workers=workers))[0]
        for workers in (1, 2)
    ]
    assert reports[0] == reports[1]
    assert len(reports[0].findings) == 1


@pytest.mark.parametrize("name", list_data_sets())
def test_an_empty_folder_is_no_data_set(name: str, tmp_path: Path) -> None:
    (tmp_path / "hello.txt").touch()
    with pytest.raises(UserError, match=f"not laid out as {name}: expected .*; found hello.txt"):
        check(name, tmp_path, CheckOptions(cache=tmp_path))


def test_a_wrong_layout_names_what_is_near(tmp_path: Path) -> None:
    root = build_voc2007(tmp_path / "VOCdevkit/VOC2007")
    options = CheckOptions(cache=tmp_path / "cache")
    for given in (tmp_path, tmp_path / "VOCdevkit", root / "ImageSets"):
        with pytest.raises(UserError, match=r"not laid out as voc2007, but .*VOC2007 is: give that folder"):
            check("voc2007", given, options)
    (root / "JPEGImages").rename(root / "JPEGimages")
    with pytest.raises(UserError, match=r"no JPEGImages/ .did you mean 'JPEGimages'"):
        check("voc2007", root, options)
    (root / "JPEGimages").rename(root / "JPEGImages")
    (root / "ImageSets/Main/test.txt").unlink()
    with pytest.raises(UserError, match=r"no ImageSets/Main/test.txt"):
        check("voc2007", root, options)


def test_the_command_has_three_exit_codes_and_writes_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    root = build_coco2017(tmp_path / "data")
    command = ["data", "check", "coco2017", str(root), "--workers", "1", "--report", str(tmp_path / "report.json")]
    assert main([*command, "--partial"]) == 0
    assert "no faults" in capsys.readouterr().out
    assert len(list((tmp_path / "xdg/scenebench/checks").iterdir())) == 1
    assert main(command) == 1
    shown = capsys.readouterr().out
    assert "2 classes, published 80" in shown
    assert "train: 6 images, published 118287" in shown
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["exit_code"], report["images"], report["depth"]) == (1, {"train": 6, "val": 4}, "full")
    assert main(["data", "check", "coco2018", str(root)]) == 2
    assert "did you mean 'coco2017'?" in capsys.readouterr().err
    (root / "annotations/instances_val2017.json").write_text("{")
    assert main([*command, "--partial"]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("scenebench:")]
    assert len(errors) == 1
    assert "instances_val2017.json: not JSON" in errors[0]


def test_list_prints_every_data_set_and_what_is_present(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["data", "list"]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines()] == list_data_sets()
    build_voc2007(tmp_path / "VOCdevkit/VOC2007")
    build_coco2017(tmp_path / "somewhere")
    (tmp_path / "somewhere/annotations/instances_val2017.json").unlink()
    assert main(["data", "list", str(tmp_path)]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["voc2007"].endswith(f"present: {tmp_path / 'VOCdevkit/VOC2007'}")
    assert lines["coco2017"].endswith("somewhere (lacks annotations/instances_val2017.json)")
    assert lines["cars"].split() == ["cars", "absent"]
    assert main(["data", "list", "--name", "voc2007"]) == 0
    shown = capsys.readouterr().out
    assert "12,608 trainval" in shown
    assert "host.robots.ox.ac.uk" in shown


def test_prepare_command_prints_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    root = build_pets(tmp_path / "data")
    assert main(["data", "prepare", "pets", str(root), "--out", str(tmp_path / "out")]) == 0
    assert "pets_trainval.tsv: 6 entries" in capsys.readouterr().out
    assert main(["data", "prepare", "imagenet", str(root)]) == 2


def test_the_registry_is_consistent() -> None:
    """Unions add up, the objects by class add up, and every entry says where it is from."""
    for name in list_data_sets():
        description = describe(name)
        images = description.images
        for union, parts in (("trainval", ("train", "val")), ("trainval1", ("train1", "val1"))):
            if union in images and parts[0] in images:
                assert images[union] == sum(images[part] for part in parts), name
        for split, by_class in description.objects_by_class.items():
            assert len(by_class) == description.classes
            assert sum(by_class.values()) == description.objects[split]
        assert description.get_from
        assert description.licence
        assert description.citation
        assert description.source
    assert describe("voc0712").images["trainval"] == 5011 + 11540
    assert describe("voc2012aug").images == {"train": 10582, "val": 1449}


def test_a_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = build_coco2017(tmp_path / "data")
    listed: list[str] = []
    scandir = os.scandir

    def count(path: Path) -> object:
        listed.append(str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", count)
    tree = Tree(root, stamps=True)
    assert len(tree.all_stamps()) == 12
    assert tree.has_file("train2017/000000000001.jpg")
    assert not tree.has_file("train2017/absent.jpg")
    assert len(listed) == len(set(listed)) == 4


def test_hidden_files_and_circular_links_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/.hidden").touch()
    (tmp_path / "a/b.txt").touch()
    (tmp_path / "a/up").symlink_to(tmp_path)
    assert list(Tree(tmp_path, stamps=True).all_stamps()) == ["a/b.txt"]
