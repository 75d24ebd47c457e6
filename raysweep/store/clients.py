"""Clients of object storage, configured like other tools: by environment variables and profiles."""

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from obstore.store import GCSStore, S3Store

from raysweep.errors import UserError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3CredentialProvider

SECONDS = 60  # how long a request may remain unanswered
ATTEMPTS = 8  # attempts of a request that fails with status 5xx, a timeout or a lost connection
REPEATED = timedelta(minutes=4)  # how long a request is repeated: its signature is valid for five minutes
LONGEST = timedelta(hours=4)  # how long the answer to one request may take that goes on arriving


def s3_store(bucket: str, prefix: str) -> S3Store:
    """Connect to S3, or to what AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL names."""
    provider = _profile()
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return S3Store(
        bucket,
        prefix=prefix or None,
        config={"region": region} if region else {},
        client_options=_options(),
        retry_config=_retries(),
        credential_provider=provider,
        disable_bulk_delete=True,  # which not every storage knows
    )


def gs_store(bucket: str, prefix: str) -> GCSStore:
    """Connect to Google's endpoint, or to the emulator that STORAGE_EMULATOR_HOST names."""
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    return GCSStore(
        bucket,
        prefix=prefix or None,
        config={"base_url": emulator, "skip_signature": True} if emulator else {},
        client_options=_options(),
        retry_config=_retries(),
    )


def _options() -> "ClientConfig":
    return {
        "allow_http": True,  # for endpoints that begin with it
        "connect_timeout": timedelta(seconds=10),
        "read_timeout": timedelta(seconds=SECONDS),
        "timeout": LONGEST,
    }


def _retries() -> "RetryConfig":
    return {"max_retries": ATTEMPTS - 1, "retry_timeout": REPEATED}


def _profile() -> "S3CredentialProvider | None":
    """Return what reads the profiles of ~/.aws, if credentials come from there and not from the environment.

    Raises `UserError` where they cannot be read.
    """
    kept = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")).expanduser()
    named = os.environ.get("AWS_PROFILE")
    if os.environ.get("AWS_ACCESS_KEY_ID") or not (named or kept.exists()):
        return None
    try:
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError as error:
        where = f"the profile {named} (AWS_PROFILE)" if named else str(kept)
        raise UserError(f"the credentials of {where} are read by boto3: pip install boto3") from error
    try:
        provider: S3CredentialProvider = Boto3CredentialProvider()
    except (BotoCoreError, ValueError) as error:
        raise UserError(f"the credentials of S3 cannot be read: {error}") from error
    return provider
