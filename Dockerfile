# docker build --tag stridefold .                               on CPUs
# docker build --tag stridefold:cuda --build-arg TORCH=cuda .   on NVIDIA GPUs; the machine needs NVIDIA's driver and container toolkit
ARG PYTHON=3.12
FROM python:${PYTHON}-slim-bookworm AS build
ARG TORCH=cpu
ARG VERSION=0.1.0.dev0
COPY . /src
RUN VERSION=${VERSION} sh /src/containers/install.sh ${TORCH}

FROM python:${PYTHON}-slim-bookworm
ARG VERSION=0.1.0.dev0
ARG REVISION=unknown
ARG TORCH=cpu
LABEL org.opencontainers.image.title="stridefold" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      stridefold.torch="${TORCH}"
# wget: KubeRay asks with it whether Ray is ready. A pinned version would be gone from Debian's mirrors after its next security update.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends wget && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --create-home user
COPY --from=build /opt/stridefold /opt/stridefold
ENV PATH=/opt/stridefold/bin:$PATH PYTHONUNBUFFERED=1 RAY_USAGE_STATS_ENABLED=0 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000:1000
WORKDIR /home/user
ENTRYPOINT ["stridefold"]
CMD ["--help"]
