"""`serve COLLECTION`: the web page and JSON interface over an indexed collection."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gqa_reasoner.web.service import Service


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    from gqa_reasoner.pipeline import EXPANSION_MODES

    add = parser.add_argument
    add("collection", type=Path, help="an index, or the folder that was indexed")
    add("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    add("--port", type=int, default=8000, help="0 takes a free one (default: 8000)")
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a host name, beside addresses and localhost, that the page may be called by",
    )
    add(
        "--expansion",
        choices=EXPANSION_MODES,
        help="source of context (default: triples, or both with --coclick-log)",
    )
    add(
        "--coclick-log",
        type=Path,
        metavar="FILE",
        help="agree that questions and opened pictures are appended to this local file, which "
        "the expansion then uses",
    )
    add("--detector", metavar="SPEC", help="default: the one that the index was made with")
    add("--weights", type=Path, metavar="DIR", help="default: the shipped weights")
    add("--triples", type=Path, metavar="STORE", help="a store built by `knowledge`")
    add("--ontology", type=Path, metavar="FILE", help="built by `ontology build`")
    add("--encoder", type=Path, metavar="MODEL", help="the index's encoder, where it has moved")
    add("--reranker", type=Path, metavar="MODEL", help="looks again at the best of visual search")
    add("--seed", type=int, default=0, help="of the random and shuffled controls")
    add("--queue", type=int, default=96, help="questions that may wait (default: 96)")
    add("--time-limit", type=float, default=30.0, metavar="SECONDS", help="of a request")
    add("--upload-limit", type=float, default=20.0, metavar="MIB", help="of an uploaded picture")


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; requests that are running are finished."""
    from detectors.errors import InputError

    for name in ("queue", "time_limit", "upload_limit"):
        if getattr(arguments, name) <= 0:
            raise InputError(f"--{name.replace('_', '-')}: expected more than 0")
    try:
        from gqa_reasoner.web.application import create_app
        from gqa_reasoner.web.server import listen, run_server
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "gqa_reasoner":
            raise
        raise InputError(
            f"serving needs {error.name}: pip install 'gqa-reasoner[collection,serve]'"
        ) from None
    listener = listen(arguments.host, arguments.port)
    service = _create_service(arguments)
    app = create_app(service, hosts=[*arguments.allow_host, arguments.host])

    def ready(address: str) -> None:
        count = len(service.library)
        print(f"{service.library.name}: {count} pictures at {address}", file=sys.stderr, flush=True)

    run_server(app, listener, service.limits, ready)
    return 0


def _create_service(arguments: argparse.Namespace) -> Service:
    """The service that the options describe."""
    from gqa_reasoner.collection.database import read_settings
    from gqa_reasoner.pipeline import Reasoner
    from gqa_reasoner.web.clicks import open_click_log
    from gqa_reasoner.web.limits import Limits
    from gqa_reasoner.web.opening import index_folder_of, open_service
    from gqa_reasoner.web.service import ServiceOptions

    folder = index_folder_of(arguments.collection)
    detector = arguments.detector or read_settings(folder).get("detector") or "default"
    log = open_click_log(arguments.coclick_log) if arguments.coclick_log is not None else None
    limits = Limits(
        queue=arguments.queue,
        request_seconds=arguments.time_limit,
        upload_bytes=int(arguments.upload_limit * (1 << 20)),
    )
    reasoner = Reasoner.from_pretrained(
        arguments.weights,
        detector_spec=detector,
        store_path=arguments.triples,
        ontology_path=arguments.ontology,
        seed=arguments.seed,
    )
    options = ServiceOptions(
        expansion=arguments.expansion or ("both" if log is not None else "triples"),
        click_log=log,
        limits=limits,
    )
    return open_service(
        folder, reasoner, options, encoder=arguments.encoder, reranker=arguments.reranker
    )
