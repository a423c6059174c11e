import os
import stat
import subprocess
import sys
import time

import pytest

from workbench.atomic import check_writable, whole_file, write_bytes, write_text
from workbench.errors import WorkbenchError


def test_replaces_the_old_content_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "a" / "file.txt"
    write_text(path, "old")
    write_text(path, "new ×")
    assert path.read_text(encoding="utf-8") == "new ×"
    assert os.listdir(path.parent) == ["file.txt"]


def test_an_error_half_way_leaves_the_old_content(tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def fail_half_way():
        with whole_file(path) as part:
            part.write_bytes(b"half")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        fail_half_way()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_what_is_no_ordinary_file_is_left_as_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to_pipe").symlink_to("pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "to_pipe", "folder"):
        with pytest.raises(WorkbenchError, match=f"Cannot write .*{name}: it exists and is not a regular file"):
            write_text(tmp_path / name, "text")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe", "to_pipe"]


def test_what_a_link_points_to_is_written(tmp_path):
    (tmp_path / "real").mkdir()
    write_text(tmp_path / "real" / "file", "old")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "file")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "file").read_text() == "new"


def test_asking_whether_a_file_can_be_written_writes_none(tmp_path):
    check_writable(tmp_path / "file")
    assert os.listdir(tmp_path) == []
    write_text(tmp_path / "file", "old")
    check_writable(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "old"
    with pytest.raises(WorkbenchError, match="Cannot write"):
        check_writable(tmp_path)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(WorkbenchError, match=r"Cannot write .*inside: .*\. Choose a folder"):
        write_text(tmp_path / "file" / "inside", "text")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_readable_as_any_other_new_file(tmp_path):
    write_text(tmp_path / "ours", "")
    (tmp_path / "theirs").write_text("")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "theirs").stat().st_mode)


WRITER = """
import sys
from pathlib import Path
from workbench.atomic import write_bytes
k = 0
while True:
    write_bytes(Path(sys.argv[1]), bytes([65 + k % 2]) * 3_000_000)
    k += 1
"""


def test_a_killed_writer_leaves_one_whole_version(tmp_path):
    path = tmp_path / "file"
    for delay in (0.02, 0.05, 0.11):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
        while not path.exists():
            time.sleep(0.005)
        time.sleep(delay)
        writer.kill()
        writer.wait()
        content = path.read_bytes()
        assert content in (b"A" * 3_000_000, b"B" * 3_000_000)
