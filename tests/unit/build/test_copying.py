"""COPY between two trees, neither of which is trusted. Nobody needs rights for this: all owners are the test's own."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from orlop.build import copying, selection, steps, tree, tree_digest
from orlop.build.ignore import Ignored
from orlop.errors import InvalidArgument, NotFound, OrlopError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

US = (os.geteuid(), os.getegid())


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    made.mkdir()
    return made


@pytest.fixture
def target(tmp_path: Path) -> Path:
    made = tmp_path / "target"
    made.mkdir()
    return made


def copy(
    source: Path,
    target: Path,
    sources: Sequence[str],
    to: str,
    *,
    ignore: Sequence[str] = (),
    exclude: Sequence[str] = (),
    parents: bool = False,
    mode: str = "",
    documents: Sequence[steps.Document] = (),
) -> None:
    theirs = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
    ours = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        root = selection.Root(theirs, Ignored(ignore), "the context", is_context=True)
        chosen = selection.choose(root, sources, exclude, parents=parents)
        style = copying.Style(US, copying.permissions(mode), keep_owners=False)
        try:
            copying.Copier(ours, style).copy(chosen, documents, to)
        finally:
            for each in chosen:
                each.close()
    finally:
        os.close(theirs)
        os.close(ours)


def files(root: Path) -> list[str]:
    return [
        f"{path.relative_to(root)}{'/' if path.is_dir() and not path.is_symlink() else ''}"
        for path in sorted(root.rglob("*"))
    ]


def test_a_file_gets_the_name_or_the_directory_of_the_target(source: Path, target: Path) -> None:
    make(source, "a")
    make(target, "there/")
    copy(source, target, ["a"], "/b")
    copy(source, target, ["a"], "/c/d/")
    copy(source, target, ["a"], "/there")
    assert files(target) == ["b", "c/", "c/d/", "c/d/a", "there/", "there/a"]


def test_of_a_directory_its_contents_are_copied(source: Path, target: Path) -> None:
    make(source, "d/x", "d/e/y", "d/empty/")
    copy(source, target, ["d"], "/t")
    assert files(target) == ["t/", "t/e/", "t/e/y", "t/empty/", "t/x"]


def test_wildcards_match_within_a_component(source: Path, target: Path) -> None:
    make(source, "a.c", "b.c", ".c", "d/c.c", "e/f/g.c")
    copy(source, target, ["*.c"], "/1/")
    copy(source, target, ["*/*.c", "none*"], "/2/")
    copy(source, target, ["[ab].?"], "/3/")
    copy(source, target, ["**/*.c"], "/4/")
    assert files(target / "1") == [".c", "a.c", "b.c"]
    assert files(target / "2") == ["c.c"]
    assert files(target / "3") == ["a.c", "b.c"]
    assert files(target / "4") == [".c", "a.c", "b.c", "c.c", "g.c"]


def test_parents_keep_the_directories_above(source: Path, target: Path) -> None:
    make(source, "a/b/c.txt", "a/d/e.txt")
    copy(source, target, ["a/b/c.txt", "a/d"], "/1/", parents=True)
    copy(source, target, ["a/./b/c.txt"], "/2/", parents=True)
    assert files(target / "1") == ["a/", "a/b/", "a/b/c.txt", "a/d/", "a/d/e.txt"]
    assert files(target / "2") == ["b/", "b/c.txt"]


def test_what_is_excluded_or_ignored_does_not_come(source: Path, target: Path) -> None:
    make(source, "d/a.o", "d/a.c", "d/sub/b.o", "d/keep.o", "secret/x", "secret/y")
    copy(source, target, ["d"], "/1", exclude=["*.o", "!keep.o"])
    copy(source, target, ["."], "/2", ignore=["secret", "!secret/y", "d"])
    assert files(target / "1") == ["a.c", "keep.o", "sub/", "sub/b.o"]
    assert files(target / "2") == ["secret/", "secret/y"]
    with pytest.raises(NotFound, match=r"/d/a.c is not in the context: .dockerignore leaves it out"):
        copy(source, target, ["d/a.c"], "/3", ignore=["d"])


def test_a_source_that_is_not_there_is_told(source: Path, target: Path) -> None:
    with pytest.raises(NotFound, match=r"/none is not in the context: no such file or directory"):
        copy(source, target, ["none"], "/x")


def test_no_source_leaves_its_root(source: Path, target: Path, tmp_path: Path) -> None:
    make(tmp_path, "outside")
    make(source, "outside2")
    (source / "up").symlink_to("../outside")
    (source / "absolute").symlink_to(tmp_path / "outside")
    for path in ("../outside", "up", "absolute", "x/../../outside"):
        with pytest.raises(NotFound):
            copy(source, target, [path], "/x")
    copy(source, target, ["../../outside2"], "/x")
    assert files(target) == ["x"]


def test_a_link_that_is_named_is_followed_and_others_are_copied(source: Path, target: Path) -> None:
    make(source, "real/f")
    (source / "link").symlink_to("real")
    (source / "real" / "inner").symlink_to("/etc/passwd")
    copy(source, target, ["link"], "/d")
    assert files(target) == ["d/", "d/f", "d/inner"]
    assert os.readlink(target / "d" / "inner") == "/etc/passwd"


def test_links_of_the_image_are_followed_below_its_root_only(source: Path, target: Path, tmp_path: Path) -> None:
    make(source, "a", "d/b")
    (target / "out").symlink_to(tmp_path)
    (target / "up").symlink_to("../../../..")
    copy(source, target, ["a"], "/out/")
    copy(source, target, ["d"], "/up/e")
    assert sorted(os.listdir(tmp_path)) == ["source", "target"]
    assert (target / "e" / "b").exists()
    assert (target / str(tmp_path).lstrip("/") / "a").exists()


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_written_through(
    source: Path, target: Path, tmp_path: Path
) -> None:
    make(source, "a", "d/a")
    make(tmp_path, "victim")
    (target / "a").symlink_to(tmp_path / "victim")
    make(target, "e/")
    (target / "e" / "a").symlink_to("/victim")
    copy(source, target, ["a"], "/a")
    copy(source, target, ["d"], "/e")
    assert (tmp_path / "victim").read_text() == "victim"
    assert (target / "a").read_text() == "a"
    assert (target / "e" / "a").read_text() == "d/a"


def test_a_directory_is_not_copied_through_a_link_of_the_image(source: Path, target: Path, tmp_path: Path) -> None:
    make(source, "d/sub/f")
    make(target, "t/")
    (target / "t" / "sub").symlink_to(tmp_path)
    with pytest.raises(OrlopError, match="/t/sub is no directory in the image"):
        copy(source, target, ["d"], "/t")
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(("there", "sources", "to"), [("x/", ["d"], "/"), ("f", ["f"], "/f/"), ("f", ["d"], "/f/y")])
def test_a_file_and_a_directory_do_not_replace_each_other(
    source: Path, target: Path, there: str, sources: list[str], to: str
) -> None:
    make(source, "d/x", "f")
    make(target, there)
    with pytest.raises(OrlopError, match="in the image"):
        copy(source, target, sources, to)


def test_times_and_modes_come_along_and_made_directories_are_of_1970(source: Path, target: Path) -> None:
    make(source, "d/sub/f", "d/g")
    os.chmod(source / "d/g", 0o4751)
    os.chmod(source / "d/sub", 0o710)
    for name in ("d/sub/f", "d/g", "d/sub", "d"):
        os.utime(source / name, ns=(5, 7_000_000_001))
    os.utime(target, ns=(1, 1_000_000_000))
    copy(source, target, ["d"], "/new/er/")
    for name in ("new/er/sub/f", "new/er/g", "new/er/sub", "new/er"):
        assert os.stat(target / name).st_mtime_ns == 7_000_000_001, name
    assert os.stat(target / "new").st_mtime_ns == 0
    assert os.stat(target).st_mtime_ns == 1_000_000_000
    assert stat.S_IMODE(os.stat(target / "new/er/g").st_mode) == 0o4751
    assert stat.S_IMODE(os.stat(target / "new/er/sub").st_mode) == 0o710


def test_names_of_one_file_stay_names_of_one_file(source: Path, target: Path) -> None:
    make(source, "d/a", "d/e/")
    os.link(source / "d/a", source / "d/e/b")
    copy(source, target, ["d"], "/t")
    assert os.path.samefile(target / "t/a", target / "t/e/b")


def test_here_documents_are_files(source: Path, target: Path) -> None:
    copy(source, target, [], "/t/", documents=[steps.Document("a", "1\n"), steps.Document("b", "2\n")])
    copy(source, target, [], "/c", documents=[steps.Document("a", "3\n")])
    assert [(target / name).read_text() for name in ("t/a", "t/b", "c")] == ["1\n", "2\n", "3\n"]
    assert stat.S_IMODE(os.stat(target / "c").st_mode) == 0o644


def test_a_fifo_is_copied_and_a_socket_left_out(source: Path, target: Path) -> None:
    import socket

    os.mkfifo(source / "fifo", 0o640)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(source / "socket"))
        copy(source, target, ["."], "/")
    assert files(target) == ["fifo"]
    assert stat.S_ISFIFO(os.stat(target / "fifo").st_mode)


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("644", 0o100777, 0o644),
        ("04755", 0o100600, 0o4755),
        ("u=rwX,go=rX", 0o100700, 0o755),
        ("u=rwX,go=rX", 0o100600, 0o644),
        ("u=rwX,go=rX", 0o040700, 0o755),
        ("+x", 0o100644, 0o755),
        ("o-rwx", 0o100755, 0o750),
        ("g+s,+t", 0o040755, 0o3755),
        ("a=r", 0o100777, 0o444),
    ],
)
def test_a_mode_is_a_number_or_a_change(text: str, before: int, after: int) -> None:
    change = copying.permissions(text)
    assert change is not None
    assert change(before) == after


@pytest.mark.parametrize("text", ["9", "u", "u=q", "z+x", "77777", "u=r,"])
def test_a_mode_that_is_neither_is_told(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid mode"):
        copying.permissions(text)


def digest(root: Path, files: tree_digest.KnownFiles | None = None) -> str:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        made = tree_digest.TreeDigest(files or tree_digest.KnownFiles(), owners=False)
        made.add(tree.walk(descriptor))
        return made.result()
    finally:
        os.close(descriptor)


def test_a_digest_is_of_contents_names_and_modes_and_not_of_times(source: Path) -> None:
    make(source, "a", "d/b")
    first = digest(source)
    os.utime(source / "a", ns=(1, 1))
    assert digest(source) == first
    os.chmod(source / "a", 0o600)
    second = digest(source)
    os.rename(source / "a", source / "c")
    third = digest(source)
    (source / "c").write_text("b")
    assert len({first, second, third, digest(source)}) == 4


def test_only_files_that_changed_are_read_again(source: Path, tmp_path: Path) -> None:
    make(source, *(f"f{number}" for number in range(20)))
    for path in source.iterdir():
        os.utime(path, ns=(1, 1))
    known = tree_digest.KnownFiles(str(tmp_path / "known"))
    first = digest(source, known)
    # A file's own change time is now; until the clock has moved on, what was read does not count as known.
    while not (again := tree_digest.KnownFiles(str(tmp_path / "known")))._before:
        known = tree_digest.KnownFiles(str(tmp_path / "known"))
        assert digest(source, known) == first
        known.save()
    again = tree_digest.KnownFiles(str(tmp_path / "known"))
    (source / "f7").write_text("xx")
    assert digest(source, again) != first
    assert again.read < 20
    assert digest(source) == digest(source, again)


def test_a_damaged_list_of_known_files_is_none(source: Path, tmp_path: Path) -> None:
    make(source, "a")
    for content in ("", "{", "[]", '{"version": 1, "files": 5}', '{"version": 9}'):
        (tmp_path / "known").write_text(content)
        assert digest(source, tree_digest.KnownFiles(str(tmp_path / "known"))) == digest(source)


def test_directories_that_lie_too_deep_are_refused(source: Path) -> None:
    here = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
    made = []
    for _ in range(tree.DEEPEST + 2):
        os.mkdir("d", dir_fd=here)
        made.append(here)
        here = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
    os.close(here)
    try:
        with pytest.raises(InvalidArgument, match="lie in each other"):
            digest(source)
    finally:
        for holder in reversed(made):
            os.rmdir("d", dir_fd=holder)
            os.close(holder)
