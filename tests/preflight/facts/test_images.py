"""Names of images, scripts that shells can read, files an image is given, and the tag of a tree."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.preflight.trees import write

from preflight.cluster import image_reference
from preflight.facts.images import ContainerImage, container_images
from preflight.findings import CheckError
from preflight.model import Model
from preflight.render.load import load
from preflight.repository.config import Config, ContainerConfig
from preflight.repository.content_tag import tag_of_tree
from preflight.repository.shell_syntax import problem_of

POD = """\
=== pod.yaml
apiVersion: v1
kind: Pod
metadata: {name: shop}
spec: {containers: [{name: shop, image: shop:1, args: [serve]}]}
=== start.sh
#!/bin/sh
exec serve "$@"
=== Dockerfile
"""


class Known:
    """An app of which only the Dockerfile is told."""

    config = ContainerConfig(dockerfile="Dockerfile")


def image_of(folder: Path, dockerfile: str) -> ContainerImage:
    root = write(folder, POD + dockerfile)
    objects = load(str(root / "pod.yaml"), root).objects
    model = Model(root=root, config=Config(), target="pod.yaml", objects=objects, apps={"shop": Known()})  # type: ignore[arg-type] # only config is asked
    return next(iter(container_images(model).values()))


@pytest.mark.parametrize(
    ("image", "registry", "repository", "tag"),
    [
        ("redis", "", "redis", ""),
        ("redis:8.2.1-alpine", "", "redis", "8.2.1-alpine"),
        ("localhost/worker:t1", "localhost", "worker", "t1"),
        ("localhost:5000/a/b", "localhost:5000", "a/b", ""),
        ("ghcr.io/owner/name:v1@sha256:" + "a" * 64, "ghcr.io", "owner/name", "v1"),
        ("library/redis:8", "", "library/redis", "8"),
    ],
)
def test_a_good_name_is_taken_apart(image: str, registry: str, repository: str, tag: str) -> None:
    name = image_reference.parse(image)
    assert (name.registry, name.repository, name.tag, name.problem) == (registry, repository, tag, "")


@pytest.mark.parametrize(
    "image",
    [
        "ghcr.io/Owner/name:1",
        "name:",
        "name:a b",
        "a//b",
        "name@sha256:abc",
        "x/y:1:2",
        "<image>",
        "-a:1",
        ":1",
    ],
)
def test_what_the_kubelet_does_not_take_has_a_problem(image: str) -> None:
    assert image_reference.parse(image).problem


@given(st.text(max_size=60))
def test_any_text_can_be_taken_apart(text: str) -> None:
    image_reference.parse(text)
    image_reference.is_placeholder(text)


def test_a_shell_reads_and_does_not_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    assert problem_of(f"touch {made}\n$(touch {made})\n") == ""
    assert not made.exists()
    assert "nterminated" in problem_of("exec app 'x") or "EOF" in problem_of("exec app 'x")
    assert problem_of("if [[ -n $A ]]; then echo <(date); fi") == "", "what bash or busybox take is no fault"
    assert problem_of("while true; do sleep 1")


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("RUN printf '#!/bin/sh\\nexec %s\\n' serve > /run.sh", "#!/bin/sh\nexec serve\n"),
        ("RUN echo 'exec serve' >/run.sh && chmod +x /run.sh", "exec serve\n"),
        ("RUN cat <<'X' > /run.sh\nexec serve\nX", "exec serve"),
        ("COPY <<X /run.sh\nexec serve\nX", "exec serve\n"),
        ("COPY start.sh /run.sh", '#!/bin/sh\nexec serve "$@"\n'),
    ],
)
def test_what_a_script_in_the_image_holds_is_known(lines: str, text: str, tmp_path: Path) -> None:
    found = image_of(tmp_path, f"FROM alpine\n{lines}\n").text_of("/run.sh")
    assert found is not None
    assert found[0] == text


def test_the_command_is_put_together_as_the_kubelet_does(tmp_path: Path) -> None:
    image = image_of(tmp_path, 'FROM alpine\nENTRYPOINT ["tini", "--", "shop"]\nCMD ["help"]\n')
    assert image.start.words == ("shop", "serve")
    shell = image_of(tmp_path, "FROM alpine\nENTRYPOINT shop --port 80\n")
    assert shell.start.script == "shop --port 80"
    with pytest.raises(CheckError, match="has none"):
        image_of(tmp_path, "# nothing\n")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("print('t1')", "t1"),
        ("print('two words')", "no tag"),
        ("raise SystemExit('not a checkout')", "not a checkout"),
        ("import time; time.sleep(60)", "longer than"),
    ],
)
def test_the_tag_of_a_tree_is_what_its_command_prints(program: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "tag.py").write_text(program + "\n")
    command = ("python3", "tag.py")
    if said == "t1":
        assert tag_of_tree(tmp_path, command) == "t1"
        return
    with pytest.raises(CheckError, match=said) as raised:
        tag_of_tree(tmp_path, command, seconds=2)
    assert "\n" not in str(raised.value)
