# SPDX-License-Identifier: BSD-2-Clause
"""Pieces of configuration that several tests use, and the files that belong to them."""

HELLO = b"Hello from the matrix.\n"
SMUGGLED = b"SMUGGLED"


def respond_route(path, body, more="", status=200):
    """A fixed reply; body as libconfig writes it."""
    return (f'{{ path = "{path}"; {more} '
            f'respond : {{ status = {status}; type = "text/plain"; body = "{body}"; }}; }}')


def root_route(folder, path="/", more=""):
    return f'{{ path = "{path}"; root = "{folder}"; index = [ "index.html", "index.htm" ]; {more} }}'


def http_service(*routes, name="web", listen="127.0.0.1:0"):
    return (f'{{ name = "{name}"; protocol = "http"; listen = "{listen}"; '
            f'routes = ( {", ".join(routes)} ); }}')


def tiny_service(protocol, name=None, more="", listen="127.0.0.1:0"):
    return f'{{ name = "{name or protocol}"; protocol = "{protocol}"; listen = "{listen}"; {more} }}'


RESPOND_HELLO = respond_route("/hello", "Hello from the matrix.\\n")
RESPOND_SMUGGLED = respond_route("/smuggled", "SMUGGLED")


def file_site(folder, name="web"):
    """Files of a folder, the fixed reply /hello, and /smuggled, which no test should ever get."""
    return http_service(root_route(folder), RESPOND_HELLO, RESPOND_SMUGGLED, name=name)
