# Where Python comes from: Docker's official image, by digest, for every platform that it has
# (published in docker-library/repo-info, repos/python/remote/3.13-slim-bookworm.md; Python 3.13.14).
# Another base: --build-arg BASE_IMAGE=…, or `make image BASE_IMAGE=…`.
ARG BASE_IMAGE=python:3.13-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8

FROM ${BASE_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# The libraries first: they change less often than the exporter does. pip stays in /build.
COPY requirements.lock requirements-build.lock ./
RUN python3 -m venv /build \
    && /build/bin/pip install -q --require-hashes --only-binary :all: -r requirements-build.lock \
    && python3 -m venv --without-pip /venv \
    && /build/bin/pip --python /venv/bin/python install -q \
        --require-hashes --only-binary :all: --no-compile -r requirements.lock
COPY scripts/slim_botocore.py scripts/
RUN /venv/bin/python scripts/slim_botocore.py
COPY pyproject.toml README.md LICENSE ./
COPY config/rules config/rules
COPY exporter exporter
# Byte code that is never checked against its source: the root file system is read-only, and the
# same source gives the same bytes.
RUN /build/bin/pip wheel -q --no-deps --no-build-isolation --wheel-dir /dist . \
    && /build/bin/pip --python /venv/bin/python install -q --no-deps --no-index --no-compile /dist/*.whl \
    && /venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /venv/lib \
    && /venv/bin/python -I -m exporter --version \
    && install -d -m 0755 /etc/metric-filter-exporter /data

FROM ${BASE_IMAGE}
ARG BASE_IMAGE
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="metric-filter-exporter" \
      org.opencontainers.image.description="CloudWatch metric filters, evaluated outside AWS, as exact Prometheus counters" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
COPY --from=build /venv /venv
COPY --from=build /etc/metric-filter-exporter /etc/metric-filter-exporter
COPY --from=build --chown=65532:65532 /data /data
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin \
    MFE_CONFIG_FILE=/etc/metric-filter-exporter/config.yaml \
    MFE_STORAGE_PATH=/data
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 10911
# No shell in between: Python is the container's process 1 and gets its signals.
ENTRYPOINT ["/venv/bin/python", "-I", "-m", "exporter"]
CMD ["run"]
