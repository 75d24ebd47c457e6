"""A real S3 server on loopback."""

import contextlib
import logging
import os

from moto.server import ThreadedMotoServer
from pyarrow import fs

from tests.environment import restore

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


@contextlib.contextmanager
def s3_server(bucket="bucket"):
    """Yield the environment variables with which its bucket is reached; they are set meanwhile."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {**KEYS, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    before = {key: os.environ.get(key) for key in environment}
    os.environ.update(environment)
    try:
        system = fs.S3FileSystem(
            scheme="http", endpoint_override=f"{host}:{port}", allow_bucket_creation=True
        )
        system.create_dir(bucket)
        yield environment
    finally:
        restore(before)
        server.stop()
