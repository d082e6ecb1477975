"""The lab from the command line: build it, keep it running, or run a command in it."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from tests.lab import callees, ending
from tests.lab.ending import SIGNALLED
from tests.lab.errors import LabError
from tests.lab.laboratory import Lab, laboratory
from tests.lab.root import ensure_root

COMMAND_STOP_SECONDS = 10.0
NOT_FOUND = 127


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, do what they ask, and report a failure in one line."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    command = chosen.command_line if chosen.do == "run" else []
    if chosen.do == "run" and not command:
        parser.error("run needs a command: python -m tests.lab run -- COMMAND...")
    work: Coroutine[Any, Any, int]
    match chosen.do:
        case "build":
            work = _build()
        case "up":
            work = _up(chosen.folder)
        case _:
            work = _run(command, chosen.folder)
    try:
        return ending.run(work)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except SystemExit as ended:
        # Ctrl-C is the usual way to stop a lab that was kept up
        if chosen.do == "up" and ended.code == SIGNALLED + signal.SIGINT:
            return 0
        raise


def environment(lab: Lab) -> dict[str, str]:
    """The environment that a program needs to use the lab."""
    pbx, world = lab.pbx, lab.world
    return {
        "CCARI_ASTERISK__URL": pbx.ari_url,
        "CCARI_ASTERISK__USERNAME": pbx.ari_user,
        "CCARI_ASTERISK__PASSWORD_FILE": str(pbx.ari_password_file),
        "CCARI_ASTERISK__SPOOL": str(pbx.spool),
        # where the pbx's dialplan looks for it
        "CCARI_AGI__LISTEN": f"127.0.0.1:{pbx.agi_port}",
        "CCARI_LAB_PBX_SIP": f"127.0.0.1:{pbx.sip_port}",
        "CCARI_LAB_PHONE_PASSWORD": pbx.phone_password,
        "CCARI_LAB_WORLD_URL": world.ari_url,
        "CCARI_LAB_WORLD_USER": world.ari_user,
        "CCARI_LAB_WORLD_PASSWORD_FILE": str(world.ari_password_file),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lab",
        description="Two real Asterisks: pbx, under test, and world, everyone around it.",
    )
    actions = parser.add_subparsers(dest="do", required=True, metavar="build|up|run")
    actions.add_parser("build", help="fetch Asterisk into the cache, once")
    up = actions.add_parser("up", help="start the lab, say how to reach it, and keep it until Ctrl-C")
    run = actions.add_parser("run", help="run a command with the lab's addresses in its environment")
    for action in (up, run):
        action.add_argument(
            "--folder",
            action="append",
            type=Path,
            default=[],
            metavar="DIR",
            help="a folder the pbx sees, read-only, at the same path; may be repeated",
        )
    run.add_argument(
        "command_line", nargs="*", metavar="COMMAND", help="after --, the command and its arguments"
    )
    return parser


async def _build() -> int:
    print(await ensure_root())
    return 0


async def _up(folders: Sequence[Path]) -> int:
    async with laboratory(host_folders=folders) as lab:
        pbx = lab.pbx
        print(f"pbx    SIP 127.0.0.1:{pbx.sip_port}, softphone: user phone, password {pbx.phone_password}")
        for name, value in environment(lab).items():
            print(f"       {name}={value}")
        print(f"logs   {pbx.log}\n       {lab.world.log}\n\ncallees (the last two digits are free)")
        for callee in callees.directory():
            print(f"       {callee.number}  {callee.summary}")
        print("\nCtrl-C ends it", flush=True)
        await asyncio.Event().wait()
    return 0


async def _run(command: Sequence[str], folders: Sequence[Path]) -> int:
    async with laboratory(host_folders=folders) as lab:
        try:
            process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **environment(lab)})
        except OSError as error:
            print(f"lab: cannot run {command[0]}: {error.strerror}", file=sys.stderr)
            return NOT_FOUND
        try:
            code = await process.wait()
        finally:
            await _end(process)
    return code if code >= 0 else SIGNALLED - code


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(COMMAND_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    sys.exit(main())
