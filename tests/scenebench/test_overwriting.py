import os
from pathlib import Path

import pytest

from scenebench.errors import UserError
from scenebench.overwriting import refuse_to_replace, same_file


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    file = tmp_path / "mine.pth"
    file.write_bytes(b"weights")
    return file


def test_a_new_name_may_be_written_also_in_a_folder_to_come(mine: Path, tmp_path: Path) -> None:
    refuse_to_replace(tmp_path / "new" / "out.safetensors", [mine])


def test_an_existing_file_is_refused_and_the_option_named(mine: Path) -> None:
    with pytest.raises(UserError, match=r"mine\.pth: exists already .*--overwrite"):
        refuse_to_replace(mine)
    refuse_to_replace(mine, overwrite=True)


@pytest.mark.parametrize(
    "name", ["mine.pth", "./mine.pth", "here/../mine.pth", "link", "link to link", "hard", "up/mine.pth"]
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_input_is_never_replaced(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, overwrite: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    Path("link").symlink_to("mine.pth")
    Path("link to link").symlink_to("link")
    os.link(mine, "hard")
    Path("up").symlink_to(tmp_path)
    for output, file in ((Path(name), mine), (mine, Path(name))):
        with pytest.raises(UserError, match="never replaced"):
            refuse_to_replace(output, [tmp_path / "absent", file], overwrite=overwrite, is_ours=lambda _: True)


def test_what_is_ours_may_go_but_not_through_a_link(mine: Path, tmp_path: Path) -> None:
    refuse_to_replace(mine, is_ours=lambda path: path.read_bytes() == b"weights")
    with pytest.raises(UserError, match="--overwrite"):
        refuse_to_replace(mine, is_ours=lambda path: path.read_bytes() == b"other")
    link = tmp_path / "link"
    link.symlink_to(mine)
    with pytest.raises(UserError, match="--overwrite"):
        refuse_to_replace(link, is_ours=lambda _: True)


def test_a_link_to_nothing_is_something_of_the_users(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "absent")
    with pytest.raises(UserError, match="--overwrite"):
        refuse_to_replace(link)
    refuse_to_replace(link, overwrite=True)


def test_folders_and_devices_stay_also_with_the_option(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path, "is a folder"),
        (tmp_path / "pipe", "no regular file"),
        (Path("/dev/null"), "no reg"),
    ):
        with pytest.raises(UserError, match=reason):
            refuse_to_replace(path, overwrite=True)


def test_names_that_lead_nowhere_are_no_file(tmp_path: Path) -> None:
    assert not same_file(tmp_path / "a", tmp_path / "a")
