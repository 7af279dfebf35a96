# The trainer, for Slurm, Kubernetes or one machine. From the root of the repository, after `.venv/bin/python -m build --wheel`:
#   docker build -f infra/docker/trainer.Dockerfile --build-arg WHEEL=starmill-0.1.0-py3-none-any.whl -t starmill-trainer:0.1.0 .
# PyTorch brings its CUDA libraries along; the host needs only NVIDIA's driver and container toolkit.
ARG DEBIAN=debian:12.11-slim

FROM ${DEBIAN}
ARG WHEEL
RUN --mount=type=bind,target=/source sh /source/infra/docker/install.sh trainer "/source/dist/${WHEEL}" /source/constraints.txt
ENV PATH=/opt/starmill/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/home/starmill \
    PYTHONUNBUFFERED=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER starmill
WORKDIR /home/starmill
ENTRYPOINT ["starmill"]
CMD ["train", "--help"]
