"""A real S3 server on loopback."""

import contextlib
import logging
import threading

from pyarrow import fs

from tests.environment import variables

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


@contextlib.contextmanager
def running_s3(bucket):
    """Yield the environment variables with which the bucket of a server is reached."""
    from moto.server import ThreadedMotoServer  # takes seconds, which tests without it are spared

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    _write_in_one_step()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {**KEYS, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    try:
        with variables(environment):
            system = fs.S3FileSystem(
                scheme="http", endpoint_override=f"{host}:{port}", allow_bucket_creation=True
            )
            system.create_dir(bucket)
        yield environment
    finally:
        server.stop()


def _write_in_one_step():
    """Let the server check the condition of a write and write with no other write in between, like S3."""
    from moto.s3.responses import S3Response

    put, lock = S3Response.put_object, threading.Lock()

    def alone(response):
        with lock:
            return put(response)

    S3Response.put_object = alone


@contextlib.contextmanager
def s3_server(bucket="bucket"):
    """Yield the environment variables with which its bucket is reached; they are set while the block runs."""
    with running_s3(bucket) as environment, variables(environment):
        yield environment
