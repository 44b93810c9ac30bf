FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH TARGETVARIANT
ARG REVISION=unknown BRANCH=unknown BUILD_DATE=unknown
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH GOARM=${TARGETVARIANT#v} tools/build
RUN mkdir /state

FROM scratch
ARG VERSION=unknown REVISION=unknown
LABEL org.opencontainers.image.title="petra_exporter" \
      org.opencontainers.image.description="Prometheus exporter for the incidents of Petra Security" \
      org.opencontainers.image.url="https://github.com/petra-exporter/petra_exporter" \
      org.opencontainers.image.documentation="https://github.com/petra-exporter/petra_exporter#readme" \
      org.opencontainers.image.source="https://github.com/petra-exporter/petra_exporter" \
      org.opencontainers.image.vendor="The petra_exporter maintainers" \
      org.opencontainers.image.authors="The petra_exporter maintainers <petra-exporter@users.noreply.github.com>" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/petra_exporter /petra_exporter
# A new volume takes the folder's owner.
COPY --from=build --chown=65532:65532 /state /var/lib/petra_exporter
USER 65532:65532
EXPOSE 10984
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s CMD ["/petra_exporter", "healthcheck"]
ENTRYPOINT ["/petra_exporter"]
