"""Command line of the miniature host; see the package's docstring."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from .app import App
from .front import Front
from .worker import InvocationFailed, Worker


def describe(worker: Worker) -> dict:
    return {
        "engine": worker.version,
        "functions": {f.name: f.bindings for f in worker.app.functions},
        "problems": worker.app.problems,
    }


async def serve(worker: Worker, front: Front, port: int) -> None:
    """Announce the address in one line, then run until whoever started this closes our standard input."""
    runner, port = await front.listen(port)
    print(json.dumps({"base_url": f"http://127.0.0.1:{port}", **describe(worker)}), flush=True)
    # Ends also when the parent was killed, so no host outlives its test run.
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


async def main(options: argparse.Namespace) -> int:
    app = App.load(options.app)
    try:
        async with Worker(app) as worker:
            front = Front(worker)
            if options.serve is not None:
                await serve(worker, front, options.serve)
            else:
                print(json.dumps(describe(worker), indent=2))
    except InvocationFailed as e:
        app.problem("app", f"does not index: {e}\n{e.stack}")
        print("\n".join(app.problems), file=sys.stderr)
    return 1 if app.problems else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.minihost")
    parser.add_argument("--app", type=Path, default=Path.cwd(), help="folder with function_app.py and host.json")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="index; print what was found as JSON; exit 1 on problems")
    what.add_argument("--serve", type=int, metavar="PORT", help="serve until stdin closes; 0 takes a free port")
    sys.exit(asyncio.run(main(parser.parse_args())))
