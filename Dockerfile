FROM python:3.11-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/nearstream

# A layer of their own for the dependencies: it stays valid until pyproject.toml changes.
COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
 && /opt/nearstream/bin/pip install --requirement requirements.txt

# README.md may be named in pyproject.toml; the star lets it be missing.
COPY LICENSE README.md* ./
COPY bench bench
COPY processors processors
COPY state state
COPY streams streams
RUN /opt/nearstream/bin/pip install --no-deps .

# Kernels are compiled here, so that no start of a container has to. For any processor of the architecture: those compiled
# for the builder's own would be compiled anew wherever another one runs the image. The results are the same to the bit.
ENV NUMBA_CACHE_DIR=/opt/nearstream/kernels NUMBA_CPU_NAME=generic
RUN /opt/nearstream/bin/nearstream warm


FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="Nearstream" \
      org.opencontainers.image.description="Streaming personalization: clicks in, recommendations out" \
      org.opencontainers.image.licenses="Apache-2.0"

# The state directory has its owner before a volume is mounted there, and hands it on to a new volume.
RUN groupadd --system --gid 10001 nearstream \
 && useradd --system --uid 10001 --gid nearstream --no-create-home --home-dir /var/lib/nearstream nearstream \
 && install --directory --owner=nearstream --group=nearstream --mode=0750 /var/lib/nearstream

COPY --from=build /opt/nearstream /opt/nearstream

ENV PATH=/opt/nearstream/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/opt/nearstream/kernels \
    NUMBA_CPU_NAME=generic \
    NEARSTREAM_WORKER__STATE_DIR=/var/lib/nearstream \
    NEARSTREAM_WORKER__WEB_PORT=6066

USER 10001:10001
WORKDIR /var/lib/nearstream
VOLUME /var/lib/nearstream
EXPOSE 6066

# http.client and not urllib: that one would ask a proxy if Docker hands one on to the container.
HEALTHCHECK --interval=10s --timeout=5s --start-period=2m --retries=3 \
  CMD ["python", "-c", "import http.client, os, sys; to = http.client.HTTPConnection('127.0.0.1', int(os.environ['NEARSTREAM_WORKER__WEB_PORT']), timeout=4); to.request('GET', '/readyz'); sys.exit(to.getresponse().status != 200)"]

ENTRYPOINT ["nearstream"]
CMD ["worker"]
