# escape=`
FROM alpine
ARG CACHE=/root/.cache
RUN --mount=type=cache,target=$CACHE,sharing=locked,id=pip `
    --mount=type=secret,id=token,env=TOKEN,required `
    # a comment
    --mount=type=bind,from=build,source=/x,target=/y,rw `
    --mount=type=tmpfs,target=/tmp,size=64m --mount=type=ssh `
    --network=none --security=insecure `
    pip install c:\path $X
RUN <<EOF
echo $CACHE
EOF
RUN <<'PY' python3 - && cat <<-B
print("$CACHE")
PY
	b
B
RUN <<X
#!/usr/bin/env python3
print(1)
X
RUN ["sh", "-c", "echo <<EOF"]
