# syntax=docker/dockerfile:1
ARG VERSION=1.2
ARG BASE=debian:${VERSION%.*}
ARG UNSET
FROM --platform=$BUILDPLATFORM ${BASE} AS Build
ARG VERSION
ARG TARGETOS TARGETARCH
ARG UNSET
ARG GIVEN=no
ENV PREFIX=/opt/$VERSION PATH=$PATH:/opt/bin
WORKDIR $PREFIX
RUN make OS=$TARGETOS
FROM build AS test
RUN echo $VERSION
FROM scratch
COPY --from=build --chown=0:0 $PREFIX /app
COPY --from=0 ["/a b", "/c"]
FROM Build
ENTRYPOINT ["/app"]
