"""Several files into a folder of the user's: all or none, and none over a file that is not ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenebench.errors import UserError
from scenebench.filling import MANIFEST, filling, moved, write_texts


def fill(folder: Path, overwrite: bool = False, **texts: str) -> list[Path]:
    with filling(folder, overwrite) as made:
        files = []
        for name, text in texts.items():
            files.append(made / "deep" / f"{name}.md")
            files[-1].parent.mkdir(exist_ok=True)
            files[-1].write_text(text)
    return moved(files, made, folder)


def test_what_we_wrote_is_replaced_and_what_somebody_changed_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    [a, b] = fill(out, a="1", b="1")
    assert [path.read_text() for path in (a, b)] == ["1", "1"]
    assert fill(out, a="2", b="2") == [a, b]
    b.write_text("mine")
    with pytest.raises(UserError, match=r"deep/b\.md: exists already .* --overwrite"):
        fill(out, a="3", b="3")
    assert [path.read_text() for path in (a, b)] == ["2", "mine"], "all or none"
    fill(out, overwrite=True, a="3", b="3")
    assert [path.read_text() for path in (a, b)] == ["3", "3"]
    assert sorted(path.name for path in out.iterdir()) == [MANIFEST, "deep"]
    assert [path.name for path in out.parent.iterdir()] == ["out"], "nothing is left beside it"


def test_somebody_elses_file_is_kept_and_an_equal_one_is_no_loss(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    theirs = tmp_path / "deep" / "a.md"
    theirs.write_text("theirs")
    with pytest.raises(UserError, match="exists already"):
        fill(tmp_path, a="ours", b="ours")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.md"]
    fill(tmp_path, a="theirs", b="ours")
    assert theirs.read_text() == "theirs"


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), filling(tmp_path / "out") as made:
        (made / "absent" / "x").write_text("x")
    assert not [*tmp_path.iterdir()]
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"), filling(tmp_path / "file" / "out"):
        pass


def test_texts_are_written_all_or_none(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "sub" / "two"
    write_texts({one: "1", two: "2"})
    write_texts({one: "1", two: "2"})
    two.write_text("mine")
    with pytest.raises(UserError, match="two: exists already"):
        write_texts({one: "1", two: "4"})
    assert one.read_text() == "1"
    write_texts({one: "3", two: "4"}, overwrite=True)
    assert (one.read_text(), two.read_text()) == ("3", "4")
