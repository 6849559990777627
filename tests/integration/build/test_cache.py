"""What is done again, and what is not; and that the same inputs are the same image."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.build.conftest import Builder


def steps(builder: Builder, context: Path, *arguments: str) -> list[str]:
    """The instructions that were done, those from the cache in brackets."""
    result = builder.build(context, *arguments)
    assert result.code == 0, result
    names: dict[str, str] = {}
    found = []
    for line in result.err.splitlines():
        number, _, rest = line.partition(" ")
        if rest.startswith("["):
            names[number] = rest.partition("] ")[2]
        elif rest == "CACHED":
            found.append(f"({names[number]})")
        elif rest.startswith("DONE"):
            found.append(names[number])
    return found


def test_nothing_is_done_twice(builder: Builder) -> None:
    context = builder.context("FROM base\nCOPY f /f\nRUN cat /f >/g\nWORKDIR /w\n", f="1")
    assert steps(builder, context) == ["COPY f /f", "RUN cat /f >/g", "WORKDIR /w"]
    os.utime(context / "f", (1, 1))
    first = builder.build(context).out
    assert steps(builder, context) == ["(COPY f /f)", "(RUN cat /f >/g)", "(WORKDIR /w)"]
    assert builder.build(context).out == first


def test_a_changed_file_has_everything_after_it_done_anew(builder: Builder) -> None:
    context = builder.context("FROM base\nRUN echo a >/a\nCOPY f /f\nRUN cat /f >/g2\n", f="1", other="1")
    steps(builder, context)
    (context / "other").write_text("2")
    assert steps(builder, context)[-1] == "(RUN cat /f >/g2)"
    (context / "f").write_text("2")
    assert steps(builder, context) == ["(RUN echo a >/a)", "COPY f /f", "RUN cat /f >/g2"]
    os.chmod(context / "f", 0o600)
    assert steps(builder, context)[1] == "COPY f /f"


def test_arguments_count_from_where_they_are_declared(builder: Builder) -> None:
    context = builder.context("FROM base\nRUN echo before >/b\nARG V\nRUN echo $V >/v\n")
    steps(builder, context, "--build-arg", "V=1")
    assert steps(builder, context, "--build-arg", "V=2") == ["(RUN echo before >/b)", "RUN echo $V >/v"]
    assert steps(builder, context, "--build-arg", "V=1") == ["(RUN echo before >/b)", "(RUN echo $V >/v)"]


def test_a_stage_that_came_to_the_same_files_is_as_good_as_the_old_one(builder: Builder) -> None:
    text = "FROM base AS b\nCOPY f /in\nRUN wc -c </in >/out && touch -d @1 /out\nFROM base\nCOPY --from=b /out /out\nRUN cat /out >/o\n"
    context = builder.context(text, f="abc")
    steps(builder, context)
    (context / "f").write_text("xyz")
    done = steps(builder, context)
    assert "(COPY --from=b /out /out)" in done
    assert "(RUN cat /out >/o)" in done
    assert "COPY f /in" in done


def test_a_linked_layer_survives_a_changed_base(builder: Builder) -> None:
    context = builder.context("FROM base\nRUN echo 1 >/one\nCOPY --link f /d/f\nRUN cat /d/f >/linked\n", f="x")
    assert steps(builder, context)[1] == "COPY --link f /d/f"
    layer = builder.layers(builder.build(context).out.strip())[1]
    (context / "Dockerfile").write_text((context / "Dockerfile").read_text().replace("echo 1", "echo 2"))
    done = steps(builder, context)
    assert done == ["RUN echo 2 >/one", "(COPY --link f /d/f)", "RUN cat /d/f >/linked"]
    image = builder.build(context).out.strip()
    assert builder.layers(image)[1] == layer
    assert builder.output(image, "cat", "/linked", "/one") == "x2\n"


def test_the_cache_can_be_done_without(builder: Builder) -> None:
    context = builder.context(
        "FROM base AS a\nRUN echo a >/nc\nFROM base AS b\nRUN echo b >/nc\nCOPY --from=a /nc /x\n"
    )
    steps(builder, context)
    assert {*steps(builder, context, "--no-cache")[:2]} == {"RUN echo a >/nc", "RUN echo b >/nc"}
    done = steps(builder, context, "--no-cache-filter", "b")
    assert "(RUN echo a >/nc)" in done
    assert "RUN echo b >/nc" in done


def test_cache_mounts_stay_and_are_shared_private_or_locked(builder: Builder) -> None:
    mount = "--mount=type=cache,target=/c,id=kept"
    first = builder.built(f"FROM base\nRUN {mount} echo 1 >>/c/f; cat /c/f >/1\n")
    second = builder.built(f"FROM base\nRUN {mount},sharing=private echo 2 >>/c/f; cat /c/f >/2\n")
    third = builder.built(f"FROM base\nRUN {mount},sharing=locked,readonly ! touch /c/x && cat /c/f >/3\n")
    assert [builder.output(first, "cat", "/1"), builder.output(second, "cat", "/2")] == ["1\n", "1\n2\n"]
    assert builder.output(third, "cat", "/3") == "1\n2\n"
    other = builder.built(
        "FROM base AS s\nRUN mkdir /seed && echo s >/seed/f\nFROM base\n"
        "RUN --mount=type=cache,target=/c,id=seeded,from=s,source=/seed,mode=0700,uid=3 cat /c/f >/4; stat -c %a:%u /c >>/4\n"
    )
    assert builder.output(other, "cat", "/4") == "s\n700:3\n"


def test_what_is_pruned_is_done_again_and_images_stay_whole(builder: Builder) -> None:
    context = builder.context("FROM base\nRUN echo prune >/p\n")
    steps(builder, context, "-t", "kept:1")
    assert "RUN echo prune >/p" in builder.ok("builder", "du", "--verbose")
    builder.ok("rmi", "kept:1")
    assert steps(builder, context, "-t", "kept:1") == ["(RUN echo prune >/p)"]
    assert "Total:" in builder.ok("builder", "prune", "-f", "--filter", "type=regular")
    assert builder.ok("builder", "du", "--filter", "type=regular").splitlines()[-1] == "Total:\t0B"
    assert builder.output("kept:1", "cat", "/p") == "prune\n"
    assert steps(builder, context) == ["RUN echo prune >/p"]
    assert builder.ok("system", "check").endswith("no problems\n")


def test_the_cache_is_among_what_takes_space_and_is_pruned_with_everything(builder: Builder) -> None:
    builder.built("FROM base\nRUN --mount=type=cache,target=/c echo x >/c/x; echo x >/x\n")
    row = next(line for line in builder.ok("system", "df").splitlines() if line.startswith("Build Cache"))
    assert int(row.split()[2]) >= 2
    assert "(100%)" in row
    assert "Deleted build cache objects:" in builder.ok("system", "prune", "-f", "--filter", "until=0s")
    row = next(line for line in builder.ok("system", "df").splitlines() if line.startswith("Build Cache"))
    assert row.split() == ["Build", "Cache", "0", "0", "0B", "0B"]


def test_a_record_that_is_damaged_or_whose_layer_is_gone_is_none(builder: Builder) -> None:
    context = builder.context("FROM base\nRUN echo damaged >/d\n")
    builder.build(context)
    records = list((builder.root / "build/records").iterdir())
    for path in records:
        path.write_text(path.read_text()[:20])
    assert steps(builder, context) == ["RUN echo damaged >/d"]
    image = builder.build(context).out.strip()
    (layer,) = builder.layers(image)
    os.unlink(layer)
    assert steps(builder, context) == ["RUN echo damaged >/d"]
    builder.ok("rmi", image)


def test_the_same_inputs_give_the_same_digest_with_a_source_date(builder: Builder, tmp_path: Path) -> None:
    text = "FROM base\nWORKDIR /w\nCOPY f d ./\nRUN echo x >y && mkdir z\nCOPY <<E /doc\nhi\nE\nLABEL a=b\n"
    images = set()
    for number in range(2):
        context = builder.context(text, f="1", d__g="2")
        os.utime(context / "f", (2_000_000_000 + number, 2_000_000_000 + number))
        result = builder.build(context, "--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1700000000")
        assert result.code == 0, result
        images.add(result.out)
    assert len(images) == 1
    (image,) = images
    assert all(info.mtime <= 1_700_000_000 for info in builder.files(image.strip()).values())
    assert builder.image(image.strip())["Created"] == "2023-11-14T22:13:20Z"


def test_a_cache_goes_to_another_machine_by_a_directory(builder: Builder, tmp_path: Path, rootfs: Path) -> None:
    text = (
        "FROM base AS b\nRUN echo made >/m && touch -d @1 /m\nRUN true\n"
        "FROM base\nCOPY --link f /f\nCOPY --from=b /m /m\nRUN cat /m /f >/n\n"
    )
    context = builder.context(text, f="f")
    cache = tmp_path / "cache"
    assert len(steps(builder, context, "--cache-to", f"type=local,dest={cache}")) == 5
    image = builder.build(context).out
    builder.ok("save", "-o", str(tmp_path / "base.tar"), "base")
    other = type(builder)(tmp_path, rootfs)
    try:
        other.ok("load", "-i", str(tmp_path / "base.tar"))
        done = steps(other, context, "--cache-from", f"type=local,src={cache}")
        assert [each[0] for each in done] == ["("] * 5, done
        assert other.build(context).out == image
        assert other.output(image.strip(), "cat", "/n") == "made\nf"
        assert other.ok("system", "check").endswith("no problems\n")
        other.ok("builder", "prune", "-f")
        other.ok("rmi", image.strip())
        for path in (cache / "blobs/sha256").iterdir():
            if path.stat().st_size > 1000 and b"ustar" in path.read_bytes():
                path.write_bytes(b"something else")
        damaged = other.build(context, "--cache-from", f"type=local,src={cache}")
        assert "has something else as sha256:" in damaged.err
        missing = other.build(context, "--cache-from", f"type=local,src={tmp_path}/none")
        assert "there is no build cache in" in missing.err
    finally:
        other.close()


def test_builds_at_once_share_work_and_come_to_the_same(builder: Builder) -> None:
    context = builder.context(
        "FROM base\nRUN --mount=type=cache,target=/s,id=share echo ran >>/s/log; sleep 0.3; cp /s/log /l\n"
    )
    commands = [
        builder.popen("build", "-q", str(context), stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)
    ]
    done = [each.communicate(timeout=60) for each in commands]
    assert [each.returncode for each in commands] == [0, 0, 0], done
    assert builder.ok("system", "check").endswith("no problems\n")
    assert steps(builder, context)[0].startswith("(RUN")
    assert builder.output(builder.build(context).out.strip(), "cat", "/l") == "ran\n"


def test_only_files_that_changed_are_read_again(builder: Builder, needs: Callable[[str], None]) -> None:
    needs("strace")
    context = builder.context("FROM scratch\nCOPY . /\n")
    for number in range(300):
        (context / f"f{number}").write_bytes(b"x" * 1000)
    builder.build(context)
    log = context.parent / "trace"
    command = builder.command("build", "-q", str(context))
    subprocess.run(
        ["strace", "-f", "-e", "trace=openat", "-o", str(log), *command], check=True, capture_output=True, timeout=60
    )
    opened = sum('"f' in line and "O_NONBLOCK" in line for line in log.read_text(errors="replace").splitlines())
    assert opened < 30
