# The server of keyart, without root. By default it serves the demonstration; docs/deployment.md says how to serve yours.
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt hatch_build.py README.md LICENSE ./
COPY catalog catalog
COPY posters posters
COPY features features
COPY index index
COPY cf cf
COPY keyart keyart
RUN python -m venv /opt/keyart && \
    /opt/keyart/bin/pip install --no-cache-dir --constraint constraints.txt '.[atlas,offline,onnx,plots,web]'

FROM python:3.13-slim
RUN useradd --uid 10001 --create-home keyart && install --directory --owner keyart /data
COPY --from=build /opt/keyart /opt/keyart
COPY --chmod=755 deploy/serve-demo /usr/local/bin/serve-demo
ENV PATH=/opt/keyart/bin:$PATH \
    KEYART_HOME=/data/workspace \
    KERAS_HOME=/data/keras \
    PYTHONUNBUFFERED=1
USER keyart
WORKDIR /data
VOLUME /data
EXPOSE 8000
# The first start draws the demonstration and computes its features.
HEALTHCHECK --start-period=5m --interval=30s --timeout=5s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
CMD ["serve-demo"]
