"""Where Ray looks for the token of a cluster that asks for one; this imports no Ray."""

TOKENS = (
    "the token is read from RAY_AUTH_TOKEN, from the file that RAY_AUTH_TOKEN_PATH names, or, with "
    "RAY_AUTH_MODE=token, from ~/.ray/auth_token; RAY_AUTH_MODE=disabled is for a cluster without tokens"
)
