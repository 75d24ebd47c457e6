"""Where MLflow is: the address of its server or database, and how it is shown."""

import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from raysweep.errors import UserError
from raysweep.store.files import Files

DATABASE = "mlflow.db"
SECRET = re.compile("pass|pwd|token|secret|key", re.IGNORECASE)  # in names of what a query holds


def tracking_uri(files: Files) -> str:
    """Return the URI of the tracking server or database.

    Raises `UserError` for a root in object storage when MLFLOW_TRACKING_URI is not set.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI")
    if given:
        return given
    if files.directory is None:
        raise UserError(
            f"root {files.root}: object storage holds no MLflow database; set MLFLOW_TRACKING_URI to a "
            "tracking server, or tracking.enabled to false"
        )
    return database_uri(files.directory / DATABASE)


def database_uri(path: Path) -> str:
    """Return the URI of an SQLite database at an absolute path.

    MLflow makes the folder that follows `sqlite:///` as it is written. Where that is quoted it is another
    folder, so that such a URI names the driver, which keeps MLflow from making any.
    """
    quoted = quote(str(path))
    return f"sqlite:///{path}" if quoted == str(path) else f"sqlite+pysqlite:///{quoted}"


def is_own_database(files: Files, uri: str) -> bool:
    """Whether this is the database that lies in the root."""
    return files.directory is not None and uri == database_uri(files.directory / DATABASE)


def shown(uri: str) -> str:
    """Return a URI without the name and the password of a user, which may also be in its query."""
    parts = urlsplit(uri)
    _, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=host, query="")) if at or parts.query else uri


def without_password(text: str, uri: str) -> str:
    """Return a message of MLflow's without the name, the password and the query that the URI holds."""
    parts = urlsplit(uri)
    user, at, _ = parts.netloc.rpartition("@")
    values = [value for name, value in parse_qsl(parts.query) if SECRET.search(name)]
    hidden = {f"{user}{at}": "", user: "***", user.partition(":")[2]: "***", f"?{parts.query}": ""}
    for secret, shown_as in (hidden | dict.fromkeys(values, "***")).items():
        if secret.strip("?"):
            text = text.replace(secret, shown_as)
    return text
