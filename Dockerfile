# One image for every part of katib-py: controller, suggestion services, db-manager, collector.
#   docker build -t katib-py .                            or with podman, or buildah bud
#   docker build --build-arg EXTRAS=controlplane,torch …  with what trials of your own import
ARG BASE_IMAGE=docker.io/library/python:3.12-slim

FROM ${BASE_IMAGE} AS build
ARG EXTRAS=controlplane
# The root file system is read-only where this runs, so the byte code is made here.
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=/opt/katib-py
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --quiet 'uv>=0.9'
WORKDIR /src
COPY pyproject.toml uv.lock README.md ./
RUN /opt/uv/bin/uv sync --quiet --frozen --no-default-groups --no-install-project $(echo "${EXTRAS}" | sed 's/[^,]*/--extra &/g; s/,/ /g')
COPY . .
RUN /opt/uv/bin/uv sync --quiet --frozen --no-default-groups --no-editable $(echo "${EXTRAS}" | sed 's/[^,]*/--extra &/g; s/,/ /g')
# A fifth of that are the tests of others, and the byte code of Kubernetes' typed models, of which none is ever loaded.
RUN find /opt/katib-py \( -name tests -o -path '*/kubernetes/*/models/__pycache__' \) -type d -prune -exec rm -r {} +

FROM ${BASE_IMAGE}
COPY --from=build /opt/katib-py /opt/katib-py
ENV PATH=/opt/katib-py/bin:${PATH} PYTHONUNBUFFERED=1 HOME=/tmp KATIB_HOME=/tmp/katib
WORKDIR /tmp
USER 1000:1000
ENTRYPOINT ["katib-py"]
