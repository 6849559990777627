"""The same in an event loop."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, TypeVar

import pytest

import orlop
from orlop import aio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

T = TypeVar("T")


def in_loop(engine: orlop.Engine, act: Callable[[aio.Engine], Awaitable[T]]) -> T:
    """Do something with an asynchronous engine on the same directories."""

    async def main() -> T:
        location = engine.location
        async with aio.Engine(location.root, location.run_root) as made:
            return await act(made)

    return asyncio.run(main())


def test_programs_run_side_by_side(engine: orlop.Engine) -> None:
    async def act(made: aio.Engine) -> list[orlop.Result]:
        return await asyncio.gather(*(made.containers.run("plain", ["echo", str(number)]) for number in range(12)))

    assert [each.text for each in in_loop(engine, act)] == [f"{number}\n" for number in range(12)]


def test_input_output_and_errors_are_as_without_a_loop(engine: orlop.Engine) -> None:
    async def act(made: aio.Engine) -> None:
        data = b"x" * 1_000_000
        assert (await made.containers.run("plain", ["cat"], stdin=data)).stdout == data
        result = await made.containers.run("plain", ["sh", "-c", "head -c 9999 /dev/zero; exit 3"], output_limit=99)
        assert (result.exit_code, len(result.stdout), result.truncated) == (3, 99, True)
        with pytest.raises(orlop.CommandFailed):
            await made.containers.run("plain", ["false"], check=True)
        with pytest.raises(orlop.StartFailed):
            await made.containers.run("plain", ["nosuch"])
        with pytest.raises(orlop.ImageNotFound):
            await made.containers.run("nobody/has:this", pull="never")
        with pytest.raises(orlop.TimedOut) as caught:
            await made.containers.run("plain", ["sh", "-c", "echo begun; sleep 60"], timeout=0.3)
        assert caught.value.result.stdout == b"begun\n"

    in_loop(engine, act)


def test_a_pipe_is_input_without_blocking_the_loop(engine: orlop.Engine) -> None:
    async def act(made: aio.Engine) -> None:
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb", buffering=0) as file:
            run = asyncio.ensure_future(made.containers.run("plain", ["cat"], stdin=file))
            for number in range(3):
                os.write(writer, f"{number}\n".encode())
                await asyncio.sleep(0)
            os.close(writer)
            assert (await run).stdout == b"0\n1\n2\n"

    in_loop(engine, act)


def test_a_cancelled_run_is_cleaned_up(engine: orlop.Engine) -> None:
    async def act(made: aio.Engine) -> None:
        begun = time.time()
        run = asyncio.ensure_future(made.containers.run("plain", ["sleep", "1000"]))
        async for event in made.events(since=begun):
            if event.action == "start":
                break
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert await made.containers.list(all=True) == []

    in_loop(engine, act)


@pytest.mark.parametrize("detach", [False, True])
def test_a_run_that_is_cancelled_while_it_starts_leaves_nothing(engine: orlop.Engine, *, detach: bool) -> None:
    async def act(made: aio.Engine) -> None:
        for moment in (0, 0.002, 0.005, 0.01, 0.02):
            run = asyncio.ensure_future(
                made.containers.run("plain", ["sleep", "1000"], detach=True)
                if detach
                else made.containers.run("plain", ["sleep", "1000"])
            )
            await asyncio.sleep(moment)
            run.cancel()
            made_all_the_same = (await asyncio.gather(run, return_exceptions=True))[0]
            if isinstance(made_all_the_same, aio.Container):
                await made_all_the_same.remove(force=True)
            assert await made.containers.list(all=True) == []

    in_loop(engine, act)


def test_a_live_container(engine: orlop.Engine, tmp_path: Path) -> None:
    async def act(made: aio.Engine) -> None:
        begun = time.time()
        async with await made.containers.run("plain", ["sleep", "1000"], detach=True, name="live") as container:
            assert (container.status, container.name) == ("running", "live")
            assert await made.containers.get("live") == container
            assert (await container.exec(["cat"], stdin="in")).stdout == b"in"
            with pytest.raises(orlop.TimedOut):
                await container.exec(["sleep", "60"], timeout=0.2)
            await container.write_bytes("/tmp/x", b"content")
            assert await container.read_bytes("/tmp/x") == b"content"
            await container.get_file("/tmp/x", tmp_path / "x")
            await container.pause()
            assert container.status == "paused"
            await container.unpause()
            assert (await container.stats())["id"] == container.id
            waiting = asyncio.ensure_future(container.wait())
            await asyncio.sleep(0)
            await container.kill()
            assert await waiting == await container.wait() == 137
        found = [event.action async for event in made.events(since=begun, until=time.time())]
        assert found[:2] == ["create", "start"]
        assert found[-1] == "destroy"

    in_loop(engine, act)


def test_a_command_can_be_talked_to(engine: orlop.Engine) -> None:
    async def act(made: aio.Engine) -> None:
        async with await made.containers.run("plain", ["sleep", "1000"], detach=True) as container:
            async with await container.open(["sh"]) as shell:
                await shell.write(b"echo one\n")
                output = await shell.read()
                assert output is not None
                assert output.data == b"one\n"
                await shell.write(b"echo two; exit 4\n")
                assert [each.data async for each in shell] == [b"two\n"]
                assert shell.exit_code == 4
            async with await container.open(["cat"]) as cat:
                assert await cat.communicate(b"x" * 200_000) == (b"x" * 200_000, b"")

    in_loop(engine, act)


def test_logs_and_events_are_followed_until_nobody_wants_more(engine: orlop.Engine) -> None:
    async def act(made: aio.Engine) -> None:
        happened: list[str] = []

        async def listen() -> None:
            async for event in made.events():
                happened.append(event.action)
                if event.action == "die":
                    return

        listening = asyncio.ensure_future(listen())
        await asyncio.sleep(0)
        script = "echo one; read line; echo $line; sleep 1000"
        async with await made.containers.run("plain", ["sh", "-c", script], detach=True, interactive=True) as container:
            found = []
            async for entry in container.log_entries(follow=True):
                found.append(entry.data)
                if len(found) == 1:
                    async with await container.attach() as stream:
                        await stream.write(b"two\n")
                else:
                    break
            assert found == [b"one\n", b"two\n"]
            reading = asyncio.ensure_future(anext(container.log_entries(follow=True, tail=0)))
            await asyncio.sleep(0.05)
            reading.cancel()  # and the thread ends, or the engine would not close
            await asyncio.gather(reading, return_exceptions=True)
            assert await container.logs() == b"one\ntwo\n"
            await container.stop(0)
        await asyncio.wait_for(listening, 20)
        assert "die" in happened

    in_loop(engine, act)


def test_images_and_volumes_are_awaited(engine: orlop.Engine) -> None:
    async def act(made: aio.Engine) -> None:
        assert (await made.images.get("plain")) in await made.images.list()
        with pytest.raises(orlop.RegistryError):
            await made.images.pull("127.0.0.1:9/nobody:1")
        volume = await made.volumes.create("looped")
        assert await made.volumes.list() == [volume]
        await made.volumes.remove("looped")
        assert (await made.df())["containers"].total == 0

    in_loop(engine, act)


def test_a_cancelled_pull_ends_the_process_that_pulls(engine: orlop.Engine) -> None:
    async def act(made: aio.Engine) -> None:
        connected = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connected.set()
            await reader.read()  # says nothing until the other end is closed
            writer.close()
            ended.set()

        ended = asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        pull = asyncio.ensure_future(made.images.pull(f"127.0.0.1:{port}/slow:1"))
        await asyncio.wait_for(connected.wait(), 20)
        pull.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pull
        await asyncio.wait_for(ended.wait(), 20)
        server.close()
        await server.wait_closed()

    in_loop(engine, act)


def test_files_are_saved_and_cloned(engine: orlop.Engine) -> None:
    async def act(made: aio.Engine) -> None:
        async with await made.containers.run("plain", ["sleep", "1000"], detach=True) as container:
            await container.write_bytes("/answer", "42")
            await container.snapshots.create("right")
            await container.write_bytes("/answer", "43")
            async with await container.fork(snapshot="right") as clone:
                assert await clone.read_bytes("/answer") == b"42"
            await container.snapshots.restore("right", 0)
            assert await container.read_bytes("/answer") == b"42"
            await container.update(add_env={"LEVEL": "debug"})
            assert (await container.exec(["sh", "-c", "echo $LEVEL"])).text == "debug\n"
            assert {each.section for each in await container.explain()} > {"namespaces", "rights"}
        assert await made.check() == []

    in_loop(engine, act)
