FROM alpine@sha256:e4355b66995c96b4b468159fc5c7e3540fcef961189ca13fee877798649f531a
ENV A="one two" B='$A' C=three\ four D=
ENV E $A and "quoted"   text
ENV A=new OLD=$A
ENV ESC=\$A "K E Y"=v
LABEL a.b="c d" e=f \
      g=h
LABEL multi="line \
continued"
EXPOSE 80 443/tcp $PORTS 53/udp
USER ${NAME:-nobody}:${GROUP:-nogroup}
STOPSIGNAL ${SIG:-SIGTERM}
VOLUME /data /more
VOLUME ["/with space", "$A"]
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
CMD echo $A
CMD ["echo", "$A"]
CMD [ "not json' ]
ENTRYPOINT []
MAINTAINER somebody <some@where>
HEALTHCHECK --interval=30s --timeout=1m --start-period=5s --start-interval=500ms --retries=3 CMD curl -f http://localhost/
HEALTHCHECK NONE
ONBUILD COPY . /app
ONBUILD RUN --mount=type=cache,target=/c make \
  all
WORKDIR rel/ative
WORKDIR with space
