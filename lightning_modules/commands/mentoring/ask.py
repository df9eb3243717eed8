"""``appraise mentor``: ask an operator on a page, or move answers out of a store and into it."""

from __future__ import annotations

import argparse
import getpass
import secrets
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from datamodules.common.errors import ConfigurationError, StoreError, number_of
from datamodules.inspection.store.copies import backup, recover
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.inspection.store.order import ORDERS
from datamodules.inspection.store.schema import WRITABLE, may_be_written
from lightning_modules.commands.front.bare_options import SentenceParser
from lightning_modules.commands.front.errors import CommandLineError

FORMATS = ("coco", "yolo", "label-studio", "csv")
PORT = 8350


def build_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = SentenceParser(prog="appraise mentor", description="Ask an operator about what a model found.")
    add = parser.add_argument
    add("--store", required=True, metavar="FILE", help="feedback store, written by `appraise predict`")
    add("--run", type=int, metavar="N", help="mining run (default: the newest)")
    add("--annotator", default=_user(), metavar="NAME", help="name that answers are saved under (default: yours)")
    add("--order", choices=ORDERS, default="any", help="order of the questions (default: any, image by image)")
    add("--seed", type=int, default=0, metavar="N", help="of the random orders")
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="address to serve on (default: this machine alone)")
    add("--port", type=int, default=PORT, metavar="N", help=f"port to serve on; 0 takes a free one (default: {PORT})")
    add("--token", metavar="TEXT", help="secret that the page needs; made up where other machines can connect")
    add("--public-url", metavar="URL", help="where a proxy shows the page, such as https://example.org/mentor/")
    add("--export", choices=FORMATS, help="write the answers in this format to --output, and stop")
    add("--output", metavar="DIR", help="folder of the export")
    add(
        "--import",
        dest="source",
        metavar="PATH",
        help="take over a store, or a file or folder of such a format, and stop",
    )
    add("--root", metavar="DIR", help="folder below which images of an import are looked for")
    add(
        "--on-error",
        "--on_error",
        choices=("fail", "skip"),
        default="fail",
        help="what to do with bad entries",
    )
    add("--backup", metavar="FILE", help="write a whole copy of the store, and stop")
    add("--recover", metavar="FILE", help="write what can be read of a damaged store into a new one, and stop")
    add("--agreement", action="store_true", help="print how far annotators agree, and stop")
    return parser


def run(command: str, arguments: Sequence[str]) -> int:
    """Serve the page until Ctrl-C, or export, or import.

    Raises:
        ConfigurationError: If options cannot work together, or the port is taken.
        StoreError: If the store cannot be used.
    """
    options = build_parser().parse_args(arguments)
    if options.export is not None and options.output is None:
        raise CommandLineError("--export needs a folder: add --output DIR")
    if options.recover is not None:
        return _say(recover(Path(options.store), Path(options.recover)))
    is_new = not Path(options.store).expanduser().exists()
    with FeedbackStore(options.store, create=options.source is not None) as store, _removed(store, is_new):
        if options.backup is not None:
            return _say([backup(store, Path(options.backup))])
        store.require_whole()
        if options.source is not None:
            return _import(store, options)
        if options.export is not None:
            return _export(store, options)
        if options.agreement:
            return _agreement(store, options)
        return serve(store, options)


@contextmanager
def _removed(store: FeedbackStore, is_new: bool) -> Iterator[None]:
    """Leave no empty store behind where an import into a new one fails."""
    try:
        yield
    except BaseException:
        if is_new:
            store.close()
            for name in (store.path, f"{store.path}-wal", f"{store.path}-shm"):
                Path(name).unlink(missing_ok=True)
        raise


def serve(store: FeedbackStore, options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    try:
        import uvicorn  # the page's packages are an extra, and the other uses of this command need none of them

        from datamodules.feedback.guard import is_loopback
        from datamodules.feedback.public_address import public_address
        from datamodules.inspection.server import PageSettings, build_app
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the feedback page needs the package {error.name}: install it with `pip install 'appraise[page]'`"
        ) from error
    if not may_be_written(store.path):
        raise StoreError(f"{store.path} may only be read, so no answer could be saved: {WRITABLE}")
    public = None if options.public_url is None else public_address(options.public_url)
    alone = is_loopback(options.host) and public is None
    token = options.token or (None if alone else secrets.token_urlsafe(16))
    settings = PageSettings(
        host=options.host,
        token=token,
        public=public,
        annotator=options.annotator,
        order=options.order,
        run=options.run,
        seed=options.seed,
    )
    app = build_app(store, settings)
    with suppress(KeyboardInterrupt), _listen(options.host, options.port) as listener:  # Ctrl-C is the way to stop it
        address = page_address(options.host, listener.getsockname()[1], token)
        if public is not None:
            address = f"{public.url}#token={token}\nthe proxy passes it on to {address.partition('#')[0]}"
        sys.stdout.write(f"{address}\nCtrl-C stops; answers are saved as they come\n")
        sys.stdout.flush()
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
        uvicorn.Server(config).run(sockets=[listener])
    stored = number_of(len(store.answers()), "answer")
    return _say([f"stopped: {stored} stored in {store.path}; the same command goes on with the open questions"])


def page_address(host: str, port: int, token: str | None) -> str:
    """Address to open in a browser; the token is behind the #, so that it is never sent or logged.

    Example:
        >>> page_address("127.0.0.1", 8350, None)
        'http://127.0.0.1:8350/'
    """
    shown = socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/" + (f"#token={token}" if token else "")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"cannot serve on {host} port {port} ({error}): try --port 0 for a free one"
        ) from error


def _export(store: FeedbackStore, options: argparse.Namespace) -> int:
    from datamodules.inspection.store.exchange.formats import export_store

    written = export_store(store, options.export, Path(options.output), None if options.run is None else [options.run])
    sys.stdout.write("".join(f"{path}\n" for path in written))
    return 0


def _import(store: FeedbackStore, options: argparse.Namespace) -> int:
    from datamodules.inspection.store.exchange.formats import import_into

    root = None if options.root is None else Path(options.root).expanduser()
    said = import_into(
        store, Path(options.source).expanduser(), options.annotator, root=root, on_error=options.on_error
    )
    return _say([said])


def _say(lines: Sequence[str]) -> int:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def _agreement(store: FeedbackStore, options: argparse.Namespace) -> int:
    found = store.agreement(None if options.run is None else [options.run])
    lines = [f"{found.questions} questions answered by two or more, {found.unanimous} of them alike"]
    for pair in found.pairs:
        kappa = "" if pair.kappa is None else f", kappa {pair.kappa:.2f}"
        lines.append(
            f"{pair.first} and {pair.second}: {pair.agreed} of {pair.questions} alike ({pair.share:.0%}){kappa}"
        )
    if found.disputed:
        lines.append(f"{len(found.disputed)} detections without a majority are left out of training")
    return _say(lines)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "operator"
