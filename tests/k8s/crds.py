"""KubeRay's custom resource definitions as JSON schemas that refuse unknown fields."""

import os
from functools import cache
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.k8s.manifests import PROJECT

FOLDER = Path(os.environ.get("RAYSWEEP_CRDS", PROJECT.parent / "shared" / "kuberay-crds"))
CHILDREN = ("items", "additionalProperties")
KEPT = ("type", "enum", "pattern", "required", "minItems", "maxLength", "minimum", "anyOf")


@cache
def validator(kind, version="v1"):
    """A validator for a kind such as RayJob."""
    path = FOLDER / f"ray.io_{kind.lower()}s.yaml"
    if not path.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{path} is missing (RAYSWEEP_CRDS): in CI a missing schema is a failure")
        pytest.skip(f"KubeRay's schemas are not in {FOLDER} (RAYSWEEP_CRDS)")
    definition = yaml.load(path.read_text(), yaml.CSafeLoader)
    (found,) = [each for each in definition["spec"]["versions"] if each["name"] == version]
    schema = strict(found["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}  # of every object, and not repeated in a definition
    return Draft202012Validator(schema)


def strict(schema):
    """Turn a structural schema into a JSON schema in which only the named fields are allowed.

    An API server drops unknown fields without a word; here they are errors.
    """
    found = {key: schema[key] for key in KEPT if key in schema}
    if schema.get("nullable"):
        found["type"] = [found["type"], "null"]
    if "properties" in schema:
        found["properties"] = {name: strict(each) for name, each in schema["properties"].items()}
    for key in CHILDREN:
        if isinstance(schema.get(key), dict):
            found[key] = strict(schema[key])
    open_ended = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    if schema.get("type") == "object" and not open_ended:
        found["additionalProperties"] = False
    return found


def faults(thing):
    """What the schema says against a custom resource: a line each."""
    return [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in validator(thing["kind"]).iter_errors(thing)
    ]
