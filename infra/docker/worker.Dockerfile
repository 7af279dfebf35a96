# Beam's workers on Dataflow, Flink or Kubernetes, and the launcher of the flex template: one image, so that the driver of a template
# and its workers cannot differ. From the root of the repository, after `.venv/bin/python -m build --wheel`:
#   docker build -f infra/docker/worker.Dockerfile --build-arg WHEEL=starmill-0.1.0-py3-none-any.whl -t starmill-pipelines:0.1.0 .
# To reproduce the same layers, name the base images by digest: --build-arg DEBIAN=debian@sha256:...
ARG DEBIAN=debian:12.11-slim
ARG BEAM=apache/beam_python3.11_sdk:2.77.0
ARG LAUNCHER=gcr.io/dataflow-templates-base/python311-template-launcher-base:flex_templates_base_image_release_20240628_RC00

FROM ${BEAM} AS beam
FROM ${LAUNCHER} AS launcher
FROM ${DEBIAN}
ARG WHEEL
RUN --mount=type=bind,target=/source sh /source/infra/docker/install.sh worker "/source/dist/${WHEEL}" /source/constraints.txt
# The only files from other images: Beam's program that starts a worker process, and Google's launcher of a template.
COPY --from=beam /opt/apache/beam /opt/apache/beam
COPY --from=launcher /opt/google/dataflow/python_template_launcher /opt/google/dataflow/python_template_launcher
# Otherwise Beam makes an environment of its own, without /opt/starmill.
ENV PATH=/opt/starmill/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/home/starmill \
    PYTHONUNBUFFERED=1 \
    RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1 \
    FLEX_TEMPLATE_PYTHON_PY_FILE=/opt/starmill/template.py
ARG USER=starmill
USER ${USER}
WORKDIR /home/starmill
ENTRYPOINT ["/opt/apache/beam/boot"]
