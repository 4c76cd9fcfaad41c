# One image for all three workers; the container's argument names the worker.
# Plain instructions only, so that every builder that images/build knows takes it.
ARG BASE=python:3.14.7-slim-trixie@sha256:51dafde81dbdb6ebde285137a295cf18a47ca95234fe388a343719cb97305b3d

FROM ${BASE} AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never
# the hashes are those of the two wheels for linux, amd64 and arm64
RUN python3 -m venv /opt/uv \
 && printf 'uv==0.13.8 --hash=sha256:%s --hash=sha256:%s\n' \
      e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984 \
      0b3e8b1a4f5e405e31e2ff33de8af4744831e9f7338539671efbd8c3c94e791d > /opt/uv/uv.txt \
 && /opt/uv/bin/python -m pip install --no-cache-dir --require-hashes -r /opt/uv/uv.txt
COPY images/requirements.txt /opt/
RUN /opt/uv/bin/uv venv --python "$(command -v python3)" /opt/vhm \
 && /opt/uv/bin/uv pip install --python /opt/vhm --require-hashes --no-deps -r /opt/requirements.txt
COPY apps/vhm /opt/source/vhm
RUN site="$(/opt/vhm/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
 && cp -R /opt/source/vhm "$site" \
 && /opt/vhm/bin/python -m compileall -q "$site/vhm" \
 && printf '#!/opt/vhm/bin/python\nfrom vhm.cli import main\n\nmain()\n' > /opt/vhm/bin/vhm \
 && chmod 755 /opt/vhm/bin/vhm

FROM ${BASE}
COPY --from=build /opt/vhm /opt/vhm
ARG BUILD=
ENV PATH=/opt/vhm/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    VHM_BUILD=${BUILD}
WORKDIR /tmp
USER 10001:10001
# no worker that cannot be imported, and none without the libraries that are imported late, leaves the builder
RUN python -c "import importlib, pkgutil, vhm; \
      own = [m.name for m in pkgutil.walk_packages(vhm.__path__, 'vhm.')]; \
      late = 'confluent_kafka numpy onnxruntime openai portkey_ai qdrant_client tokenizers uvicorn'.split(); \
      [importlib.import_module(name) for name in own + late]" \
 && vhm --version
EXPOSE 8080
ENTRYPOINT ["vhm"]
