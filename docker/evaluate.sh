#!/bin/bash
# Evaluate one checkpoint in the image, without network, on a read-only root, as the caller. `make docker-evaluate` calls it.
# Its settings are environment variables:
#   BACKBONE  the checkpoint, of any kind that scenebench imports      SUITE     the suite's name
#   OUT       folder for the records                                   DATA      (optional) prepared data set
#   EXPECTED  (optional) YAML with the values expected                 OPTIONS   (optional) more words for `submit`
#   ENGINE    docker (default), podman, or none: run .venv/bin/scenebench, or the scenebench on the PATH, on this machine
#   IMAGE     (optional) the image, if not that of this tree's version
#   VARIANT   cpu (default) or cuda: which of them was built, where IMAGE is not set; cuda needs no GPU
#   GPUS      (optional) for the CUDA image: all, or what else `--gpus` takes
# Exit codes: 0; 1 below the values expected, or a cell failed; 2 bad input.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

refuse() {
    echo "evaluate.sh: $1" >&2
    exit 2
}

# An absolute path, in a form that an engine's --mount can take.
resolved() {
    local path
    path=$(cd "$(dirname "$2")" 2>/dev/null && printf '%s/%s' "$(pwd)" "$(basename "$2")") || refuse "$1: $2: no such folder"
    case "$path" in *[,\"]* | *$'\n'*) refuse "$1: $2: an engine cannot mount a path with a comma, quote or newline" ;; esac
    printf '%s' "$path"
}

: "${BACKBONE:=}" "${SUITE:=}" "${OUT:=}" "${DATA:=}" "${EXPECTED:=}" "${OPTIONS:=}" "${ENGINE:=docker}" "${GPUS:=}"
[ -n "$BACKBONE" ] || refuse "name the checkpoint: make docker-evaluate BACKBONE=model.pth SUITE=mini OUT=results/mine"
[ -n "$SUITE" ] || refuse "name the suite: SUITE=mini"
[ -n "$OUT" ] || refuse "name a folder for the records: OUT=results/mine"
[ -f "$BACKBONE" ] || refuse "BACKBONE: $BACKBONE: no such file"
[ -z "$DATA" ] || [ -d "$DATA" ] || refuse "DATA: $DATA: no such folder"
[ -z "$EXPECTED" ] || [ -f "$EXPECTED" ] || refuse "EXPECTED: $EXPECTED: no such file"
[ ! -e "$OUT" ] || [ -d "$OUT" ] || refuse "OUT: $OUT: is a file; give a folder"
read -r -a options <<<"$OPTIONS"

if [ "$ENGINE" = none ]; then
    scenebench=$here/../.venv/bin/scenebench
    [ -x "$scenebench" ] || scenebench=$(command -v scenebench) || refuse "no scenebench here: make setup"
    command=("$scenebench" submit "$BACKBONE" --suite "$SUITE" --out "$OUT")
    [ -z "$DATA" ] || command+=(--data "$DATA")
    [ -z "$EXPECTED" ] || command+=(--expected "$EXPECTED")
    exec "${command[@]}" "${options[@]}"
fi

command -v "$ENGINE" >/dev/null || refuse "ENGINE: $ENGINE: not found; install it, or name another: ENGINE=podman"
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$here/../scenebench/__init__.py")
: "${IMAGE:=scenebench:$version-${VARIANT:-cpu}}"
"$ENGINE" info >/dev/null 2>&1 || refuse "ENGINE: $ENGINE does not answer; is its service running, and may you use it?"
"$ENGINE" image inspect "$IMAGE" >/dev/null 2>&1 || refuse "IMAGE: $IMAGE: not here; make docker-image, name the VARIANT that you built, or $ENGINE pull"

backbone=$(resolved BACKBONE "$BACKBONE")
mkdir -p "$OUT" 2>/dev/null || refuse "OUT: $OUT: cannot be made"
out=$(resolved OUT "$OUT")
run=("$ENGINE" run --rm --network none --read-only --tmpfs "/tmp:rw,mode=1777" --shm-size 1g
    --cap-drop ALL --security-opt no-new-privileges --user "$(id -u):$(id -g)")
if [ "$(basename "$ENGINE")" = podman ]; then
    [ "$(id -u)" = 0 ] || run+=(--userns keep-id) # else the caller's number is another inside
else
    run+=(--init) # docker brings one; podman needs a package for it
fi
[ -z "$GPUS" ] || run+=(--gpus "$GPUS")

# The file keeps its name: importers may look at its ending, and the table shows it.
run+=(--mount "type=bind,source=$backbone,target=/checkpoint/$(basename "$backbone"),readonly")
run+=(--mount "type=bind,source=$out,target=/out")
words=(submit "/checkpoint/$(basename "$backbone")" --suite "$SUITE" --out /out)
if [ -n "$DATA" ]; then
    run+=(--mount "type=bind,source=$(resolved DATA "$DATA"),target=/data,readonly")
    words+=(--data /data)
fi
if [ -n "$EXPECTED" ]; then
    run+=(--mount "type=bind,source=$(resolved EXPECTED "$EXPECTED"),target=/expected.yaml,readonly")
    words+=(--expected /expected.yaml)
fi

code=0
"${run[@]}" "$IMAGE" "${words[@]}" "${options[@]}" || code=$?
case "$code" in
125 | 126 | 127) refuse "$ENGINE could not start $IMAGE (its own exit code was $code)" ;;
esac
exit "$code"
