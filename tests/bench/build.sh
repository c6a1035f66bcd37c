#!/bin/bash
# Builds beside podman's: 20 trivial RUN steps cold, the same again from the cache, one change in 50 steps, a context of
# 100,000 files of which 95 % are ignored. Run as the user who builds; KELP names the binary, BASE an image both have.
set -euo pipefail
kelp=${KELP:-kelp} podman=${PODMAN:-podman} base=${BASE:-busybox} rounds=${ROUNDS:-3}
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT

time_of() { # median of the rounds, in milliseconds; $1 is done before each, unmeasured
    local before=$1 times=() start end; shift
    for _ in $(seq "$rounds"); do
        eval "$before" >/dev/null 2>&1 || true
        start=$(date +%s%N); "$@" >/dev/null 2>"$dir/err" || { cat "$dir/err" >&2; exit 1; }; end=$(date +%s%N)
        times+=($(((end - start) / 1000000)))
    done
    printf '%s\n' "${times[@]}" | sort -n | sed -n "$((rounds / 2 + 1))p"
}
row() { printf '%-44s %8s ms' "$1" "$2"; [ -n "${3-}" ] && printf ' %8s ms  %6sx' "$3" "$(awk "BEGIN { printf \"%.1f\", $3 / ($2 ? $2 : 1) }")"; echo; }
both() { # name, what to do before (kelp, podman), directory
    local ours theirs=
    ours=$(time_of "$2" $kelp build -q -t bench "$4")
    if command -v ${podman%% *} >/dev/null; then theirs=$(time_of "$3" $podman build -q -t bench "$4"); fi
    row "$1" "$ours" "$theirs"
}

mkdir "$dir/run20" "$dir/run50" "$dir/big"
{ echo "FROM $base"; for i in $(seq 20); do echo "RUN echo $i > /f$i"; done; } > "$dir/run20/Dockerfile"
{ echo "FROM $base"; for i in $(seq 25); do echo "RUN echo $i > /f$i"; done; echo "COPY source /source"
  for i in $(seq 26 50); do echo "RUN cat /source > /f$i"; done; } > "$dir/run50/Dockerfile"
both "20 RUN steps, cold" "$kelp builder prune -af; $kelp rmi -f bench" "$podman rmi -f bench; $podman image prune -f" "$dir/run20"
both "20 RUN steps, cached" true true "$dir/run20"
date > "$dir/run50/source"; $kelp build -q -t bench "$dir/run50" >/dev/null
both "50 steps, one changed file in the middle" "date +%N > $dir/run50/source" "date +%N > $dir/run50/source" "$dir/run50"
for d in $(seq 100); do mkdir -p "$dir/big/ignored/$d"; (cd "$dir/big/ignored/$d"; for i in $(seq 950); do : > $i; done); done
for d in $(seq 10); do mkdir -p "$dir/big/kept/$d"; (cd "$dir/big/kept/$d"; for i in $(seq 500); do echo "$i" > $i; done); done
echo ignored > "$dir/big/.dockerignore"; printf 'FROM scratch\nCOPY . /\n' > "$dir/big/Dockerfile"
both "100,000 files, 95 % ignored, cached" true true "$dir/big"
