# The server of comby with the shop in it. For an app of your own: FROM this image, pip install your wheel, set COMBY_APP.

FROM python:3.13-slim AS build
WORKDIR /source
COPY requirements-dev.txt ./
RUN python -m venv /opt/comby \
 && /opt/comby/bin/pip install --no-cache-dir --disable-pip-version-check hatchling --constraint requirements-dev.txt
COPY generated generated
COPY client client
COPY server server
COPY examples/shop examples/shop
# Wheels first, so that the image holds what users install, and no source tree.
RUN for member in generated client server examples/shop; do \
      /opt/comby/bin/pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir /wheels "./$member" || exit 1; \
    done \
 && python -m venv --clear /opt/comby \
 && /opt/comby/bin/pip install --no-cache-dir --disable-pip-version-check --constraint requirements-dev.txt /wheels/*.whl

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/comby --create-home comby
COPY --from=build /opt/comby /opt/comby
ENV PATH=/opt/comby/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    COMBY_APP=shop.app:app \
    COMBY_LISTEN=0.0.0.0:50051 \
    COMBY_STORE=sqlite:////var/lib/comby/comby.db
USER 10001
WORKDIR /var/lib/comby
VOLUME /var/lib/comby
EXPOSE 50051
# A server with TLS needs COMBY_HEALTH_OPTIONS too, such as "--tls-ca /certificates/ca.pem".
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
  CMD ["sh", "-c", "comby health --target 127.0.0.1:50051 ${COMBY_HEALTH_OPTIONS:-}"]
ENTRYPOINT ["comby", "serve"]
