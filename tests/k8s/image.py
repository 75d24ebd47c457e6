"""What is in the image, from the Dockerfile and the constraints file."""

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.k8s.manifests import K8S, PROJECT

DOCKERFILE = (K8S / "Dockerfile").read_text()
BASE = re.search(r"^FROM rayproject/ray:(?P<ray>[\d.]+)-py(?P<python>\d+)\$\{VARIANT\}$", DOCKERFILE, re.M)
PINS = {
    canonicalize_name(line.partition("==")[0]): line.partition("==")[2]
    for line in (K8S / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
}
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
TAG = f"{PYPROJECT['version']}-ray{BASE['ray']}-py{BASE['python']}"


def copied():
    """The paths of the project that the Dockerfile copies."""
    found = re.findall(r"^COPY (?:--\S+ )*(.*) \S+$", DOCKERFILE, re.M)
    return [path for words in found for path in words.split()]


def installed():
    """The requirements that the Dockerfile installs."""
    named = re.search(r"^ +pip install .* '\.\[(\w+)\]'$", DOCKERFILE, re.M)[1]
    return [
        Requirement(each) for each in [*PYPROJECT["dependencies"], *PYPROJECT["optional-dependencies"][named]]
    ]
